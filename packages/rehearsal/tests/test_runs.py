"""Runs on the cluster: what the script finds, what is kept of it, and how it can end."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from callers import Caller

from aml_rehearsal import Rehearsal
from aml_rehearsal.azurite import cache_folder

LOG = "user_logs/std_log.txt"
SEES = """
import hashlib, json, os, sys
from pathlib import Path
files = {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in Path(".").rglob("*") if file.is_file()}
data = os.environ.get("numbers")
seen = {
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "files": files,
    "data": sorted(str(file.relative_to(data)) for file in Path(data).rglob("*") if file.is_file()) if data else [],
    "home": sorted(str(path) for path in Path.home().iterdir()),
}
Path("outputs/deep").mkdir()
Path("outputs/deep/seen.json").write_text(json.dumps(seen))
Path("logs/own.txt").write_text("mine")
Path("elsewhere.txt").write_text("not kept")
print("last words")
"""
DATA = {
    "numbers": {
        "dataLocation": {"dataset": {"name": "numbers", "version": "1"}},
        "mechanism": "mount",
        "pathOnCompute": "/data",
        "environmentVariableName": "numbers",
        "overwrite": False,
    }
}


def failure(run: dict[str, Any]) -> str:
    assert run["status"] == "Failed"
    return str(run["error"]["error"]["message"])


def test_a_run_gets_what_was_submitted(rehearsal: Rehearsal, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZUREML_SERVICE_PRINCIPAL_PASSWORD", "AZURE_CLIENT_SECRET", "MY_TOKEN"):
        monkeypatch.setenv(name, "the caller's secret")
    sent = {"bytes.bin": bytes(range(256)) * 9, "a b/ü.txt": "Grüße\r\n".encode(), "empty": b""}
    arguments = ["--data-path", "/data", "--file=/data/a.csv", 'it\'s "quoted" $HOME *', "", 3, "/database"]
    variables = {"ONE": "from the environment", "TWO": "from the environment"}
    run = caller.run(
        SEES,
        sent,
        arguments=arguments,
        data=DATA,
        environment={
            "python": {"userManagedDependencies": True, "interpreterPath": sys.executable},
            "environmentVariables": variables,
        },
        environmentVariables={"TWO": "from the run"},
    )
    assert run["status"] == "Completed", run["error"]
    assert rehearsal.snapshot(run["runId"]) == sent | {"train.py": SEES.encode()}
    assert rehearsal.artifact(run["runId"], LOG) == b"last words\n"
    assert rehearsal.artifact(run["runId"], "logs/own.txt") == b"mine"
    kept = [key for key in rehearsal.state()["artifacts"] if f"dcid.{run['runId']}/" in key]
    assert not [key for key in kept if "elsewhere" in key]

    seen = json.loads(rehearsal.artifact(run["runId"], "outputs/deep/seen.json"))
    all_sent = sent | {"train.py": SEES.encode()}
    assert seen["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in all_sent.items()}
    root = seen["environment"]["numbers"]
    assert root.endswith("/data") and root != "/data"
    assert seen["arguments"] == ["--data-path", root, f"--file={root}/a.csv", *map(str, arguments[3:])]
    assert seen["data"] == ["a.csv", "deep/b.csv"]
    assert (seen["environment"]["ONE"], seen["environment"]["TWO"]) == ("from the environment", "from the run")
    assert seen["environment"]["AZUREML_RUN_ID"] == run["runId"]
    assert "the caller's secret" not in seen["environment"].values()
    assert not [name for name in seen["environment"] if "SERVICE_PRINCIPAL" in name]
    assert not Path(root).exists()  # the node is gone
    assert run["inputDatasets"][0]["identifier"]["registeredVersion"] == "1"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("print('so far'); raise ValueError('no such column')", "exit code 1: ValueError: no such column"),
        ("import sys; print('the reason'); sys.exit(7)", "exit code 7: the reason"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("1 +", "SyntaxError: invalid syntax"),
    ],
)
def test_a_failure_says_how_and_why(rehearsal: Rehearsal, caller: Caller, script: str, reason: str) -> None:
    run = caller.run(f"from pathlib import Path\nPath('outputs/kept').touch()\n{script}")
    assert reason in failure(run)
    if script != "1 +":
        assert rehearsal.artifact(run["runId"], "outputs/kept") == b""


def test_a_script_that_is_not_there(caller: Caller) -> None:
    answer = caller.submit({"train.py": b""}, script="none.py")[1]
    assert "none.py ended with exit code 2" in failure(caller.wait(answer["runId"]))


def logged(rehearsal: Rehearsal, run_id: str, lines: int = 1) -> str:
    """The log of a run, once it has so many lines."""
    for _ in range(300):
        if f"ExperimentRun/dcid.{run_id}/{LOG}" in rehearsal.state()["artifacts"]:
            log = rehearsal.artifact(run_id, LOG).decode()
            if log.count("\n") >= lines:
                return log
        time.sleep(0.1)
    raise AssertionError(rehearsal.state()["runs"][run_id])


def has_ended(pid: str) -> bool:
    """Whether a process is gone, once it is taken note of: of an orphan, somebody else does that."""
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False


def test_the_log_arrives_while_it_runs_and_a_quiet_run_can_be_cancelled(rehearsal: Rehearsal, caller: Caller) -> None:
    script = "import time, os\nprint('started', os.getpid(), flush=True)\ntime.sleep(300)"
    run_id = caller.submit({"train.py": script.encode()})[1]["runId"]
    caller.wait(run_id, "Running")
    pid = int(logged(rehearsal, run_id).split()[1])
    assert Path(f"/proc/{pid}").exists() or sys.platform != "linux"
    path = f"/execution/v1.0SCOPE/experiments/tests/runId/{run_id}/cancel"
    assert caller.ask("POST", path, {})[0] == 200
    assert caller.wait(run_id)["status"] == "Canceled"
    assert not Path(f"/proc/{pid}").exists()


def test_a_node_is_taken_away_and_the_run_starts_anew_on_an_empty_one(rehearsal: Rehearsal, caller: Caller) -> None:
    """Under its id, with what it has sent by then; what lay on the disk of the first is gone."""
    script = """
