"""What the check says of a pipeline's steps and the scripts that they run, before anything starts."""

from pathlib import Path

import pytest

from aml_project.checks import pipeline_rules
from aml_project.snapshot import whole as snapshot
from tests.aml import aml
from tests.conftest import Bake
from tests.owner import attached
from tests.support import WORKSPACE

PREPARE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--data-path", required=True)
parser.add_argument("--output-path", required=True)
parser.add_argument("--depth", type=int, default=6)
parser.add_argument("--kind", choices=["tree", "forest"])
parser.add_argument("--shuffle", action="store_true")
args = parser.parse_args()
"""
TRAIN = """
import argparse, json
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("--data-path")
parser.add_argument("--rate", type=float)
args = parser.parse_args()
(Path("outputs") / "model").mkdir(parents=True)
json.dump({"accuracy": 1.0}, open("outputs/metrics.json", "w"))
"""
SCORE = """
def init():
    pass
def run(mini_batch):
    return mini_batch
"""
SEARCH = "metric: accuracy\ngoal: maximize\nparameters:\n  rate: {low: 0.1, high: 0.9}\n"
PIPELINE = """\
parameters: {depth: 4}
steps:
  prepare:
    run: prepare.py
    in: {data-path: data}
    out: {output-path: folder}
    arguments: {depth: parameters.depth, kind: tree, shuffle: true}
  train:
    run: train.py
    in: {data-path: prepare.output-path}
    out: {model: outputs/model, report: outputs}
    conda: aml_config/train-conda.yml
  tune:
    search: search.yml
    in: {data-path: prepare.output-path}
  register:
    register: {model: train.model, metrics: train.report, require: [accuracy>=0.7]}
  score:
    run: score.py
    in: {model: train.model, input: data}
    out: {scores: file}
    parallel: {over: input}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "mine"
    (folder / "aml_config").mkdir(parents=True)
    files = {
        "prepare.py": PREPARE,
        "train.py": TRAIN,
        "score.py": SCORE,
        "search.yml": SEARCH,
        "pipeline.yml": PIPELINE,
    }
    for name, text in {**files, "aml_config/train-conda.yml": "dependencies: []\n"}.items():
        (folder / name).write_text(text)
    return folder


def found(folder: Path) -> list[str]:
    return list(pipeline_rules.findings(folder, snapshot.take(folder)))


def test_what_is_fine_is_not_spoken_of(folder: Path) -> None:
    assert found(folder) == []
    assert list(pipeline_rules.notes(folder)) == []
    assert pipeline_rules.scripts(folder) == {"prepare.py", "train.py", "score.py"}
    (folder / "pipeline.yml").unlink()
    assert found(folder) == list(pipeline_rules.notes(folder)) == []
    assert pipeline_rules.scripts(folder) == set()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("depth: 4", "depth: no", "1: no is false in YAML: write 'no' in quotes for the text, or false"),
        (
            "run: prepare.py",
            "run: prepre.py",
            "4: steps.prepare.run: prepre.py: no such file in the model's folder: write prepare.py",
        ),
        (
            "run: score.py",
            "run: deep/down.py",
            "19: steps.score.run: deep/down.py: no such file in the model's folder: write its path from there",
        ),
        (
            "search: search.yml",
            "search: serch.yml",
            "14: steps.tune.search: serch.yml: no such file in the model's folder: write search.yml",
        ),
        (
            "aml_config/train-conda.yml",
            "train-conda.yml",
            "12: steps.train.conda: train-conda.yml: no such file in the model's folder: write aml_config/train-cond",
        ),
        # Arguments.
        ("{data-path: data}", "{data: data}", "5: steps.prepare.in.data: prepare.py has no --data: python prepare.py"),
        (
            "{output-path: folder}\n    arg",
            "{output-path: folder, more: file}\n    arg",
            "6: steps.prepare.out.more: prepare.py has no --more: python prepare.py --help lists what it takes",
        ),
        ("{depth: p", "{dept: p", "7: steps.prepare.arguments.dept: prepare.py has no --dept: write depth"),
        ("depth: 4", "depth: 4.5", "7: steps.prepare.arguments.depth: --depth takes whole numbers, and not 4.5: remov"),
        ("kind: tree", "kind: bush", "7: steps.prepare.arguments.kind: --kind takes one of tree, forest, and not 'bus"),
        ("shuffle: true", "shuffle: all", "7: steps.prepare.arguments.shuffle: --shuffle takes no value: write true o"),
        ("kind: tree", "kind: true", "7: steps.prepare.arguments.kind: --kind takes a value: write 'true' in quotes"),
        (
            "{data-path: data}",
            "{}",
            "3: steps.prepare: prepare.py refuses what it is given: the following arguments are required: --data-pat",
        ),
        (
            "{data-path: prepare.output-path}\n  reg",
            "{data-path: prepare.output-path}\n    arguments: {rate: 0.5}\n  reg",
            "16: steps.tune.arguments.rate: search.yml searches --rate: remove it in one of them",
        ),
        # Outputs that nobody writes.
        (
            "model: outputs/model",
            "model: outputs/modell",
            "11: steps.train.out.model: train.py speaks of no modell: write the path at which it leaves it",
        ),
        ("accuracy>=0.7", "acuracy>=0.7", "17: steps.register.register.require[0]: train.py writes no acuracy: name a"),
        ("metrics: train.report", "metrics: prepare.output-path", "17: steps.register.register.metrics: prepare.py wr"),
    ],
)
def test_what_would_fail_is_one_line(folder: Path, old: str, new: str, said: str) -> None:
    assert old in PIPELINE
    (folder / "pipeline.yml").write_text(PIPELINE.replace(old, new, 1))
    [line] = found(folder)
    assert line.startswith(f"pipeline.yml:{said}")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def init(): pass", "score.py: has no run(mini_batch), which a parallel step calls: write it"),
        ("def run(mini_batch): pass", "score.py: has no init(), which a parallel step calls: write it"),
        ("def init(model): pass\ndef run(batch): pass", "score.py: a parallel step calls init(): let it take so much"),
        ("def init(): pass\ndef run(): pass", "score.py: a parallel step calls run(mini_batch): let it take so much"),
        ("from lib import init\ndef run(batch, more=1): pass", ""),
        ("def init(*_): pass\ndef run(*_): pass", ""),
        ("def init(): pass\ndef run(batch, context): pass", ""),
        (
            "def init(): pass\ndef run(a, b, c): pass",
            "score.py: a parallel step calls run(mini_batch): let it take so much",
        ),
        ("def init(: pass", ""),  # told of the script itself
    ],
)
def test_a_parallel_step_s_script_has_what_is_called(folder: Path, code: str, said: str) -> None:
    (folder / "score.py").write_text(code)
    assert found(folder) == ([f"pipeline.yml:19: steps.score.run: {said}"] if said else [])


