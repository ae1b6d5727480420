"""The parameters of a search in the expressions of Azure ML, which HyperDrive and sweeps share.

There a logarithmic range has its bounds as exponents, `quniform` rounds to multiples of its step and past its bounds,
and `randint` begins at 0 and ends before its bound. So what can be counted becomes a choice of just these values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from aml_project.search.definition import Choice, Parameter, Range, Search

LONGEST = 10_000  # values of a choice
EDGE = 1e-9  # a value that is drawn just at the end of a step is rounded out of the range
MOST = {"trials": 1000, "parallel": 100}
MOST_HOURS = 7 * 24
GRID, BAYESIAN, RANDOM = "grid", "bayesian", "random"

Expression = tuple[str, list[Any]]


def expression(parameter: Parameter, search: Search) -> Expression:
    """The name of a distribution and its arguments."""
    if isinstance(parameter, Choice):
        return "choice", list(parameter.options)
    low, high = parameter.low, parameter.high
    if parameter.log and search.algorithm != GRID:
        if parameter.whole:  # each number has the share that is rounded to it
            return "qloguniform", [math.log(low - 0.5 + EDGE), math.log(high + 0.5 - EDGE), 1]
        return "loguniform", [math.log(low), math.log(high)]
    if parameter.count is None:
        return "uniform", [float(low), float(high)]
    if parameter.count <= LONGEST:
        return "choice", list(parameter.options or ())
    return "randint", [int(high) + 1]


def lacks(search: Search, engine: str) -> list[str]:
    """What of a search neither HyperDrive nor a sweep can do, a line each with the mend."""
    found = []
    if search.algorithm == "tpe":
        found.append(f"algorithm: {engine} has no tpe: write random, grid or bayesian, or give --algorithm random")
    if search.algorithm == BAYESIAN and search.stop:
        found.append(f"stop: {engine} ends no trial of a bayesian search early: leave stop out, or write random")
    for name, most in MOST.items():
        if (asked := getattr(search, name)) > most:
            found.append(f"{name}: {engine} has {most} at most, not {asked}: write {most}")
    if (search.hours or 0) > MOST_HOURS:
        found.append(f"hours: {engine} searches for {MOST_HOURS} at most, not {search.hours:g}: write {MOST_HOURS}")
    if search.stop and search.stop.policy == "truncation" and search.stop.percent != int(search.stop.percent):
        found.append(f"stop.percent: {engine} takes whole numbers: write {max(round(search.stop.percent), 1)}")
    for parameter in search.parameters:
        found += [f"parameters.{parameter.name}: {line}" for line in lacks_for(parameter, search, engine)]
    return found


def lacks_for(parameter: Parameter, search: Search, engine: str) -> list[str]:
    if parameter.when:
        return [f"{engine} has no parameters on a condition: leave out when, or search here"]
    if isinstance(parameter, Choice):
        if any(isinstance(option, bool) for option in parameter.options):
            given = f"--{parameter.name} True"
            return [f"{engine} gives it as {given}, and a flag takes no value: let train.py take one, as in [on, off]"]
        return []
    if parameter.log and search.algorithm == BAYESIAN:
        return [f"{engine} has no log in a bayesian search: leave log out, or write algorithm: random"]
    drawn = parameter.log and search.algorithm != GRID
    is_long = parameter.count is not None and parameter.count > LONGEST and not drawn
    from_zero = parameter.whole and not parameter.low and parameter.step in (None, 1) and search.algorithm == RANDOM
    if is_long and not from_zero:
        return [f"{parameter.count:,} values are more than {engine} can be told: give it a larger step"]
    return []


def policy(search: Search) -> tuple[str, dict[str, Any]]:
    """What ends trials early: its name in search.yml, and its settings, which have the same names for both."""
    stop = search.stop
    if stop is None:
        return "", {}
    when = {"evaluation_interval": 1, "delay_evaluation": stop.after}
    if stop.policy == "bandit":
        return stop.policy, {"slack_factor": stop.slack, **when}
    if stop.policy == "truncation":
        return stop.policy, {"truncation_percentage": int(stop.percent), **when}
    return stop.policy, when


def values_in(tags: Mapping[str, str] | None) -> dict[str, Any]:
    """The values of a trial, as its run has them; nothing of a run that is no trial."""
    tags = tags or {}
    text = tags.get("hyperparameters") or tags.get("_aml_system_hyperparameters") or "{}"
    return {str(name).lstrip("-"): value for name, value in json.loads(text).items()}


def value_of(parameter: Parameter, given: Any) -> Any:
    """A value as the service tells it, as search.yml has it."""
    if isinstance(parameter, Range):
        return parameter.tidy(float(given))
    equal = [option for option in parameter.options if option == given or str(option) == str(given)]
    return equal[0] if equal else given
