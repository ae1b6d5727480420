"""aml add pipeline: a pipeline.yml for what a model has, and the scripts that its steps lack."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from aml_project import project as projects
from aml_project import tools
from aml_project.checks import pipeline_rules
from aml_project.pipeline import definition, proposal
from aml_project.pipeline.definition import Output, Source
from aml_project.snapshot import whole as snapshot
from tests.aml import aml
from tests.conftest import Bake
from tests.owner import attached
from tests.support import FRAMEWORKS, TEMPLATE, WORKSPACE, copy_of, files_of, run

STEPS = {"auto3dseg": ["train", "register"]}
ALL = ["prepare", "train", "evaluate", "register", "score"]
SCRIPTS = TEMPLATE / "templates" / "pipeline"
HERE = {"AML_TEMPLATE": str(TEMPLATE)}
OWN = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--data_path")
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
open("outputs/metrics.json", "w").write('{"rmse": 1}')
"""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_framework_gets_the_steps_that_it_has_scripts_for(bake: Bake, tmp_path: Path, framework: str) -> None:
    project = attached(bake(**WORKSPACE, framework=framework), tmp_path)
    folder = project / "models" / "model1"
    before = files_of(project)
    done = aml(project, "add", "pipeline")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("\nLook at it, then: make pipeline MODEL=model1\n")
    steps = STEPS.get(framework, ALL)
    new = {"pipeline.yml", *(proposal.SCRIPTS if steps == ALL else ())}
    assert files_of(project).keys() - before.keys() == {f"models/model1/{name}" for name in new}
    assert {name: text for name, text in files_of(project).items() if name in before} == before
    pipeline = definition.read(folder)
    assert [step.name for step in pipeline.order()] == steps
    assert list(pipeline_rules.findings(folder, snapshot.take(folder))) == []
    assert list(pipeline_rules.notes(folder)) == []
    kind = "networks" if (folder / "network.py").exists() else "tables"
    for name in new - {"pipeline.yml"}:
        assert (folder / name).read_bytes() == (SCRIPTS / kind / name).read_bytes()


def test_the_label_is_the_one_that_train_py_predicts(bake: Bake, tmp_path: Path) -> None:
    folder = copy_of(bake(), tmp_path) / "models" / "model1"
    train = (folder / "train.py").read_text()
    for label in ("bought", "no", 'the "label": {a}', "größe # 1"):
        (folder / "train.py").write_text(train.replace("default=sample_label()", f"default={label!r}"))
        pipeline, findings = definition.parse(proposal.make(folder).files["pipeline.yml"])
        assert pipeline is not None, findings
        assert pipeline.parameters == {"label": label, "seed": 42}


def test_the_sample_s_label_and_its_bound_are_those_of_the_task(bake: Bake) -> None:
    for task, label, bound in (
        ("classification", "churned", "accuracy>=0.6"),
        ("regression", "monthly_fee", "r2>=0.6"),
    ):
        text = proposal.make(bake(task=task) / "models" / "model1").files["pipeline.yml"]
        pipeline, findings = definition.parse(text)
        assert pipeline is not None, findings
        assert pipeline.parameters["label"] == label
        assert f"require: [{bound}]" in text


def test_the_page_shows_what_is_written(bake: Bake) -> None:
    page = (TEMPLATE / "docs" / "pipelines.md").read_text(encoding="utf-8")
    shown = page.partition("writes for a classifier:\n\n```yaml\n")[2].partition("```")[0]
    text = proposal.make(bake() / "models" / "model1").files["pipeline.yml"]
    assert text.endswith(f"\n{shown}")
    assert text.count("\n") == shown.count("\n") + 1


def test_added_twice_is_added_once_and_what_is_the_owner_s_stays(bake: Bake, tmp_path: Path) -> None:
    project = attached(bake(**WORKSPACE), tmp_path)
    folder = project / "models" / "model1"
    (folder / "evaluate.py").write_text("# mine\n")
    shown = aml(project, "add", "pipeline", "--dry-run").out
    assert not (folder / "pipeline.yml").exists()
    done = aml(project, "add", "pipeline")
    kept = "models/model1/evaluate.py: kept as it was; make check tells whether it fits the steps"
    assert (done.code, done.err) == (0, f"NOTE: {kept}\n")
    assert done.out.startswith(
        "Wrote models/model1/pipeline.yml, prepare.py: prepare, train, evaluate, register, score."
    )
    assert (folder / "pipeline.yml").read_text() == shown
    assert (folder / "evaluate.py").read_text() == "# mine\n"
    assert aml(project, "add", "pipeline") == (0, "models/model1/pipeline.yml: is there already\n", "")
    (folder / "pipeline.yml").write_text(shown + "# mine\n")
    again = aml(project, "add", "pipeline")
    said = "models/model1/pipeline.yml: is there already: remove it first, and a new one is written"
    assert (again.code, again.err) == (1, f"ERROR: {said}\n")
    assert (folder / "pipeline.yml").read_text() == shown + "# mine\n"


