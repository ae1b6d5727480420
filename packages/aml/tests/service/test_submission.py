"""submit_run and register_model when things go wrong: faults of the service and the network, Ctrl-C, kill -9.

Whatever happens, the same command again finishes, and afterwards nothing is lost, doubled or half there. The model is
a script of ours that prints numbered lines, so that a lost or doubled line shows.
"""

import json
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aml_rehearsal import Fault, Rehearsal
from tests.conftest import Rehearse
from tests.support import PYTHON, run
from tests.tier3.conftest import Installed

log = logging.getLogger("progress")
KILLS = 10
LINES = 25
AT_ONCE = 2  # registrations, of different names: each spends most of its time on waiting
# Numbered lines, a metric, a model; no package, so that its environment is there at once.
TRAIN = f"""
import pathlib, time
for number in range({LINES}):
    print(f"line {{number}} é", flush=True)
    time.sleep(0.04)
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True, exist_ok=True)
(folder / "weights.txt").write_text("1 2 3")
print("no end of line", end="")
"""
CONDA = f"dependencies: [python={PYTHON}, pip, {{pip: []}}]\n"
RUNCONFIG = """
script: train.py
arguments: []
target: TARGET
framework: Python
communicator: None
nodeCount: 1
environment:
  name: quick-TARGET
  python: {userManagedDependencies: LOCAL, interpreterPath: python, condaDependenciesFile: aml_config/train-conda.yml}
  docker: {enabled: REMOTE, baseImage: "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"}
docker: {useDocker: REMOTE}
history: {outputCollection: true, snapshotProject: true, directoriesToWatch: [logs]}
"""
TARGETS = {"train-local": "local", "train-amlcompute": "cpu-cluster"}


class Owner:
    """A project, its workspace, and the commands that its owner gives."""

    def __init__(self, project: Path, rehearsal: Rehearsal) -> None:
        self.project, self.rehearsal = project, rehearsal
        self.run_file = project / "models" / "quick" / "run.json"

    def start(self, script: str, *args: str, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [self.project / ".venv/model1/bin/python", f"scripts/{script}.py", "--model", "quick", *args],
            cwd=self.project,
            env=self.rehearsal.environment() | {"PYTHONUNBUFFERED": "1"} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, script: str, *args: str) -> tuple[int, str, str]:
        process = self.start(script, *args)
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        return process.returncode, out, err

    def submit(self, config: str, *args: str) -> tuple[int, str, str]:
        return self.call("submit_run", "-c", config, "--skip-check", *args)

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        return dict(self.rehearsal.state()["runs"])

    def versions(self, name: str) -> list[str]:
        return [key for key, model in self.rehearsal.state()["models"].items() if model["name"] == name]


@pytest.fixture
def owner(installed: Installed, rehearse: Rehearse) -> Owner:
    """An owner whose model trains in a second."""
    project = installed(PYTHON)
    model = project / "models" / "quick"
    shutil.rmtree(model, ignore_errors=True)
    shutil.rmtree(project / ".azureml" / "submissions", ignore_errors=True)
    (model / "aml_config").mkdir(parents=True)
    (model / "train.py").write_text(TRAIN, encoding="utf-8")
    (model / ".amlignore").write_text("outputs/\nrun.json\n")
    (model / "aml_config" / "train-conda.yml").write_text(CONDA)
    for config, target in TARGETS.items():
        text = RUNCONFIG.replace("TARGET", target)
        text = text.replace("LOCAL", str(target == "local").lower()).replace("REMOTE", str(target != "local").lower())
        (model / "aml_config" / f"{config}.runconfig").write_text(text)
    return Owner(project, rehearse(project))


def check_log(out: str) -> None:
    """Every line of the script was printed once, in order, also the last, which has no end."""
    assert re.findall(r"^line (\d+) é$", out, re.MULTILINE) == [str(number) for number in range(LINES)], out
    assert out.count("no end of line") == 1


def check_completed(owner: Owner, run_id: str) -> None:
    """A run that is whole: completed, with its snapshot, its model, and its record here without a token."""
    run = owner.runs[run_id]
    assert run["status"] == "Completed"
    assert owner.rehearsal.snapshot(run_id)["train.py"] == TRAIN.encode()
    assert owner.rehearsal.artifact(run_id, "outputs/model/weights.txt") == b"1 2 3"
    record = json.loads(owner.run_file.read_text())
    assert (record["run_id"], record["_experiment_name"], record["status"]) == (run_id, "quick", "Completed")
    assert "token" not in record
    assert not list((owner.project / ".azureml" / "submissions").iterdir())


