"""What is kept: in one file, whole after a kill at any moment, and all of it when many clients write at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from callers import Caller, Client, configuration
from test_hyperdrive import TRAIN, searched

from aml_rehearsal import Names, Rehearsal
from aml_rehearsal.addresses import API_HOST
from aml_rehearsal.services import run_filter
from aml_rehearsal.services.history import new_run
from aml_rehearsal.state import State, Unavailable

RUNS = "/history/v1.0SCOPE/experiments/many/runs"
PORT = {"SkipProcessing": True, "DataTypeIdsList": ["AnyFile"]}  # that only says what comes before
COMMAND = [sys.executable, "-m", "aml_rehearsal.command", "serve"]


# ------------------------------------------------------------------------------------------------ a transaction


def test_a_record_that_is_changed_in_place_is_kept(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.lock:
        state.tables.datasets.setdefault("a", []).append({"n": 1})
        state.tables.snapshots["r"] = {"files": {"a": []}}
    with state.lock:
        state.tables.datasets["a"][0]["n"] = 2
        with state.lock:  # the outermost counts
            state.tables.snapshots.get("r", {})["files"]["a"].append(0.5)
        assert state.tables.snapshots["r"] is state.tables.snapshots["r"]
    state.close()
    again = State(tmp_path).as_dict()
    assert (again["datasets"], again["snapshots"]) == ({"a": [{"n": 2}]}, {"r": {"files": {"a": [0.5]}}})


def test_a_refusal_takes_back_what_it_had_begun(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.lock:
        state.tables.runs["kept"] = {"status": "Running"}

    def fail() -> None:
        with state.lock:
            state.tables.runs["kept"]["status"] = "Failed"
            state.tables.runs["new"] = {}
            del state.tables.runs["kept"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state.as_dict()["runs"] == {"kept": {"status": "Running"}}


def test_a_table_is_a_dictionary_in_its_order(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.lock:
        table = state.tables.experiments
        for name in "cab":
            table[name] = {"name": name}
        assert list(table) == ["c", "a", "b"] and len(table) == 3
    with state.lock:
        table["a"] = {"name": "other"}
        table["d"] = {}
        del table["c"]
        assert list(table.items()) == [("a", {"name": "other"}), ("b", {"name": "b"}), ("d", {})]
        assert table.pop("d") == {} and "d" not in table and len(table) == 2
        assert table.setdefault("b", {}) == {"name": "b"} and table.get("none") is None
        with pytest.raises(KeyError):
            del table["none"]
    assert list(state.as_dict()["experiments"]) == ["a", "b"]
    with state.lock:
        table["e"] = {}
        table.clear()
        assert not table
    assert state.as_dict()["experiments"] == {}


def test_keys_are_found_without_reading_the_records(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.lock:
        runs, artifacts = state.tables.runs, state.tables.artifacts
        for number, status in enumerate(["Failed", "Running", "Failed", None]):
            runs[f"r{number}"] = {"status": status, "createdUtc": f"2024-01-0{9 - number}"}
        assert runs.keys_where(status="Failed") == ["r0", "r2"]
        assert runs.keys_where("createdUtc", status="Failed") == ["r2", "r0"]
        assert runs.keys_where("createdUtc", descending=True) == ["r0", "r1", "r2", "r3"]
        runs["r0"]["status"] = "Running"  # what is not written yet is found as well
        assert runs.keys_where(status="Running") == ["r0", "r1"] and runs.keys_where(status=None) == ["r3"]
        for key in ("a/b", "a/ü", "a", "b", "a/%_"):
            artifacts[key] = {}
        assert artifacts.below("a/") == ["a/%_", "a/b", "a/ü"]
    with state.lock:
        artifacts["a/c"] = {}
        assert artifacts.below("a/") == ["a/%_", "a/b", "a/c", "a/ü"]
        [copy] = runs.copies(["r1"])
        copy["status"] = "not kept"
    assert state.as_dict()["runs"]["r1"]["status"] == "Running"


def test_a_list_grows_by_what_it_does_not_hold_yet(tmp_path: Path) -> None:
    state = State(tmp_path)
    points = state.tables.points
    with state.lock:
        points.add("r/loss", [{"metricId": "a", "n": 1}, {"n": 2}, {"metricId": "a", "n": 3}, {"n": 2}])
        points.add("r/other", [{"metricId": "a", "n": 4}])
    with state.lock:
        assert [point["n"] for point in points.of("r/loss")] == [1, 2, 2]
        assert points.last("r/other") == {"metricId": "a", "n": 4} and points.last("r/none") is None
        points.remove("r/loss")
        assert points.of("r/loss") == [] and len(points.of("r/other")) == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda table: table["a"],
        lambda table: table.get("a"),
        lambda table: table.__setitem__("a", {}),
        lambda table: table.pop("a"),
        lambda table: "a" in table,
        len,
        list,
        lambda table: table.clear(),
        lambda table: table.below(""),
        lambda table: table.keys_where(),
    ],
)
def test_who_does_not_hold_the_lock_is_told_so(tmp_path: Path, use: Callable[[Any], Any]) -> None:
    state = State(tmp_path)
    with pytest.raises(RuntimeError, match=r"with state\.lock"):
        use(state.tables.runs)
    with state.lock:
        state.tables.runs["a"] = {}
        said: list[str] = []

        def other() -> None:
            try:
                use(state.tables.runs)
            except RuntimeError as error:
                said.append(str(error))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "with state.lock" in said[0]


def test_a_closed_state_can_be_read(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.close()
    with state.lock:
        state.tables.runs["late"] = {}
    assert state.as_dict()["runs"] == {"late": {}}
    assert [left.name for left in tmp_path.iterdir()] == ["state.db"]


# ------------------------------------------------------------------------------------------- what lies there before


def test_the_file_of_an_earlier_rehearsal_is_taken_over_once(tmp_path: Path) -> None:
    metrics = {"r": {"loss": {"name": "loss", "value": [{"metricId": "a"}, {"n": 1}, {"n": 1}]}}}
    earlier = {"runs": {"r": {"status": "Failed"}}, "datasets": {"d": [{"n": 1}]}, "metrics": metrics, "ids": 7}
    earlier["default_datastore"] = "mine"
    file = tmp_path / "state.json"
    file.write_text(json.dumps(earlier))
    state = State(tmp_path)
    held = state.as_dict()
    assert {name: held[name] for name in earlier} == earlier
    with state.lock:
        assert state.tables.default_datastore == "mine"
        state.tables.runs.clear()
    state.close()
    assert sorted(left.name for left in tmp_path.iterdir()) == ["state.db", "state.json.old"]
    assert State(tmp_path).as_dict()["runs"] == {}


def test_a_take_over_that_is_killed_at_any_statement_is_done_again(tmp_path: Path) -> None:
    earlier = {"runs": {f"r{number}": {"status": "Failed"} for number in range(3)}, "ids": 7}
    killed = 0
    for number in range(1, 500):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "state.json").write_text(json.dumps(earlier))
        died = ends_at(number, lambda folder=folder: State(folder).close())  # type: ignore[misc]
        state = State(folder)
        held = state.as_dict()
        state.close()
        assert {name: held[name] for name in earlier} == earlier
        if not died:
            break
        killed += 1
    assert killed > 30


def ends_at(statement: int, work: Callable[[], None]) -> bool:
    """Do some work in a process that is killed before its Nth statement; tell whether it came to that."""
    pid = os.fork()
    if pid == 0:
        left = [statement]

        def count(sql: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        connect = sqlite3.connect

        def traced(*args: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*args, **options)
            connection.set_trace_callback(count)
            return connection

        sqlite3.connect = traced  # type: ignore[assignment]
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert status in {0, signal.SIGKILL}
    return status != 0


def test_a_change_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    State(tmp_path).close()

    def work() -> None:
        state = State(tmp_path)
        for number in range(3):
            with state.lock:
                state.tables.runs[f"r{number}"] = {}
                state.tables.metrics[f"r{number}"] = {}
                state.tables.artifacts[f"r{number}"] = {}

    for number in range(1, 200):
        died = ends_at(number, work)
        state = State(tmp_path)
        held = state.as_dict()
        assert held["runs"].keys() == held["metrics"].keys() == held["artifacts"].keys()
        with state.lock:
            for table in (state.tables.runs, state.tables.metrics, state.tables.artifacts):
                table.clear()
        state.close()
        if not died:
            break
    assert not died and number > 15 and len(held["runs"]) == 3


def test_a_full_disk_is_told_and_takes_nothing_that_was_answered(tmp_path: Path, capfd: Any) -> None:
    with Rehearsal(tmp_path) as rehearsal:
        caller, store = Caller(rehearsal), rehearsal.workspace.state.lock
        with store:
            (pages,) = store.ask("PRAGMA page_count").fetchone()
            store.ask(f"PRAGMA max_page_count = {pages + 30}")
        answers = [caller.ask("PATCH", f"{RUNS}/r{number}", {"tags": {"text": "x" * 20_000}}) for number in range(9)]
        held = rehearsal.state()["runs"]
    answered = [f"r{number}" for number, (status, _) in enumerate(answers) if status == 200]
    assert answered == list(held) and 0 < len(held) < 9
    assert "state.db: database or disk is full: nothing of this request is kept" in answers[-1][1]["message"]
    assert "Traceback" not in capfd.readouterr().err
    assert list(State(tmp_path).as_dict()["runs"]) == answered


def of_another(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE runs (a)")


def torn(file: Path) -> None:
    state = State(file.parent)
    with state.lock:
        for number in range(500):
            state.tables.runs[f"r{number}"] = {"text": "x" * 100}
    state.close()
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * 20000 + whole[28192:])


@pytest.mark.parametrize("damage", [of_another, torn, lambda file: file.write_bytes(b"{" * 9000)])
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(tmp_path / "state.db")
    with pytest.raises(Unavailable, match=r"state\.db is damaged \(.*\); --fresh begins anew") as told:
        State(tmp_path)
    assert "\n" not in str(told.value)


def test_a_column_that_is_new_is_filled(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.lock:
        state.tables.runs["r"] = {"status": "Failed"}
    state.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as file:
        file.execute("DROP INDEX runs_parentRunId")
        file.execute("ALTER TABLE runs DROP COLUMN status")
        file.commit()
    again = State(tmp_path)
    with again.lock:
        assert again.tables.runs.keys_where(status="Failed") == ["r"]


# ------------------------------------------------------------------------------------------------- many at once


class Talker:
    """A client that keeps its connection, as real ones do."""

    def __init__(self, caller: Caller, url: str) -> None:
        self.caller = caller
        host, _, port = url.removeprefix("http://").partition(":")
        self.connection = http.client.HTTPSConnection(host, int(port), timeout=100, context=caller.tls)
        self.connection.set_tunnel(API_HOST, 443)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.caller.token}"}
        place = path.replace("SCOPE", self.caller.scope)
        self.connection.request(method, place, json.dumps(body).encode(), headers)
        answer = self.connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said
        return json.loads(said)

    def write(self, run: str, number: int, told: Callable[[str, str], None]) -> None:
        """Make a run with a metric and an artifact, and a point of everybody's metric; note what is answered."""
        self.ask("PATCH", f"{RUNS}/{run}", {"tags": {"number": str(number)}})
        told("runs", run)
        for owner in (run, "shared"):
            point = {"metricId": f"{run}-{owner}", "data": {"loss": number}, "createdUtc": "2024-01-01T00:00:00Z"}
            metric = {"name": "loss", "columns": {"loss": "Double"}, "value": [point]}
            self.ask("POST", f"/metric/v2.0SCOPE/runs/{owner}/batch", {"values": [metric]})
            told(f"metrics of {owner}", f"{run}-{owner}")
        paths = {"paths": [{"path": "outputs/a b.txt"}]}
        self.ask("POST", f"/artifact/v2.0SCOPE/artifacts/batch/metadata/ExperimentRun/dcid.{run}", paths)
        told("artifacts", f"ExperimentRun/dcid.{run}/outputs/a b.txt")


