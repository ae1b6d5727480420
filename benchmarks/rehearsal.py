"""Measure the workspace on loopback: its start, long histories, its memory, and what keeping the state costs a request.

    python benchmarks/rehearsal.py

The server is `aml-rehearsal serve`, in a process of its own. A history is asked for by bare requests of 500 runs, as
the real client asks, and by the real client. For the cost of keeping, the same server answers the same requests by
turns from the kept store and from plain dictionaries.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

from project import say

from aml_rehearsal import Names, Rehearsal
from aml_rehearsal.addresses import API_HOST, LOGIN_HOST, TENANT
from aml_rehearsal.services import metrics
from aml_rehearsal.services.history import new_run
from aml_rehearsal.state import State
from aml_rehearsal.store import Table
from aml_rehearsal.workspace import Workspace

START, LIST, MEMORY, COST, BURST = 3.0, 0.5, 150, 1.5, 1.5  # the goals: s, s, MB, times, times
HISTORY = "/history/v1.0SCOPE/experiments/{}"
CLIENT = """
import os, sys, time
from azureml.core import Experiment, Workspace
from azureml.core.authentication import ServicePrincipalAuthentication
own = [os.environ[f"AZUREML_SERVICE_PRINCIPAL_{name}"] for name in ("TENANT_ID", "ID", "PASSWORD")]
login = ServicePrincipalAuthentication(*own)
experiment = Experiment(Workspace(*sys.argv[1:4], auth=login, _disable_service_check=True), "thousand")
next(experiment.get_runs())
for _ in range(5):
    began = time.perf_counter()
    assert len(list(experiment.get_runs())) == 1000
    print("seconds", time.perf_counter() - began)