DETAILS, LOG = r"GET .*/details", r"GET .*std_log"
FOLLOWING = {
    "429 that names a time": [Fault(DETAILS, times=2, skip=1, status=429, headers={"Retry-After": "1"})],
    "500, then 503": [Fault(DETAILS, skip=1, status=500), Fault(DETAILS, skip=1, status=503)],
    "half a log": [Fault(LOG, times=2, drop="half"), Fault(LOG, skip=1, status=503)],
    "a dropped connection": [Fault(DETAILS, skip=1, drop="before"), Fault(LOG, skip=1, drop="before")],
    "a token that expires": [Fault(DETAILS, skip=1, expire_tokens=True)],
    "a stall": [Fault(DETAILS, skip=1, delay=60)],
}
# Following is the same code for both; one minute's silence is enough.
TROUBLES = [(trouble, config) for trouble in FOLLOWING for config in list(TARGETS)[trouble == "a stall" :]]


@pytest.mark.parametrize(("trouble", "config"), TROUBLES)
def test_following_goes_on_and_loses_no_line(owner: Owner, trouble: str, config: str) -> None:
    for fault in FOLLOWING[trouble]:
        owner.rehearsal.faults.add(Fault(**vars(fault)))
    code, out, err = owner.submit(config)
    assert code == 0, err
    assert owner.rehearsal.faults.fired
    assert "the run goes on, and so does this" in err
    check_log(out)
    [run_id] = owner.runs
    check_completed(owner, run_id)


SUBMITTING = {
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "500": {"status": 500},
    "503": {"status": 503},
    "a token that has expired": {"expire_tokens": True},
    "nothing arrives": {"drop": "before"},
    "the answer is lost": {"drop": "after"},
}


@pytest.mark.parametrize("trouble", SUBMITTING)
def test_trouble_while_submitting_makes_one_run(owner: Owner, trouble: str) -> None:
    owner.rehearsal.faults.add(Fault(r"POST .*/snapshotrun", **SUBMITTING[trouble]))  # type: ignore[arg-type]
    code, out, err = owner.submit("train-amlcompute")
    assert code == 0, err
    assert len(owner.rehearsal.faults.fired) == 1
    check_log(out)
    [run_id] = owner.runs
    check_completed(owner, run_id)


def test_a_local_run_whose_answer_was_lost_is_canceled_and_the_next_one_runs(owner: Owner) -> None:
    owner.rehearsal.faults.add(Fault(r"POST .*/localrun", drop="after"))
    code, _, err = owner.submit("train-local")
    if code:
        assert (code, err.count("ERROR: not submitted: ")) == (3, 1)
        code, _, err = owner.submit("train-local")
    assert code == 0, err
    assert sorted(run["status"] for run in owner.runs.values()) in (["Completed"], ["Canceled", "Completed"])


@pytest.mark.parametrize("config", TARGETS)
def test_ctrl_c_leaves_the_run_alone_and_the_same_command_follows_it(owner: Owner, config: str) -> None:
    process = owner.start("submit_run", "-c", config, "--skip-check")
    assert process.stdout
    while "line 5" not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all that it started
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    [run_id] = owner.runs
    assert (
        "The run goes on. To follow it: the same command again."
        f" To cancel it: .venv/model1/bin/azml run cancel -e quick -r {run_id}" in err
    )
    assert not owner.run_file.exists()
    code, out, err = owner.submit(config)
    assert code == 0, err
    assert f"NOTE: going on with {run_id}" in err
    check_log(out)
    check_completed(owner, run_id)
    assert list(owner.runs) == [run_id]


def test_what_has_changed_since_is_submitted_anew(owner: Owner) -> None:
    process = owner.start("submit_run", "-c", "train-amlcompute", "--skip-check")
    assert process.stdout
    while "Run quick_" not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    [first] = owner.runs
    code, _, err = owner.submit("train-amlcompute", "--", "--more")
    assert code == 0
    assert f"what is submitted has changed since {first}" in err
    assert len(owner.runs) == 2
    assert json.loads(owner.run_file.read_text())["run_id"] != first


