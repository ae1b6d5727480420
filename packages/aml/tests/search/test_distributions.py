"""Every engine draws the same: 10,000 values of each by its own sampler, against what search.yml says.

A continuous range is judged by Kolmogorov and Smirnov's distance, one that can be counted by chi-square. The seeds are
fixed: what is found here is so each time.
"""

import itertools
import json
import math
import random
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aml_project.search import azure_space, definition, nni_space
from aml_project.search.definition import Choice, Parameter, Range, Search
from aml_rehearsal import sampling

DRAWS = 10_000
LIMIT = 1.95 / math.sqrt(DRAWS)  # of the distance: one in a thousand
SPACE = """
metric: score
goal: minimize
algorithm: random
parameters:
  rate: {low: 1.0e-4, high: 0.1, log: true}
  share: {low: -0.25, high: 0.75}
  layers: {low: 1, high: 8}
  zero: {low: 0, high: 4}
  iterations: {low: 100, high: 2000, step: 100}
  odd: {low: 0.1, high: 0.5, step: 0.1}
  units: {low: 1, high: 64, log: true}
  solver: [lbfgs, saga, sag]
  batch: [16, 32, 64, 128]
"""
NNI = """
import json, sys
import numpy
from nni.common.hpo_utils import format_search_space, deformat_parameters, validate_search_space
from nni.algorithms.hpo import random_tuner, tpe_tuner
space, count = json.load(sys.stdin), int(sys.argv[1])
assert validate_search_space(space)
formatted = format_search_space(space)
chance = numpy.random.default_rng(1)
plain = lambda value: value.item() if hasattr(value, "item") else value
drawn = [deformat_parameters(random_tuner.suggest(chance, formatted), formatted) for _ in range(count)]
tuner = tpe_tuner.TpeTuner(optimize_mode="minimize", seed=1)
tuner.update_search_space(space)
guided = []
for number in range(60):
    point = tuner.generate_parameters(number)
    tuner.receive_trial_result(number, point, abs(point["share"] - 0.75) + point["layers"])
    guided.append(point)
print(json.dumps({"drawn": drawn, "guided": guided}, default=plain))
"""


def parsed() -> Search:
    search, findings = definition.parse(SPACE)
    assert search is not None, findings
    return search


SEARCH = parsed()
Draw = Callable[[], dict[str, list[Any]]]


def by_optuna() -> dict[str, list[Any]]:
    import optuna

    from aml_project.search.sampling import suggest

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    found: dict[str, list[Any]] = {parameter.name: [] for parameter in SEARCH.parameters}
    for _ in range(DRAWS):
        trial = study.ask()
        for parameter in SEARCH.parameters:
            found[parameter.name].append(suggest(trial, parameter))
    return found


def sent(parameter: Parameter, search: Search) -> list[Any]:
    """An expression as the client sends it: a choice has one argument, its values."""
    kind, arguments = azure_space.expression(parameter, search)
    return [kind, [arguments] if kind == "choice" else arguments]


def by_azure() -> dict[str, list[Any]]:
    """HyperDrive as the rehearsal plays it; a sweep has the same expressions."""
    chance = random.Random(1)
    return {
        parameter.name: [
            azure_space.value_of(parameter, sampling.drawn(chance, *sent(parameter, SEARCH))) for _ in range(DRAWS)
        ]
        for parameter in SEARCH.parameters
    }


def judge(parameter: Parameter, drawn: list[Any]) -> None:
    """Assert that these were drawn from a parameter as search.yml means it."""
    assert len(drawn) == DRAWS
    assert all(parameter.holds(value) for value in drawn)
    if isinstance(parameter, Choice):
        return chi_square(Counter(drawn), {option: 1 / len(parameter.options) for option in parameter.options})
    if parameter.count is None:
        return distance(parameter, drawn)
    options = parameter.options or ()
    shares = {option: 1 / len(options) for option in options}
    if parameter.log:
        low, high = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
        shares = {one: (math.log(one + 0.5) - math.log(one - 0.5)) / (high - low) for one in map(int, options)}
    return chi_square(Counter(drawn), shares)