"""


class Talker:
    """Somebody who is logged in and keeps a connection."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables, self.token = variables, ""
        self.connection = self.connect(LOGIN_HOST)
        names = ("client_id", "AZUREML_SERVICE_PRINCIPAL_ID"), ("client_secret", "AZUREML_SERVICE_PRINCIPAL_PASSWORD")
        form = {"grant_type": "client_credentials"} | {name: variables[variable] for name, variable in names}
        self.connection.request("POST", f"/{TENANT}/oauth2/v2.0/token", urlencode(form))
        self.token = json.loads(self.connection.getresponse().read())["access_token"]
        self.connection = self.connect(API_HOST)

    def connect(self, host: str) -> http.client.HTTPSConnection:
        own, _, port = self.variables["HTTPS_PROXY"].rpartition("/")[2].partition(":")
        trusted = ssl.create_default_context(cafile=self.variables["REQUESTS_CA_BUNDLE"])
        connection = http.client.HTTPSConnection(own, int(port), timeout=60, context=trusted)
        connection.set_tunnel(host, 443)
        return connection

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        self.connection.request(method, path.replace("SCOPE", Names().scope), json.dumps(body or {}), headers)
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"ERROR: {method} {path}: {answer.status} {said[:300]!r}")
        return json.loads(said)

    def history(self, experiment: str) -> int:
        """List an experiment as the client does; the number of its runs."""
        found, more = 0, None
        while True:
            wish = {"top": 500, "orderby": ["StartTimeUtc desc"], "continuationToken": more}
            page = self.ask("POST", f"{HISTORY.format(experiment)}/runs:query", wish)
            found, more = found + len(page["value"]), page["continuationToken"]
            if not more:
                return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the workspace on loopback.")
    parser.add_argument("--runs", type=int, default=10_000, help="in the history (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=9, help="of each measurement (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "project/models/one/aml_config").mkdir(parents=True)
        say(f"Writing a history of {args.runs} runs")
        fill(folder / "many", args.runs)
        reached = [whole(folder, args.runs, args.turns), *requests(folder / "cost", args.turns)]
    return not all(reached)


def fill(folder: Path, count: int) -> None:
    """Write a history: 1,000 runs of one experiment, the others of another, with two metrics and four files each."""
    folder.mkdir()
    state = State(folder)
    workspace = cast(Workspace, SimpleNamespace(state=state))
    definition = {
        "script": "train.py",
        "arguments": ["--rate", "0.1"] * 10,
        "environment": {"python": {"x": "y" * 1500}},
    }
    for start in range(0, count, 100):
        with state.lock:
            for number in range(start, min(start + 100, count)):
                run_id, experiment = f"run_{number:06}", "thousand" if number < 1000 else "others"
                known = {"status": "Completed", "runDefinition": definition, "parameters": {"rate": "0.1"}}
                run = new_run(workspace, experiment, run_id, **known, tags={"number": str(number)})
                run["startTimeUtc"] = run["endTimeUtc"] = run["createdUtc"]
                for metric in ("loss", "accuracy"):
                    for step in range(5):
                        metrics.log_number(workspace, run_id, metric, 0.5, step)
                for file in ("user_logs/std_log.txt", "logs/a.txt", "outputs/model.pkl", "outputs/metrics.json"):
                    state.tables.artifacts[f"ExperimentRun/dcid.{run_id}/{file}"] = {"createdTime": "2024-01-01"}
    state.close()


@contextmanager
def served(project: Path, folder: Path) -> Iterator[tuple[int, dict[str, str], float]]:
    """Start the command; its process, its variables, and the seconds until it said them."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "aml_rehearsal.command", "serve", "--project", project, "--folder", folder]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    variables = {}
    assert process.stdout
    for line in process.stdout:
        name, _, text = line.removeprefix("export ").strip().partition("=")
        variables[name] = text.strip("'")
        if "Ctrl-C ends it" in line:
            break
    try:
        yield process.pid, variables, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def whole(folder: Path, count: int, turns: int) -> bool:
    """The start, the history and the memory of the command."""
    starts: dict[str, list[float]] = {"empty": [], "many": []}
    for turn in range(turns + 1):
        for name, measured in starts.items():
            with served(folder / "project", folder / name) as (_, _, seconds):
                if turn:  # the first turn warms the caches
                    measured.append(seconds)
    with served(folder / "project", folder / "many") as (pid, variables, _):
        at_first = memory(pid)
        talker = Talker(variables)
        bare = [timed(lambda: talker.history("thousand")) for _ in range(turns)]
        names = [Names().subscription_id, Names().resource_group, Names().workspace_name]
        command = [sys.executable, "-c", CLIENT, *names]
        done = subprocess.run(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=True)
        real = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("seconds ")]
        listed = talker.history("others")
        page = talker.variables["HTTPS_PROXY"].rpartition("/")[2]
        connection = http.client.HTTPConnection(page)
        connection.request("GET", "/")
        connection.getresponse().read()
        most = memory(pid)
    print(f"| | median | goal |\n|---|---|---|\n| start, s | {median(starts['empty']):.2f} | {START} |")
    print(f"| start with {count} runs, s | {median(starts['many']):.2f} | {START} |")
    print(f"| 1,000 runs listed by bare requests, s | {median(bare):.2f} | {LIST} |")
    print(f"| 1,000 runs listed by the real client, s | {median(real):.2f} | |")
    print(f"| memory with {count} runs, MB: at first | {at_first} | {MEMORY} |")
    print(f"| at most, {listed} runs and the page shown | {most} | {MEMORY} |", flush=True)
    slowest = max(median(starts["empty"]), median(starts["many"]))
    return told("Start", slowest, START) & told("List", median(bare), LIST) & told("Memory", most, MEMORY)


def memory(pid: int) -> int:
    """The most memory that a process has had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


class Plain(dict[str, list[Any]]):
    """Lists that grow and are kept nowhere."""

    def add(self, key: str, points: list[Any]) -> None:
        held = self.setdefault(key, [])
        known = {point.get("metricId") for point in held} - {None}
        held += [point for point in points if point.get("metricId") not in known]


def requests(folder: Path, turns: int) -> list[bool]:
    """The same requests from the kept store and from dictionaries, by turns of one request each."""
    found: dict[str, dict[str, list[float]]] = {}
    with Rehearsal(folder) as rehearsal:
        state = rehearsal.workspace.state
        kept = {name: table for name, table in vars(state.tables).items() if isinstance(table, Table)}
        plain = {name: dict(table) for name, table in state.as_dict().items() if name in kept}
        ways: dict[str, tuple[Any, dict[str, Any]]] = {
            "kept": (state.lock, vars(state.tables).copy()),
            "dictionaries": (threading.RLock(), {"single": {"ids": 0}, "points": Plain()} | plain),
        }

        def take(way: str) -> None:
            state.lock, tables = ways[way]
            vars(state.tables).update(tables)

        def note(what: str, way: str, seconds: float) -> None:
            found.setdefault(what, {}).setdefault(way, []).append(seconds)

        talker = Talker(rehearsal.variables())
        for turn in range(turns):
            works = works_of(talker, f"run{turn}")
            for way in ways:
                take(way)
                talker.ask("PATCH", f"{HISTORY.format('e')}/runs/run{turn}", {})
            for number in range(100):
                for what, work in works.items():
                    for way in sorted(ways, reverse=bool(number % 2)):
                        take(way)
                        note(what, way, timed(lambda work=work, number=number: work(number)))  # type: ignore[misc]
            for way in sorted(ways, reverse=bool(turn % 2)):
                take(way)
                talkers = [Talker(rehearsal.variables()) for _ in range(10)]
                note("make a run, ten clients at once", way, at_once(talkers, f"{turn}") / 400)
        take("kept")
    print("| a request, median ms | kept | dictionaries | ratio |\n|---|---|---|---|")
    ratios = []
    for what, both in found.items():
        one, other = median(both["kept"]), median(both["dictionaries"])
        ratios.append(one / other)
        print(f"| {what} | {1000 * one:.2f} | {1000 * other:.2f} | {ratios[-1]:.2f} |")
    return [told("One request", max(ratios[:-1]), COST), told("A burst", ratios[-1], BURST)]


def works_of(talker: Talker, run: str) -> dict[str, Callable[[int], Any]]:
    """What clients ask most of all, of one run."""
    path = f"{HISTORY.format('e')}/runs/{run}"

    def point(number: int) -> None:
        sent = {"metricId": f"{number}", "data": {"loss": 0.5}, "createdUtc": "2024-01-01T00:00:00Z"}
        values = {"values": [{"name": "loss", "columns": {"loss": "Double"}, "value": [sent]}]}
        talker.ask("POST", f"/metric/v2.0SCOPE/runs/{run}/batch", values)

    def announce(number: int) -> None:
        paths = {"paths": [{"path": f"outputs/{number}.txt"}]}
        talker.ask("POST", f"/artifact/v2.0SCOPE/artifacts/batch/metadata/ExperimentRun/dcid.{run}", paths)

    return {
        "look at a run": lambda _: talker.ask("GET", path),
        "tag a run": lambda number: talker.ask("PATCH", path, {"tags": {"number": str(number)}}),
        "log a number": point,
        "announce a file": announce,
    }


def at_once(talkers: list[Talker], mark: str) -> float:
    """The seconds in which each makes 40 runs."""

    def burst(who: Talker) -> None:
        for number in range(40):
            who.ask("PATCH", f"{HISTORY.format('e')}/runs/{mark}-{id(who)}-{number}", {})

    # Processes of their own, as clients are.
    processes = [multiprocessing.get_context("fork").Process(target=burst, args=[who]) for who in talkers]

    def all_of_them() -> None:
        for process in processes:
            process.start()
        for process in processes:
            process.join()

    return timed(all_of_them)


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def told(what: str, figure: float, goal: float) -> bool:
    print(f"{what}: at most {goal}: {'reached' if figure <= goal else f'missed ({figure:.2f})'}", flush=True)
    return figure <= goal


if __name__ == "__main__":
    sys.exit(main())