def test_killed_on_its_way_the_same_command_goes_on(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(), tmp_path)
    folder = project / "models" / "model1"
    for name in ("prepare.py", "evaluate.py", "pipeline.yml"):
        assert killed(project, f"{'before' if name == 'pipeline.yml' else 'after'} {name}") == -9
        assert not (folder / "pipeline.yml").exists()
    assert aml(project, "add", "pipeline").code == 0
    assert list(pipeline_rules.findings(folder, snapshot.take(folder))) == []


def killed(project: Path, point: str) -> int:
    call = [sys.executable, "-m", "aml_project", "add", "pipeline"]
    env = os.environ | {"AML_PROJECT_DIE_AT": point}
    return subprocess.run(call, cwd=project, env=env, capture_output=True).returncode


def test_a_script_of_one_s_own_is_trained_and_registered(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(OWN)
    made = proposal.make(folder)
    assert list(made.files) == ["pipeline.yml"]
    pipeline, findings = definition.parse(made.files["pipeline.yml"])
    assert pipeline is not None, findings
    train, register = pipeline.order()
    assert train.inputs == {"data_path": Source("data")}
    assert train.outputs == {name: Output(name, "path", "outputs") for name in ("model", "report")}
    assert train.words(pipeline.parameters) == ["--seed=1"]
    assert register.inputs == {"model": Source("model", "train"), "metrics": Source("report", "train")}
    (folder / "pipeline.yml").write_text(made.files["pipeline.yml"])
    assert list(pipeline_rules.findings(folder, snapshot.take(folder))) == []


def test_a_script_that_says_nothing_is_run_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text("print('trained')\n")
    pipeline, findings = definition.parse(proposal.make(folder).files["pipeline.yml"])
    assert pipeline is not None, findings
    assert [step.name for step in pipeline.order()] == ["train", "register"]


def test_a_repo_that_asks_for_it_is_made_with_it(bake: Bake) -> None:
    asked, not_asked = bake(pipeline="yes"), bake()
    more = files_of(asked).keys() - files_of(not_asked).keys()
    assert more == {f"models/model1/{name}" for name in ("pipeline.yml", *proposal.SCRIPTS)}


@pytest.mark.slow
def test_another_model_gets_what_was_asked_for_the_first(bake: Bake, tmp_path: Path) -> None:
    answers = {"pipeline": "yes", "search": "yes"}
    project = copy_of(bake(**answers), tmp_path)
    assert aml(project, "model", "add", "churn", **HERE).code == 0
    fresh, now = files_of(bake(**answers, model_name="churn")), files_of(project)
    own = ("models/churn/", "data/churn/")
    assert {name: text for name, text in now.items() if name.startswith(own)} == {
        name: text for name, text in fresh.items() if name.startswith(own)
    }
    assert aml(project, "model", "add", "plain", "pipeline=no", "search=no", **HERE).code == 0
    assert not (project / "models" / "plain" / "pipeline.yml").exists()
    assert projects.models(project) == ["churn", "model1", "plain"]


def test_a_model_with_a_pipeline_is_renamed_and_removed_whole(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(pipeline="yes", dataset_name="the-data"), tmp_path)
    pipeline = project / "models" / "model1" / "pipeline.yml"
    inputs = "inputs:\n  more: {path: ../../data/model1/more}\n"
    pipeline.write_text(
        f"{inputs}{pipeline.read_text()}".replace("model: train.model,", "name: model1, model: t.model,")
    )
    assert aml(project, "model", "rename", "model1", "churn").code == 0
    text = (project / "models" / "churn" / "pipeline.yml").read_text()
    assert "path: ../../data/churn/more" in text
    assert "name: model1, model: t.model" in text  # what it is registered as stays, as Azure ML has it
    fresh = files_of(bake(pipeline="yes", dataset_name="the-data", model_name="churn"))
    now = files_of(project)
    assert now.keys() == fresh.keys()
    assert {name for name in now if now[name] != fresh[name]} == {"models/churn/pipeline.yml"}
    assert aml(project, "model", "add", "other", **HERE).code == 0
    (project / "models" / "churn" / "outputs" / "pipeline" / "steps").mkdir(parents=True)
    removed = aml(project, "model", "remove", "churn", "--force")
    assert removed.code == 0
    assert removed.err.endswith(", published pipelines with their schedules\n")
    assert not [name for name in files_of(project) if "churn" in Path(name).parts]
    assert (project / "models" / "other" / "pipeline.yml").is_file()


@pytest.mark.slow
def test_a_wheel_takes_the_scripts_along(tmp_path: Path) -> None:
    package = tools.checkout()
    assert package
    run(str(tools.find_uv()), "build", "--quiet", "--wheel", "--out-dir", tmp_path, package, cwd=tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("aml_project/pipeline/scripts/")}
    kinds = ("networks", "tables")
    assert inside == {f"aml_project/pipeline/scripts/{kind}/{name}" for kind in kinds for name in proposal.SCRIPTS}