def test_a_search_s_own_file_is_looked_at(folder: Path) -> None:
    (folder / "tune.yml").write_text("metric: accuracy\ngoal: up\nparameters:\n  rate: [1.0]\n")
    (folder / "pipeline.yml").write_text(PIPELINE.replace("search.yml", "tune.yml"))
    assert found(folder) == [
        "pipeline.yml:14: steps.tune.search: tune.yml: goal: no 'up': write maximize or minimize",
    ]


def test_a_script_that_stays_at_home_is_told(folder: Path) -> None:
    (folder / ".amlignore").write_text("prepare.py\n")
    said = "prepare.py: the ignore file keeps it from a run: take it out of .amlignore"
    assert found(folder) == [f"pipeline.yml:4: steps.prepare.run: {said}"]


def test_what_nothing_reads_is_a_note(folder: Path) -> None:
    text = PIPELINE.replace("depth: 4}", "depth: 4, seed: 1}\ninputs:\n  more: {path: ../../data/more}")
    text = text.replace(", metrics: train.report, require: [accuracy>=0.7]", "")
    (folder / "pipeline.yml").write_text(text)
    assert found(folder) == []
    assert list(pipeline_rules.notes(folder)) == [
        "pipeline.yml:1: parameters.seed: no step takes it",
        "pipeline.yml:3: inputs.more: no step reads it",
        "pipeline.yml:13: steps.train.out.report: no step reads it",
    ]


def test_the_verb_tells_both_and_is_refused_by_findings_alone(bake: Bake, tmp_path: Path) -> None:
    project = attached(bake(**WORKSPACE), tmp_path)
    assert aml(project, "add", "pipeline").code == 0
    fine = aml(project, "check")
    assert (fine.code, fine.err) == (0, "")
    count = fine.out.partition(" files, ")[0]  # the size that follows grows with the file
    file = project / "models" / "model1" / "pipeline.yml"
    text = file.read_text()
    file.write_text(text.replace("seed: 42}", "seed: 42, more: 1}"))
    noted = aml(project, "check")
    assert (noted.code, noted.out.partition(" files, ")[0]) == (0, count)
    assert noted.err == "NOTE: models/model1/pipeline.yml:2: parameters.more: no step takes it\n"
    file.write_text(text.replace("prepare.train-path", "prepare.train-paths"))
    (file.with_name("evaluate.py")).write_text("print(")
    refused = aml(project, "check")
    said = "steps.train.in.data-path: prepare has no output train-paths: write train-path"
    assert refused == (1, f"models/model1/pipeline.yml:11: {said}\n", "")
    file.write_text(text)
    assert aml(project, "check").out == "models/model1/evaluate.py: line 1: '(' was never closed: mend it\n"
