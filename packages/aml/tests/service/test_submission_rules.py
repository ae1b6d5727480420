"""What a submission decides before and after its requests: which run it goes on with, what it notes, when it gives up.

Asked without a workspace; tests/service/test_submission.py tries the same with one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aml_project.command_line import Failure
from aml_project.service import submission as submissions
from aml_project.service.submission import LOOKS, NotKnown, Submission
from service.quick_model import project_of_quick_model
from tests.owner import Hurry

RUN = "quick_1"


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    return Submission(project_of_quick_model(tmp_path / "project"), "quick", "train-local", "quick", ["--more"])


@pytest.fixture
def ended() -> int:
    """The number of a process that was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class Calls:
    """A submission whose requests are noted instead of sent."""

    def __init__(self, submission: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
        self.submission, self.found = submission, None
        self.sent, self.completed = list[str](), list[Any]()
        monkeypatch.setattr(submissions, "find", lambda *_: self.found)
        monkeypatch.setattr(submission, "send", lambda _, __, run_id: self.sent.append(run_id))
        monkeypatch.setattr(submission, "complete_record", lambda run, _: self.completed.append(run))

    found: Any


@pytest.fixture
def calls(submission: Submission, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(submission, monkeypatch)


def workspace(name: str = "Mine") -> Any:
    return SimpleNamespace(service_context=SimpleNamespace(_get_workspace_scope=lambda: name))


def run_of(status: str, target: str = "cpu-cluster") -> Any:
    """A run, as the client gives it; what is asked of it is noted."""
    told: list[str] = []
    client = SimpleNamespace(run=SimpleNamespace(post_event_canceled=lambda: told.append("canceled")))
    return SimpleNamespace(
        id=RUN, status=status, _run_dto={"target": target}, experiment=SimpleNamespace(name="quick"), _client=client,
        told=told,
    )  # fmt: skip


def config(target: str = "cpu-cluster", docker: bool | None = None) -> Any:
    return SimpleNamespace(target=target, docker=docker is not None and SimpleNamespace(use_docker=docker))


# ----------------------------------------------------------------------------------------- what is submitted


def test_arguments_follow_those_of_the_runconfig(submission: Submission) -> None:
    assert submission.load().arguments == ["--more"]
    file = submission.folder / "aml_config" / "train-local.runconfig"
    file.write_text(file.read_text().replace("arguments: []", "arguments: [--first, 1]"))
    assert submission.load().arguments == ["--first", 1, "--more"]
    file.write_text(file.read_text().replace("arguments: [--first, 1]\n", ""))
    assert submission.load().arguments == ["--more"]


def test_the_same_has_the_same_fingerprint_and_nothing_else_has(submission: Submission) -> None:
    same = submission.fingerprint(config(docker=False))
    assert same == submission.fingerprint(config())
    found = {same, submission.fingerprint(config(docker=True))}
    root = submission.folder.parent.parent
    for names, words in (
        (("train-amlcompute", "quick"), ["--more"]),
        (("train-local", "another"), ["--more"]),
        (("train-local", "quick"), ["--less"]),
    ):
        found.add(Submission(root, "quick", *names, words).fingerprint(config()))
    assert len(found) == 5
    (submission.folder / "run.json").write_text("ignored")
    assert submission.fingerprint(config()) == same
    for change in (
        lambda: (submission.folder / "more.py").write_text(""),
        lambda: (submission.folder / "more.py").write_text("1"),
        lambda: (submission.folder / "more.py").rename(submission.folder / "other.py"),
    ):
        change()
        found.add(submission.fingerprint(config()))
    assert len(found) == 8


# --------------------------------------------------------------------------------- the run of an earlier call


@pytest.mark.parametrize(
    ("noted", "found", "target", "sent"),
    [
        (None, None, "cpu-cluster", "new"),
        ("another", run_of("Running"), "cpu-cluster", "new"),
        ("mine", None, "cpu-cluster", "the same"),  # it may be on its way still
        ("mine", None, "local", "new"),
        ("mine", run_of("Failed"), "cpu-cluster", "new"),
    ],
)
def test_what_is_sent_after_an_interruption(
    calls: Calls, noted: str | None, found: Any, target: str, sent: str
) -> None:
    wanted, submission = config(target), calls.submission
    calls.found = found
    if noted:
        submission.write_note(run_id=RUN, workspace=noted, fingerprint=submission.fingerprint(wanted))
        submission.process_note.write_text("1")
    submission.start(workspace(), wanted)
    [run_id] = calls.sent
    assert run_id == RUN if sent == "the same" else run_id.startswith("quick_") and run_id != RUN
    assert calls.completed == []
    assert submission.read_note() == {
        "run_id": run_id, "workspace": "mine", "fingerprint": submission.fingerprint(wanted),
    }  # fmt: skip
    assert submission.noted_process() is None


def test_nothing_is_sent_where_the_run_goes_on(calls: Calls) -> None:
    calls.found, wanted = run_of("Running"), config()
    fingerprint = calls.submission.fingerprint(wanted)
    calls.submission.write_note(run_id=RUN, workspace="mine", fingerprint=fingerprint)
    assert calls.submission.start(workspace(), wanted) is calls.found
    assert (calls.sent, calls.completed) == ([], [calls.found])


@pytest.mark.parametrize(
    ("run", "goes_on", "said"),
    [
        (run_of("Failed"), False, "the run of the interrupted call, quick_1, failed; submitting a new one"),
        (run_of("Canceled"), False, "the run of the interrupted call, quick_1, canceled; submitting a new one"),
        (run_of("Queued"), True, "going on with quick_1, which an interrupted call submitted"),
        (run_of("Completed"), True, "going on with quick_1, which an interrupted call submitted"),
        (run_of("Completed", "local"), True, "going on with quick_1, which an interrupted call submitted"),
    ],
)
def test_a_run_is_gone_on_with_unless_it_has_come_to_nothing(
    submission: Submission, capsys: pytest.CaptureFixture[str], run: Any, goes_on: bool, said: str
) -> None:
    assert submission.goes_on(run, {"fingerprint": "a"}, "a") is goes_on
    assert said in capsys.readouterr().err
    assert run.told == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("Completed", "has changed since quick_1, which has completed; submitting a new run"),
        ("Running", "run cancel -e quick -r quick_1; submitting a new run"),
    ],
)
def test_what_has_changed_since_is_not_gone_on_with(
    submission: Submission, capsys: pytest.CaptureFixture[str], status: str, said: str
) -> None:
    assert not submission.goes_on(run_of(status), {"fingerprint": "a"}, "b")
    assert said in capsys.readouterr().err


