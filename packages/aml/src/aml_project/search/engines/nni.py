"""NNI, on this computer or on a cluster, in an environment of its own: .venv/.nni.

What `nnictl create --config` takes lies in outputs/search/nni/ and works by itself. NNI keeps its experiment there: a
search that was killed goes on by `nnictl resume`, which begins what was cut short again with the same values.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from aml_project import alone, work_folder
from aml_project.command_line import DONE, Failure
from aml_project.kill_points import reached
from aml_project.project import shown
from aml_project.search import folder_of, nni_files, nni_space, trials
from aml_project.search.definition import Search
from aml_project.search.engines import Order
from aml_project.search.followed import Followed
from aml_project.search.nni_environment import environment, python_in
from aml_project.search.nni_server import FINAL, Server, read_text
from aml_project.search.record import COMPLETE, FAILED, Record, Trial

ENDED = ("DONE", "ERROR", "STOPPED")
TICK = 1.0  # seconds between two looks
PATIENCE = 15  # looks: of an experiment that goes on, it says for a while that it is done


def kept_in(order: Order) -> Path:
    return folder_of(order.folder) / "nni"


def lacks(search: Search) -> list[str]:
    return nni_space.lacks(search)


def refresh(order: Order) -> bool:
    return alone.holder(kept_in(order)) is not None


def stop(order: Order) -> int:
    from aml_project.search.engines import local

    return local.end(kept_in(order), order.model)


def run(order: Order) -> int:
    if order.write:
        raise Failure(f"nni: what nnictl takes has files beside it: make search writes all to {shown(kept_in(order))}")
    with alone.in_folder(kept_in(order), "search"), alone.interruptible():
        if order.fresh:
            begin_anew(kept_in(order))
        place = environment(order.root, with_client=bool(order.on))
        return (ClusterDriver if order.on else Driver)(order, place).run()


def begin_anew(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name != "lock":
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


class Driver:
    """Starts NNI, follows its trials by what its server says, and ends it with the search."""

    def __init__(self, order: Order, place: Path) -> None:
        self.order, self.search = order, order.search
        self.folder = kept_in(order)
        self.record, self.server = Record(self.folder), Server(self.folder, place)
        self.followed = Followed(order.model, order.search, self.record)

    def run(self) -> int:
        nni_files.write(self.order, self.folder, python_in(self.server.environment))
        missing = self.search.trials - len(self.followed.over)
        if missing > 0 and self.followed.over:
            print(f"Going on: {self.followed.progress()}", flush=True)
        try:
            self.before()
            if missing > 0:
                all_over = sum(trial.is_over for trial in self.record.trials.values())  # of another search.yml as well
                with self.server.running(all_over + missing, self.search.seed):
                    self.follow()
        except KeyboardInterrupt:
            self.followed.write()
            raise KeyboardInterrupt(f"Interrupted: {self.followed.progress()}; the same command goes on.") from None
        finally:
            self.after()
        self.followed.write()
        self.say_end()
        return DONE

    def before(self) -> None:
        """What is to be done before NNI starts, if anything."""

    def after(self) -> None:
        """What is to be done once it has ended."""

    # Its trials

    def follow(self) -> None:
        idle = 0
        while True:
            state = self.server.ask("/check-status")
            jobs = self.server.ask("/trial-jobs")
            if not jobs:
                self.server.refuse_dead_tuner()
            for job in sorted(jobs, key=lambda job: int(job["sequenceId"])):
                self.look(job)
            if state["errors"]:
                raise Failure(f"NNI ended with an error: {' '.join(str(state['errors'][0]).split())}")
            is_over = state["status"] in ENDED and all(job["status"] in FINAL for job in jobs)
            idle = idle + 1 if is_over else 0
            if idle > PATIENCE:
                return
            if len(self.followed.over) >= self.search.trials:
                return
            time.sleep(TICK)

    def look(self, job: dict[str, Any]) -> None:
        known = {trial.run: trial for trial in self.record.trials.values()}
        trial = known.get(job["trialJobId"]) or self.begun(job)
        if trial is None or trial.is_over or job["status"] not in FINAL:
            return
        reached("after trial ends")
        place = self.folder / "trials" / job["trialJobId"]
        final = job.get("finalMetricData") or []
        trial.state = FINAL[job["status"]]
        if job.get("startTime") and job.get("endTime"):
            trial.seconds = round((job["endTime"] - job["startTime"]) / 1000, 3)
        trial.steps = trials.Steps(place / trials.STEPS_FILE).new(self.search.metric)
        with contextlib.suppress(ValueError):
            trial.metrics = trials.read_metrics(place / "outputs" / "metrics.json")
        if final and self.search.metric not in trial.metrics:
            trial.metrics[self.search.metric] = float(json.loads(json.loads(final[-1]["data"])))
        if trial.state == FAILED or (trial.state == COMPLETE and not final):
            trial.state, trial.why = FAILED, self.why(place)
        self.put(place, trial)
        self.record.over(trial)
        self.followed.tell(trial)

    def begun(self, job: dict[str, Any]) -> Trial | None:
        if not job.get("hyperParameters"):
            return None
        drawn = json.loads(job["hyperParameters"][0])["parameters"]
        started = datetime.fromtimestamp(job.get("startTime", 0) / 1000, timezone.utc).isoformat(timespec="seconds")
        values = nni_space.values_of(drawn, self.search)
        return self.record.begun(self.record.next_number, values, started, job["trialJobId"])

    def put(self, place: Path, trial: Trial) -> None:
        """Leave of a trial's folder what it has made, under its number."""
        if place.is_dir():
            trials.unlink(place)
            final = trials.place_of(self.folder, trial.number)
            if not final.exists():
                place.rename(final)

    def why(self, place: Path) -> str:
        said = next((line for line in reversed(work_folder.tail(place / "log.txt")) if line.strip()), "")
        if not said:
            return "failed before train.py began"
        try:
            trials.read_metrics(place / "outputs" / "metrics.json")
        except ValueError as error:
            return f"{error}: {said.strip()[: work_folder.LONGEST]}"
        return f"failed: {said.strip()[: work_folder.LONGEST]}"

    # Its end

    def say_end(self) -> Trial:
        if len(self.followed.over) < self.search.trials:
            is_grid = self.search.algorithm == "grid"
            over = "the grid has no more" if is_grid else "hours are over; the same command goes on"
            print(f"{self.followed.progress()}: {over}.")
        return self.followed.say_best()


