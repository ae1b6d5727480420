"""outputs/search/index.html: a search on one page that needs nothing else, with Optuna's plots and each trial's log."""

from __future__ import annotations

import html
import json
import pickle
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template
from typing import Any

import optuna
import plotly.io
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import TrialState
from optuna.visualization import (  # optuna.visualization itself comes only once something is drawn
    plot_intermediate_values,
    plot_optimization_history,
    plot_parallel_coordinate,
    plot_param_importances,
    plot_slice,
)
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from aml_project.search import results
from aml_project.search.definition import Search
from aml_project.search.record import Standing, Trial
from aml_project.search.sampling import Study
from aml_project.search.trials import described, place_of
from aml_project.work_folder import tail

plotly.io.templates.default = None  # the page has one

MANY = 100  # lines that can be told apart in parallel coordinates
LOG = 4_000  # bytes of each trial's log
LOOK = "package_data/templates/plotly_white.json"  # of all figures, once in the page
LAYOUT = Path(__file__).with_name("page.html")


def main() -> None:
    """Wait for what `text` takes, and answer with the page."""
    given = sys.stdin.buffer.read()
    if given:  # else the search is gone
        sys.stdout.buffer.write(text(*pickle.loads(given)).encode("utf-8"))


def text(folder: Path, title: str, trials: list[Trial], search: Search) -> str:
    """The page of these trials, which lie in a search's folder."""
    fitting = [trial for trial in trials if search.fits(trial.values)]
    standing = Standing(search, fitting)
    figures = list(plots(fitting, search))
    parameters = list(dict.fromkeys(name for trial in trials for name in trial.values))
    ordered = results.ordered(trials, search)
    rows = [row_of(trial, search, parameters, folder, trial is standing.leading) for trial in ordered]
    return Template(LAYOUT.read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        summary=summary(trials, search, standing),
        sections="".join(
            f'<section><h2>{html.escape(heading)}</h2><div class="plot" id="plot{number}"></div></section>'
            for number, (heading, _) in enumerate(figures)
        ),
        plotly=get_plotlyjs(),
        look=(pkgutil.get_data("plotly", LOOK) or b"{}").decode(),
        figures=as_script([figure for _, figure in figures]),
        columns=as_script(["trial", "state", search.metric, *parameters, "seconds"]),
        rows=as_script(rows),
    )


def as_script(content: Any) -> str:
    """JSON that a script element can hold, whatever a log says."""
    return json.dumps(content, ensure_ascii=False).replace("<", "\\u003c").encode("utf-8", "replace").decode()


def summary(trials: list[Trial], search: Search, standing: Standing) -> str:
    counted: dict[str, int] = {}
    for trial in trials:
        counted[trial.state] = counted.get(trial.state, 0) + 1
    states = ", ".join(f"{count} {state}" for state, count in counted.items())
    said = f"{len(trials)} trials: {states}. {search.goal} {search.metric}, by {search.algorithm}."
    if standing.leading is None:
        return html.escape(said)
    values = html.escape(described(standing.leading.values))
    return f"{html.escape(said)}<br><b>Best: {html.escape(standing.described())}</b> <code>{values}</code>"


def row_of(trial: Trial, search: Search, parameters: list[str], folder: Path, is_best: bool) -> dict[str, Any]:
    value = trial.value(search)
    cells = [trial.number, trial.state, value, *(trial.values.get(name) for name in parameters), trial.seconds]
    log = "\n".join(tail(place_of(folder, trial.number) / "log.txt", LOG)).strip()
    return {"cells": cells, "best": is_best, "log": f"{trial.why}\n\n{log}".strip()}


def plots(trials: list[Trial], search: Search) -> Iterator[tuple[str, dict[str, Any]]]:
    """Optuna's plots of the trials that have a value, each with its heading; too few trials do not give all of them."""
    study = numbered(trials, search)
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    varied = [
        parameter.name
        for parameter in search.parameters
        if len({trial.params.get(parameter.name) for trial in complete}) > 1
    ]
    if not complete:
        return
    yield "History", drawn(lambda: plot_optimization_history(study, target_name=search.metric))
    if len(complete) < 2 or not varied:
        return
    few, heading = study, "Parallel coordinates"
    if len(complete) > MANY:
        chosen = sorted(complete, key=lambda trial: trial.value or 0.0, reverse=search.maximizes)[:MANY]
        few = optuna.create_study(direction=study.direction)
        few.add_trials(chosen)
        heading = f"Parallel coordinates: the best {MANY} of {len(complete)}"
    coordinates = [name for name in varied if any(name in trial.params for trial in few.get_trials(deepcopy=False))]
    yield heading, drawn(lambda: plot_parallel_coordinate(few, params=coordinates, target_name=search.metric))
    always = [name for name in varied if all(name in trial.params for trial in complete)]
    if always and len({trial.value for trial in complete}) > 1:
        evaluator = PedAnovaImportanceEvaluator()
        yield (
            "Importance of each parameter",
            drawn(lambda: plot_param_importances(study, evaluator=evaluator, params=always, target_name=search.metric)),
        )
    yield "Each parameter by itself", drawn(lambda: plot_slice(study, params=varied, target_name=search.metric))
    if any(trial.steps for trial in trials):
        yield f"{search.metric} by step", drawn(lambda: plot_intermediate_values(study))


def numbered(trials: list[Trial], search: Search) -> optuna.Study:
    """The trials under the numbers that they have here; Optuna counts from 0, and has none without a result."""
    study = Study(search, ())
    known = {trial.number: study.frozen(trial) for trial in trials}
    nothing = optuna.trial.create_trial(state=TrialState.FAIL)
    study.study.add_trials([known.get(number) or nothing for number in range(max(known, default=0) + 1)])
    return study.study


def drawn(draw: Callable[[], Figure]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure: dict[str, Any] = json.loads(
            draw().to_json()
        )  # to change plotly's objects takes longer than to draw them
    layout = {name: value for name, value in figure["layout"].items() if name not in ("title", "width", "template")}
    for name, axis in layout.items():
        if name.startswith("xaxis") and axis.get("type") == "log":
            axis.update(dtick=1, exponentformat="e")
    return {"data": figure["data"], "layout": layout | {"margin": {"t": 40}, "autosize": True}}