def test_a_run_here_is_gone_on_with_as_long_as_its_process_lives(submission: Submission, ended: int) -> None:
    submission.note.parent.mkdir(parents=True)
    for number, goes_on in ((str(os.getpid()), True), (str(ended), False), ("", False)):
        submission.process_note.write_text(number)
        run = run_of("Running", "local")
        assert submission.goes_on(run, {"fingerprint": "a"}, "a") is goes_on
        assert run.told == ([] if goes_on else ["canceled"]), "it would be shown as running for ever"


def test_a_process_is_there_or_not(ended: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not submissions.is_running(None)
    assert not submissions.is_running(ended)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert submissions.is_running(process.pid)
        process.communicate(b"\n")
    assert process.returncode == 0, "it is asked nothing, and told nothing"

    def somebody_elses(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", somebody_elses)
    assert submissions.is_running(1)


# -------------------------------------------------------------------------------------------------- its note


@pytest.mark.parametrize("text", ["", "{", "[]", '"quick_1"', "{}", '{"run_id": 1}'])
def test_a_note_that_names_no_run_is_none(submission: Submission, text: str) -> None:
    assert submission.read_note() is None
    submission.note.parent.mkdir(parents=True)
    submission.note.write_text(text)
    assert submission.read_note() is None


def test_nothing_is_left_of_what_is_done(submission: Submission) -> None:
    submission.done()  # there is nothing yet
    submission.write_note(run_id=RUN)
    submission.process_note.write_text("1")
    assert submission.read_note() == {"run_id": RUN}
    submission.done()
    assert list(submission.note.parent.iterdir()) == []


def test_models_and_experiments_have_notes_of_their_own(tmp_path: Path) -> None:
    given = [("a", "c", "e"), ("b", "c", "e"), ("a", "d", "e"), ("a", "c", "f"), ("a", "c", "e")]
    assert len({Submission(tmp_path, *names, []).note for names in given}) == 4


# ------------------------------------------------------------------------------------ what became of a request


class Answer(Exception):
    """The service answers so."""

    def __init__(self, status_code: int) -> None:
        super().__init__("the service is tired")
        self.status_code = status_code


def test_that_a_run_is_not_there_is_known_at_once(monkeypatch: pytest.MonkeyPatch, hurry: Hurry) -> None:
    def get(*_: object) -> None:
        raise Answer(404)

    monkeypatch.setattr("azureml.core.Run.get", get)
    assert submissions.find(workspace(), RUN) is None
    assert hurry.pauses == []


def test_where_nobody_can_say_whether_a_run_is_there_that_is_said(
    monkeypatch: pytest.MonkeyPatch, hurry: Hurry
) -> None:
    run, answers = run_of("Queued"), [503, 503, 0, 503, 503, 503]

    def get(*_: object) -> Any:
        if status := answers.pop(0):
            raise Answer(status)
        return run

    monkeypatch.setattr("azureml.core.Run.get", get)
    assert submissions.find(workspace(), RUN) is run
    with pytest.raises(NotKnown, match=r"^whether the run quick_1 was accepted is not known: the service answered 503"):
        submissions.find(workspace(), RUN)
    assert len(hurry.pauses) == 4


def test_a_lost_answer_of_a_cluster_is_made_up_for(calls: Calls) -> None:
    run = run_of("Queued")
    assert calls.submission.accepted(run, config(), Answer(503)) is run
    assert (calls.completed, run.told) == ([run], [])


def test_a_lost_answer_for_a_run_here_counts_if_it_has_begun(submission: Submission) -> None:
    run = run_of("Running", "local")
    submission.process = SimpleNamespace(pid=1)
    assert submission.accepted(run, config("local"), Answer(503)) is run
    submission.process = None
    submission.write_note(run_id=RUN)
    with pytest.raises(Failure, match=r"^not submitted: the answer of the service was lost before anything ran here"):
        submission.accepted(run, config("local"), Answer(503))
    assert run.told == ["canceled"]
    assert submission.read_note() is None


@pytest.mark.parametrize(
    ("snapshot", "known", "added"),
    [
        (True, {}, {"ContentSnapshotId": "7", "git": "main"}),
        (True, {"ContentSnapshotId": "6"}, {"git": "main"}),
        (True, {"ContentSnapshotId": "6", "git": "other"}, None),
        (False, {}, {"git": "main"}),
    ],
)
def test_a_record_is_completed_by_what_it_lacks(
    submission: Submission,
    monkeypatch: pytest.MonkeyPatch,
    snapshot: bool,
    known: dict[str, str],
    added: dict[str, str] | None,
) -> None:
    snapshots = "azureml._restclient.snapshots_client.SnapshotsClient"
    monkeypatch.setattr(f"{snapshots}.__init__", lambda *_: None)
    monkeypatch.setattr(f"{snapshots}.create_snapshot", lambda *_: "7")
    git = "azureml._base_sdk_common.tracking.global_tracking_info_registry.gather_all"
    monkeypatch.setattr(git, lambda _: {"git": "main"})
    given = list[dict[str, str]]()
    experiment = SimpleNamespace(workspace=workspace())
    run = SimpleNamespace(experiment=experiment, get_properties=lambda: known, add_properties=given.append)
    history = SimpleNamespace(snapshot_project=snapshot)
    submission.complete_record(run, SimpleNamespace(history=history))
    assert given == ([] if added is None else [added])


# --------------------------------------------------------------------------------------- a run on this computer

SAYS = """
import json, os, pathlib
said = [os.getpid(), os.getsid(0), os.getcwd(), os.environ.get("GIVEN"), os.environ.get("MPLBACKEND")]
pathlib.Path("said").write_text(json.dumps(said))
"""


def test_a_run_here_is_a_process_of_its_own_that_is_noted(submission: Submission, tmp_path: Path) -> None:
    from azureml._execution import _commands

    variables = {"GIVEN": "yes", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # as Jupyter sets it
    submission.note.parent.mkdir(parents=True)
    usual = _commands.start_background_process
    with submission.watch_process():
        command = [sys.executable, "-c", SAYS]
        process: Any = _commands.start_background_process(command, cwd=str(tmp_path), env=os.environ | variables)
    assert _commands.start_background_process is usual
    assert submission.process is process
    assert process.wait() == 0
    assert json.loads((tmp_path / "said").read_text()) == [process.pid, process.pid, str(tmp_path), "yes", None]
    assert submission.noted_process() == process.pid


def test_the_end_of_a_run_here_is_that_of_all_it_has_started(submission: Submission) -> None:
    submission.end_process()  # nothing has begun
    nested = "import subprocess, sys; subprocess.Popen(['cat']); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        submission.process = process
        submission.end_process()
        assert process.stdout.read() == b"", "the last who held it has ended"
        process.wait()
    submission.end_process()  # it has ended already


def alive(submission: Submission, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """What a follower asks between two looks."""
    asked = list[Callable[[], bool]]()

    def follower(_: object, is_alive: Callable[[], bool]) -> Any:
        asked.append(is_alive)
        return SimpleNamespace(follow=lambda: None)

    monkeypatch.setattr(submissions, "Follower", follower)
    submission.follow(None)
    return asked[0]


def test_the_last_words_of_a_process_are_waited_for(
    submission: Submission, monkeypatch: pytest.MonkeyPatch, ended: int
) -> None:
    """One that this call has started, one that an earlier call has noted."""
    submission.note.parent.mkdir(parents=True)
    codes = iter([None, *[0] * LOOKS])
    for process, noted, lived in ((SimpleNamespace(poll=lambda: next(codes)), "", 1), (None, str(ended), 0)):
        submission.process = process
        submission.process_note.write_text(noted)
        is_alive = alive(submission, monkeypatch)
        looks = lived + LOOKS
        assert [is_alive() for _ in range(looks)] == [True] * (looks - 1) + [False]


def test_a_process_that_lives_or_lies_elsewhere_is_waited_for(
    submission: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission.note.parent.mkdir(parents=True)
    for process, noted in ((SimpleNamespace(poll=lambda: None), ""), (None, str(os.getpid())), (None, "")):
        submission.process = process
        submission.process_note.write_text(noted)
        is_alive = alive(submission, monkeypatch)
        assert all(is_alive() for _ in range(2 * LOOKS))


def test_a_run_that_was_killed_is_told_and_forgotten(submission: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    def follow() -> None:
        raise ProcessLookupError("Running")

    monkeypatch.setattr(submissions, "Follower", lambda *_: SimpleNamespace(follow=follow))
    submission.write_note(run_id=RUN)
    run = run_of("Running", "local")
    with pytest.raises(Failure, match=r"^run quick_1 ended without a result while Running: it was killed"):
        submission.follow(run)
    assert run.told == ["canceled"]
    assert submission.read_note() is None
