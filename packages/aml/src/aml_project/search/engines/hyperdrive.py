"""HyperDrive, the search of Azure ML's first generation: the trials are runs on a cluster, and the service draws them.

The id of a search is chosen here and noted before anything is sent, so that a call after an interruption finds what
is there: it follows a search that runs, and lets one that has ended go on with what is missing.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from aml_project import alone, patience, tools, work_folder
from aml_project.command_line import DONE, SERVICE_FAILED, Failure, Progress, note
from aml_project.files import write_whole
from aml_project.project import shown
from aml_project.search import azure_space, folder_of, hyperdrive_config, trials
from aml_project.search.definition import Search
from aml_project.search.engines import Order
from aml_project.search.followed import Followed
from aml_project.search.record import COMPLETE, FAILED, STOPPED, Record, Trial
from aml_project.values import Values

NAME, WHO = "hyperdrive", "HyperDrive"
MOST_PARENTS, MOST_INHERITED = 5, 1000  # earlier searches, and trials of all of them, that one can go on from


def lacks(search: Search) -> list[str]:
    return azure_space.lacks(search, WHO)


def kept_in(order: Order) -> Path:
    return folder_of(order.folder) / NAME


def run(order: Order) -> int:
    if order.write:
        return hyperdrive_config.write(order, order.write)
    if not order.on:
        raise Failure("hyperdrive: name a cluster: --on cpu-cluster")
    if order.search.per_gpu:
        note("per_gpu: HyperDrive gives each trial a node of its own; without effect")
    with alone.in_folder(kept_in(order), "search"):
        return Driver(order).run()


class Driver:
    """Submits a search once, follows its trials, and notes what becomes of them."""

    def __init__(self, order: Order) -> None:
        self.order, self.search = order, order.search
        self.folder = kept_in(order)
        self.note = self.folder / "searches.json"
        if order.fresh:
            self.begin_anew()
        self.record = Record(self.folder)
        self.followed = Followed(order.model, order.search, self.record)
        self.workspace: Any = None
        self.parent: Any = None
        self.told = {trial.number for trial in self.record.trials.values() if trial.is_over}

    # What is noted: the workspace, and the searches that were submitted from here, the newest last.

    def noted(self) -> dict[str, Any]:
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) and noted.get("searches") else {}

    def begin_anew(self) -> None:
        noted = self.noted()
        if noted and not noted.get("ended"):
            raise Failure(f"--fresh: {noted['searches'][-1]} may still run: end it first, with --stop")
        for entry in self.folder.iterdir():
            if entry.name != "lock":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def write_note(self, noted: dict[str, Any]) -> None:
        write_whole(self.note, json.dumps(noted))

    # The search in the workspace

    def run(self) -> int:
        try:
            self.connect()
            self.begin()
            if self.parent is None:
                return self.say_end()
            print(f"Search {self.parent.id} in experiment {self.parent.experiment.name}, on {self.order.on}\n"
                  f"{self.parent.get_portal_url()}", flush=True)  # fmt: skip
            if self.order.detach:
                print("Not waited for. To follow it: the same command without --detach; to end it: with --stop.")
                return DONE
            self.follow()
            return self.say_end()
        except KeyboardInterrupt:
            self.interrupted()

    def connect(self) -> None:
        from aml_project.service.workspace import open_workspace

        tools.bring("hyperdrive")
        self.workspace = open_workspace(self.order.root, debug=self.order.debug)
        import azureml.train.hyperdrive  # noqa: F401 # from here on, a run of a search is one of its class

    def begin(self) -> None:
        """Find the search that an earlier call has submitted, or submit one."""
        from aml_project.service.run_log import ENDED
        from aml_project.service.submission import find, scope

        noted = self.noted()
        if noted and noted["workspace"] != scope(self.workspace):
            raise Failure(f"{shown(self.note)}: is of another workspace: attach that one, or begin anew with --fresh")
        if noted:
            with Progress("Looking for the search of the earlier call"):
                self.parent = find(self.workspace, noted["searches"][-1])
            if self.parent is None and noted.get("ended"):
                raise Failure(f"{noted['searches'][-1]}: no longer in the workspace: begin anew with --fresh")
            if self.parent is None:  # it may still be on its way: the same id can't become two
                self.parent = self.submit(noted["searches"][-1], noted["searches"][:-1])
                return
            self.look()
            if self.parent.status not in ENDED:
                if noted.get("search") != self.fingerprint():
                    note(f"search.yml: has changed since {self.parent.id}, which goes on as it was; --stop ends it")
                print(f"Going on: {self.followed.progress()}", flush=True)
                return
        missing = self.search.trials - len(self.followed.over)
        searches = list(noted.get("searches", []))
        if searches and missing > 0 and self.search.algorithm == "grid":
            note("grid: HyperDrive begins it at its first combination; to do so again: --fresh")
            missing = 0
        if missing <= 0:
            self.parent = None
            return
        if searches:
            print(f"Going on: {self.followed.progress()}", flush=True)
        run_id = f"HD_{uuid.uuid4()}"
        self.write_note({"workspace": scope(self.workspace), "searches": [*searches, run_id],
                         "search": self.fingerprint()})  # fmt: skip
        self.parent = self.submit(run_id, searches)

    def fingerprint(self) -> str:
        return repr(self.search)

    def submit(self, run_id: str, earlier: list[str]) -> Any:
        """Send a search; whatever happens on the way, it is there once or not at all."""
        from azureml.core import Experiment

        from aml_project.service.asking import renewal
        from aml_project.service.errors import explain, is_no_refusal, status_in
        from aml_project.service.git_address import hide_git_password
        from aml_project.service.submission import NotKnown, find

        def passes(error: Exception) -> bool:
            return is_no_refusal(error) or status_in(error) == 409  # the client's own second try finds that it is there

        hide_git_password(self.order.folder)
        config = self.config(run_id, earlier)
        experiment = Experiment(self.workspace, self.order.experiment)
        with Progress("Submitting"):
            try:
                return patience.patient(
                    lambda: experiment.submit(config), passes=passes, renew=renewal(self.workspace),
                    find=lambda: find(self.workspace, run_id), makes="search",
                )  # fmt: skip
            except NotKnown:
                raise
            except Exception as error:
                raise Failure(f"not submitted: {explain(error)}", SERVICE_FAILED) from error

    def config(self, run_id: str, earlier: list[str]) -> Any:
        """The search as the client has it."""
        from azureml.core import RunConfiguration, ScriptRunConfig

        search = self.search
        run_config = RunConfiguration.load(str(self.order.folder), self.order.config)
        run_config.target = self.order.on
        if search.trial_minutes:
            run_config.max_run_duration_seconds = max(round(search.trial_minutes * 60), 1)
        missing = max(search.trials - len(self.followed.over), 1)
        source = ScriptRunConfig(source_directory=str(self.order.folder), run_config=run_config)
        more = {"resume_from": self.inherited(earlier) or None, "custom_run_id": run_id}
        return hyperdrive_config.configured(search, source, missing, **more)

    def inherited(self, earlier: list[str]) -> list[Any]:
        """The earlier searches that the service lets this one learn from: of the same metric, and not failed."""
        from aml_project.service.submission import find

        search = self.search
        found, room = list[Any](), MOST_INHERITED - search.trials
        for run_id in reversed(earlier):
            one = find(self.workspace, run_id)
            if one is None or one.status not in ("Completed", "Canceled"):
                continue
            config = one.hyperdrive_config
            is_alike = config._primary_metric_config == {"name": search.metric, "goal": search.goal}
            if search.algorithm == "bayesian":
                known = config._generator_config["parameter_space"]
                is_alike = is_alike and known == json.loads(json.dumps(hyperdrive_config.space_of(search)))
            room -= config._max_total_runs
            if room < 0 or len(found) == MOST_PARENTS:
                break
            if is_alike:
                found.append(one)
        return found

    # Its trials

    def follow(self) -> None:
        """Tell of each trial that has ended, until the search has."""
        from aml_project.service.run_log import ENDED

        began, spoke, status = patience.clock.now(), patience.clock.now(), ""
        while True:
            new = self.look()
            if self.parent.status in ENDED:
                self.write_note(self.noted() | {"ended": self.parent.status})
                return
            now = patience.clock.now()
            if not new and (self.parent.status != status or now - spoke > 15):
                said = f"{self.parent.status}: {now - began:.0f} s, {self.followed.progress()}"
                print(said, file=sys.stderr, flush=True)
            if new or self.parent.status != status or now - spoke > 15:
                spoke, status = now, self.parent.status
            patience.clock.sleep(min(1 + (now - began) / 60, 10))

    def look(self) -> bool:
        """Note what has become of the trials since the last look; whether any has ended."""
        from aml_project.service.asking import ask
        from aml_project.service.errors import explain, is_transient
        from aml_project.service.run_log import ENDED, PATIENCE, SLOWEST_RETRY, impatient

        impatient(self.parent)

        def once() -> bool:
            status = self.parent.get_status()  # before its trials: once it has ended, nothing of them changes
            known = {trial.run: trial for trial in self.record.trials.values()}
            children = sorted(self.parent.get_children(), key=lambda child: int(child.id.rpartition("_")[2]))
            new = False
            for child in children:
                trial = known.get(child.id) or self.begun(child)
                if not trial.is_over and child.status in ENDED:
                    new |= self.take(trial, child, status)
            return new

        try:
            return ask(
                self.workspace, once, pauses=patience.until(PATIENCE, 1, SLOWEST_RETRY),
                trouble=lambda error: note(f"{explain(error)}; the search goes on, and so does this"),
            )  # fmt: skip
        except Exception as error:
            if not is_transient(error):
                raise
            waited = f"{explain(error)}, for {PATIENCE // 60} minutes now"
            again = "the search goes on, and the same command again goes on following it"
            raise Failure(f"{waited}; {again}", SERVICE_FAILED) from error

    def begun(self, child: Any) -> Trial:
        started = str(child._run_dto.get("start_time_utc") or child._run_dto.get("created_utc") or "")
        return self.record.begun(self.record.next_number, self.values(child), started, child.id)

    def values(self, child: Any) -> Values:
        given = azure_space.values_in(child.tags)
        known = {parameter.name: parameter for parameter in self.search.parameters}
        return {name: azure_space.value_of(known[name], value) if name in known else value
                for name, value in given.items()}  # fmt: skip

    def take(self, trial: Trial, child: Any, status: str) -> bool:
        """Note a trial that has ended. One that was cut short with its search counts as never begun."""
        logged = child.get_metrics()
        trial.metrics = {name: float(value) for name, many in logged.items() if trials.is_number(value := last(many))}
        steps = logged.get(self.search.metric)
        if isinstance(steps, list):
            trial.steps = [(step, float(value)) for step, value in enumerate(steps) if trials.is_number(value)]
        has_value = self.search.metric in trial.metrics or bool(trial.steps)
        trial.seconds = seconds_of(child)
        if child.status == "Canceled":
            if status in ("CancelRequested", "Canceled"):
                return False
            if not trial.steps and has_value:
                trial.steps = [(0, trial.metrics[self.search.metric])]
            trial.state, trial.why = (STOPPED, "") if has_value else (FAILED, "canceled before it logged anything")
        elif child.status == "Failed":
            from aml_project.service.run_log import error_of

            said = error_of(child._client.get_runstatus())[1]
            trial.state, trial.why = FAILED, f"failed: {said[: work_folder.LONGEST]}"
        elif has_value:
            trial.state = COMPLETE
        else:
            has = ", ".join(sorted(trial.metrics)) or "no number"
            trial.state, trial.why = FAILED, f"logged no {self.search.metric} that is a number; it has {has}"
        self.record.over(trial)
        if self.search.fits(trial.values):
            self.followed.tell(trial)
        return True

    # Its end

    def interrupted(self) -> NoReturn:
        """Ask whether the search is to end as well; where nobody can answer, say how it does."""
        from aml_project.service.submission import find

        noted = self.noted()
        if not noted or noted.get("ended"):
            raise KeyboardInterrupt("Interrupted; the same command goes on.") from None
        goes_on = "The search goes on, if it was submitted"
        with contextlib.suppress(Exception, KeyboardInterrupt):  # then there is no telling
            if self.parent is None and self.workspace is not None:  # it was on its way
                self.parent = find(self.workspace, noted["searches"][-1])
        if self.parent is not None:
            goes_on = f"The search goes on: {self.followed.progress()}"
            if self.wants_its_end():
                self.cancel()
                raise KeyboardInterrupt("Ended; the same command goes on with what is missing.") from None
        raise KeyboardInterrupt(f"{goes_on}. To follow it: the same command again. To end it: with --stop.") from None

    def wants_its_end(self) -> bool:
        if not sys.stdin.isatty():
            return False
        try:
            answer = input("\nThe search goes on in the workspace. End it? [y/N] ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
        return answer.strip().lower() in ("y", "yes")

    def cancel(self) -> None:
        """End the search, and wait until it has ended."""
        from aml_project.service.asking import ask
        from aml_project.service.run_log import ENDED

        ask(self.workspace, self.parent.cancel)
        with Progress("Ending the search"):
            for _ in patience.looks(300, 1):
                if ask(self.workspace, self.parent.get_status) in ENDED:
                    break
        self.look()
        self.write_note(self.noted() | {"ended": self.parent.status})
        self.followed.write()

    def say_end(self) -> int:
        from aml_project.service import run_file
        from aml_project.service.run_log import error_of
        from aml_project.service.submission import find

        if not self.record.trials and self.parent is not None and self.parent.status == "Failed":
            said = error_of(self.parent._client.get_runstatus())[1]
            raise Failure(f"search {self.parent.id} failed: {said} (log: {self.parent.get_portal_url()})")
        self.followed.write()
        if self.parent is not None and len(self.followed.over) < self.search.trials:
            how = self.parent.status.lower()
            note(f"the search was {how}: {self.followed.progress()}; the same command goes on with what is missing"
                 if how == "canceled" else f"the search has {how}: {self.followed.progress()}")  # fmt: skip
        best = self.followed.say_best()
        kept = self.order.folder / "run.json"
        if (child := find(self.workspace, best.run)) is not None:
            run_file.write(kept, child)
            print(f"Its run is noted in {shown(kept)}. Next: make register MODEL={self.order.model}")
        return DONE


def last(many: Any) -> Any:
    return many[-1] if isinstance(many, list) and many else many


def seconds_of(child: Any) -> float:
    begin, end = (child._run_dto.get(name) for name in ("start_time_utc", "end_time_utc"))
    try:
        took = datetime.fromisoformat(str(end).rstrip("Z")[:26]) - datetime.fromisoformat(str(begin).rstrip("Z")[:26])
    except ValueError:
        return 0.0
    return round(max(took.total_seconds(), 0.0), 3)


def run_of(workspace: Any, folder: Path, trial: Trial) -> Any:  # noqa: ARG001 # NNI has to look for it
    from aml_project.service.submission import find

    return find(workspace, trial.run)


def refresh(order: Order) -> bool:
    """Bring the record up to date; whether the search runs."""
    from aml_project.service.run_log import ENDED
    from aml_project.service.submission import find

    if alone.holder(kept_in(order)) is not None:
        return True
    driver = Driver(order)
    noted = driver.noted()
    if not noted or noted.get("ended"):
        return False
    with alone.in_folder(driver.folder, "search"):
        driver.connect()
        driver.parent = find(driver.workspace, noted["searches"][-1])
        if driver.parent is None:
            return False
        driver.look()
        return driver.parent.status not in ENDED


def stop(order: Order) -> int:
    """End the search in the workspace."""
    from aml_project.service.run_log import ENDED
    from aml_project.service.submission import find

    driver = Driver(order)
    noted = driver.noted()
    if not noted or noted.get("ended"):
        raise Failure(f"no search of {order.model} is running in the workspace")
    driver.connect()
    driver.parent = find(driver.workspace, noted["searches"][-1])
    if driver.parent is None or driver.parent.get_status() in ENDED:
        raise Failure(f"no search of {order.model} is running in the workspace")
    from aml_project.service.asking import ask

    ask(driver.workspace, driver.parent.cancel)
    print(f"Ending {driver.parent.id}; its trials end with it. The same command without --stop goes on with it.")
    return DONE
