"""aml register when things go wrong, and what its rules let through: one version of a run's model, or why not."""

import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from aml_rehearsal import Fault
from aml_rehearsal.services.metrics import log_number
from service.quick_model import TRAIN, TROUBLES, Trainer
from tests.owner import wait_for

log = logging.getLogger("progress")
KILLS = 10
MODEL_ALONE = """
import pathlib
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True)
(folder / "weights.txt").write_text("1 2 3")
"""


def test_killed_at_a_named_point_the_same_command_goes_on(trainer: Trainer) -> None:
    trainer.out("submit", "-c", "train-amlcompute", "--skip-check")
    for number, at in enumerate(["before asset", "after asset", "before model", "after model"]):
        trainer.die("register", f"--name=killed-{number}", at=at)
        assert len(trainer.rehearsal.state()["assets"]) == number + (at != "before asset")
        assert len(trainer.versions(f"killed-{number}")) == (at == "after model")
        check_registered(trainer, f"killed-{number}")


@pytest.mark.full
def test_registering_is_killed_at_any_moment(trainer: Trainer) -> None:
    """kill -9 between its first request and its end; then the same command again."""
    assert trainer.submit("train-amlcompute").code == 0
    requests, draw = trainer.usual("register", "--name=first"), random.Random(7)
    killed = 0
    for number in range(KILLS):
        killed += trainer.kill_at_random(draw, requests, "register", f"--name=kill-{number}")
        check_registered(trainer, f"kill-{number}")
    log.info("  %d registrations, %d killed", KILLS, killed)
    assert killed > 0


def test_trouble_while_registering_makes_one_version(trainer: Trainer) -> None:
    """Faults at each of its two requests, the answer lost or refused, and an expired login: one call is enough."""
    assert trainer.submit("train-amlcompute")[0] == 0
    troubles = {
        f"{what}-{number}": Fault(rf"POST .*/{what}", **trouble)
        for what in ("assets", "models")
        for number, trouble in enumerate(TROUBLES.values())
    }
    for name, fault in troubles.items():
        trainer.rehearsal.faults.add(fault)
        check_registered(trainer, name)
        assert len(trainer.rehearsal.faults.fired) == 1
        trainer.rehearsal.faults.clear()
    log.info("  %d registrations with a fault", len(troubles))


def test_what_is_required_holds_for_what_is_registered_already(trainer: Trainer) -> None:
    model = trainer.run_file.parent
    # Flushed at once: what the client takes up by itself, a second later, is lost if the script ends just then.
    with_metric = "from azureml.core import Run\nrun = Run.get_context()\nrun.log('accuracy', 0.75)\nrun.flush()\n"
    (model / "train.py").write_text(TRAIN.replace("\nimport pathlib", f"\n{with_metric}import pathlib"))
    assert trainer.submit("train-local")[0] == 0
    better = ("--require", "accuracy>=0.7", "--better-than-current", "accuracy")
    for again in (False, True):  # the second time there is nothing but itself to be compared with
        code, out, err = trainer.call("register", *better)
        assert code == 0, err
        assert "Model quick, version 1, id quick:1" in out
        assert ("is registered from this run already" in err) is again
    code, _, err = trainer.call("register", "--require", "accuracy>=0.8")
    assert (code, "not registered: accuracy is 0.75, not >= 0.8" in err) == (1, True)
    assert trainer.versions("quick") == ["quick:1"]


def train(trainer: Trainer, accuracy: float, loss: float) -> None:
    """Submit a run that has logged this."""
    (trainer.run_file.parent / "train.py").write_text(MODEL_ALONE)
    trainer.out("submit", "-c", "train-amlcompute", "--skip-check")
    run_id = json.loads(trainer.run_file.read_text())["run_id"]
    with trainer.rehearsal.workspace.state.lock:
        for name, value in {"accuracy": accuracy, "loss": loss}.items():
            log_number(trainer.rehearsal.workspace, run_id, name, value, 0)