def test_a_run_that_fails_is_told_in_one_line_and_leaves_no_run_file(owner: Owner) -> None:
    assert owner.submit("train-amlcompute")[0] == 0
    assert owner.run_file.exists()
    (owner.run_file.parent / "train.py").write_text("raise SystemExit('the disk is round')\n")
    code, _, err = owner.submit("train-amlcompute")
    assert code == 1
    [error] = [line for line in err.splitlines() if line.startswith("ERROR")]
    assert "failed: " in error
    assert "the disk is round" in error
    assert not owner.run_file.exists(), "the record of an older run would be registered in its place"


def test_a_token_in_the_address_of_gits_remote_stays_here(owner: Owner) -> None:
    """The client writes the address into the run, as git has it."""
    model = owner.run_file.parent
    (model / ".amlignore").write_text("outputs/\nrun.json\n.git/\n")
    run("git", "init", "-q", cwd=model)
    run("git", "commit", "-q", "--allow-empty", "-m", "first", cwd=model)
    run("git", "remote", "add", "origin", "https://me:a-git-token@example.com/o/r.git", cwd=model)
    code, out, err = owner.submit("train-amlcompute")
    assert code == 0, err
    [submitted] = owner.runs.values()
    assert submitted["properties"]["azureml.git.repository_uri"] == "https://example.com/o/r.git"
    assert (
        "a-git-token" not in json.dumps(owner.rehearsal.state(), default=str) + owner.run_file.read_text() + out + err
    )


def test_submitting_is_interrupted_at_any_moment(owner: Owner) -> None:
    """kill -9, at moments between the start and the end of the command; then the same command again."""
    moments = random.Random(7)
    killed = went_on = 0
    usual = {}
    for config in TARGETS:  # how long each takes here and now
        began = time.monotonic()
        assert owner.submit(config)[0] == 0
        usual[config] = time.monotonic() - began
    for number in range(KILLS):
        config = list(TARGETS)[number % 2]
        before = set(owner.runs)
        owner.run_file.unlink(missing_ok=True)
        process = owner.start("submit_run", "-c", config, "--skip-check")
        try:
            process.communicate(timeout=moments.uniform(0.05, 1.1) * usual[config])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
        finished = owner.run_file.exists()
        if finished:
            json.loads(owner.run_file.read_text())  # whole or absent
        code, out, err = owner.submit(config)
        assert code == 0, err
        check_log(out)
        went_on += "going on with" in err
        new = {run_id: run["status"] for run_id, run in owner.runs.items() if run_id not in before}
        # A local run that the service knew of and this computer had not started yet is canceled, never left behind.
        assert sorted(set(new.values())) in (["Completed"], ["Canceled", "Completed"]), new
        completed = 1 + (finished and "going on with" not in err)
        assert list(new.values()).count("Completed") == completed, (config, new, err)
        check_completed(owner, json.loads(owner.run_file.read_text())["run_id"])
    within = " and ".join(f"{seconds:.1f}" for seconds in usual.values())
    log.info("  %d submissions: %d killed within %s s, %d gone on with", KILLS, killed, within, went_on)
    assert killed > KILLS // 2


# Read by Python as it starts; the command is gone before it can note anything of the process that it has just started.
KILLED_AS_IT_STARTS_THE_RUN = """
import os, signal, subprocess, sys

class Popen(subprocess.Popen):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        if options.get("start_new_session"):
            os.kill(os.getpid(), signal.SIGKILL)

if "scripts/submit_run.py" in sys.orig_argv:
    subprocess.Popen = Popen
"""


def test_submitting_is_killed_as_the_local_run_starts(owner: Owner, tmp_path: Path) -> None:
    (owner.run_file.parent / "train.py").write_text(f"{TRAIN}time.sleep(10)\n")  # it is to run still, when looked for
    (tmp_path / "sitecustomize.py").write_text(KILLED_AS_IT_STARTS_THE_RUN)
    process = owner.start("submit_run", "-c", "train-local", "--skip-check", PYTHONPATH=str(tmp_path))
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    code, out, err = owner.submit("train-local")
    assert (code, "going on with" in err) == (0, True), err
    check_log(out)
    assert [run["status"] for run in owner.runs.values()] == ["Completed"]