import os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(os.environ["AZUREML_RUN_ID"], [*Path("outputs").iterdir()], Path.cwd(), os.getpid(), child.pid, flush=True)
Path("outputs/half").touch()
while not list(Path(sys.argv[1]).glob("go on")):
    time.sleep(0.05)
"""
    gate = rehearsal.folder / "gate"
    run_id = caller.submit({"train.py": script.encode()}, arguments=[str(gate)])[1]["runId"]
    _, _, first, *pids = logged(rehearsal, run_id).split()
    rehearsal.preempt(run_id)
    lines = logged(rehearsal, run_id, 2).splitlines()
    assert [line.split()[:2] for line in lines] == [[run_id, "[]"]] * 2
    assert lines[1].split()[2] != first and not Path(first).exists()
    assert all(map(has_ended, pids))
    assert f"ExperimentRun/dcid.{run_id}/outputs/half" not in rehearsal.state()["artifacts"]

    gate.mkdir()
    (gate / "go on").touch()
    assert caller.wait(run_id)["status"] == "Completed"
    assert rehearsal.artifact(run_id, "outputs/half") == b""
    with pytest.raises(ValueError, match="is on no cluster: cpu-cluster, Completed"):
        rehearsal.preempt(run_id)


def test_what_a_script_has_started_ends_with_it(rehearsal: Rehearsal, caller: Caller) -> None:
    script = """
import os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = caller.run(script)
    assert "train.py was ended by signal 9" in failure(run)
    assert has_ended(logged(rehearsal, run["runId"]).strip())


def test_a_run_has_its_time(rehearsal: Rehearsal, caller: Caller) -> None:
    run = caller.run("import time\nprint('on and on', flush=True)\ntime.sleep(300)", maxRunDurationSeconds=1)
    assert "maxRunDurationSeconds: 1" in failure(run)
    assert rehearsal.artifact(run["runId"], LOG) == b"on and on\n"


