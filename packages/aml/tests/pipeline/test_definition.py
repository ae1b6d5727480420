"""pipeline.yml: what it says, and each way in which it may be wrong, a line each with file, line and mend."""

from pathlib import Path

import pytest

from aml_project.command_line import Failure
from aml_project.pipeline.definition import (
    Input,
    Output,
    Parallel,
    Pipeline,
    Reference,
    Registration,
    Source,
    Step,
    parse,
    read,
    with_parameters,
)

PIPELINE = """\
parameters: {seed: 42, rate: 0.5, deep: true, label: churned}
inputs:
  holdout: {path: ../../data/holdout, dataset: churn-holdout}
steps:
  prepare:
    run: prepare.py
    in: {data-path: data}
    out: {output-path: folder}
  train:
    run: train.py
    in: {data-path: prepare.output-path}
    out: {model: outputs/model, report: outputs}
    arguments: {seed: parameters.seed, max-iter: 500}
    compute: gpu-cluster
    conda: aml_config/train-conda.yml
  tune:
    search: search.yml
    in: {data-path: prepare.output-path}
  evaluate:
    run: evaluate.py
    in: {model: train.model, data-path: holdout}
    out: {output-path: folder, rows: file.csv}
    after: [tune]
  register:
    register: {model: train.model, require: [accuracy>=0.7], metrics: evaluate.output-path}
  score:
    run: score_batch.py
    in: {model: train.model, input: data}
    out: {scores: file}
    parallel: {over: input, nodes: 2, processes: 2, items: 10}
"""


def parsed(text: str) -> Pipeline:
    pipeline, findings = parse(text)
    assert pipeline is not None, findings
    return pipeline


def steps(**needs: str) -> str:
    """A pipeline of steps, each with the steps that it comes after."""
    return "steps:\n" + "".join(f"  {name}: {{run: a.py, after: [{after}]}}\n" for name, after in needs.items())


def test_what_it_says_is_plain_data() -> None:
    prepared = Source("output-path", "prepare")
    model = Source("model", "train")
    assert parsed(PIPELINE) == Pipeline(
        parameters={"seed": 42, "rate": 0.5, "deep": True, "label": "churned"},
        inputs={"data": Input("data"), "holdout": Input("holdout", "../../data/holdout", "churn-holdout")},
        steps={
            "prepare": Step(
                "prepare",
                "command",
                "prepare.py",
                {"data-path": Source("data")},
                {"output-path": Output("output-path", "folder")},
            ),
            "train": Step(
                "train",
                "command",
                "train.py",
                {"data-path": prepared},
                {"model": Output("model", "path", "outputs/model"), "report": Output("report", "path", "outputs")},
                {"seed": Reference("seed"), "max-iter": 500},
                compute="gpu-cluster",
                conda="aml_config/train-conda.yml",
            ),
            "tune": Step(
                "tune",
                "search",
                "search.yml",
                {"data-path": prepared},
                {"model": Output("model", "path", "outputs/model")},
            ),
            "evaluate": Step(
                "evaluate",
                "command",
                "evaluate.py",
                {"model": model, "data-path": Source("holdout")},
                {"output-path": Output("output-path", "folder"), "rows": Output("rows", "file", suffix=".csv")},
                after=("tune",),
            ),
            "register": Step(
                "register",
                "register",
                inputs={"model": model, "metrics": Source("output-path", "evaluate")},
                registration=Registration(("accuracy>=0.7",)),
            ),
            "score": Step(
                "score",
                "parallel",
                "score_batch.py",
                {"model": model, "input": Source("data")},
                {"scores": Output("scores", "file")},
                parallel=Parallel("input", nodes=2, processes=2, items=10),
            ),
        },
    )