def missing(state: dict[str, Any], told: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What clients were told, and is not there."""
    points = {
        run: {point["metricId"] for point in metrics["loss"]["value"]}
        for run, metrics in state["metrics"].items()
        if "loss" in metrics  # runs of other tests have metrics of their own
    }

    def there(kind: str, what: str) -> bool:
        if kind.startswith("metrics of "):
            return what in points.get(kind.removeprefix("metrics of "), set())
        return what in state[kind]

    return [(kind, what) for kind, what in told if not there(kind, what)]


def test_fifty_clients_at_once_lose_nothing(rehearsal: Rehearsal, caller: Caller) -> None:
    caller.ask("PATCH", f"{RUNS}/shared", {})
    told: list[tuple[str, str]] = []
    ready = threading.Barrier(50)

    def work(name: str) -> None:
        talker = Talker(caller, rehearsal.url)
        ready.wait(60)
        for number in range(4):
            talker.write(f"{name}-{number}", number, lambda *what: told.append(what))
        talker.connection.close()

    together(50, work)
    assert len(told) == 50 * 4 * 4
    state = rehearsal.state()
    assert missing(state, told) == []
    numbers = [run["runNumber"] for run in state["runs"].values()]
    assert len(set(numbers)) == len(numbers), "each has a number of its own"
    assert len({run["experimentId"] for name, run in state["runs"].items() if name.startswith("client")}) == 1


AT_ONCE = """
import threading, traceback
told, failures = [], []

def work(thread):
    try:
        for number in range(4):
            name = f"CLIENT-{thread}-{number}"
            run = Experiment(ws, "really-many").start_logging(snapshot_directory=None, run_id=name)
            for point in range(5):
                run.log("loss", point)
            Path(f"{name}.txt").write_text(name)
            run.upload_file(f"outputs/{name}.txt", f"{name}.txt")
            model = run.register_model(name, model_path=f"outputs/{name}.txt")
            Model.register(ws, f"{name}.txt", "everybodys", tags={"by": name})
            run.complete()
            told.append([name, model.version])
    except BaseException:
        failures.append(traceback.format_exc())

threads = [threading.Thread(target=work, args=[thread]) for thread in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures[0]
answer["told"] = told
"""


@pytest.mark.full
def test_fifty_real_clients_at_once_lose_nothing(rehearsal: Rehearsal, client: Client) -> None:
    """Ten processes, five threads in each: runs, metrics, files, models of their own, and versions of one."""
    told: list[tuple[str, int]] = []

    def work(name: str) -> None:
        told.extend((run, version) for run, version in client(AT_ONCE.replace("CLIENT", name), seconds=900)["told"])

    together(10, work)
    assert len(told) == 10 * 5 * 4 and {version for _, version in told} == {1}
    state = rehearsal.state()
    for name, _ in told:
        assert state["runs"][name]["status"] == "Completed"
        losses = [point["data"]["loss"] for point in state["metrics"][name]["loss"]["value"]]
        assert losses == [0, 1, 2, 3, 4], name
        assert rehearsal.artifact(name, f"outputs/{name}.txt").decode() == name
        assert state["models"][f"{name}:1"]["runId"] == name
    versions = [model for model in state["models"].values() if model["name"] == "everybodys"]
    assert sorted(model["version"] for model in versions) == list(range(1, 201))
    assert {model["kvTags"]["by"] for model in versions} == {name for name, _ in told}
    numbers = [run["runNumber"] for run in state["runs"].values()]
    assert len(set(numbers)) == len(numbers)


def together(count: int, work: Callable[[str], None]) -> None:
    threads = [threading.Thread(target=work, args=[f"client{number}"]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Served:
    """An aml-rehearsal in a process of its own, as far as a caller needs to know it."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.folder = folder
        command = [*COMMAND, "--project", str(project), "--folder", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.own: dict[str, str] = {}
        while "Ctrl-C ends it" not in (line := self.process.stdout.readline()):
            assert line, "it has ended"
            if line.startswith("export "):
                name, _, text = line.removeprefix("export ").strip().partition("=")
                self.own[name] = text.strip("'")
        self.url = self.own["HTTPS_PROXY"]
        self.workspace = SimpleNamespace(names=Names())

    def variables(self, _role: str = "contributor") -> dict[str, str]:
        return self.own

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serve(project: Path) -> Iterator[Callable[[Path], Served]]:
    started: list[Served] = []

    def start(folder: Path) -> Served:
        started.append(Served(project, folder))
        return started[-1]

    yield start
    for served in started:
        served.kill()


def test_two_side_by_side_keep_after_a_kill_what_was_told(serve: Callable[[Path], Served], tmp_path: Path) -> None:
    """Each is killed while its clients write: at the moment of the Nth answer, with others under way."""
    draw = random.Random(17)
    both = [serve(tmp_path / name) for name in ("one", "two")]
    told = [written_until_killed(served, draw.randrange(150, 300), str(number)) for number, served in enumerate(both)]
    for served, answers in zip(both, told, strict=True):
        state = State(served.folder)
        held = state.as_dict()
        state.close()
        assert len(answers) >= 150 and missing(held, answers) == []
    assert not set(told[0]) & set(told[1])


@pytest.mark.full
@pytest.mark.parametrize("seed", range(10))
def test_a_kill_at_any_moment_loses_nothing(serve: Callable[[Path], Served], tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    told: list[tuple[str, str]] = []
    for turn in range(3):  # the same folder again
        told += written_until_killed(serve(tmp_path), draw.randrange(1, 400), f"{turn}", draw.random() / 50)
        state = State(tmp_path)
        held = state.as_dict()
        state.close()
        assert missing(held, told) == []


def test_a_search_and_a_pipeline_that_a_kill_interrupts(
    serve: Callable[[Path], Served], project: Path, tmp_path: Path
) -> None:
    """They have failed, with what was done by then, and say why; nothing of them is started again."""
    Rehearsal(tmp_path, project=project).close()  # which leaves a cluster
    served = serve(tmp_path)
    caller = Caller(served)  # type: ignore[arg-type] # it needs no more of a rehearsal
    script = TRAIN.replace('given.get("--wait", 0)', '300 * (given["--lr"] == "3")')
    assert searched(caller, script, place="hdruns/search", max_concurrent_jobs=1)[0] == 201
    waits = caller.snapshot({"step.py": b"import sys, time\ntime.sleep(float(sys.argv[1]))"})[1]["id"]
    nodes, edges = [], []
    for name, seconds in (("one", "0"), ("two", "300"), ("three", "0")):
        ports = {"Inputs": [PORT | {"Name": "after"}], "Outputs": [PORT | {"Name": "before"}]}
        interface = ports | {"Arguments": [{"ValueType": "Literal", "Value": seconds}]}
        module = {"Name": name, "StepType": "PythonScriptStep", "StorageId": waits, "StructuredInterface": interface}
        made = caller.ask("POST", "/pipelines/v1.0SCOPE/Modules", module)[1]["Id"]
        parameters = [{"Name": "Target", "Value": "cpu-cluster"}, {"Name": "Script", "Value": "step.py"}]
        own = {"Id": name, "ModuleId": made, "Runconfig": json.dumps(configuration())}
        nodes.append(own | {"ModuleParameters": parameters})
    for first, second in (("one", "two"), ("two", "three")):
        source, target = {"NodeId": first, "PortName": "before"}, {"NodeId": second, "PortName": "after"}
        edges.append({"SourceOutputPort": source, "DestinationInputPort": target})
    graph = {"Graph": {"ModuleNodes": nodes, "Edges": edges}}
    prepare = "/pipelines/v1.0SCOPE/PipelineRuns/Unsubmitted/CreationInfoWithGraph?experimentName=killed"
    pipeline = caller.ask("POST", prepare, graph)[1]["Id"]
    assert caller.ask("POST", f"/pipelines/v1.0SCOPE/PipelineRuns/Submit/{pipeline}")[0] == 200

    def now(asked: Caller) -> dict[str, str]:
        """The status of each run, the steps' by their names."""
        listed: list[dict[str, Any]] = []
        for experiment in ("searches", "killed"):
            path = f"/history/v1.0SCOPE/experiments/{experiment}/runs"
            found = asked.ask("GET", path)[1]
            listed += found.get("value", []) if isinstance(found, dict) else []
        return {run["name"] or run["runId"]: run["status"] for run in listed}

    caller.until(lambda: {now(caller).get("search_1"), now(caller).get("two")} == {"Running"})
    served.kill()
    again = Caller(serve(tmp_path))  # type: ignore[arg-type]
    done, ended = dict.fromkeys(("search_0", "one"), "Completed"), ("search", "search_1", pipeline, "two")
    assert now(again) == done | dict.fromkeys(ended, "Failed")
    for name in ("search", pipeline):
        run = again.ask("GET", f"/history/v1.0SCOPE/runs/{name}")[1]
        assert run["error"]["error"]["message"] == "The rehearsal ended before the run did."
    assert searched(again, script, place="hdruns/search")[0] == 409
    assert again.ask("POST", f"/pipelines/v1.0SCOPE/PipelineRuns/Submit/{pipeline}")[0] == 409
    assert again.ask("GET", f"/pipelines/v1.0SCOPE/PipelineRuns/{pipeline}")[1]["Status"]["StatusCode"] == "Failed"
    assert len(now(again)) == 6


def written_until_killed(served: Served, answers: int, mark: str, later: float = 0) -> list[tuple[str, str]]:
    """Let eight clients write until so many answers have come, then kill the server; return what they were told."""
    caller = Caller(served)  # type: ignore[arg-type]
    caller.ask("PATCH", f"{RUNS}/shared", {})
    told: list[tuple[str, str]] = []
    enough = threading.Event()

    def note(*what: str) -> None:
        told.append((what[0], what[1]))
        if len(told) >= answers:
            enough.set()

    def work(name: str) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            talker = Talker(caller, served.url)
            for number in range(10_000):
                talker.write(f"{mark}-{name}-{number}", number, note)

    def kill() -> None:
        enough.wait(100)
        threading.Event().wait(later)
        served.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    together(8, work)
    killer.join()
    assert enough.is_set()
    return told


# ------------------------------------------------------------------------------------------------------ listings


def test_the_client_lists_a_long_history_in_pages(rehearsal: Rehearsal, client: Client) -> None:
    state = rehearsal.workspace.state
    with state.lock:
        for number in range(1100):
            run = new_run(rehearsal.workspace, "long", f"long{number:04}", status="Completed", runType="t")
            run["createdUtc"] = run["startTimeUtc"] = f"2024-01-01T00:{number // 60:02}:{number % 60:02}.000000Z"
            run["tags"] = {"third": str(number % 3), "of two": "a and b" if number % 2 else "a or b"}
    answer = client("""
experiment = Experiment(ws, "long")
runs = list(experiment.get_runs())
answer["ids"] = [run.id for run in runs]
answer["third"] = len(list(experiment.get_runs(tags={"third": "1"})))
answer["two"] = len(list(experiment.get_runs(tags={"third": "0", "of two": "a and b"})))
answer["type"] = len(list(experiment.get_runs(type="t")))
answer["has"] = len(list(experiment.get_runs(tags="third"))), len(list(experiment.get_runs(tags="none")))
answer["first"] = next(experiment.get_runs()).id
""")
    assert answer["ids"] == [f"long{number:04}" for number in reversed(range(1100))]
    assert answer["third"] == len([number for number in range(1100) if number % 3 == 1])
    assert answer["two"] == len([number for number in range(1100) if number % 6 == 3])
    assert (answer["type"], answer["has"]) == (1100, [1100, 0])
    assert answer["first"] == "long1099"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(Status eq Failed)", True),
        ("(Status ne Failed) or (RunId eq r or RunId eq s)", True),
        ("(Tags/a eq x and y)", False),
        ('((Tags/a eq "x") and (Tags/of two eq "1) or (2"))', True),
        ("((Tags/a eq x) and (ParentRunId eq null))", True),
        ("((ParentRunId eq null) and )", True),
        ("(Tags/b ne null or Tags/b eq null)", False),
        ("(Tags/a ne null or Tags/a eq null)", True),
        ("(CreatedUtc ge 2024-01-01 00:00:00)", True),
        ("(CreatedUtc ge 2024-03-01 00:00:00+00:00)", False),
        ("(RunType eq t or Properties/azureml.runsource eq t)", True),
        ("(RunTypeV2/Orchestrator eq x)", False),
        ("runid eq 'r'", True),
    ],
)
def test_a_filter_means_what_it_says(text: str, expected: bool) -> None:
    run = {"runId": "r", "status": "Failed", "tags": {"a": "x", "of two": "1) or (2"}, "parentRunId": None}
    run |= {"properties": {"azureml.runsource": "t"}, "createdUtc": "2024-02-01T00:00:00Z", "runType": None}
    assert run_filter.fits(run, text) is expected


def test_what_a_listing_does_not_understand_is_refused(caller: Caller) -> None:
    caller.ask("PATCH", f"{RUNS}/shared", {})
    for wish in ({"filter": "nonsense"}, {"orderby": ["Colour desc"]}):
        assert caller.ask("POST", f"{RUNS}:query", wish)[0] == 400


def test_the_page_shows_the_newest(tmp_path: Path) -> None:
    with Rehearsal(tmp_path) as rehearsal:
        with rehearsal.workspace.state.lock:
            for number in range(201):
                new_run(rehearsal.workspace, "e", f"run{number:03}", status="Completed")
        shown = Caller(rehearsal).send_plain("/")
    assert "The newest 200 of 201" in shown and "run200" in shown and "run000" not in shown