class ClusterDriver(Driver):
    """NNI's training service for Azure ML: its runner is a run on the cluster, and each trial a child of that run."""

    def __init__(self, order: Order, place: Path) -> None:
        super().__init__(order, place)
        self.workspace: Any = None

    def before(self) -> None:
        from aml_project.service.workspace import open_workspace

        self.workspace = open_workspace(self.order.root, debug=self.order.debug)
        self.after()

    def after(self) -> None:
        """End the runs of a call that was killed, even if no trial is missing: they would wait ten minutes."""
        from azureml.core import Run

        from aml_project.service.asking import ask
        from aml_project.service.run_log import ENDED

        for run in submitted(self.workspace, self.folder) if self.workspace else ():
            if ask(self.workspace, run.get_status) not in ENDED:
                ask(self.workspace, partial(Run.cancel, run))  # its class would look for the folder of its submission

    def why(self, place: Path) -> str:  # noqa: ARG002
        return "failed: its run in the workspace says why"

    def say_end(self) -> Trial:
        from aml_project.service import run_file

        best = super().say_end()
        if self.workspace is not None and (run := run_of(self.workspace, self.folder, best)) is not None:
            kept = self.order.folder / "run.json"
            run_file.write(kept, run)
            print(f"Its run is noted in {shown(kept)}. Next: make register MODEL={self.order.model}")
        return best


def submitted(workspace: Any, folder: Path) -> list[Any]:
    """The runs of NNI's runners, the newest last."""
    from aml_project.service.submission import find

    found = [find(workspace, run_id) for run_id in read_text(folder / nni_files.RUNS).split()]
    return [run for run in found if run is not None]


def run_of(workspace: Any, folder: Path, trial: Trial) -> Any:
    """A trial that was cut short may have another run of before."""
    there = [run for one in submitted(workspace, folder) for run in one.get_children(tags={"nni_trial": trial.run})]
    return max(there, key=lambda run: run.status == "Completed", default=None)