def distance(parameter: Range, drawn: list[float]) -> None:
    scale = math.log if parameter.log else float
    low, high = scale(parameter.low), scale(parameter.high)
    shares = sorted((scale(value) - low) / (high - low) for value in drawn)
    furthest = max(max((at + 1) / DRAWS - share, share - at / DRAWS) for at, share in enumerate(shares))
    assert furthest < LIMIT, f"{parameter.name}: {furthest}"


def chi_square(counts: Counter[Any], shares: dict[Any, float]) -> None:
    assert set(counts) <= set(shares)
    found = sum((counts[one] - DRAWS * share) ** 2 / (DRAWS * share) for one, share in shares.items())
    freedom = len(shares) - 1
    # Wilson and Hilferty's approximation of the value that one in a thousand exceeds.
    allowed = freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3
    assert found < allowed, f"{found} of {allowed}: {dict(counts)}"


@pytest.mark.parametrize(
    "engine",
    [pytest.param(by_optuna, marks=pytest.mark.full, id="Optuna"), pytest.param(by_azure, id="HyperDrive and sweep")],
)
def test_what_is_drawn(engine: Draw) -> None:
    drawn = engine()
    for parameter in SEARCH.parameters:
        judge(parameter, drawn[parameter.name])


@pytest.mark.full
def test_what_nni_draws(nni_environment: Path) -> None:
    """Its random tuner; and what its TPE tries, which is no distribution, stays within the bounds."""
    space = json.dumps(nni_space.space(SEARCH))
    asked = [str(nni_environment / "bin" / "python"), "-c", NNI, str(DRAWS)]
    done = subprocess.run(asked, input=space, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])  # NNI has its own lines before it
    drawn = [nni_space.values_of(point, SEARCH) for point in answer["drawn"]]
    for parameter in SEARCH.parameters:
        judge(parameter, [point[parameter.name] for point in drawn])
    guided = [nni_space.values_of(point, SEARCH) for point in answer["guided"]]
    assert all(SEARCH.fits(point) for point in guided)


def test_bounds_as_they_stand_would_be_another_range() -> None:
    """What goes wrong where a logarithmic range is handed on by value: 1.0001 to 1.105."""
    chance = random.Random(1)
    drawn = [sampling.drawn(chance, "loguniform", [1e-4, 0.1]) for _ in range(100)]
    assert 1 < min(drawn) < max(drawn) < 1.106
    with pytest.raises(AssertionError):
        judge(SEARCH.parameters[0], [drawn[0]] * DRAWS)


@pytest.mark.parametrize(("kind", "arguments"), [("quniform", [100, 2000, 300]), ("qloguniform", [0.0, 3.0, 2])])
def test_the_rehearsal_draws_by_the_documents_words(kind: str, arguments: list[float]) -> None:
    """round(uniform(low, high) / q) * q, which is not clipped; so this package asks for a choice instead."""
    low, high, step = arguments
    chance, again = random.Random(1), random.Random(1)

    def value() -> float:
        plain = again.uniform(low, high)
        return plain if kind == "quniform" else math.exp(plain)

    assert [sampling.drawn(chance, kind, arguments) for _ in range(1000)] == [
        round(value() / step) * step for _ in range(1000)
    ]
    if kind == "quniform":
        values = {sampling.drawn(chance, kind, arguments) for _ in range(1000)}
        assert max(values) == 2100


def test_a_grid_is_all_of_it_for_each_engine() -> None:
    text = "metric: m\ngoal: minimize\nalgorithm: grid\nparameters:\n  a: {low: 1, high: 4}\n  b: [x, y]\n"
    search, _ = definition.parse(text)
    assert search is not None
    space = {each.name: sent(each, search) for each in search.parameters}
    sampler = sampling.Sampler("grid", space, "seed", maximize=False)
    drawn = list(itertools.takewhile(bool, (sampler.next([]) for _ in itertools.count())))
    assert drawn == list(search.grid())