def test_a_file_says_what_a_registration_has_made_and_compared(trainer: Trainer, tmp_path: Path) -> None:
    """Also one that the rules refuse; as good as before is enough, where that is asked for."""
    file = tmp_path / "registered.json"

    def registered(*, code: int) -> dict[str, Any]:
        gate = ("--not-worse-than-current", "accuracy", "-t", str(file))
        assert trainer.call("register", *gate).code == code
        content: dict[str, Any] = json.loads(file.read_text())
        return content

    train(trainer, 0.7, 0.3)
    first = {"accuracy": 0.7, "loss": 0.3}
    assert registered(code=0) == {"modelId": "quick:1", "metrics": first, "before": None, "refused": ""}
    train(trainer, 0.6, 0.4)
    before = {"modelId": "quick:1", "metrics": first}
    said = "not registered: accuracy is 0.6, below the 0.7 of quick:1"
    worse = {"accuracy": 0.6, "loss": 0.4}
    assert registered(code=1) == {"modelId": "", "metrics": worse, "before": before, "refused": said}
    train(trainer, 0.7, 0.2)
    same = {"accuracy": 0.7, "loss": 0.2}
    assert registered(code=0) == {"modelId": "quick:2", "metrics": same, "before": before, "refused": ""}
    assert registered(code=0)["before"] == before, "again, it is not compared with itself"


def test_a_model_is_compared_with_the_newest_version(trainer: Trainer) -> None:
    """By the greater accuracy or the smaller loss: a worse one is refused, an equal one too, a better one is not."""
    train(trainer, 0.7, 0.3)
    for metric in ("accuracy", "loss:min"):
        assert ", version 1, " in trainer.out("register", f"--name={metric[:4]}", "--better-than-current", metric)
    for accuracy, loss in ((0.6, 0.4), (0.7, 0.3)):
        train(trainer, accuracy, loss)
        error = trainer.error("register", "--name=accu", "--better-than-current", "accuracy", code=1)
        assert error == f"ERROR: not registered: accuracy is {accuracy}, not above the 0.7 of accu:1"
        error = trainer.error("register", "--name=loss", "--better-than-current", "loss:min", code=1)
        assert error == f"ERROR: not registered: loss is {loss}, not below the 0.3 of loss:1"
    train(trainer, 0.8, 0.2)
    error = trainer.error("register", "--name=accu", "--max", "loss=0.19", "--max", "accuracy=0.79", code=1)
    assert error == "ERROR: not registered: loss is 0.2, not <= 0.19; accuracy is 0.8, not <= 0.79"
    bounds = ("--max", "loss=0.2", "--max", "accuracy=0.8", "--min", "accuracy=0.8")
    for metric in ("accuracy", "loss:min"):
        out = trainer.out("register", f"--name={metric[:4]}", "--better-than-current", metric, *bounds)
        assert ", version 2, " in out
    assert trainer.versions("accu") == ["accu:1", "accu:2"]


def check_registered(trainer: Trainer, name: str) -> None:
    """Register, whatever came before: then there is one version and one asset."""
    code, out, err = trainer.call("register", "--name", name)
    assert code == 0, err
    assert f"Model {name}, version 1, id {name}:1" in out
    assert trainer.versions(name) == [f"{name}:1"]
    assert [asset["name"] for asset in trainer.rehearsal.state()["assets"].values()].count(name) == 1


def test_what_may_not_be_registered_is_not(trainer: Trainer, tmp_path: Path) -> None:
    asked = tmp_path / "asked"  # the run is to go on until then
    until = f"while not pathlib.Path({str(asked)!r}).exists():\n    time.sleep(0.05)\n"
    (trainer.run_file.parent / "train.py").write_text(f"{TRAIN}{until}")
    assert trainer.submit("train-amlcompute", "--async")[0] == 0
    refused = {
        (): "only the model of a completed run is registered",
        ("--asset-path", "outputs/mod"): "has no outputs/mod; it has outputs/model/weights.txt",
        ("--require", "accuracy>=0.8"): "the run has no metric 'accuracy'",
    }
    for args, said in refused.items():
        code, _, err = trainer.call("register", *args)
        assert code == 1
        assert said in err
        asked.touch()
        wait_for(lambda: {run["status"] for run in trainer.runs.values()} <= {"Completed", "Failed"})
    assert trainer.versions("quick") == []
    record = json.loads(trainer.run_file.read_text())
    trainer.run_file.write_text(json.dumps(record | {"run_id": "quick_0"}))
    code, _, err = trainer.call("register")
    assert (code, "quick_0: not in the workspace my-workspace" in err) == (1, True)
