"""What search.yml says, as plain data: each parameter by its values, whatever engine draws them.

    metric: roc_auc
    goal: maximize
    parameters:
      regularization: {low: 1.0e-4, high: 10.0, log: true}
      max-iter: {low: 100, high: 2000, step: 100}
      solver: [lbfgs, saga]

Both bounds belong to a range, its steps begin at `low`, and `log` draws each power of ten as often as another.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from aml_project import plain_yaml
from aml_project.command_line import WRONG_USE, Failure
from aml_project.values import Value, Values, same

FILE = "search.yml"  # in the model's folder
GOALS = ("maximize", "minimize")
ALGORITHMS = ("random", "grid", "bayesian", "tpe")
# policy: what else it takes, with the default
POLICIES: dict[str, dict[str, float]] = {"median": {}, "truncation": {"percent": 20}, "bandit": {"slack": 0.1}}
MOST = {"trials": 10_000, "parallel": 100, "per_gpu": 64, "seed": 2**31 - 1}
COMBINATIONS = 100_000  # of a grid
NAME = re.compile(r"[A-Za-z][\w-]*")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones if both bounds and the step are."""

    name: str
    low: float
    high: float
    step: float | None = None
    log: bool = False
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int) and isinstance(self.step, int | None)

    @property
    def options(self) -> tuple[Value, ...] | None:
        """All its values in their order, where they can be counted."""
        if self.whole:
            return tuple(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        if self.step is None:
            return None
        low, step = Decimal(str(self.low)), Decimal(str(self.step))  # 0.1 + 0.2 is to be 0.3
        return tuple(float(low + number * step) for number in range(self.count or 0))

    @property
    def count(self) -> int | None:
        """How many values it has; None for a continuous one."""
        step = self.step or (1 if self.whole else None)
        if step is None:
            return None
        low, high = Decimal(str(self.low)), Decimal(str(self.high))
        return int((high - low) / Decimal(str(step))) + 1

    def tidy(self, value: float) -> float:
        """A value that an engine has drawn, without the last digits of its arithmetic."""
        if self.whole:
            return round(value)
        if self.step is None:
            return min(max(float(value), self.low), self.high)
        low, step = Decimal(str(self.low)), Decimal(str(self.step))
        return float(low + round((value - self.low) / self.step) * step)

    def holds(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        if self.whole:
            return value == int(value) and (int(value) - int(self.low)) % int(self.step or 1) == 0
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-6


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    name: str
    options: tuple[Value, ...]
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self.options)

    def holds(self, value: object) -> bool:
        return any(same(value, option) for option in self.options)


Parameter = Range | Choice


@dataclass(frozen=True)
class Stop:
    """When a trial that does worse than others ends early: looked at from the step `after` on."""

    policy: str
    after: int = 0
    percent: float = 20
    slack: float = 0.1


@dataclass(frozen=True)
class Search:
    """A search, as its file says it."""

    metric: str
    goal: str
    parameters: tuple[Parameter, ...]
    trials: int = 20
    parallel: int = 2
    algorithm: str = "tpe"
    stop: Stop | None = None
    hours: float | None = None  # for all of it
    trial_minutes: float | None = None  # for one trial
    per_gpu: int | None = None
    seed: int = 42
    folds: Choice | None = (
        None  # the last of the parameters: each combination of the others is tried with each of these
    )

    @property
    def maximizes(self) -> bool:
        return self.goal == "maximize"

    def active(self, parameter: Parameter, values: Mapping[str, Value]) -> bool:
        """Whether a parameter is one of a trial that has these values."""
        return all(
            name in values and any(same(values[name], option) for option in options)
            for name, options in parameter.when.items()
        )

    def fits(self, values: Mapping[str, Value]) -> bool:
        """Whether a trial is one of this search: it has each parameter, in its range, and no other."""
        wanted = {parameter.name: parameter for parameter in self.parameters if self.active(parameter, values)}
        return wanted.keys() == values.keys() and all(wanted[name].holds(value) for name, value in values.items())

    def combination(self, values: Values) -> Values:
        """The values without the fold."""
        return {name: value for name, value in values.items() if self.folds is None or name != self.folds.name}

    def endless(self) -> list[str]:
        """The parameters that a grid can't go through."""
        return [parameter.name for parameter in self.parameters if parameter.count is None]

    def grid(self) -> Iterator[Values]:
        """Each combination of values once, always in the same order."""

        def combinations(rest: tuple[Parameter, ...], values: Values) -> Iterator[Values]:
            if not rest:
                yield values
            elif self.active(rest[0], values):
                for option in rest[0].options or ():
                    yield from combinations(rest[1:], {**values, rest[0].name: option})
            else:
                yield from combinations(rest[1:], values)

        return combinations(self.parameters, {})

    def better(self, one: float, other: float) -> bool:
        return one > other if self.maximizes else one < other


def with_trials(search: Search, trials: int) -> Search:
    """The same search with another number of trials."""
    if not 1 <= trials <= MOST["trials"]:
        raise Failure(f"--trials: a whole number from 1 to {MOST['trials']}, not {trials}", WRONG_USE)
    return replace(search, trials=trials)


def read(folder: Path, file: str = FILE) -> Search:
    """The search of a model's folder; a Failure tells all that is wrong in its file, a line each."""
    search, findings = examine(folder, file)
    if search is None:
        raise Failure("\nERROR: ".join(f"models/{folder.name}/{file}: {finding}" for finding in findings))
    return search


def examine(folder: Path, file: str = FILE) -> tuple[Search | None, list[str]]:
    """The search of a model's folder, or what is wrong with it."""
    try:
        text = (folder / file).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, [f"not there: make add ARGS='search --model {folder.name}' writes one for this model"]
    except (OSError, UnicodeDecodeError) as error:
        return None, [f"{getattr(error, 'strerror', None) or error}: write it as a text in UTF-8"]
    return parse(text)


def parse(text: str) -> tuple[Search | None, list[str]]:
    """The search that a text defines, or what is wrong with it, a line each with the mend."""
    document = plain_yaml.load(text)
    if document.findings:
        return None, [f"line {line}: {said}" if line else said for line, said in document.findings]
    content = document.content
    if not isinstance(content, dict):
        return None, ["no mapping: write metric, goal and parameters, a line each"]
    reading = Reading(content)
    search = reading.search()
    return (None, reading.findings) if reading.findings else (search, [])


class Reading:
    """A mapping on its way to a Search; `findings` are the lines about what is wrong in it."""

    def __init__(self, content: dict[Any, Any]) -> None:
        self.content, self.findings = content, list[str]()

    def search(self) -> Search | None:
        keys = [key.replace("_", "-") if key == "trial_minutes" else key for key in Search.__dataclass_fields__]
        self.refuse_unknown("", self.content, keys)
        metric = self.content.get("metric")
        if not isinstance(metric, str) or not metric.strip():
            self.findings.append("metric: name a number that train.py writes to metrics.json, as in roc_auc")
        goal = self.one_of("goal", self.content.get("goal"), GOALS)
        algorithm = self.one_of("algorithm", self.content.get("algorithm", "tpe"), ALGORITHMS)
        numbers = {name: self.whole(name, most) for name, most in MOST.items() if name in self.content}
        limits = {name: self.positive(name) for name in ("hours", "trial-minutes") if name in self.content}
        parameters = tuple(self.parameters(self.content.get("parameters")))
        folds = self.folds(self.content["folds"], parameters) if self.content.get("folds") is not None else None
        stop = self.stop(self.content["stop"]) if self.content.get("stop") is not None else None
        if self.findings:
            return None
        given: dict[str, Any] = {"hours": limits.get("hours"), "trial_minutes": limits.get("trial-minutes"), **numbers}
        everything = (*parameters, *([folds] if folds else []))
        search = Search(str(metric), goal, everything, algorithm=algorithm, stop=stop, folds=folds, **given)
        if algorithm == "grid":
            self.refuse_endless(search)
        return search

    def refuse_unknown(self, place: str, content: Mapping[Any, Any], known: Iterable[str]) -> None:
        for key in content:
            if key not in known:
                near = difflib.get_close_matches(str(key), list(known), n=1)
                mend = f"write {near[0]}" if near else f"there are {', '.join(known)}"
                self.findings.append(f"{place}{key}: no such key: {mend}")

    def one_of(self, name: str, value: object, allowed: tuple[str, ...]) -> str:
        if value not in allowed:
            given = "missing" if value is None else f"no {value!r}"
            self.findings.append(f"{name}: {given}: write {' or '.join(allowed)}")
        return str(value)

    def whole(self, name: str, most: int) -> int:
        value: object = self.content[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            self.findings.append(f"{name}: {value!r}: write a whole number from 1 to {most}")
            return 1
        return value

    def positive(self, name: str) -> float:
        value: object = self.content[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            self.findings.append(f"{name}: {value!r}: write a number above 0")
            return 1
        return value

    def stop(self, content: object) -> Stop | None:
        if not isinstance(content, dict):
            self.findings.append("stop: write it as {policy: median, after: 5}")
            return None
        policy = self.one_of("stop.policy", content.get("policy"), tuple(POLICIES))
        own = POLICIES.get(policy, {})
        self.refuse_unknown("stop.", content, ["policy", "after", *own])
        after = content.get("after", 0)
        if isinstance(after, bool) or not isinstance(after, int) or after < 0:
            self.findings.append(f"stop.after: {after!r}: write how many steps each trial makes at least")
        given = {name: content.get(name, default) for name, default in own.items()}
        for name, value in given.items():
            most = 99 if name == "percent" else math.inf
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
                self.findings.append(f"stop.{name}: {value!r}: write a number above 0, as in {own[name]}")
        return None if self.findings else Stop(policy, after, **given)

    def folds(self, content: object, parameters: tuple[Parameter, ...]) -> Choice | None:
        """The argument of train.py that says which fold, or which seed, a fit is of."""
        if not isinstance(content, dict) or len(content) != 1 or not isinstance(next(iter(content.values())), list):
            self.findings.append("folds: name one argument of train.py and its values, as in {fold: [1, 2, 3]}")
            return None
        if self.content.get("algorithm") != "grid":
            self.findings.append("folds: only a grid tries each combination with each: write algorithm: grid")
        ((name, options),) = content.items()
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.findings.append(f"folds: {name}: name an argument of train.py without its --, as in fold")
        elif name in (parameter.name for parameter in parameters):
            self.findings.append(f"folds: {name} is one of the parameters as well: remove it there")
        return Choice(str(name), self.options("folds", options))

    def parameters(self, content: object) -> Iterator[Parameter]:
        if not isinstance(content, dict) or not content:
            self.findings.append("parameters: write a line for each argument of train.py that is to be searched")
            return
        before: dict[str, Parameter] = {}
        for name, given in content.items():
            if not isinstance(name, str) or not NAME.fullmatch(name):
                mend = "name an argument of train.py without its --, as in max-iter"
                self.findings.append(f"parameters: {name}: {mend}")
                continue
            parameter = self.parameter(name, given, before)
            if parameter is not None:
                before[name] = parameter
                yield parameter

    def parameter(self, name: str, given: object, before: Mapping[str, Parameter]) -> Parameter | None:
        place = f"parameters.{name}"
        if isinstance(given, list):
            given = {"choice": given}
        if not isinstance(given, dict):
            self.findings.append(f"{place}: {given!r}: write [one, two], or {{low: 1, high: 10}}")
            return None
        known = len(self.findings)
        when = self.when(place, given.get("when"), before)
        if "choice" in given:
            self.refuse_unknown(f"{place}.", given, ("choice", "when"))
            options = self.options(place, given["choice"])
            return Choice(name, options, when) if len(self.findings) == known else None
        self.refuse_unknown(f"{place}.", given, ("low", "high", "step", "log", "when"))
        for bound in ("low", "high"):
            self.number(f"{place}.{bound}", given.get(bound))
        log, step = given.get("log", False), given.get("step")
        if not isinstance(log, bool):
            self.findings.append(f"{place}.log: {log!r}: write true or false")
        if step is not None:
            self.number(f"{place}.step", step)
        if len(self.findings) > known:
            return None
        low, high = given["low"], given["high"]
        if not low < high:
            self.findings.append(f"{place}: low {low} is not below high {high}: exchange them, or write [{low}]")
        elif log and low <= 0:
            self.findings.append(f"{place}: log takes no logarithm of low {low}: write a low above 0, as in 1.0e-4")
        elif log and step is not None:
            self.findings.append(f"{place}: log and step exclude each other: leave one out")
        elif step is not None and not 0 < step <= high - low:
            self.findings.append(f"{place}.step: {step}: write a number above 0 and at most {high - low:g}")
        elif step is not None and (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
            last = Decimal(str(low)) + Decimal(str(step)) * int(
                (Decimal(str(high)) - Decimal(str(low))) / Decimal(str(step))
            )
            self.findings.append(f"{place}: in steps of {step} from {low}, {high} is never met: write high: {last}")
        return Range(name, low, high, step, log, when) if len(self.findings) == known else None

    def number(self, place: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            said = "missing" if value is None else f"{value!r} is no number"
            self.findings.append(f"{place}: {said}: write a number")

    def options(self, place: str, given: object) -> tuple[Value, ...]:
        if not isinstance(given, list) or not given:
            self.findings.append(f"{place}: write the values in brackets, as in [one, two]")
            return ()
        for number, option in enumerate(given):
            if not isinstance(option, bool | int | float | str):
                self.findings.append(f"{place}: {option!r}: write texts, numbers, true or false")
            elif option in given[:number]:  # true and 1 are one value to more than one engine
                other = given[given.index(option)]
                twice = "stands there twice" if same(option, other) else f"and {other!r} are one value to an engine"
                self.findings.append(f"{place}: {option!r} {twice}: remove one")
        return tuple(given)

    def when(self, place: str, given: object, before: Mapping[str, Parameter]) -> dict[str, tuple[Value, ...]]:
        """On which values of the parameters above this one is a parameter at all."""
        if given is None:
            return {}
        if not isinstance(given, dict) or not given:
            self.findings.append(f"{place}.when: write it as {{solver: saga}}")
            return {}
        found: dict[str, tuple[Value, ...]] = {}
        for name, value in given.items():
            wanted = tuple(value) if isinstance(value, list) else (value,)
            of = before.get(name)
            if not isinstance(of, Choice):
                self.findings.append(f"{place}.when.{name}: no choice of that name stands above: put it there")
            elif unknown := [option for option in wanted if not of.holds(option)]:
                listed = ", ".join(map(str, of.options))
                self.findings.append(f"{place}.when.{name}: {unknown[0]!r}: write one of {listed}")
            found[name] = wanted
        return found

    def refuse_endless(self, search: Search) -> None:
        if endless := search.endless():
            mend = f"give {' and '.join(endless)} a step, or values in brackets"
            self.findings.append(f"algorithm: grid would never end: {mend}")
        elif len(list(itertools.islice(search.grid(), COMBINATIONS + 1))) > COMBINATIONS:
            self.findings.append(f"algorithm: grid has more than {COMBINATIONS:,} combinations: make the steps larger")