RANKS = """
import os, time
names = ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK")
print(*[f"{name}={os.environ[name]}" for name in names if name in os.environ], flush=True)
"""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"communicator": "IntelMpi", "nodeCount": 2, "mpi": {"processCountPerNode": 2}},
            [f"OMPI_COMM_WORLD_RANK={rank} OMPI_COMM_WORLD_SIZE=4\n" for rank in range(4)],
        ),
        (
            {"framework": "PyTorch", "communicator": "Nccl", "nodeCount": 2, "pytorch": {"processCount": 4}},
            [f"RANK={rank} WORLD_SIZE=4 LOCAL_RANK={rank % 2} NODE_RANK={rank // 2}\n" for rank in range(4)],
        ),
    ],
)
def test_as_many_processes_as_asked_for(
    rehearsal: Rehearsal, caller: Caller, changes: dict[str, Any], expected: list[str]
) -> None:
    run = caller.run(RANKS, **changes)
    assert run["status"] == "Completed", run["error"]
    logs = [rehearsal.artifact(run["runId"], f"user_logs/std_log_process_{rank}.txt") for rank in range(4)]
    assert [log.decode() for log in logs] == expected


BRINGS = """
import json, os, sys
from pathlib import Path
from azureml.core import Run
rank, folder = os.environ["OMPI_COMM_WORLD_RANK"], Path(sys.argv[2])
dataset = Run.get_context().input_datasets["numbers"]
if os.environ["OMPI_COMM_WORLD_LOCAL_RANK"] == "0":
    dataset.download(str(folder), overwrite=True)
    (folder / "rank").write_text(rank)
    files = {file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*") if file.is_file()}
    Path("outputs", rank).write_text(json.dumps([dataset.name, sys.argv[3] == dataset.id, files]))
"""


def test_a_script_brings_its_data_itself(rehearsal: Rehearsal, caller: Caller, client_python: Path) -> None:
    """By the real client, on two nodes of two processes: each node has a disk of its own, empty at first."""
    place = f"/tmp/numbers-{os.getpid()}"
    run = caller.run(
        BRINGS,
        arguments=["--data-path", place, "DatasetConsumptionConfig:numbers"],
        environment={"python": {"userManagedDependencies": True, "interpreterPath": str(client_python)}},
        communicator="IntelMpi",
        nodeCount=2,
        mpi={"processCountPerNode": 2},
        data={"numbers": DATA["numbers"] | {"mechanism": "direct", "pathOnCompute": None}},
    )
    assert run["status"] == "Completed", run["error"]
    assert not Path(place).exists()
    for rank in ("0", "2"):
        found = json.loads(rehearsal.artifact(run["runId"], f"outputs/{rank}"))
        assert found == ["numbers", True, {"a.csv": "x\n1\n", "deep/b.csv": "x\n2\n", "rank": rank}]


TASK = "import json, os\ntask = json.loads(os.environ['TF_CONFIG'])['task']\nprint(task['type'], task['index'])"


def test_the_workers_of_tensorflow(rehearsal: Rehearsal, caller: Caller) -> None:
    block = {"workerCount": 2, "parameterServerCount": 0}
    run = caller.run(TASK, framework="TensorFlow", communicator="ParameterServer", nodeCount=2, tensorflow=block)
    assert run["status"] == "Completed", run["error"]
    logs = [rehearsal.artifact(run["runId"], f"user_logs/std_log_process_{rank}.txt") for rank in range(2)]
    assert logs == [b"worker 0\n", b"worker 1\n"]


def test_one_dead_process_ends_the_others(caller: Caller) -> None:
    script = "import os, sys, time\nprint('rank', os.environ['RANK'])\nos.environ['RANK'] == '1' and sys.exit(3)\n"
    run = caller.run(script + "time.sleep(300)", communicator="Gloo", nodeCount=2, pytorch={"processCount": 4})
    assert failure(run) == "train.py ended with exit code 3 (process 1 of 4): rank 1"


def conda(*packages: str) -> dict[str, Any]:
    dependencies = ["python=3.11", "pip", {"pip": list(packages)}]
    return {"environment": {"python": {
        "userManagedDependencies": False, "interpreterPath": "python",
        "condaDependencies": {"dependencies": dependencies}}}}  # fmt: skip


