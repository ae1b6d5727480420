"""A search for hyperparameters: the runs that it starts, those that it ends early, and the best of them."""

from __future__ import annotations

import json
import math
import shlex
import threading
import time
from collections.abc import Callable
from typing import Any

from aml_rehearsal import azurite, nodes, sampling
from aml_rehearsal.messages import Refusal
from aml_rehearsal.sampling import Point, Sampler
from aml_rehearsal.services import execution, metrics
from aml_rehearsal.services.datastores import ARTIFACT_STORE
from aml_rehearsal.services.history import new_run
from aml_rehearsal.state import FINAL, Record, now, set_status
from aml_rehearsal.stopping import Policy
from aml_rehearsal.workspace import Workspace

LOG = "azureml-logs/hyperdrive.txt"
BEAT = 0.1  # seconds between two looks at the runs
MINUTE = 60.0
BEST = "best_child_by_primary_metric"  # the table in which the client finds the best run
COLUMNS = {
    "metric_name": "String",
    "timestamp": "String",
    "run_id": "String",
    "metric_value": "Double",
    "final": "Boolean",
}
SYSTEM = "_aml_system_"
KEPT = (  # of the wish, where the client finds it again
    *("max_concurrent_jobs", "max_total_jobs", "max_duration_minutes"),
    *("policy_config", "generator_config", "primary_metric_config", "platform_config"),
)
RESUME = "resume_from"  # where a run finds what an earlier one has kept
LIMITS = {"max_total_jobs": 1000, "max_concurrent_jobs": 100, "max_duration_minutes": 43200}
# How a search starts a run: by the run's id and its hyperparameters; of an earlier run, if it goes on from that.
Trial = Callable[[str, Point, "Record | None"], None]


def check(workspace: Workspace, wish: Record, trial: Trial | None = None) -> None:
    """Refuse what is no search, or one whose runs could not run; who starts those itself has looked at them."""
    for name, most in LIMITS.items():
        if not 1 <= int(wish.get(name) or 0) <= most:
            raise Refusal(400, f"{name} is from 1 to {most}, not {wish.get(name)}.")
    metric = wish["primary_metric_config"]
    if not metric.get("name") or str(metric.get("goal")).lower() not in {"maximize", "minimize"}:
        raise Refusal(400, f"The primary metric has a name and a goal, maximize or minimize, not {json.dumps(metric)}.")
    for key in [*(wish.get("resume_from") or []), *(wish.get("resume_child_runs") or [])]:
        if key["run_id"] not in workspace.state.tables.runs:
            raise Refusal(400, f"There is no run {key['run_id']} to go on from.")
    sampling.check(wish["generator_config"]["name"].lower(), wish["generator_config"]["parameter_space"])
    Policy(wish["policy_config"], maximize=True)
    if trial:
        return
    definition = wish["platform_config"]["Definition"]
    configuration = definition["Overrides"]
    if definition.get("SnapshotId") not in workspace.state.tables.snapshots:
        raise Refusal(400, f"Snapshot {definition.get('SnapshotId')} was not found")
    if configuration["target"] == "local":
        raise Refusal(400, "Automated hyperparameter tuning is not supported on this computer.")
    execution.check_compute(workspace, configuration["target"], int(configuration["nodeCount"]))


def begin(
    workspace: Workspace,
    experiment: str,
    wish: Record,
    run_id: str = "",
    *,
    parent: Record | None = None,
    name: str | None = None,
    trial: Trial | None = None,
) -> Record:
    """Check a search, make its run and let it go."""
    run_id = run_id or f"HD_{workspace.state.new_id()}"
    if run_id in workspace.state.tables.runs:
        raise Refusal(409, f"Run {run_id} exists", "RunExists")
    check(workspace, wish, trial)
    search = Search(workspace, experiment, run_id, wish, trial)
    definition = wish["platform_config"]["Definition"]
    run = new_run(workspace, experiment, run_id, runType="hyperdrive", name=name)
    run["target"] = (definition.get("Overrides") or {}).get("target")
    if parent:
        run |= {"parentRunId": parent["runId"], "rootRunId": parent["rootRunId"]}
    run["tags"] |= tags(wish)
    run["properties"] |= {
        "primary_metric_config": compact(wish["primary_metric_config"]),
        "resume_from": compact(wish.get("resume_from")),
        "resume_child_runs": compact(wish.get("resume_child_runs")),
        "runTemplate": "HyperDrive",
        "azureml.runsource": "hyperdrive",
        "platform": wish["platform"],
        "ContentSnapshotId": definition.get("SnapshotId") or "",
        "space_size": sampling.size(wish["generator_config"]["parameter_space"]),
    }
    set_status(run, "Running")
    search.start()
    return run


def tags(wish: Record) -> dict[str, str]:
    """What the client makes its configuration of again; older clients ask without the prefix."""
    texts = {name: text if isinstance(text := wish[name], str) else compact(text) for name in KEPT}
    texts |= {"all_jobs_generated": "false", "cancellation_requested": "false"}
    return texts | {SYSTEM + name: text for name, text in texts.items()}


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


