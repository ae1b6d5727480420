"""The command as its user meets it, and what stays behind when it is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from callers import Caller

from aml_rehearsal import Fault, Names, Rehearsal, azurite
from aml_rehearsal.services import computes
from aml_rehearsal.state import State

COMMAND = [sys.executable, "-m", "aml_rehearsal.command"]
Started = subprocess.Popen[str]


def rehearse(project: Path, folder: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, arguments[0], "--project", str(project), "--folder", str(folder), *arguments[1:]]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, **options)


def serve(project: Path, folder: Path) -> Started:
    """Start it, and wait until it says that it is there."""
    command = [*COMMAND, "serve", "--project", str(project), "--folder", str(folder)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    while "Ctrl-C ends it" not in (line := started.stdout.readline()):
        assert line, "it has ended"
    return started


def processes(text: str) -> list[int]:
    """The processes whose command line has a text in it."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    found = [line.split(None, 1) for line in listed.splitlines() if text in line]
    return [int(pid) for pid, _ in found if int(pid) != os.getpid()]


def gone(text: str, seconds: float) -> bool:
    over = time.monotonic() + seconds
    while (left := processes(text)) and time.monotonic() < over:
        time.sleep(0.1)
    return not left


def kept(folder: Path) -> list[str]:
    """The files that keep the state."""
    return sorted(file.name for file in folder.glob("state.*"))


