"""What a search has tried, in a file that only grows: outputs/search/trials.jsonl, two lines a trial."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aml_project import line_file
from aml_project.command_line import Failure
from aml_project.project import shown
from aml_project.search import RECORD
from aml_project.search.definition import Search
from aml_project.values import Values

RUNNING, COMPLETE, STOPPED, FAILED = "running", "complete", "stopped early", "failed"


@dataclass
class Trial:
    """One training: its values, and what has become of it."""

    number: int
    values: Values
    state: str = RUNNING
    metrics: dict[str, float] = field(default_factory=dict)
    steps: list[tuple[int, float]] = field(default_factory=list)  # the search's metric on its way
    seconds: float = 0.0
    started: str = ""
    why: str = ""  # it has failed
    run: str = ""  # its id in the workspace, if it ran there

    @property
    def is_over(self) -> bool:
        return self.state != RUNNING

    def value(self, search: Search) -> float | None:
        """What the trial has reached in the search's metric; of one that was stopped early, so far."""
        if self.state == COMPLETE and search.metric in self.metrics:
            return self.metrics[search.metric]
        return best_of(self.steps, search) if self.state in (COMPLETE, STOPPED) else None


def best_of(steps: list[tuple[int, float]], search: Search) -> float | None:
    values = [value for _, value in steps]
    if not values:
        return None
    return max(values) if search.maximizes else min(values)


class Record:
    """The trials of a search so far. Whoever writes is alone in the folder: see alone.py."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / RECORD
        self.trials: dict[int, Trial] = {}
        self.is_behind = False  # the disk
        self.read()

    def read(self) -> None:
        for number, line in line_file.read(self.file):
            try:
                self.take(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                begin = "remove this line, or begin anew with --fresh"
                raise Failure(f"{shown(self.file)}: line {number}: {error}: {begin}") from None

    def take(self, said: dict[str, Any]) -> Trial:
        known = self.trials.get(said["number"])
        told = (asdict(known) if known else {}) | said
        told["steps"] = [(int(step), float(value)) for step, value in told.get("steps", [])]
        trial = self.trials[said["number"]] = Trial(**told)
        return trial

    def begun(self, number: int, values: Values, started: str, run: str = "") -> Trial:
        """Note a trial before anything of it runs, or that it runs in the workspace."""
        said = {"number": number, "values": values, "started": started} | ({"run": run} if run else {})
        return self.note(said, "trial noted")

    def over(self, trial: Trial) -> Trial:
        """Note what has become of it."""
        said = {
            name: value for name, value in asdict(trial).items() if name not in ("values", "started", "run") and value
        }
        self.is_behind = True
        return self.note({"number": trial.number} | said, "result noted")

    def note(self, said: dict[str, Any], point: str) -> Trial:
        line_file.append(self.file, said, point, sync=False)
        return self.take(said)

    def sync(self) -> None:
        """Have the results on the disk, for a power cut. It takes its time, in which the next trials run.

        What has only begun would begin again, and may.
        """
        if self.is_behind:
            line_file.sync(self.file)
            self.is_behind = False

    @property
    def next_number(self) -> int:
        return max(self.trials, default=0) + 1

    def of(self, search: Search) -> list[Trial]:
        """The trials that are of this search, as its file stands now."""
        return [trial for trial in self.trials.values() if search.fits(trial.values)]


class Standing:
    """Which trial leads, of those that went to their end: by its value, and of equal ones the first.

    Where a search has folds, it is the mean of a combination that counts once all its folds are over, and the first of
    them stands for it.
    """

    def __init__(self, search: Search, trials: Iterable[Trial] = ()) -> None:
        self.search = search
        self.leading: Trial | None = None
        self.value = 0.0  # that of the lead
        self.combinations: dict[str, list[Trial]] = {}  # by their numbers, in whatever order they have ended
        for trial in trials:
            self.take(trial)

    def take(self, trial: Trial) -> bool:
        """Have one more; say whether the lead is new."""
        if trial.state != COMPLETE or trial.value(self.search) is None:
            return False
        fits = self.combinations.setdefault(self.combination(trial), [])
        bisect.insort(fits, trial, key=lambda fit: fit.number)
        if len(fits) < self.folds:
            return False
        value, first = self.mean(fits), fits[0]
        if self.leading is not None:
            as_good_and_earlier = value == self.value and first.number < self.leading.number
            if not (as_good_and_earlier or self.search.better(value, self.value)):
                return False
        self.leading, self.value = first, value
        return True

    @property
    def folds(self) -> int:
        return self.search.folds.count if self.search.folds else 1

    def combination(self, trial: Trial) -> str:
        """The values without the fold; without folds each trial is one of its own."""
        return as_text(self.search.combination(trial.values)) if self.search.folds else str(trial.number)

    def mean(self, fits: list[Trial]) -> float:
        return sum(fit.value(self.search) or 0.0 for fit in fits) / len(fits)

    def described(self) -> str:
        if self.leading is None:
            return "none"
        how = f", the mean of {self.folds} folds" if self.search.folds else ""
        return f"trial {self.leading.number}, {self.search.metric} {self.value:.6g}{how}"


def as_text(values: Values) -> str:
    return json.dumps(values, sort_keys=True)


def best(trials: list[Trial], search: Search) -> Trial | None:
    return Standing(search, trials).leading
