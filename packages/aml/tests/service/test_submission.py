"""aml submit when things go wrong: faults of the service and the network, Ctrl-C, kill -9.

Whatever happens, the same command again finishes, and afterwards nothing is lost, doubled or half there. The model is
a script of ours that prints numbered lines, so that a lost or doubled line shows.
"""

import json
import logging
import os
import random

import pytest

from aml_project.service import run_log
from aml_rehearsal import Fault
from service.quick_model import TARGETS, TROUBLES, Trainer, check_completed, check_log
from tests.owner import kill, read_until
from tests.support import BIN, run

log = logging.getLogger("progress")
KILLS = 10
DETAILS, LOG = r"GET .*/details", r"GET .*std_log"
FOLLOWING = {
    "429 that names a time": [Fault(DETAILS, times=2, skip=1, status=429, headers={"Retry-After": "1"})],
    "500, then 503": [Fault(DETAILS, skip=1, status=500), Fault(DETAILS, skip=1, status=503)],
    "half a log": [Fault(LOG, times=2, drop="half"), Fault(LOG, skip=1, status=503)],
    "a dropped connection": [Fault(DETAILS, skip=1, drop="before"), Fault(LOG, skip=1, drop="before")],
    "a token that expires": [Fault(DETAILS, skip=1, expire_tokens=True)],
    "a stall": [Fault(DETAILS, skip=1, delay=6)],
}
# Following is the same code for both; one silence is enough.
WHILE_FOLLOWING = [(trouble, config) for trouble in FOLLOWING for config in list(TARGETS)[trouble == "a stall" :]]


@pytest.mark.parametrize(("trouble", "config"), WHILE_FOLLOWING)
def test_following_goes_on_and_loses_no_line(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, trouble: str, config: str
) -> None:
    if trouble == "a stall":
        monkeypatch.setattr(run_log, "TIMEOUT", 2)
    for fault in FOLLOWING[trouble]:
        trainer.rehearsal.faults.add(Fault(**vars(fault)))
    code, out, err = trainer.submit(config)
    assert code == 0, err
    assert trainer.rehearsal.faults.fired
    assert "the run goes on, and so does this" in err
    check_log(out)
    [run_id] = trainer.runs
    check_completed(trainer, run_id)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_while_submitting_makes_one_run(trainer: Trainer, trouble: str) -> None:
    trainer.rehearsal.faults.add(Fault(r"POST .*/snapshotrun", **TROUBLES[trouble]))
    code, out, err = trainer.submit("train-amlcompute")
    assert code == 0, err
    assert len(trainer.rehearsal.faults.fired) == 1
    check_log(out)
    [run_id] = trainer.runs
    check_completed(trainer, run_id)


def test_a_local_run_whose_answer_was_lost_is_canceled_and_the_next_one_runs(trainer: Trainer) -> None:
    trainer.rehearsal.faults.add(Fault(r"POST .*/localrun", drop="after"))
    code, _, err = trainer.submit("train-local")
    if code:
        assert (code, err.count("ERROR: not submitted: ")) == (3, 1)
        code, _, err = trainer.submit("train-local")
    assert code == 0, err
    assert sorted(run["status"] for run in trainer.runs.values()) in (["Completed"], ["Canceled", "Completed"])


@pytest.mark.parametrize("config", TARGETS)
def test_ctrl_c_leaves_the_run_alone_and_the_same_command_follows_it(trainer: Trainer, config: str) -> None:
    process = trainer.start("submit", "-c", config, "--skip-check")
    read_until(process, "line 5")
    done = trainer.interrupt(process)
    assert done.code == 130
    [run_id] = trainer.runs
    assert (
        "The run goes on. To follow it: the same command again."
        f" To cancel it: {os.path.relpath(BIN / 'azml', trainer.project)} run cancel -e quick -r {run_id}" in done.err
    )
    assert not trainer.run_file.exists()
    code, out, err = trainer.submit(config)
    assert code == 0, err
    assert f"NOTE: going on with {run_id}" in err
    check_log(out)
    check_completed(trainer, run_id)
    assert list(trainer.runs) == [run_id]


def test_what_has_changed_since_is_submitted_anew(trainer: Trainer) -> None:
    process = trainer.start("submit", "-c", "train-amlcompute", "--skip-check")
    read_until(process, "Run quick_")
    kill(process)
    [first] = trainer.runs
    code, _, err = trainer.submit("train-amlcompute", "--", "--more")
    assert code == 0
    assert f"what is submitted has changed since {first}" in err
    assert len(trainer.runs) == 2
    assert json.loads(trainer.run_file.read_text())["run_id"] != first


