"""aml wait: the run of run.json is followed to its end, by whoever has that file; killed, in test_job_login.py."""

import json
import shutil
from pathlib import Path

import pytest

from aml_project import project
from service.quick_model import Trainer, check_log
from tests.support import WORKSPACE


@pytest.fixture
def elsewhere(trainer: Trainer, tmp_path: Path) -> Trainer:
    """The same repo on another computer, which has submitted nothing; a job of CI gets run.json from the one before."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(trainer.project / "models", folder / "models")
    project.attach(folder, WORKSPACE)
    return Trainer(folder, trainer.rehearsal)


def test_another_computer_follows_the_run_to_its_end(trainer: Trainer, elsewhere: Trainer) -> None:
    done = trainer.submit("train-amlcompute", "--async")
    assert done.code == 0, done.err
    assert "Next: make wait MODEL=quick, then make register MODEL=quick\n" in done.out
    shutil.copy(trainer.run_file, elsewhere.run_file)
    assert json.loads(elsewhere.run_file.read_text())["status"] != "Completed"
    out = elsewhere.out("wait")
    [run_id] = trainer.runs
    assert out.startswith(f"Run {run_id} in experiment quick\n")
    assert out.endswith("\nCompleted: models/quick/run.json.\n")
    check_log(out)
    assert json.loads(elsewhere.run_file.read_text())["status"] == "Completed"
    assert "version 1" in elsewhere.out("register")


def test_a_run_that_fails_is_the_exit_code(trainer: Trainer) -> None:
    (trainer.project / "models" / "quick" / "train.py").write_text("raise SystemExit(3)")
    assert trainer.submit("train-amlcompute", "--async").code == 0
    assert " failed: " in trainer.error("wait", code=1)
    assert " failed: " in trainer.error("wait", code=1), "and so it does when it is asked again"


def test_nothing_to_wait_for_is_told(trainer: Trainer) -> None:
    assert trainer.error("wait", code=1).endswith("run.json: not there; a run that completes writes it: make submit")
