"""What a search leaves for people: outputs/search/trials.csv, and lines about its trials."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from statistics import pstdev

from aml_project.files import write_whole
from aml_project.project import shown
from aml_project.search.definition import Search
from aml_project.search.record import FAILED, RUNNING, STOPPED, Standing, Trial, best
from aml_project.search.trials import described, place_of
from aml_project.work_folder import tail

TABLE = "trials.csv"
LONGEST = 110  # characters of what went wrong, in a line of the list
LAST_STEPS, LAST_LINES = 20, 30


def write_table(file: Path, trials: list[Trial], search: Search) -> None:
    """A row for each trial: its values, and all metrics that it has written."""
    parameters = list(dict.fromkeys(name for trial in trials for name in trial.values))
    metrics = list(dict.fromkeys([search.metric, *(name for trial in trials for name in trial.metrics)]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    others = [name for name in metrics if name != search.metric]
    writer.writerow(["trial", "state", search.metric, *parameters, *others, "seconds", "started", "why"])
    for trial in trials:
        values = [trial.values.get(name, "") for name in parameters]
        rest = [trial.metrics.get(name, "") for name in others]
        value = trial.value(search)
        reached = "" if value is None else value
        about = [f"{trial.seconds:.1f}", trial.started, trial.why]
        writer.writerow([trial.number, trial.state, reached, *values, *rest, *about])
    write_whole(file, out.getvalue(), sync=False)


def write_combinations(file: Path, trials: list[Trial], search: Search) -> None:
    """Where a search has folds: a row for each combination of the other values, the best mean first."""
    standing = Standing(search, trials)
    fits = [fits for fits in standing.combinations.values() if len(fits) == standing.folds]
    parameters = list(dict.fromkeys(name for first, *_ in fits for name in search.combination(first.values)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*parameters, f"mean {search.metric}", "standard deviation", "folds", "trials"])
    fits.sort(key=lambda some: some[0].number)  # where two have the same mean
    for some in sorted(fits, key=standing.mean, reverse=search.maximizes):
        values = [fit.value(search) or 0.0 for fit in some]
        numbers = " ".join(str(fit.number) for fit in some)
        writer.writerow(
            [
                *(some[0].values.get(name, "") for name in parameters),
                standing.mean(some),
                pstdev(values),
                len(some),
                numbers,
            ]
        )
    write_whole(file, out.getvalue(), sync=False)


def ordered(trials: list[Trial], search: Search) -> list[Trial]:
    """The best first, then those that were stopped early, then those that have no result.

    A fit of a combination is as good as the mean of all its folds.
    """
    standing = Standing(search, trials)
    complete = [fits for fits in standing.combinations.values() if len(fits) == standing.folds]
    means = {fit.number: standing.mean(fits) for fits in complete for fit in fits}

    def order(trial: Trial) -> tuple[int, float]:
        value = means.get(trial.number, trial.value(search))
        if value is None:
            return (3 if trial.state == FAILED else 2), trial.number
        return (1 if trial.state == STOPPED else 0), -value if search.maximizes else value

    return sorted(trials, key=order)


def listed(trials: list[Trial], search: Search, is_running: bool) -> list[str]:
    """A line for each trial."""
    leading = best(trials, search)
    return [line_of(trial, search, is_running, trial is leading) for trial in ordered(trials, search)]


def line_of(trial: Trial, search: Search, is_running: bool, is_best: bool = False) -> str:
    value = trial.value(search)
    state = "interrupted" if trial.state == RUNNING and not is_running else trial.state
    reached = "" if value is None else f"{search.metric} {value:.6g}"
    said = {True: "best", False: "" if state == "complete" else state}[is_best]
    why = f"  {trial.why[:LONGEST]}" if trial.why else ""
    result = f"{reached:{len(search.metric) + 11}}  {said:13}"
    return f"trial {trial.number:<4} {result}  {described(trial.values)}{why}".rstrip()


def progress(over: int, search: Search, leading: Trial | None, value: float | None) -> str:
    """How far a search is, whoever carries it out."""
    return f"{over} of {search.trials} trials are done{best_so_far(leading, value)}"


def best_so_far(leading: Trial | None, value: float | None) -> str:
    return f"  (best: {value:.6g}, trial {leading.number})" if leading and value is not None else ""


def nothing_found(over: list[Trial], search: Search) -> str:
    """Why a search has no best trial: by the first that says why it has failed."""
    failed = next((trial for trial in over if trial.why), None)
    why = f": trial {failed.number} {failed.why}" if failed else ""
    return f"none of {len(over)} trials has a {search.metric}{why}"


def about(trial: Trial, search: Search, folder: Path, is_running: bool) -> list[str]:
    """All that is known of one trial."""
    place = place_of(folder, trial.number)
    lines = [line_of(trial, search, is_running).strip()]
    lines += [f"  {name}: {value}" for name, value in trial.metrics.items()]
    if trial.steps:
        lines.append(
            f"  {search.metric} by step: {', '.join(f'{value:.4g}' for _, value in trial.steps[-LAST_STEPS:])}"
        )
    if trial.seconds:
        lines.append(f"  {trial.seconds:.1f} s, from {trial.started}, in {shown(place)}")
    log = [line for line in tail(place / "log.txt") if line.strip()]
    return [*lines, *(f"  | {line}" for line in log[-LAST_LINES:])]
