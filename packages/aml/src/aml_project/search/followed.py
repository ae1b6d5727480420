"""The trials of a search that another program carries out, as this one tells of them: a line each, then all of them."""

from __future__ import annotations

from aml_project.command_line import Failure
from aml_project.project import shown
from aml_project.search import record, results, trials
from aml_project.search.definition import Search
from aml_project.search.page_process import PAGE, PageProcess
from aml_project.search.record import Record, Trial


class Followed:
    """What a record has of a search."""

    def __init__(self, model: str, search: Search, kept: Record) -> None:
        self.model, self.search, self.record = model, search, kept

    @property
    def over(self) -> list[Trial]:
        return [trial for trial in self.record.of(self.search) if trial.is_over]

    @property
    def best(self) -> Trial | None:
        return record.best(self.over, self.search)

    def progress(self) -> str:
        return results.progress(len(self.over), self.search, *self.leading())

    def leading(self) -> tuple[Trial | None, float | None]:
        best = self.best
        return best, best.value(self.search) if best else None

    def tell(self, trial: Trial) -> None:
        """Say what has become of a trial, and how far the search is with it."""
        best, value = self.leading()
        line = results.line_of(trial, self.search, True, best is not None and trial.number == best.number)
        counted = f"{len(self.over)}/{self.search.trials}"
        print(f"{counted:>9}  {line}{results.best_so_far(best, value)}", flush=True)

    def write(self) -> None:
        """The table and the page."""
        everything = sorted(self.record.trials.values(), key=lambda trial: trial.number)
        results.write_table(self.record.folder / results.TABLE, everything, self.search)
        PageProcess().write(self.record.folder, f"The search of {self.model}", everything, self.search)

    def say_best(self) -> Trial:
        """Say what was found and where all of it is; a Failure where no trial has a value."""
        done = len(self.over)
        best, value = self.leading()
        if best is None or value is None:
            raise Failure(results.nothing_found(self.over, self.search))
        print(f"Best of {done}: trial {best.number}, {self.search.metric} {value:.6g}: {trials.described(best.values)}")
        print(f"All of them: {shown(self.record.folder / PAGE)} and {results.TABLE}")
        return best