def test_a_run_that_fails_is_told_in_one_line_and_leaves_no_run_file(trainer: Trainer) -> None:
    assert trainer.submit("train-amlcompute")[0] == 0
    assert trainer.run_file.exists()
    (trainer.run_file.parent / "train.py").write_text("raise SystemExit('the disk is round')\n")
    code, _, err = trainer.submit("train-amlcompute")
    assert code == 1
    [error] = [line for line in err.splitlines() if line.startswith("ERROR")]
    assert "failed: " in error
    assert "the disk is round" in error
    assert not trainer.run_file.exists(), "the record of an older run would be registered in its place"


def test_a_token_in_the_address_of_gits_remote_stays_here(trainer: Trainer) -> None:
    """The client writes the address into the run, as git has it."""
    model = trainer.run_file.parent
    (model / ".amlignore").write_text("outputs/\nrun.json\n.git/\n")
    run("git", "init", "-q", cwd=model)
    run("git", "commit", "-q", "--allow-empty", "-m", "first", cwd=model)
    run("git", "remote", "add", "origin", "https://me:a-git-token@example.com/o/r.git", cwd=model)
    code, out, err = trainer.submit("train-amlcompute")
    assert code == 0, err
    [submitted] = trainer.runs.values()
    assert submitted["properties"]["azureml.git.repository_uri"] == "https://example.com/o/r.git"
    state = json.dumps(trainer.rehearsal.state(), default=str)
    assert "a-git-token" not in state + trainer.run_file.read_text() + out + err


KILLED = [(config, at) for config in TARGETS for at in ("before run", "after run", "before run.json", "after run.json")]


@pytest.mark.parametrize(("config", "at"), KILLED)
def test_killed_at_a_named_point_the_same_command_goes_on(trainer: Trainer, config: str, at: str) -> None:
    """Noted, and nothing sent; sent, and nobody knows; completed, and not written; written, and still noted."""
    trainer.die("submit", "-c", config, "--skip-check", at=at)
    assert len(trainer.runs) == (at != "before run")
    assert trainer.run_file.exists() is (at == "after run.json")
    assert check_goes_on(trainer, config, set()) is (at != "before run")
    assert len(trainer.runs) == 1


def test_killed_as_it_starts_a_run_here_the_same_command_follows_that(trainer: Trainer) -> None:
    """The run has noted its process by itself."""
    trainer.die("submit", "-c", "train-local", "--skip-check", at="after process")
    assert check_goes_on(trainer, "train-local", set())
    assert len(trainer.runs) == 1


@pytest.mark.full
@pytest.mark.parametrize("config", TARGETS)
def test_submitting_is_killed_at_any_moment(trainer: Trainer, config: str) -> None:
    """kill -9 between its first request and its end; then the same command again."""
    submission = ("submit", "-c", config, "--skip-check")
    requests, draw = trainer.usual(*submission), random.Random(7)
    killed = went_on = 0
    for _ in range(KILLS // 2):
        before = set(trainer.runs)
        trainer.run_file.unlink(missing_ok=True)
        killed += trainer.kill_at_random(draw, requests, *submission)
        went_on += check_goes_on(trainer, config, before)
    log.info("  %d submissions: %d killed, %d gone on with", KILLS // 2, killed, went_on)
    assert killed > 0


def check_goes_on(trainer: Trainer, config: str, before: set[str]) -> bool:
    """Whatever a killed call has left, the same call again ends with one completed run; return whether it went on."""
    finished = trainer.run_file.exists()
    if finished:
        json.loads(trainer.run_file.read_text())  # whole or absent
    code, out, err = trainer.submit(config)
    assert code == 0, err
    check_log(out)
    went_on = "going on with" in err
    new = {run_id: run["status"] for run_id, run in trainer.runs.items() if run_id not in before}
    # A local run that the service knew of and this computer had not started yet is canceled, never left behind.
    assert sorted(set(new.values())) in (["Completed"], ["Canceled", "Completed"]), new
    completed = 1 + (finished and not went_on)
    assert list(new.values()).count("Completed") == completed, (config, new, err)
    check_completed(trainer, json.loads(trainer.run_file.read_text())["run_id"])
    return went_on


@pytest.mark.parametrize("role", ["reader", "stranger"])
def test_without_rights_nothing_is_submitted(trainer: Trainer, role: str) -> None:
    trainer.role = role
    code, _, err = trainer.submit("train-amlcompute")
    assert code == 3
    assert "no rights (403)" in err
    assert trainer.rehearsal.variables(role)["AZUREML_SERVICE_PRINCIPAL_PASSWORD"] not in err
    assert trainer.runs == {}
