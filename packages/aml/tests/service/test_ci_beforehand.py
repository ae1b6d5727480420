"""aml check, where the repo has CI: what would stop it is asked in a process of its own, and not for long."""

import shutil
from pathlib import Path

import pytest

from aml_project import project
from aml_project.ci import beforehand
from aml_project.ci.beforehand import Asking
from aml_project.ci.checks import Answer
from service.quick_model import Trainer
from tests.aml import aml
from tests.support import WORKSPACE

FINE = "quick: 2 runconfigs fine; a run gets 5 files, 1.2 kB\n"
OTHER = "with:\n  test: --target aci --service quick-test\n"


def workflow(project: Path, name: str, text: str = "") -> None:
    file = project / ".github" / "workflows" / f"{name}.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def has_ci(project: Path) -> None:
    workflow(project, "_model")
    workflow(project, "quick", OTHER)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy takes longer than a check may."""
    monkeypatch.setattr(beforehand, "PATIENCE", 300)


@pytest.mark.usefixtures("patient")
def test_a_check_tells_what_would_stop_ci(trainer: Trainer) -> None:
    has_ci(trainer.project)
    trainer.rehearsal.workspace.quota = 0
    done = trainer.call("check")
    assert done.code == 1
    assert done.out.startswith("quota: 0 of Total Cluster Dedicated Regional vCPUs in westeurope")
    said = "not all that would stop CI was asked: the subjects (git has no remote called origin)"
    assert done.err == f"NOTE: {said}\n"


@pytest.mark.usefixtures("patient")
def test_who_is_not_logged_in_is_told_that_nothing_was_asked(trainer: Trainer) -> None:
    has_ci(trainer.project)
    nobody = {name: text for name, text in trainer.login().items() if "SERVICE_PRINCIPAL" not in name}
    done = aml(trainer.project, "check", **nobody)
    assert (done.code, done.out) == (0, FINE), done
    assert done.err.startswith("NOTE: what would stop CI was not asked: not logged in: `az login`")
    assert trainer.requests("management.azure.com") == []


def test_what_was_answered_in_time_is_told_in_the_order_of_the_questions() -> None:
    asked = ["the login", "the role", "the quota for c", "the name a", "the name b"]
    answers = [Answer("the name b", ["b is taken"]), Answer("the role", unseen="hidden"), Answer("the login")]
    told = beforehand.told(["before"], asked, answers, "late")
    assert told.findings == ["before", "b is taken"]
    listed = "the role (hidden); the quota for c, the name a (late)"
    assert told.notes == [f"not all that would stop CI was asked: {listed}"]
    assert beforehand.told([], asked, [Answer(about) for about in asked], "").notes == []


@pytest.fixture
def with_ci(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with CI; who asks leaves a file."""
    monkeypatch.setattr(beforehand, "START", "open('asked', 'w')")
    workflow(small, "_model")
    workflow(small, "model1", OTHER)
    return small


@pytest.mark.usefixtures("unasked")
def test_what_takes_too_long_is_ended_and_told(with_ci: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.attach(with_ci, WORKSPACE)
    monkeypatch.setattr(beforehand, "START", "import time; time.sleep(600)")
    monkeypatch.setattr(beforehand, "PATIENCE", 0)
    ended: list[int | None] = []
    monkeypatch.setattr(Asking, "__exit__", lambda self, *_: ended.append(self.process.poll()))
    done = aml(with_ci, "check")
    assert (done.code, ended) == (0, [-9])
    said = "no answer in 0 s; make check ARGS=--ci waits for it"
    assert done.err == f"NOTE: what would stop CI was not asked: {said}\n"


@pytest.mark.usefixtures("unasked", "patient")
def test_who_is_not_attached_is_told_so_and_nothing_is_asked(with_ci: Path) -> None:
    done = aml(with_ci, "check")
    assert (done.code, done.err) == (
        0,
        "NOTE: what would stop CI was not asked: no workspace is attached: make attach\n",
    )


@pytest.mark.usefixtures("unasked", "patient")
def test_who_asks_and_fails_stops_no_check(with_ci: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.attach(with_ci, WORKSPACE)
    monkeypatch.setattr(beforehand, "START", "print('no answ', end=''); raise SystemExit(1)")
    done = aml(with_ci, "check")
    said = "what would stop CI was not asked: who asks has failed; make check ARGS=--ci shows why"
    assert (done.code, done.err) == (0, f"NOTE: {said}\n")


@pytest.mark.usefixtures("unasked", "patient")
def test_offline_and_without_ci_nothing_is_asked_and_nothing_told(with_ci: Path) -> None:
    project.attach(with_ci, WORKSPACE)
    assert aml(with_ci, "check", "--offline")[::2] == (0, "")
    assert aml(with_ci, "check", "-c", "train-local")[::2] == (0, "")
    shutil.rmtree(with_ci / ".github")
    assert aml(with_ci, "check")[::2] == (0, "")
    assert not (with_ci / "asked").exists()
    assert aml(with_ci, "check", "--offline", "--ci").code == 2
