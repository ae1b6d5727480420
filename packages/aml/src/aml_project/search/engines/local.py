"""Optuna, on this computer: it says what to try, and each trial is a process in the model's environment."""

from __future__ import annotations

import contextlib
import errno
import importlib
import queue
import shutil
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aml_project import alone, tools, work_folder
from aml_project.command_line import DONE, Failure, note
from aml_project.kill_points import reached
from aml_project.project import shown
from aml_project.search import RECORD, by_chance, folder_of, record, results, trials
from aml_project.search.definition import Search
from aml_project.search.engines import Order
from aml_project.search.mlflow_runs import Tracking
from aml_project.search.page_process import PAGE, PageProcess
from aml_project.search.record import FAILED, STOPPED, Record, Trial
from aml_project.search.results import TABLE
from aml_project.values import Values

if TYPE_CHECKING:
    from aml_project.search.sampling import Study

# What knows Optuna and scikit-learn: to import them takes longer than all else before the first trial.
OPTUNA, GAUSSIAN = "aml_project.search.sampling", "aml_project.search.gaussian"
COMBINATIONS = "combinations.csv"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # no room on the disk, or not for this user
TICK = 0.25  # seconds between two looks at what the trials log
TABLE_EVERY = 10.0  # seconds


def lacks(search: Search) -> list[str]:  # noqa: ARG001 # it has all that search.yml can say
    return []


def run(order: Order) -> int:
    script = trials.script_of(order.root, order.model)
    if order.words is not None:
        script.data = list(order.words)
    tools.bring("search")
    folder = kept_in(order)
    with alone.in_folder(folder, "search"), alone.interruptible():
        if order.fresh:
            begin_anew(order)
        return Driver(order, script, Record(folder)).run()


def kept_in(order: Order) -> Path:
    return order.kept or folder_of(order.folder)


def refresh(order: Order) -> bool:
    """The record is always up to date here."""
    return alone.holder(kept_in(order)) is not None


def run_of(workspace: Any, folder: Path, trial: Trial) -> Any:  # noqa: ARG001
    return None


def stop(order: Order) -> int:
    return end(kept_in(order), order.model)


def end(folder: Path, model: str) -> int:
    """End the search of a folder as Ctrl-C does, and wait until it is gone."""
    if not alone.end(folder):
        raise Failure(f"no search of {model} is running here")
    print(f"The search of {model} has ended; the same command without --stop goes on with it.")
    return DONE


def begin_anew(order: Order) -> None:
    folder = kept_in(order)
    if count := len(Record(folder).trials):
        print(f"--fresh: {count} earlier trials are removed", flush=True)
    for place in folder.glob("trials/*"):
        work_folder.end_leftover(place)
    for name in (RECORD, "mlflow-run.txt"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "trials", ignore_errors=True)