class Search:
    """One search, from its first run to its last."""

    def __init__(
        self, workspace: Workspace, experiment: str, run_id: str, wish: Record, trial: Trial | None = None
    ) -> None:
        self.workspace, self.experiment, self.run_id, self.wish = workspace, experiment, run_id, wish
        self.trial = trial or self.script
        self.metric = wish["primary_metric_config"]["name"]
        self.maximize = str(wish["primary_metric_config"]["goal"]).lower() == "maximize"
        generator = wish["generator_config"]
        seed = str(generator.get("seed") or run_id)
        self.sampler = Sampler(generator["name"], generator["parameter_space"], seed, maximize=self.maximize)
        self.policy = Policy(wish["policy_config"], maximize=self.maximize)
        self.points: dict[str, Point] = {}  # by the run that tries it
        self.inherited = {name: point for key in wish.get("resume_from") or [] for name, point in self.tried(key)}
        self.resumed = [key["run_id"] for key in wish.get("resume_child_runs") or []]  # that are still to go on
        self.seen = -1  # of the changes to the workspace
        self.best: tuple[str, float] | None = None
        self.complete = False  # every run that there is to be was started
        self.ending: tuple[str, str] | None = None  # the status and the reason of a search that ends before
        self.over = time.monotonic() + float(wish["max_duration_minutes"]) * MINUTE

    def start(self) -> None:
        thread = threading.Thread(target=self.run, daemon=True)
        self.workspace.nodes.append(thread)
        thread.start()

    def run(self) -> None:
        try:
            if self.sampler.method == "bayesianoptimization":
                self.say("GENERATOR", "A rehearsal has no Gaussian process: it draws by chance, later near the best.")
            while self.step():
                time.sleep(BEAT)
        except Exception as error:
            reason = str(error) if isinstance(error, Refusal) else f"The search failed: {error!r}"
            with self.workspace.state.lock:
                for run in self.children():
                    set_status(run, "CancelRequested")
                set_status(self.parent, "Failed", reason)

    @property
    def parent(self) -> Record:
        return self.workspace.state.tables.runs[self.run_id]

    def children(self) -> list[Record]:
        return [self.workspace.state.tables.runs[name] for name in self.points]

    def step(self) -> bool:
        """Look at the runs once; tell whether there is more to do."""
        with self.workspace.state.lock:
            if self.seen == self.workspace.state.lock.changes and time.monotonic() < self.over:
                return True
            self.seen = self.workspace.state.lock.changes
            runs = self.children()
            running = [run for run in runs if run["status"] not in FINAL]
            self.ending = self.ending or self.why_to_end(runs, running)
            if self.ending:
                for run in running:
                    set_status(run, "CancelRequested")
            else:
                self.judge([run["runId"] for run in running])
                while not self.complete and len(running) < int(self.wish["max_concurrent_jobs"]):
                    running += self.started()
            self.note_best()
            if not running:
                self.end()
            return bool(running)

    def why_to_end(self, runs: list[Record], running: list[Record]) -> tuple[str, str] | None:
        """The status and the reason of a search that ends before all its runs have ended."""
        if self.parent["status"] == "CancelRequested":
            return "Canceled", ""
        if time.monotonic() > self.over and (running or not self.complete):
            self.say("CONTROLLER", f"The search took longer than {self.wish['max_duration_minutes']} minutes.")
            return "Canceled", ""
        first = runs[:3]
        if len(first) == 3 and all(run["status"] == "Failed" for run in first):
            said = "The first 3 jobs have failed. The system is canceling the experiment."
            return "Failed", f"{said} Please resolve the issues before resubmitting the experiment."
        return None

    def started(self) -> list[Record]:
        """Start the next run; none where the search has had all of them."""
        earlier, point = self.next_point() if len(self.points) < int(self.wish["max_total_jobs"]) else (None, None)
        if point is None:
            self.complete = True
            self.parent["tags"] |= {SYSTEM + "all_jobs_generated": "true", "all_jobs_generated": "true"}
            self.say("GENERATOR", f"All jobs are generated: {len(self.points)}.")
            return []
        run_id, text = f"{self.run_id}_{len(self.points)}", json.dumps(point)
        self.trial(run_id, point, earlier)
        run = self.workspace.state.tables.runs[run_id]
        run |= {"parentRunId": self.run_id, "rootRunId": self.parent["rootRunId"]}
        run["tags"] |= {SYSTEM + "hyperparameters": text, "hyperparameters": text}
        self.parent["tags"] |= {SYSTEM + run_id: text, run_id: text}
        self.points[run_id] = point
        self.say("SCHEDULER", f"Job {run_id} is scheduled: {text}")
        return [run]

    def next_point(self) -> tuple[Record | None, Point | None]:
        """What to try next: first what earlier runs have tried that are to go on, then what the sampler draws."""
        if self.resumed:
            earlier = self.workspace.state.tables.runs[self.resumed.pop(0)]
            return earlier, json.loads(earlier["tags"]["hyperparameters"])
        return None, self.sampler.next(self.results())

    def script(self, run_id: str, point: Point, earlier: Record | None) -> None:
        """Start a run of a script or a command, which takes hyperparameters as options."""
        definition = self.wish["platform_config"]["Definition"]
        configuration = dict(definition["Overrides"])
        given = [part for name, value in point.items() for part in (option(name), str(value))]
        if earlier:
            path = f"ExperimentRun/{earlier['dataContainerId']}/outputs"
            place = {"dataStoreName": ARTIFACT_STORE, "mode": "download", "pathOnDataStore": path}
            configuration["dataReferences"] = (configuration.get("dataReferences") or {}) | {RESUME: place}
            given += ["--resume-from", f"$AZUREML_DATAREFERENCE_{RESUME}"]
        command = configuration.get("command")
        if command:
            words = command if isinstance(command, list) else [command]
            configuration["command"] = " ".join([*map(str, words), *map(shlex.quote, given)])
        else:
            configuration["arguments"] = [*(configuration["arguments"] or []), *given]
        job = execution.accept(self.workspace, self.experiment, run_id, configuration)
        run = self.workspace.state.tables.runs[run_id]
        run["properties"]["ContentSnapshotId"] = definition["SnapshotId"]
        nodes.start(self.workspace, job, self.workspace.state.tables.snapshots[definition["SnapshotId"]])

    def tried(self, key: Record) -> list[tuple[str, Point]]:
        """The runs of an earlier search, with what they have tried."""
        runs = self.workspace.state.tables.runs
        children = [runs[name] for name in runs.keys_where(parentRunId=key["run_id"])]
        return [(run["runId"], json.loads(run["tags"]["hyperparameters"])) for run in children]

    def logged(self, run_id: str) -> list[float]:
        """What a run has logged of the primary metric; what is no number is neither better nor worse than others."""
        return [value for value in metrics.numbers(self.workspace, run_id, self.metric) if not math.isnan(value)]

    def histories(self) -> dict[str, list[float]]:
        """What each run has logged of the primary metric."""
        return {name: self.logged(name) for name in self.points}

    def results(self) -> list[tuple[Point, float]]:
        """What was tried, here and in the searches that this one goes on from, and what it came to."""
        better, points = max if self.maximize else min, self.inherited | self.points
        known = {name: self.logged(name) for name in points}
        return [(points[name], better(values)) for name, values in known.items() if values]

    def judge(self, running: list[str]) -> None:
        """Let the policy end what lags behind."""
        for run_id in self.policy.ended(self.histories(), running):
            set_status(self.workspace.state.tables.runs[run_id], "CancelRequested")
            self.say("ENFORCER", f"Job {run_id} is cancelled by the policy {self.wish['policy_config']['name']}.")

    def note_best(self) -> None:
        """Keep the best run where the client looks for it."""
        better = max if self.maximize else min
        found = {name: better(values) for name, values in self.histories().items() if values}
        if not found:
            return
        name = better(found, key=lambda run: found[run])
        if self.best is None or better(found[name], self.best[1]) != self.best[1]:
            self.best = (name, found[name])
            self.log_best(final=False)

    def log_best(self, *, final: bool) -> None:
        assert self.best is not None
        name, value = self.best
        row = {"metric_name": self.metric, "timestamp": now(), "run_id": name, "metric_value": value, "final": final}
        metrics.log_row(self.workspace, self.run_id, BEST, COLUMNS, row)

    def end(self) -> None:
        """Say how it went."""
        kept = self.parent["properties"]
        if self.best:
            self.log_best(final=True)
            name, value = self.best
            kept |= {"best_child_run_id": name, "score": str(value), "best_metric_status": "Succeeded"}
            kept["best_data_container_id"] = f"dcid.{name}"
        else:
            kept["best_metric_status"] = "Failed"
            self.say("CONTROLLER", f"No job has logged the primary metric '{self.metric}': none is the best.")
        failed = any(run["status"] == "Failed" for run in self.children())
        usual = ("Failed", "User errors were found in at least one of the child runs.") if failed else ("Completed", "")
        status, reason = self.ending or usual
        self.say("CONTROLLER", f"The search is {status}. {reason}".strip())
        set_status(self.parent, status, reason)

    def say(self, part: str, text: str) -> None:
        """A line of the log that the client shows while it waits."""
        record = f"ExperimentRun/dcid.{self.run_id}/{LOG}"
        self.workspace.blobs.append(azurite.ARTIFACTS, record, f"[{now()}][{part}][INFO]{text}\n".encode())
        with self.workspace.state.lock:
            self.workspace.state.tables.artifacts.setdefault(record, {"createdTime": now()})


def option(name: str) -> str:
    """How a script gets a hyperparameter."""
    return name if name.startswith("-") else f"--{name}"