def test_every_line_of_a_step_is_known() -> None:
    lines = parsed(PIPELINE).lines
    assert lines["steps", "prepare"] == 5
    assert lines["steps", "train", "arguments", "max-iter"] == 13
    assert lines["steps", "register", "register", "require", "0"] == 25
    found = parsed(PIPELINE).finding(("steps", "train", "in", "nothing"), "is of no use")
    assert str(found) == "pipeline.yml:11: steps.train.in.nothing: is of no use"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # What YAML takes for something else, or not at all.
        ("max-iter: 500", "max-iter: 1e-4", "13: 1e-4 is a text in YAML, and no number: write 1.0e-4"),
        ("seed: 42", "seed: no", "1: no is false in YAML: write 'no' in quotes for the text, or false"),
        ("tune:\n", "on:\n", "16: on is true in YAML: write 'on' in quotes for the text, or true"),
        ("max-iter: 500", "max-iter: 0500", "13: 0500 is the number 320 in YAML: write 320, or '0500' in quotes"),
        ("seed: 42", "seed: 1:30", "1: 1:30 is the number 90 in YAML: write 90, or '1:30' in quotes"),
        ("seed: 42", "seed: 2024-01-01", "1: 2024-01-01 is a date in YAML: write '2024-01-01' in quotes"),
        ("rate: 0.5", "rate: .nan", "1: .nan is no end of anything: write a number"),
        ("  tune:\n", "  train:\n", "16: train: stands here twice: YAML takes the last one: remove one"),
        ("  tune:\n", "\ttune:\n", "16: found character '\\t' that cannot start any token: mend it"),
        ("prepare.py", "a: b", "6: mapping values are not allowed here: mend it"),
        ("label: churned", "? [a] : b", "1: found unhashable key: mend it"),
        # Keys.
        ("parameters:", "parameter:", "1: parameter: no such key: write parameters"),
        ("steps:", "jobs:", "4: jobs: no such key: there are parameters, inputs, steps"),
        ("compute: gpu", "target: gpu", "14: steps.train.target: no such key: there are run, in, out, arguments, afte"),
        ("out: {output-path: folder}\n", "outs: {}\n", "8: steps.prepare.outs: no such key: write out"),
        ("run: prepare.py", "runs: prepare.py", "5: steps.prepare: runs: no such key: write run"),
        ("run: prepare.py", "script: prepare.py", "5: steps.prepare: neither run, register nor search: write the"),
        ("search: search.yml", "search: search.yml\n    run: a.py", "16: steps.tune: run and search at once: a step i"),
        ("search: search.yml", "search: s.yml\n    parallel: {}", "18: steps.tune.parallel: no such key: there are"),
        ("metrics: evaluate", "metric: evaluate", "25: steps.register.register.metric: no such key: write metrics"),
        ("processes: 2", "process: 2", "30: steps.score.parallel.process: no such key: write processes"),
        ("dataset: churn", "data: churn", "3: inputs.holdout.data: no such key: write dataset"),
        # Sections that are something else.
        ("{seed: 42, rate: 0.5, deep: true, label: churned}", "42", "1: parameters: 42: write it as {seed: 42}"),
        ("deep: true", "deep: [1]", "1: parameters.deep: [1]: write a text, a number, true or false"),
        ("deep: true", "deep:", "1: parameters.deep: empty: write a text, a number, true or false"),
        ("{path: ../../data/holdout, dataset: churn-holdout}", "x", "3: inputs.holdout: 'x': write it as {path: "),
        ("{data-path: data}", "data", "7: steps.prepare.in: 'data': write it as {data-path: data}"),
        ("{output-path: folder}\n", "folder\n", "8: steps.prepare.out: 'folder': write it as {output-path: folder}"),
        ("max-iter: 500", "max-iter: [5]", "13: steps.train.arguments.max-iter: [5]: write a text, a number, true"),
        ("after: [tune]", "after: tune", "23: steps.evaluate.after: 'tune': write steps in brackets, as in [train]"),
        ("{over: input, nodes: 2, processes: 2, items: 10}", "2", "30: steps.score.parallel: 2: write it as {over:"),
        ("after: [tune]", "compute: 3", "23: steps.evaluate.compute: 3: write the name of a cluster"),
        ("conda: aml_config/train-conda.yml", "conda:", "15: steps.train.conda: empty: write a conda file of the"),
        # Names.
        ("data-path: data}", "--data-path: data}", "7: steps.prepare.in.--data-path: no name of an argument: leave ou"),
        ("  tune:", "  my step:", "16: steps.my step: no name of a step: write up to 60 letters, digits, - and _"),
        ("  tune:", "  étape:", "16: steps.étape: no name of a step: write up to 60 letters"),
        ("  tune:", "  Prepare:", "16: steps.Prepare: prepare is the same name to a workspace: write another one"),
        ("  tune:", "  parameters:", "16: steps.parameters: parameters.NAME means a parameter: write another name"),
        ("  holdout:", "  data:", "3: inputs.data: data is the model's own data, always there: write another name"),
        ("max-iter: 500", "data-path: x", "13: steps.train.arguments.data-path: --data-path is given twice"),
        ("rows: file.csv", "model: file.csv", "22: steps.evaluate.out.model: --model is given twice by this step"),
        # Paths.
        ("path: ../../data/holdout", "path: /data/holdout", "3: inputs.holdout.path: /data/holdout: is of this comput"),
        ("path: ../../data/holdout", "path: 'C:\\data'", "3: inputs.holdout.path: C:\\data: is of this computer alone"),
        ("{path: ../../data/holdout, dataset: churn-holdout}", "{}", "3: inputs.holdout: neither path nor dataset"),
        ("dataset: churn-holdout", "dataset: 7", "3: inputs.holdout.dataset: 7: write the name of a registered"),
        ("run: prepare.py", "run: ../prepare.py", "6: steps.prepare.run: ../prepare.py: write a path that stays in"),
        ("run: prepare.py", "run: /x/prepare.py", "6: steps.prepare.run: /x/prepare.py: write a path that stays in"),
        ("run: prepare.py", "run: python a.py", "6: steps.prepare.run: 'python a.py': name a file of the model's"),
        ("run: prepare.py", "run: prepare.sh", "6: steps.prepare.run: 'prepare.sh': name a file of the model's folder"),
        ("search: search.yml", "search: true", "17: steps.tune.search: True: name a file of the model's folder that"),
        ("model: outputs/model, report", "model: ../m, report", "12: steps.train.out.model: ../m: write a path that"),
        ("model: outputs/model, report", "model: ., report", "12: steps.train.out.model: .: write a path that stays"),
        ("report: outputs}", "report: true}", "12: steps.train.out.report: True: write folder, file, or the path"),
        ("{output-path: folder}", "{output-path: Folder}", "8: steps.prepare.out.output-path: Folder: write folder"),
        ("{output-path: folder}", "{output-path: dir}", "8: steps.prepare.out.output-path: dir: write folder, or ./di"),
        ("{output-path: folder}", "{output-path: folder.csv}", "8: steps.prepare.out.output-path: folder.csv: a folde"),
        # What leads nowhere.
        ("data-path: holdout", "data-path: holdouts", "21: steps.evaluate.in.data-path: no input holdouts: write hold"),
        ("data-path: data}", "data-path: train}", "7: steps.prepare.in.data-path: train is a step: write one of its"),
        ("data-path: data}", "data-path: register}", "7: steps.prepare.in.data-path: register is a step: it has no"),
        ("data-path: data}", "data-path: prepare.output-path}", "7: steps.prepare.in.data-path: prepare.output-path i"),
        ("{model: train.model, data", "{model: trian.model, data", "21: steps.evaluate.in.model: no step trian: write"),
        ("{model: train.model, data", "{model: train.modle, data", "21: steps.evaluate.in.model: train has no output"),
        ("{model: train.model, data", "{model: tune.report, data", "21: steps.evaluate.in.model: tune has no output r"),
        ("{model: train.model, data", "{model: a.b.c, data", "21: steps.evaluate.in.model: 'a.b.c': write an input, a"),
        ("data-path: data}", "data-path: parameters.seed}", "7: steps.prepare.in.data-path: parameters.seed is no"),
        ("seed: parameters.seed", "seed: parameters.sed", "13: steps.train.arguments.seed: no parameter sed: write se"),
        ("after: [tune]", "after: [tunes]", "23: steps.evaluate.after: no step tunes: write tune"),
        ("after: [tune]", "after: [evaluate]", "23: steps.evaluate.after: evaluate is this step itself: remove it"),
        ("after: [tune]", "after: [register]", "19: steps.evaluate: each waits for another: evaluate → register → ev"),
        # A registration.
        ("{model: train.model, require", "{require", "25: steps.register.register: model: missing: name the output"),
        ("accuracy>=0.7", "accuracy=0.7", "25: steps.register.register.require[0]: write a metric, one of >= <= == >"),
        (", metrics: evaluate.output-path", "", "25: steps.register.register: metrics: missing: name the output whose"),
        ("require: [accuracy>=0.7]", "require: {accuracy: 0.7}", "25: steps.register.register.require: {'accuracy': 0"),
        ("require: [accuracy>=0.7]", "name: a/b", "25: steps.register.register.name: write 1 to 255 letters, digits"),
        ("require: [accuracy>=0.7]", "better-than-current: ':min'", "25: steps.register.register.better-than-current:"),
        ("register: {model", "arguments: {}\n    register: {model", "25: steps.register.arguments: no such key: there"),
        # A parallel step, and a search.
        ("over: input", "over: inputs", "30: steps.score.parallel.over: no input of this step is called 'inputs': nam"),
        ("over: input, ", "", "30: steps.score.parallel.over: missing: name the input whose items are shared out, one"),
        ("nodes: 2", "nodes: 0", "30: steps.score.parallel.nodes: 0: write a whole number from 1 to 100"),
        ("items: 10", "items: 1.5", "30: steps.score.parallel.items: 1.5: write a whole number from 1 to 100000"),
        ("items: 10", "error-threshold: -2", "30: steps.score.parallel.error-threshold: -2: write how many items"),
        ("{scores: file}", "{scores: outputs/scores.csv}", "29: steps.score.out: a parallel step has one output: writ"),
        ("{scores: file}", "{scores: file, log: folder}", "29: steps.score.out: a parallel step has one output: write"),
        ("search: search.yml", "search: s.yml\n    out: {model: folder}", "18: steps.tune.out.model: write the path a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(old: str, new: str, said: str) -> None:
    assert old in PIPELINE
    pipeline, findings = parse(PIPELINE.replace(old, new, 1))
    assert pipeline is None
    [finding] = findings
    assert str(finding).startswith(f"pipeline.yml:{said}")


@pytest.mark.parametrize(
    "text", ["", "[]", "just words", "a: [", "\x00", "&a [*a]", "&a {a: *a}", "steps:", "steps: {}"]
)
def test_what_is_no_pipeline_at_all_is_told_as_well(text: str) -> None:
    pipeline, findings = parse(text)
    assert pipeline is None
    assert findings


def test_a_file_that_is_not_there_or_no_text_is_one_line_of_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "churn"
    folder.mkdir(parents=True)
    with pytest.raises(Failure) as absent:
        read(folder)
    written_by = "make add ARGS=pipeline MODEL=churn writes one for this model"
    assert str(absent.value) == f"models/churn/pipeline.yml: not there: {written_by}"
    (folder / "pipeline.yml").write_bytes(b"\xff")
    with pytest.raises(Failure, match="write it as a text in UTF-8"):
        read(folder)
    (folder / "pipeline.yml").write_text("steps: 1\nstep: 2\n")
    with pytest.raises(Failure) as wrong:
        read(folder)
    assert [line.partition(": ")[0] for line in str(wrong.value).split("\nERROR: ")] == [
        "models/churn/pipeline.yml:2",
        "models/churn/pipeline.yml:1",
    ]


def test_steps_stand_behind_those_that_they_need_and_else_as_in_the_file() -> None:
    pipeline = parsed(steps(e="d", d="b, c", c="a", b="a", a="", f=""))
    assert [step.name for step in pipeline.order()] == ["a", "c", "b", "d", "e", "f"]
    assert pipeline.upstream("d") == {"a", "b", "c"}
    assert pipeline.downstream("b") == {"d", "e"}
    assert [step.name for step in parsed(PIPELINE).order()] == [
        "prepare", "train", "tune", "evaluate", "register", "score",
    ]  # fmt: skip


def test_who_reads_an_output_is_known() -> None:
    pipeline = parsed(PIPELINE)
    assert [step.name for step in pipeline.readers("train", "model")] == ["evaluate", "register", "score"]
    assert pipeline.readers("train", "report") == []


def test_a_circle_is_shown_as_it_goes_round() -> None:
    _, findings = parse(steps(a="", b="a, d", c="b", d="c", e="d"))
    assert [str(finding) for finding in findings] == [
        "pipeline.yml:3: steps.b: each waits for another: b → c → d → b: take one of them out"
    ]


def test_arguments_are_words_of_the_script_with_the_parameters_of_the_call() -> None:
    pipeline = parsed(PIPELINE.replace("max-iter: 500", "rate: parameters.rate, deep: parameters.deep, amp: false"))
    assert pipeline.steps["train"].words(pipeline.parameters) == ["--seed=42", "--rate=0.5", "--deep"]
    other = with_parameters(pipeline, ["seed=7", "rate=-1e-05", "deep=false"])
    assert other.steps["train"].words(other.parameters) == ["--seed=7", "--rate=-1e-05"]
    assert pipeline.parameters["seed"] == 42


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seed", "--set seed: write NAME=VALUE"),
        ("sed=7", "--set sed: no such parameter: write seed"),
        ("seed=7.5", "--set seed=7.5: write a whole number"),
        ("rate=fast", "--set rate=fast: write a number"),
        ("rate=nan", "--set rate=nan: write a number"),
        ("deep=1", "--set deep=1: write true or false"),
    ],
)
def test_a_parameter_keeps_its_kind(setting: str, said: str) -> None:
    with pytest.raises(Failure) as wrong:
        with_parameters(parsed(PIPELINE), [setting])
    assert (str(wrong.value), wrong.value.code) == (said, 2)
    assert with_parameters(parsed(PIPELINE), ["label=a=b"]).parameters["label"] == "a=b"