def test_a_command_finds_the_workspace(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    script = "echo $HTTPS_PROXY $AZUREML_SERVICE_PRINCIPAL_ID; test -d models && exit 7"
    done = rehearse(project, folder, "shell", "--", "sh", "-c", script)
    assert (done.returncode, done.stderr) == (7, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("The workspace rehearsal in rehearsal is a rehearsal. Its page: http://127.0.0.1:")
    assert "http://127.0.0.1:" in lines[1] and lines[1].split()[1]
    state = State(folder).as_dict()
    assert not state["computes"] and not state["datasets"]  # the project makes them, as in Azure
    assert gone(str(folder), 5)


def test_the_end_of_a_command_is_the_end(project: Path, tmp_path: Path) -> None:
    assert rehearse(project, tmp_path, "shell", "--", "sh", "-c", "kill -9 $$").returncode == 137
    done = rehearse(project, tmp_path, "shell", "--", "no-such-command")
    assert (done.returncode, done.stderr) == (2, "ERROR: no-such-command: No such file or directory\n")


def test_a_shell_that_is_not_attached_says_how(project: Path, tmp_path: Path) -> None:
    done = rehearse(project, tmp_path, "shell", env=os.environ | {"SHELL": "/bin/sh"})
    assert done.returncode == 0
    names = Names()
    assert f"  first: make attach ARGS='--subscription-id {names.subscription_id} --resource-group" in done.stdout
    assert "\n  then: make dataset compute\n" in done.stdout


def test_what_is_there_need_not_be_made(project: Path, tmp_path: Path) -> None:
    attached = shutil.copytree(project, tmp_path / "project")
    (attached / ".azureml").mkdir()
    shell = {"env": os.environ | {"SHELL": "/bin/sh"}}
    assert "\n  first: make dataset compute\n" in rehearse(attached, tmp_path / "kept", "shell", **shell).stdout
    with Rehearsal(tmp_path / "kept") as rehearsal, rehearsal.workspace.state.lock:
        computes.created(rehearsal.workspace, "cpu-cluster", "Standard_DS3_v2", 1)
    assert "\n  first: make dataset\n" in rehearse(attached, tmp_path / "kept", "shell", **shell).stdout
    with Rehearsal(tmp_path / "kept", project=attached) as rehearsal:
        assert rehearsal.made == ["dataset numbers version 1: the files of data/ (2)"]
    assert "make " not in rehearse(attached, tmp_path / "kept", "shell", **shell).stdout
    fresh = rehearse(attached, tmp_path / "kept", "shell", "--fresh", **shell)
    assert "make dataset compute" in fresh.stdout


def test_seeding_is_for_tests(project: Path, tmp_path: Path) -> None:
    with Rehearsal(tmp_path, project=project) as rehearsal:
        assert rehearsal.made == [
            "cluster cpu-cluster (Standard_DS3_v2, at most 4 nodes)",
            "dataset numbers version 1: the files of data/ (2)",
        ]
    with Rehearsal(tmp_path, project=project) as rehearsal:
        assert rehearsal.made == []  # it is there still


def test_serve_ends_in_order(project: Path, tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        started = serve(project, tmp_path)
        started.send_signal(number)
        assert started.wait(20) == 0
        assert gone(str(tmp_path), 5)
        assert kept(tmp_path) == ["state.db"]


def test_a_folder_of_anybodys(tmp_path: Path) -> None:
    """Without anything that a template has rendered, nor anything that git would see afterwards."""
    (tmp_path / "config.json").write_text(json.dumps(vars(Names(workspace_name="theirs"))))
    done = rehearse(tmp_path, tmp_path / ".rehearsal", "shell", env=os.environ | {"SHELL": "/bin/sh"})
    assert done.returncode == 0, done.stderr
    assert 'in Python: Workspace.get("theirs", subscription_id="' in done.stdout
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    seen = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert seen.stdout == "?? config.json\n"


def test_in_the_background(tmp_path: Path) -> None:
    """What is printed is for the shell's eval; a second one is refused, and the end leaves nothing."""
    (tmp_path / "config.json").write_text("{}")
    for folder in ("one", "two"):  # side by side
        begun = rehearse(tmp_path, tmp_path / folder, "serve", "--detach")
        assert begun.returncode == 0, begun.stderr
        named = f"WARNING: {tmp_path / 'config.json'} names no workspace, as the client will say, too.\n"
        assert begun.stderr == named
        ask = ["sh", "-c", 'eval "$SAID"; echo $AZUREML_SERVICE_PRINCIPAL_ID $HTTPS_PROXY']
        own = os.environ | {"SAID": begun.stdout}
        assert len(subprocess.run(ask, capture_output=True, text=True, check=True, env=own).stdout.split()) == 2
        assert rehearse(tmp_path, tmp_path / folder, "status").stdout == begun.stdout
    assert "running here already" in one_line(rehearse(tmp_path, tmp_path / "one", "serve", "--detach"))
    for folder in ("one", "two"):
        done = rehearse(tmp_path, tmp_path / folder, "stop")
        assert (done.returncode, done.stdout.startswith("The rehearsal has ended.")) == (0, True), done.stderr
        assert kept(tmp_path / folder) == ["state.db"], "it has ended, and is not only about to"
        assert rehearse(tmp_path, tmp_path / folder, "status").returncode == 1
        assert rehearse(tmp_path, tmp_path / folder, "stop").stdout == f"No rehearsal runs in {tmp_path / folder}.\n"
    assert gone(str(tmp_path), 5)


def test_in_the_background_what_can_not_start_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = one_line(rehearse(tmp_path, tmp_path / "one", "serve", "--detach", "--port", port))
    assert f"port {port}: Address already in use" in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["shell", "--port", "99999"], 2, "a number from 0 to 65535, not 99999"),
        (["serve", "--", "ls"], 2, "a command belongs to shell, not to serve"),
        (["serve", "--project", "no/such", "--detach"], 2, "ERROR: no/such: no such folder"),
        (["stop", "--", "ls"], 2, "a command belongs to shell, not to stop"),
        (["shell", "--detach"], 2, "--detach belongs to serve, not to shell"),
    ],
)
def test_wrong_use(project: Path, tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = rehearse(project, tmp_path, *arguments)
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 3 and done.stdout == "" and done.stderr.count("\n") == 1
    return done.stderr


def test_what_can_not_start_says_why(project: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = one_line(rehearse(project, tmp_path / "one", "shell", "--port", port, "--", "true"))
    assert f"port {port}: Address already in use" in said
    assert gone(str(tmp_path / "one"), 5)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "state.db").write_text('{"runs": [' * 99)
    said = one_line(rehearse(project, tmp_path / "two", "shell", "--", "true"))
    assert "state.db is damaged" in said and "--fresh" in said
    assert rehearse(project, tmp_path / "two", "shell", "--fresh", "--", "true").returncode == 0
    (tmp_path / "file").touch()
    for options in (["shell", "--", "true"], ["serve", "--detach"]):
        said = one_line(rehearse(project, tmp_path / "file", *options))
        assert f"{tmp_path / 'file'}: File exists; --folder names another place" in said


def test_npm_that_can_not_install_is_quoted(project: Path, tmp_path: Path) -> None:
    nowhere = {"npm_config_registry": "http://127.0.0.1:9", "npm_config_fetch_retries": "0"}
    own = os.environ | nowhere | {"AML_REHEARSAL_CACHE": str(tmp_path / "cache"), "npm_config_cache": str(tmp_path)}
    done = rehearse(project, tmp_path / "kept", "shell", "--", "true", env=own)
    assert done.returncode == 3
    assert "npm could not install Azurite: npm" in done.stderr and "127.0.0.1:9" in done.stderr
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_second_rehearsal_in_the_folder_is_refused(project: Path, tmp_path: Path) -> None:
    with Rehearsal(tmp_path, project=project) as first:
        for options in ([], ["--fresh"]):
            said = one_line(rehearse(project, tmp_path, "shell", *options, "--", "true"))
            assert f"{tmp_path}: a rehearsal is running here already" in said
        assert Caller(first).snapshot({"a": b"x"})[0] == 200


def test_a_kill_leaves_nothing_running_and_nothing_half(project: Path, tmp_path: Path) -> None:
    started = serve(project, tmp_path)
    started.kill()
    started.wait()
    assert gone(str(tmp_path), 5)
    with Rehearsal(tmp_path, project=project) as again:
        assert again.workspace.blobs.names("azureml-blobstore", "numbers/") == [
            "numbers/1/a.csv",
            "numbers/1/deep/b.csv",
        ]
        assert again.state()["storage_accounts"]


def test_azurite_ends_also_where_it_was_only_starting() -> None:
    """Nobody listens for its end yet."""
    companion = Path(azurite.__file__).with_name("end_with_parent.cjs")
    command = [*azurite.node_tools()[1], "--require", str(companion), "-e", "setInterval(() => 0, 1000)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as started:
        assert started.stdin is not None
        started.stdin.close()
        assert started.wait(60) == 0


def test_a_note_of_one_that_was_killed_is_not_believed(tmp_path: Path) -> None:
    """Its process may be somebody else's by now: nothing is to be ended by its number."""
    with subprocess.Popen(["sleep", "300"]) as stranger:
        try:
            (tmp_path / "running.json").write_text(json.dumps({"pid": stranger.pid, "said": "", "variables": {}}))
            assert "No rehearsal runs in" in rehearse(tmp_path, tmp_path, "stop").stdout
            with Rehearsal(tmp_path):
                assert "or is a program's own" in one_line(rehearse(tmp_path, tmp_path, "stop"))
            assert stranger.poll() is None
        finally:
            stranger.kill()


KILLED = """
import sys, time
from pathlib import Path
from aml_rehearsal import Rehearsal
sys.path.insert(0, sys.argv[2])
from aml_rehearsal.services import computes
from callers import Caller
with Rehearsal(Path(sys.argv[1]), project=Path(sys.argv[3])) as rehearsal:
    caller = Caller(rehearsal)
    run_id = caller.submit({"train.py": b"import time; time.sleep(300)"}, arguments=[sys.argv[1]])[1]["runId"]
    caller.wait(run_id, "Running")
    print(run_id, flush=True)
    time.sleep(300)
"""


def test_a_kill_ends_its_runs_too(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent), str(project)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    run_id = started.stdout.readline().strip()
    over = time.monotonic() + 60
    while len(processes(str(tmp_path))) < 3:  # the rehearsal, Azurite, the script
        assert time.monotonic() < over
        time.sleep(0.1)
    started.kill()
    started.wait()
    assert gone(str(tmp_path), 20)
    with Rehearsal(tmp_path, project=project) as again:
        run = again.state()["runs"][run_id]
    assert run["status"] == "Failed"
    assert run["error"]["error"]["message"] == "The rehearsal ended before the run did."


def test_the_end_of_a_rehearsal_cancels_its_runs(project: Path, tmp_path: Path) -> None:
    with Rehearsal(tmp_path, project=project) as rehearsal:
        caller = Caller(rehearsal)
        run_id = caller.submit({"train.py": b"import time; time.sleep(300)"}, arguments=[str(tmp_path)])[1]["runId"]
        caller.wait(run_id, "Running")
        begun = time.monotonic()
    assert time.monotonic() - begun < 10
    assert rehearsal.state()["runs"][run_id]["status"] == "Canceled"
    assert gone(str(tmp_path), 1)


def test_two_deterministic_rehearsals_have_the_same_ids(project: Path, tmp_path: Path) -> None:
    def ids(name: str) -> list[str]:
        with Rehearsal(tmp_path / name, project=project, deterministic=True) as rehearsal:
            caller = Caller(rehearsal)
            caller.snapshot({"a": b"x"})
            run = caller.ask("PATCH", "/history/v1.0SCOPE/experiments/e/runs/r", {})[1]
            state = rehearsal.state()
            blobs = rehearsal.workspace.blobs.names("azureml", "snapshots/")
        return [run["experimentId"], state["datasets"]["numbers"][0]["latest"]["savedDatasetId"], *blobs]

    assert ids("one") == ids("two")


def test_the_callers_own_login_stays_out(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_ARM_ACCESS_TOKEN", "the caller's")
    monkeypatch.setenv("MSI_ENDPOINT", "the caller's")
    assert "the caller's" not in rehearsal.environment().values()
    rehearsal.faults.add(Fault("never"))
    rehearsal.faults.clear()
    assert rehearsal.faults.waiting == []