class Driver:
    """Starts trials, watches them, and notes what becomes of them, until there are as many as are wanted."""

    def __init__(self, order: Order, script: trials.Script, kept: Record) -> None:
        self.search, self.script, self.record = order.search, script, kept
        mine = kept.of(self.search)
        self.again = [trial for trial in mine if not trial.is_over]  # what a kill or Ctrl-C has cut short
        self.over = [trial for trial in mine if trial.is_over]
        self.earlier = tuple(self.over)
        self.learned: Study | None = None
        self.untold: list[Callable[[Study], object]] = []  # what it is to know before it is asked
        self.first = {} if mine else by_chance.first_values(self.search, kept.next_number)
        self.tracking, self.page = Tracking(script, kept.folder), PageProcess()
        self.running: dict[int, trials.Running] = {}
        self.ended: queue.SimpleQueue[trials.Running] = queue.SimpleQueue()
        self.unwritten: list[Trial] = []  # results for which the disk had no room
        self.no_room: OSError | None = None
        self.ahead: tuple[int, Values] | None = None  # the next trial, by its number
        self.no_more = False  # of a grid
        self.standing = record.Standing(self.search, self.over)
        self.table_written = time.monotonic()
        self.ends = time.monotonic() + self.search.hours * 3600 if self.search.hours else None
        gpus, per_gpu = trials.gpus(), self.search.per_gpu
        if per_gpu and not gpus:
            note("per_gpu: there is no GPU here; without effect")
        self.gpus = gpus
        self.slots = min(self.search.parallel, len(gpus) * per_gpu) if gpus and per_gpu else self.search.parallel
        if self.slots < self.search.parallel:
            note(
                f"parallel: {self.slots} at a time, per_gpu {per_gpu} on {len(gpus)} GPU{'s' if len(gpus) > 1 else ''}"
            )

    def run(self) -> int:
        try:
            self.begin()
            if self.again or len(self.over) < self.search.trials:
                self.tracking.begin()
            self.go_on()
        except KeyboardInterrupt:
            self.end_all()
            self.write_results()
            raise KeyboardInterrupt(f"Interrupted: {self.progress()}; the same command goes on.") from None
        except BaseException:
            self.end_all()
            self.page.end()
            raise
        self.write_results()
        return self.say_end()

    def study(self) -> Study:
        """What draws and judges, told of all that is known. The first trials begin without it."""
        if self.learned is None:
            self.learned = importlib.import_module(OPTUNA).Study(self.search, self.earlier)
        for tell in self.untold:
            tell(self.learned)
        self.untold.clear()
        return self.learned

    def begin(self) -> None:
        """Take up what was there before."""
        before = len(self.record.trials)
        if other := before - len(self.over) - len(self.again):
            fit = before - other
            note(
                f"search.yml: has changed since: {fit} of {before} earlier trials still fit and count; {other}"
                f" {'does' if other == 1 else 'do'} not, and {'stays' if other == 1 else 'stay'} in the list alone"
            )
        for trial in list(self.again):
            place = trials.place_of(self.record.folder, trial.number)
            work_folder.end_leftover(place)
            if work_folder.ended_well(place):
                self.again.remove(trial)
                self.enter(trial.number, trial.values)
                trial.steps = trials.Steps(place / trials.STEPS_FILE).new(self.search.metric)
                self.take(trials.judge(self.search, place, trial, 0))
                trials.unlink(place)
        if before:
            cut = f", {len(self.again)} that {'was' if len(self.again) == 1 else 'were'} cut short again" * bool(
                self.again
            )
            print(f"Going on: {self.progress()}{cut}", flush=True)

    def go_on(self) -> None:
        self.start_more()
        if self.running:
            threading.Thread(target=self.import_what_draws, daemon=True).start()
            self.page.begin()
        while self.running:
            self.draw_ahead()
            self.sync()
            with contextlib.suppress(queue.Empty):
                ended = self.ended.get(timeout=TICK)
                self.start_more()  # before it is looked at what this one has left
                self.finish(ended)
            self.look()
            if self.time_is_up:
                break
            self.start_more()
        self.end_all()
        self.write_unwritten()
        self.sync()
        if self.no_room:
            raise self.full(self.no_room)

    def import_what_draws(self) -> None:
        """Have it while the first trials run; who needs it waits, and tells what is wrong with it."""
        with contextlib.suppress(Exception):
            importlib.import_module(OPTUNA)
            if self.search.algorithm == "bayesian":
                importlib.import_module(GAUSSIAN)

    @property
    def time_is_up(self) -> bool:
        return self.ends is not None and time.monotonic() > self.ends

    @property
    def at_work(self) -> list[trials.Running]:
        """Those whose processes have not ended."""
        return [running for running in self.running.values() if not running.ended]

    def sync(self) -> None:
        try:
            self.record.sync()
        except OSError as error:
            raise self.full(error) from None

    def full(self, error: OSError) -> Failure:
        free = "make room, then the same command goes on"
        return Failure(f"{shown(self.record.folder)}: {error.strerror}: {free}")

    def start_more(self) -> None:
        self.write_unwritten()
        while len(at_work := self.at_work) < self.slots and not self.unwritten and (trial := self.next()):
            loads = [running.gpu for running in at_work]
            gpu = min(self.gpus, key=loads.count) if self.gpus else None
            try:
                started = trials.start(
                    self.script, self.record.folder, trial, gpu, self.tracking.of_trial(trial.number)
                )
            except OSError as error:
                self.again.insert(0, trial)  # once another one has made room
                self.tell_over(Trial(trial.number, trial.values, FAILED))
                self.no_room = error
                if error.errno not in FULL:
                    raise Failure(f"{error.filename or shown(self.record.folder)}: {error.strerror}") from None
                return
            self.no_room = None
            self.running[trial.number] = started
            threading.Thread(target=self.wait_for, args=(started,), daemon=True).start()

    def next(self) -> Trial | None:
        """The next trial, noted before anything of it runs."""
        if self.time_is_up:
            return None
        if self.again:
            trial = self.again.pop(0)
            self.enter(trial.number, trial.values)
            return trial
        if len(self.over) + len(self.running) >= self.search.trials:
            return None
        self.draw_ahead()
        if self.ahead is None:
            return None
        (number, values), self.ahead = self.ahead, None
        return self.note(number, values)

    def draw_ahead(self) -> None:
        """Have the values of the next new trial: to draw them takes time, in which the others run."""
        if self.ahead or self.no_more or len(self.over) + len(self.running) >= self.search.trials:
            return
        number = self.record.next_number
        if number in self.first:
            values: Values | None = self.first[number]
            self.enter(number, self.first[number])
        else:
            values = self.study().propose(number)
        self.ahead, self.no_more = (number, values) if values is not None else None, values is None

    def enter(self, number: int, values: Values) -> None:
        self.untold.append(lambda study: study.enter(number, values))

    def tell_over(self, trial: Trial) -> None:
        self.untold.append(lambda study: study.over(trial))

    def note(self, number: int, values: Values) -> Trial | None:
        try:
            return self.record.begun(number, values, datetime.now(timezone.utc).isoformat(timespec="seconds"))
        except OSError as error:
            self.tell_over(Trial(number, values, FAILED))
            if error.errno not in FULL:
                raise
            self.no_room = error
            return None

    def wait_for(self, running: trials.Running) -> None:
        running.process.wait()
        running.kill()  # what it has started: the next one is to have its place
        running.ended = time.monotonic()
        self.ended.put(running)

    def look(self) -> None:
        """See what the trials have logged, and end those that are to end."""
        for running in self.running.values():
            limit = self.search.trial_minutes
            if running.asked_to_end:
                if time.monotonic() - running.asked_to_end > work_folder.GRACE:
                    running.kill()
            elif self.follow(running):
                running.stopped_early = True
                running.end()
            elif limit and time.monotonic() - running.began > limit * 60:
                running.too_long = True
                running.end()

    def follow(self, running: trials.Running) -> bool:
        """Take what a trial has logged since the last look; say whether it is to end with it."""
        new = running.steps.new(self.search.metric)
        running.trial.steps += new
        due = [self.study().ends_early(running.trial.number, step, value) for step, value in new]  # it is told of each
        return any(due)

    def finish(self, running: trials.Running) -> None:
        """Note what has become of a trial whose process has ended."""
        reached("after trial ends")
        trial = running.trial
        self.follow(running)
        running.close()
        del self.running[trial.number]
        trial.seconds = round(running.ended - running.began, 3)
        if running.too_long:
            trial.state, trial.why = FAILED, f"took longer than trial-minutes: {self.search.trial_minutes:g}"
        elif running.stopped_early:
            trial.state = STOPPED
        else:
            trials.judge(self.search, running.folder, trial, running.process.returncode)
        if trial.state == FAILED:
            trials.free(running.folder)
        self.take(trial)

    def take(self, trial: Trial) -> None:
        self.over.append(trial)
        self.tell_over(trial)
        self.unwritten.append(trial)
        self.write_unwritten()
        is_best = self.standing.take(trial)
        counted = f"{len(self.over)}/{self.search.trials}"
        print(f"{counted:>9}  {results.line_of(trial, self.search, True, is_best)}"
              f"{self.best_so_far()}", flush=True)  # fmt: skip
        if time.monotonic() - self.table_written > TABLE_EVERY:
            self.write_table()

    def write_unwritten(self) -> None:
        while self.unwritten:
            try:
                self.record.over(self.unwritten[0])
            except OSError as error:
                if error.errno not in FULL:
                    raise
                self.no_room = error
                return
            self.no_room = None
            self.unwritten.pop(0)

    def best_so_far(self) -> str:
        return results.best_so_far(self.standing.leading, self.standing.value)

    def end_all(self) -> None:
        """End what runs; the record keeps it as begun, and the same command begins it again."""
        work_folder.end_all(list(self.running.values()))
        self.running.clear()

    def progress(self) -> str:
        return results.progress(len(self.over), self.search, self.standing.leading, self.standing.value)

    def write_table(self) -> None:
        everything = sorted(self.record.trials.values(), key=lambda trial: trial.number)
        with contextlib.suppress(OSError):  # it is made again of the record
            results.write_table(self.record.folder / TABLE, everything, self.search)
            if self.search.folds:
                results.write_combinations(self.record.folder / COMBINATIONS, self.over, self.search)
        self.table_written = time.monotonic()

    def write_results(self) -> None:
        """The table and the page; both are made of the record, so that one more call makes up for one that failed."""
        self.write_table()
        everything = sorted(self.record.trials.values(), key=lambda trial: trial.number)
        self.page.write(self.record.folder, f"The search of {self.script.model}", everything, self.search)

    def say_end(self) -> int:
        done, wanted = len(self.over), self.search.trials
        if self.no_more and done < wanted:
            print(f"The grid has no more than {done} combinations.")
        elif done < wanted:
            print(f"hours: {self.search.hours:g} are over: {self.progress()}; the same command goes on.")
        leading = self.standing.leading
        if leading is None:
            raise Failure(results.nothing_found(self.over, self.search))
        if self.search.stop and not any(trial.steps for trial in self.over):
            note(f"stop: train.py has logged no {self.search.metric} by step, so that no trial could end early")
        print(
            f"Best of {done}: {self.standing.described()}: {trials.described(self.search.combination(leading.values))}"
        )
        tags = {"aml.best_trial": str(leading.number), "aml.trials": str(done)}
        files = [PAGE, TABLE, *([COMBINATIONS] if self.search.folds else [])]
        self.tracking.end(tags, leading.metrics, [self.record.folder / name for name in files])
        print(f"All of them: {shown(self.record.folder / PAGE)} and {' and '.join(files[1:])}")
        return DONE
