"""What a pipeline here has made is registered: by a step of its own, or by `aml register`."""

import json
from pathlib import Path

import pytest

from aml_project import project
from pipeline.quick_pipeline import PIPELINE, REGISTER, Quick
from tests.conftest import Rehearse
from tests.owner import Owner
from tests.support import WORKSPACE


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    return Quick(tmp_path / "project")


@pytest.fixture
def owner(quick: Quick, rehearse: Rehearse) -> Owner:
    project.attach(quick.root, WORKSPACE)
    return Owner(quick.root, rehearse(quick.root))


def test_a_step_registers_through_the_gate_and_once(quick: Quick, owner: Owner) -> None:
    quick.says(PIPELINE + REGISTER.replace("0.7", "0.9"))
    refused = owner.call("pipeline")
    assert refused.code == 1
    assert "not registered: accuracy is 0.8, not >= 0.9" in refused.err
    assert owner.rehearsal.state()["models"] == {}

    quick.says(PIPELINE + REGISTER)
    assert owner.call("pipeline").code == 0
    assert quick.states()["register"] == "done"
    [model] = owner.rehearsal.state()["models"].values()
    assert model["kvTags"]["accuracy"] == "0.8"
    [(run_id, run)] = owner.rehearsal.state()["runs"].items()
    assert run["status"] == "Completed"
    assert owner.rehearsal.artifact(run_id, "outputs/model/model.txt").endswith(b", 42")
    assert json.loads((quick.folder / "run.json").read_text())["run_id"] == run_id

    assert owner.call("pipeline").code == 0
    assert quick.states()["register"] == "as before"
    again = owner.call("register")
    assert again.code == 0, again.err
    assert "is registered from this run already" in again.err
    assert len(owner.rehearsal.state()["models"]) == 1


def test_a_registration_that_was_killed_registers_once(quick: Quick, owner: Owner) -> None:
    quick.says(PIPELINE + REGISTER)
    owner.die("pipeline", at="after step starts:5")
    owner.die("pipeline", at="before done.json")
    assert owner.call("pipeline").code == 0
    assert len(owner.rehearsal.state()["models"]) == len(owner.rehearsal.state()["runs"]) == 1


def test_register_takes_what_the_last_pipeline_has_made(quick: Quick, owner: Owner) -> None:
    (quick.folder / "run.json").write_text(json.dumps({"_experiment_name": "quick", "run_id": "old"}))
    assert owner.call("pipeline").code == 0
    planned = owner.call("register", "--dry-run")
    assert planned.out.startswith("Would register outputs/model of step train of the last pipeline as quick")
    assert "NOTE: the model is that of train, a step of the pipeline since the last run" in planned.err
    refused = owner.error("register", "--require", "accuracy>=0.9", code=1)
    assert refused == "ERROR: not registered: accuracy is 0.8, not >= 0.9"
    assert owner.call("register").code == 0
    assert owner.call("register").code == 0
    [run] = owner.rehearsal.state()["runs"].values()
    assert (run["status"], run["tags"]["pipeline"]) == ("Completed", "quick, step train, run here")
    [model] = owner.rehearsal.state()["models"].values()
    assert model["kvTags"]["accuracy"] == "0.8"
