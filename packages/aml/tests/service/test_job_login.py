"""A job of CI logs in without a secret, and goes on for longer than what it logs in with is good for.

What GitHub says of a job lives five minutes, here a second. With what az does, which keeps the first, each of these
waits would end in the middle.
"""

import shutil
from pathlib import Path

import pytest

from aml_project.service.assertion import job
from aml_rehearsal import Fault
from service.quick_model import LINES, TRAIN, Trainer, check_log
from tests.owner import kill, read_until

SUBJECT = "repo:owner/name:environment:test"
SERVICES = {"github": SUBJECT, "devops": "sc://owner/project/connection"}
CLUSTER = ("--name=other-cluster", "--vm-size=Standard_DS3_v2")
TOKEN, LOG_IN = 2, r"POST login.microsoftonline.com/.*/token 200"


class Job(Trainer):
    """Whoever trains in a job of CI, which has no login but its own."""

    subject, service = SUBJECT, "github"

    def login(self) -> dict[str, str]:
        return self.rehearsal.job(self.subject, service=self.service)

    def submitted(self) -> None:
        done = self.submit("train-amlcompute", "--async")
        assert done.code == 0, done.err


@pytest.fixture
def trainer(trainer: Trainer) -> Job:
    return Job(trainer.project, trainer.rehearsal)


@pytest.fixture
def brief(trainer: Job) -> Job:
    """A training that takes many times as long as an assertion or a token lives."""
    slow = TRAIN.replace("time.sleep(0.04)", "time.sleep(0.3)")
    (trainer.project / "models" / "quick" / "train.py").write_text(slow, encoding="utf-8")
    trainer.rehearsal.trust(SUBJECT)
    trainer.rehearsal.workspace.assertions.lifetime = 1
    trainer.rehearsal.workspace.tokens.lifetime = TOKEN
    return trainer


@pytest.mark.parametrize("service", SERVICES)
def test_a_job_submits_waits_and_registers_without_a_secret(trainer: Job, service: str) -> None:
    """With the rights of a data scientist, which is all that a job gets."""
    trainer.rehearsal.trust(SERVICES[service], service=service)
    trainer.subject, trainer.service = SERVICES[service], service
    trainer.submitted()
    check_log(trainer.out("wait"))
    assert "version 1" in trainer.out("register")
    assert set(trainer.rehearsal.workspace.assertions.issued) == {SERVICES[service]}
    assert "does not have authorization" in trainer.error("compute", *CLUSTER, code=3)


def test_a_training_outlives_many_assertions(brief: Job) -> None:
    brief.submitted()
    before = len(brief.requests(LOG_IN))
    check_log(brief.out("wait"))
    used = len(brief.requests(LOG_IN)) - before
    assert used >= 0.3 * LINES / TOKEN, "no token was good for longer"
    assert len(brief.rehearsal.workspace.assertions.issued) >= used, "and none was had for an assertion of before"


def test_a_killed_waiter_goes_on_with_what_another_job_says(brief: Job, tmp_path: Path) -> None:
    brief.submitted()
    waiter = brief.start("wait")
    read_until(waiter, "line 3 ")
    kill(waiter)
    [run] = brief.runs.values()
    assert run["status"] == "Running"
    shutil.rmtree(brief.project / ".azureml" / "submissions", ignore_errors=True)  # the runner is gone, with its disk
    check_log(brief.out("wait"))
    assert len(brief.runs) == 1


def test_an_assertion_that_is_used_again_is_refused(brief: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """As az uses it: so the tests above prove something."""
    from aml_project.service import assertion

    brief.submitted()
    for name, text in brief.login().items():
        monkeypatch.setenv(name, text)
    of = job()
    assert of
    first = of.assertion()
    monkeypatch.setattr(assertion.Job, "assertion", lambda _: first)
    assert "has expired" in brief.error("wait", code=3)


@pytest.fixture
def noted(trainer: Job) -> Job:
    """Somebody who has a run to wait for, and nothing else."""
    trainer.run_file.write_text('{"_experiment_name": "quick", "run_id": "quick_1"}')
    return trainer


def test_what_azure_does_not_trust_is_named(noted: Job) -> None:
    noted.rehearsal.trust("repo:Owner/name:environment:test")  # it compares letter by letter
    said = noted.error("wait", code=3)
    assert f"Azure trusts no job with the subject '{SUBJECT}': `aml ci setup` prints" in said


def test_who_may_not_ask_is_told_what_is_missing(noted: Job) -> None:
    said = noted.error("wait", code=3, ACTIONS_ID_TOKEN_REQUEST_URL="")
    assert said.endswith("not logged in: the job may not say who it is; give it `id-token: write`")


def test_who_is_not_this_job_gets_nothing(noted: Job) -> None:
    said = noted.error("wait", code=3, ACTIONS_ID_TOKEN_REQUEST_TOKEN="made.up.token")
    assert "GitHub does not vouch for this job" in said


def test_a_login_that_fails_for_a_moment_does_not_end_the_wait(brief: Job) -> None:
    brief.submitted()
    brief.rehearsal.faults.add(Fault(r"POST login.*/token", skip=8, times=2, status=503))
    done = brief.call("wait")
    assert done.code == 0, done.err
    assert "HTTP Error: 503; the run goes on, and so does this" in done.err
    check_log(done.out)
