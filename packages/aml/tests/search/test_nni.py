"""NNI, the real one: on this computer, killed anywhere, and its files by themselves. Most is for the nightly run."""

import dataclasses
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from aml_project import project
from aml_project.search import definition, nni_files, nni_space
from aml_project.search.engines import Order
from aml_project.search.nni_environment import PARTS, repair
from search.quick_search import Quick, lives, rows_in
from tests.aml import Done, aml, start
from tests.owner import PATIENCE, wait_for
from tests.support import WORKSPACE

KILLS = [
    "after nni starts",
    *(f"{point}:{time}" for point in ("before trial noted", "after trial noted", "after trial ends",
      "before result noted", "after result noted") for time in (1, 2, 3)),
    "before nni.yml", "after nni.yml", "before trials.csv", "after index.html",
]  # fmt: skip


@pytest.fixture
def with_nni(quick: Quick, nni_environment: Path) -> Quick:
    (quick.root / ".venv" / ".nni").symlink_to(nni_environment)
    return quick


def search(quick: Quick, *args: str) -> Done:
    return aml(quick.root, "search", "--engine", "nni", *args)


def left(root: Path) -> dict[int, str]:
    """Processes that have something to do with a project's search, and their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(root) in line and "rehearsal" not in line:
                found[int(entry.name)] = line
    return found


def rows(quick: Quick) -> list[dict[str, str]]:
    return rows_in(quick.results / "nni")


@pytest.mark.full
def test_a_search_by_nni(with_nni: Quick) -> None:
    with_nni.says(("  x:", "  n: {low: 1, high: 7, step: 3}\n  fast: [true, false]\n  x:"), ("random", "tpe"))
    done = search(with_nni)
    assert done.code == 0, done.err
    assert "NNI shows it at http://127.0.0.1:" in done.out
    assert [row["trial"] for row in rows(with_nni)] == ["1", "2", "3", "4"]
    for row in rows(with_nni):
        assert row["state"] == "complete"
        assert row["n"] in ("1", "4", "7")
        assert row["fast"] in ("True", "False")
        place = with_nni.results / "nni" / "trials" / f"{int(row['trial']):04}"
        assert float((place / "outputs" / "model" / "x.txt").read_text()) == pytest.approx(float(row["x"]))
    assert not left(with_nni.root)
    again = search(with_nni, "--trials", "6")
    assert again.code == 0, again.err
    assert "Going on: 4 of 6 trials are done" in again.out
    assert len(with_nni.starts()) == len(rows(with_nni)) == 6


@pytest.mark.full
@pytest.mark.parametrize("at", KILLS)
def test_killed_anywhere_it_goes_on_and_leaves_nothing_running(with_nni: Quick, at: str) -> None:
    process = start(with_nni.root, "search", "--engine", "nni", AML_PROJECT_DIE_AT=at)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -9, at
    wait_for(lambda: not left(with_nni.root))
    done = search(with_nni)
    assert done.code == 0, done.err
    assert [row["state"] for row in rows(with_nni)] == ["complete"] * 4
    assert len({row["x"] for row in rows(with_nni)}) == 4
    assert len(set(with_nni.starts())) == 4, "each trial has its folder, whichever call began it"


@pytest.mark.full
def test_its_files_work_by_themselves(with_nni: Quick, nni_environment: Path) -> None:
    with_nni.says(("trials: 4", "trials: 2"))
    assert search(with_nni).code == 0
    folder = with_nni.results / "nni"
    config = yaml.safe_load((folder / "nni.yml").read_text())
    assert config["trainingService"] == {"platform": "local"}
    (folder / "trials").rename(folder / "before")
    nnictl = nni_environment / "bin" / "nnictl"
    process = subprocess.Popen(
        [nnictl, "create", "--config", folder / "nni.yml", "--port", "18765", "--foreground"],
        env=os.environ | {"NO_PROXY": "localhost,127.0.0.1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        wait_for(lambda: len(list(folder.glob("trials/*/outputs/metrics.json"))) == 2, process)
        listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True).stdout
        assert "127.0.0.1:18765" in listening and "*:18765" not in listening
    finally:
        subprocess.run([nnictl, "stop", "--port", "18765"], capture_output=True)
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ([("random", "bayesian")], "algorithm: NNI's bayesian tuner takes numbers alone"),
        ([("parallel: 2", "parallel: 2\nstop: {policy: bandit}")], "stop.policy: NNI has no bandit: write median"),
        (
            [("  x: {", "  a: [k, l]\n  b: [m, n]\n  x: {when: {a: k, b: m}, ")],
            "parameters.x: NNI takes one condition: leave all but one out of when",
        ),
        ([("high: 1.0", "high: 1000000.0, step: 1.0")], "parameters.x: 1,000,001 values are more than NNI can be told"),
    ],
)
def test_what_it_lacks_is_said_before_anything_starts(quick: Quick, changes: list[tuple[str, str]], line: str) -> None:
    quick.says(*changes)
    done = search(quick)
    assert (done.code, line in done.err) == (1, True), done.err
    assert not (quick.root / ".venv" / ".nni").exists()


def test_what_is_mended_in_its_server_is_this_environments_alone(tmp_path: Path) -> None:
    """uv links what it installs to the files of its cache, which other environments have too."""
    node = tmp_path / "place" / "lib" / "python3.11" / "site-packages" / "nni_node"
    names = ("main.js", "config/aml/amlUtil.py", "core/tuner_command_channel/websocket_channel.js")
    for name in names:
        (node / name).parent.mkdir(parents=True, exist_ok=True)
        (node / name).write_text("setTimeout(() => {}, 10000);")
        (tmp_path / Path(name).name).hardlink_to(node / name)
    repair(tmp_path / "place")
    assert {(tmp_path / Path(name).name).read_text() for name in names} == {"setTimeout(() => {}, 10000);"}
    assert all("10000" not in (node / name).read_text() for name in names[1:])
    assert (node / "main.js").read_text().startswith("require('./loopback.js');\n")


def test_without_a_python_that_it_runs_on_it_is_refused(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aml_project.search.nni_environment.PYTHONS", "3.5")
    done = search(quick)
    assert done.code == 1
    assert "NNI needs Python 3.10 or 3.11, which is not here: install one" in done.err


def test_a_space_in_its_words() -> None:
    text = """
