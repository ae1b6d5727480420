"""Values by chance, and so those of a search's first trials: what is as quick as this need not wait for Optuna."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from aml_project.search.definition import Choice, Parameter, Search
from aml_project.values import Values

FIRST = 9  # trials that every algorithm begins with by chance, whatever the others have reached
WORDS = 624  # of the state of a Mersenne twister


def first_values(search: Search, first: int) -> dict[int, Values]:
    """The values of a search's first trials, by their numbers from `first` on: just those that its Study would draw."""
    numbers = range(first, first + FIRST)
    if search.algorithm == "grid":
        return dict(zip(numbers, search.grid(), strict=False))
    if search.algorithm == "bayesian":
        return {number: values_of(search, draw, random.Random(search.seed + number)) for number in numbers}
    return {number: values_of(search, draw_as_optuna, as_numpy(search.seed + number)) for number in numbers}


def values_of(search: Search, draw: Callable[[Parameter, random.Random], Any], source: random.Random) -> Values:
    """The values of a trial, all drawn by chance."""
    values: Values = {}
    for parameter in search.parameters:
        if search.active(parameter, values):
            values[parameter.name] = draw(parameter, source)
    return values


def draw(parameter: Parameter, source: random.Random) -> Any:
    """A value of a parameter by chance, as `random` means it."""
    if isinstance(parameter, Choice):
        return source.choice(parameter.options)
    if parameter.log:
        half = 0.5 if parameter.whole else 0.0
        low, high = math.log(parameter.low - half), math.log(parameter.high + half)
        return parameter.tidy(min(max(math.exp(source.uniform(low, high)), parameter.low), parameter.high))
    if (count := parameter.count) is not None:
        step = parameter.step or 1
        return parameter.tidy(parameter.low + step * source.randrange(count))
    return source.uniform(parameter.low, parameter.high)


def draw_as_optuna(parameter: Parameter, source: random.Random) -> Any:
    """The very value that Optuna's samplers make of the same numbers where they draw by chance."""
    if isinstance(parameter, Choice):
        drawn = [source.random() for _ in parameter.options] if parameter.count > 1 else [0.0]
        return parameter.options[drawn.index(max(drawn))]
    low, high, step = parameter.low, parameter.high, parameter.step or (1 if parameter.whole else 0)
    half = step / 2  # the ends get as much as the others
    if parameter.log:
        value = math.exp(between(math.log(low - half), math.log(high + half), source))
    else:
        value = between(low - half, high + half, source)
    if not step:
        high = math.nextafter(high, high - 1)
    elif parameter.log:
        value = round(value)
    else:
        value = low + step * math.floor((value - low) / step + 0.5)
    return parameter.tidy(min(max(value, low), high))


def between(low: float, high: float, source: random.Random) -> float:
    return low + (high - low) * source.random()


def as_numpy(seed: int) -> random.Random:
    """A source of the same numbers as numpy.random.RandomState(seed), by the same generator; Python's seeds differ."""
    state = [seed]
    for place in range(1, WORDS):
        state.append((1812433253 * (state[-1] ^ state[-1] >> 30) + place) % 2**32)
    source = random.Random()
    source.setstate((3, (*state, WORDS), None))
    return source