def test_registering_is_interrupted_at_any_moment(owner: Owner) -> None:
    """The same with a registration: kill -9, then the same command again."""
    assert owner.submit("train-amlcompute")[0] == 0
    began = time.monotonic()
    assert owner.call("register_model", "--name", "first")[0] == 0
    usual = time.monotonic() - began
    check_registered(owner, "first")
    moments = random.Random(7)
    drawn = {f"kill-{number}": moments.uniform(0.3, 1.1) for number in range(KILLS)}

    def interrupt(name: str) -> bool:
        process = owner.start("register_model", "--name", name)
        try:
            process.communicate(timeout=drawn[name] * usual)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        check_registered(owner, name)
        return process.returncode == -signal.SIGKILL

    with ThreadPoolExecutor(AT_ONCE) as pool:
        killed = sum(pool.map(interrupt, drawn))
    log.info("  %d registrations: %d killed, within %.1f s of a usual %.1f", KILLS, killed, 1.1 * usual, usual)
    assert killed > KILLS // 2


def test_trouble_while_registering_makes_one_version(owner: Owner) -> None:
    """Faults at each of its two requests, the answer lost or refused, and an expired login: one call is enough."""
    assert owner.submit("train-amlcompute")[0] == 0
    troubles = {
        f"{what}-{number}": Fault(rf"POST .*/{what}", **trouble)  # type: ignore[arg-type]
        for what in ("assets", "models")
        for number, trouble in enumerate(SUBMITTING.values())
    }
    for name, fault in troubles.items():
        owner.rehearsal.faults.add(fault)
        check_registered(owner, name)
        assert len(owner.rehearsal.faults.fired) == 1
        owner.rehearsal.faults.clear()
    log.info("  %d registrations with a fault", len(troubles))


def test_what_is_required_holds_for_what_is_registered_already(owner: Owner) -> None:
    model = owner.run_file.parent
    # Flushed at once: what the client takes up by itself, a second later, is lost if the script ends just then.
    with_metric = "from azureml.core import Run\nrun = Run.get_context()\nrun.log('accuracy', 0.75)\nrun.flush()\n"
    (model / "train.py").write_text(TRAIN.replace("\nimport pathlib", f"\n{with_metric}import pathlib"))
    assert owner.submit("train-local")[0] == 0
    better = ("--require", "accuracy>=0.7", "--better-than-current", "accuracy")
    for again in (False, True):  # the second time there is nothing but itself to be compared with
        code, out, err = owner.call("register_model", *better)
        assert code == 0, err
        assert "Model quick, version 1, id quick:1" in out
        assert ("is registered from this run already" in err) is again
    code, _, err = owner.call("register_model", "--require", "accuracy>=0.8")
    assert (code, "not registered: accuracy is 0.75, not >= 0.8" in err) == (1, True)
    assert owner.versions("quick") == ["quick:1"]


def check_registered(owner: Owner, name: str) -> None:
    """Register, whatever came before: then there is one version and one asset."""
    code, out, err = owner.call("register_model", "--name", name)
    assert code == 0, err
    assert f"Model {name}, version 1, id {name}:1" in out
    assert owner.versions(name) == [f"{name}:1"]
    assert [asset["name"] for asset in owner.rehearsal.state()["assets"].values()].count(name) == 1


def test_what_may_not_be_registered_is_not(owner: Owner) -> None:
    (owner.run_file.parent / "train.py").write_text(f"{TRAIN}time.sleep(6)\n")  # it is to run still, when asked first
    assert owner.submit("train-amlcompute", "--async")[0] == 0
    refused = {
        (): "only the model of a completed run is registered",
        ("--asset-path", "outputs/mod"): "has no outputs/mod; it has outputs/model/weights.txt",
        ("--require", "accuracy>=0.8"): "the run has no metric 'accuracy'",
    }
    for args, said in refused.items():
        code, _, err = owner.call("register_model", *args)
        assert code == 1
        assert said in err
        run_id = json.loads(owner.run_file.read_text())["run_id"]
        while owner.runs[run_id]["status"] not in ("Completed", "Failed"):
            time.sleep(0.2)
    assert owner.versions("quick") == []
    record = json.loads(owner.run_file.read_text())
    owner.run_file.write_text(json.dumps(record | {"run_id": "quick_0"}))
    code, _, err = owner.call("register_model")
    assert (code, "quick_0: not in the workspace my-workspace" in err) == (1, True)


@pytest.mark.parametrize("role", ["reader", "stranger"])
def test_without_rights_nothing_is_submitted(owner: Owner, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = owner.rehearsal.environment(role)
    monkeypatch.setattr(owner.rehearsal, "environment", lambda: env)
    code, _, err = owner.submit("train-amlcompute")
    assert code == 3
    assert "no rights (403)" in err
    assert env["AZUREML_SERVICE_PRINCIPAL_PASSWORD"] not in err
    assert owner.runs == {}