metric: score
goal: minimize
algorithm: tpe
parameters:
  solver: [lbfgs, saga]
  l1: {low: 0.0, high: 1.0, when: {solver: saga}}
  units: {low: 1, high: 100, log: true}
  rate: {low: 1.0e-4, high: 0.1, log: true}
  n: {low: 3, high: 5}
"""
    search, findings = definition.parse(text)
    assert search is not None, findings
    said = nni_space.space(search)
    assert said["solver"]["_value"] == [
        {"_name": "lbfgs"},
        {"_name": "saga", "l1": {"_type": "uniform", "_value": [0.0, 1.0]}},
    ]
    assert said["n"] == {"_type": "randint", "_value": [3, 6]}
    assert said["rate"] == {"_type": "loguniform", "_value": [1e-4, 0.1]}
    drawn = {"solver": {"_name": "saga", "l1": 0.25}, "units": 7.0, "rate": 0.001, "n": 4}
    values = nni_space.values_of(drawn, search)
    assert values == {"solver": "saga", "l1": 0.25, "units": 7, "rate": 0.001, "n": 4}
    assert search.fits(values)
    assert json.dumps(values["units"]) == "7"


def test_gpus_are_shared_by_its_own_setting(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    quick.says(("parallel: 2", "parallel: 4\nper_gpu: 2"))
    order = Order(quick.root, "quick", definition.read(quick.folder))
    made = nni_files.experiment(order, "python3 trial.py")
    assert made["trialGpuNumber"] == 1
    assert made["trainingService"] == {"platform": "local", "maxTrialNumberPerGpu": 2, "useActiveGpu": True}
    project.attach(quick.root, WORKSPACE)
    made = nni_files.experiment(dataclasses.replace(order, on="gpu-cluster"), "python3 trial.py")
    service = made["trainingService"]
    assert (made["trialGpuNumber"], service["maxTrialNumberPerGpu"], service["computeTarget"]) == (1, 2, "gpu-cluster")


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("false", 1), ("exit 3", 1)])
def test_a_runner_that_fails_makes_its_run_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, code: int
) -> None:
    """NNI's own script ends well whatever its runner does."""
    settings, script = tmp_path / "client.json", tmp_path / "nni_script.py"
    settings.write_text("{}")
    monkeypatch.setenv("AML_PROJECT_NNI", str(settings))
    script.write_text(f"import os\nos.system('{command}')")
    assert subprocess.run([sys.executable, script]).returncode == 0
    runpy.run_path(str(PARTS / "aml_client.py"))["honest"](script)
    assert subprocess.run([sys.executable, script]).returncode == code


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_with_the_driver_all_that_it_has_started_ends(tmp_path: Path, system: str) -> None:
    """Also what has left its group and its session, as NNI's server and trials do; and on macOS, if it was seen."""
    theirs, ours = os.pipe()
    note = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    daemon = f"import os, time; os.setsid(); {note}; time.sleep(600)"
    command = f'"{sys.executable}" -c "{daemon}" & while [ ! -f "{tmp_path / "seen"}" ]; do sleep 0.1; done'
    ps = tmp_path / "ps"
    ps.write_text(f'#!/bin/sh\necho >>"{tmp_path / "looks"}"\nexec {shutil.which("ps")} "$@"\n')
    ps.chmod(0o755)
    run = f"sys.platform = '{system}'; sys.argv.pop(0); runpy.run_path(sys.argv[0], None, '__main__')"
    arguments = [str(PARTS / "guard.py"), str(theirs), str(tmp_path / "said"), "sh", "-c", command]
    guard = [sys.executable, "-c", f"import runpy, sys; {run}", *arguments]
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    process = subprocess.Popen(guard, env=env, pass_fds=[theirs], start_new_session=True)
    os.close(theirs)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), process)
    pid = int((tmp_path / "pid").read_text())
    if system == "darwin":
        before = looks(tmp_path)
        wait_for(lambda: looks(tmp_path) > before + 1, process)
    (tmp_path / "seen").touch()
    wait_for((tmp_path / "said.code").exists, process)
    assert lives(pid)
    os.close(ours)
    process.wait(PATIENCE)
    wait_for(lambda: not lives(pid))


def looks(folder: Path) -> int:
    file = folder / "looks"
    return file.read_text().count("\n") if file.exists() else 0