def test_the_environment_is_built_from_the_conda_file(
    rehearsal: Rehearsal, caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "wish-1.0.0"  # a package of our own: no index is asked
    own.mkdir()
    (own / "wish.py").write_text("ANSWER = 42\n")
    (own / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        "[project]\nname = 'wish'\nversion = '1.0.0'\n"
    )
    (own / "backend.py").write_text(
        "import zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name = 'wish-1.0.0-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(f'{folder}/{name}', 'w') as wheel:\n"
        "        wheel.write('wish.py')\n"
        "        info = 'wish-1.0.0.dist-info'\n"
        "        wheel.writestr(f'{info}/METADATA', 'Metadata-Version: 2.1\\nName: wish\\nVersion: 1.0.0\\n')\n"
        "        wheel.writestr(f'{info}/WHEEL', "
        "'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "        wheel.writestr(f'{info}/RECORD', '')\n"
        "    return name\n"
    )
    script = "import wish, sys\nprint(wish.ANSWER, sys.version_info[:2])"
    for told in (b"Building the environment", b"is built already"):
        run = caller.run(script, **conda(f"wish @ file://{own}"))
        assert run["status"] == "Completed", run["error"]
        assert rehearsal.artifact(run["runId"], LOG) == b"42 (3, 11)\n"
        assert told in rehearsal.artifact(run["runId"], "azureml-logs/20_image_build_log.txt")


def test_packages_that_can_not_be_installed_are_named(caller: Caller) -> None:
    cache = cache_folder() / "environments"
    before = set(cache.iterdir()) if cache.exists() else set()
    run = caller.run("", **conda("six==99.99.99"))
    assert "can't be built" in failure(run) and "six==99.99.99" in failure(run)
    assert set(cache.iterdir()) == before


def test_what_is_not_as_the_conda_file_asks_is_told(rehearsal: Rehearsal, caller: Caller) -> None:
    """Packages of conda come from the index, the Python has the same minor version, places nobody reaches are left."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    wish = conda("--find-links http://127.0.0.1:9/page", "--extra-index-url http://me:secret@127.0.0.1:9/simple")
    pip = wish["environment"]["python"]["condaDependencies"]["dependencies"][-1]
    wish["environment"]["python"]["condaDependencies"]["dependencies"] = [
        f"python={version}.99", "six=1.17", "libgomp", pip]  # fmt: skip
    for _ in range(2):  # built, and built already
        run = caller.run("import six\nprint(six.__version__)", **wish)
        assert run["status"] == "Completed", run["error"]
        log = rehearsal.artifact(run["runId"], "azureml-logs/20_image_build_log.txt").decode()
        assert "Warning: six=1.17: of conda, installed from the Python package index as six==1.17.*" in log
        assert "Warning: libgomp: a library of conda's, left out" in log
        assert f"Warning: Python {version}.99: not at hand, so it is {version}." in log
        assert "Warning: --find-links http://127.0.0.1:9/page: can't be reached" in log
        assert "--extra-index-url http://127.0.0.1:9/simple" in log and "secret" not in log


def test_packages_of_conda_that_nobody_has_are_named(caller: Caller) -> None:
    for name in ("r-base=4.1", "no-such-package-of-conda"):
        wish = conda()
        wish["environment"]["python"]["condaDependencies"]["dependencies"].append(name)
        said = failure(caller.run("", **wish))
        assert "can't be built" in said and name in said


def test_the_definition_that_a_run_brings_counts(rehearsal: Rehearsal, caller: Caller) -> None:
    """Also where the environment that it names is registered with another content."""
    registered = {"python": {"condaDependencies": {"dependencies": [{"pip": ["six==99.99.99"]}]}}}
    assert caller.ask("PUT", "/environment/v1.0SCOPE/environments/named/versions/1", registered)[0] == 200
    own = {"name": "named", "version": "1", "environmentVariables": {"BROUGHT": "yes"}}
    python = {"python": {"userManagedDependencies": True, "interpreterPath": sys.executable}}
    run = caller.run("import os\nprint(os.environ['BROUGHT'])", environment=own | python)
    assert run["status"] == "Completed", run["error"]
    assert rehearsal.artifact(run["runId"], LOG) == b"yes\n"
