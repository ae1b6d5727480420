"""What Optuna draws is what search.yml says: 10,000 values of each kind against the distribution that is meant."""

import dataclasses
import math
import random
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from aml_project.search.by_chance import FIRST, draw, first_values
from aml_project.search.definition import Choice, Parameter, Stop
from aml_project.search.record import COMPLETE, Trial
from aml_project.search.sampling import Study
from aml_rehearsal.stopping import Policy
from search.test_definition import of

SAMPLES = 10_000
UNLIKELY = 1e-4  # of which the seeds that are fixed here are not
KINDS = [
    "{low: 1.0e-4, high: 10.0, log: true}",
    "{low: -1.0, high: 3.0}",
    "{low: 1, high: 64, log: true}",
    "{low: 2, high: 8}",
    "{low: 100, high: 2000, step: 100}",
    "{low: 0.05, high: 0.35, step: 0.1}",
    "[lbfgs, saga, newton]",
    "[true, false]",
]


# Each way in which Optuna makes a value of its numbers.
COUNTED = [
    "[lbfgs, saga, newton]",
    "[20]",
    "[true, false]",
    "{low: 2, high: 8}",
    "{low: 1, high: 9, step: 4}",
    "{low: 0.0, high: 0.9, step: 0.3}",
    "{low: 1, high: 64, log: true}",
    "{low: 3, high: 5, when: {x0: [saga, newton]}}",
]
CONTINUOUS = [
    "{low: -1.0, high: 3.0}",
    "{low: 1.0e-4, high: 10.0, log: true}",
    "{low: 0.0, high: 1.0, when: {x2: true}}",
]


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[object]]:
    """What Optuna draws of all kinds, in one search."""
    search = of("\n".join(f"x{number}: {kind}" for number, kind in enumerate(KINDS)))
    search = dataclasses.replace(search, algorithm="random")
    found: dict[str, list[object]] = {kind: [] for kind in KINDS}
    for number in range(SAMPLES):
        if number % 50 == 0:  # each draw asks all that are open
            study = Study(search, [])
        values = study.propose(number) or {}
        for place, kind in enumerate(KINDS):
            found[kind].append(values[f"x{place}"])
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_optuna_draws_from_the_distribution_that_is_meant(kind: str, drawn: dict[str, list[object]]) -> None:
    check(of(f"x: {kind}").parameters[0], drawn[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_so_does_what_the_gaussian_process_chooses_from(kind: str) -> None:
    (parameter,) = of(f"x: {kind}").parameters
    source = random.Random(3)
    check(parameter, [draw(parameter, source) for _ in range(SAMPLES)])


@pytest.mark.parametrize("algorithm", ["random", "tpe", "bayesian", "grid"])
def test_the_first_trials_are_those_of_the_study_that_is_not_there_yet(algorithm: str) -> None:
    """To the last digit, with all of them running at once."""
    kinds = [*COUNTED, *CONTINUOUS] if algorithm != "grid" else COUNTED
    search = of("\n".join(f"x{number}: {kind}" for number, kind in enumerate(kinds)))
    for first in (1, 5_000):
        for seed in range(0, 2**31 - 10_000, 2**31 // 5):
            search = dataclasses.replace(search, algorithm=algorithm, seed=seed)
            study = Study(search, [])
            drawn = {number: study.propose(number) for number in range(first, first + FIRST)}
            assert first_values(search, first) == drawn


def check(parameter: Parameter, values: list[object]) -> None:
    """KS for what is continuous, chi-square for what can be counted."""
    assert all(parameter.holds(value) for value in values)
    if parameter.count is None:
        assert not isinstance(parameter, Choice)
        low, high = parameter.low, parameter.high
        numbers = np.array(values, dtype=float)
        if parameter.log:
            numbers, low, high = np.log(numbers), math.log(low), math.log(high)
        assert stats.kstest(numbers, "uniform", (low, high - low)).pvalue > UNLIKELY
        assert stats.kstest(numbers[:1000], "uniform", (low + 0.1 * (high - low), high - low)).pvalue < UNLIKELY
        return
    options = list(parameter.options or ())
    counted = Counter(map(repr, values))
    assert set(counted) == {repr(option) for option in options}, "each value is met, the ends among them"
    shares = [1.0] * len(options)
    if not isinstance(parameter, Choice) and parameter.log:
        low, high = math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
        shares = [(math.log(n + 0.5) - math.log(n - 0.5)) / (high - low) for n in map(int, options)]
    expected = np.array(shares) / sum(shares) * len(values)
    assert stats.chisquare([counted[repr(option)] for option in options], expected).pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("goal", "leading", "kept", "ended"),
    [
        ("maximize", 0.8, 0.67, 0.66),  # 0.8 / 1.2: the example of Azure ML's own page
        ("minimize", 0.5, 0.59, 0.61),
        ("maximize", -0.5, -0.59, -0.61),
        ("minimize", -0.8, -0.67, -0.66),
    ],
)
def test_bandit_ends_what_azure_ml_ends(goal: str, leading: float, kept: float, ended: float) -> None:
    search = dataclasses.replace(of("x: [1, 2, 3]"), goal=goal, algorithm="random", stop=Stop("bandit", slack=0.2))
    name = search.metric
    study = Study(search, [Trial(1, {"x": 1}, COMPLETE, metrics={name: leading}, steps=[(0, leading)])])
    for number, value, is_over in ((2, kept, False), (3, ended, True)):
        study.enter(number, {"x": number})
        assert study.ends_early(number, 0, value) is is_over
    policy = Policy({"name": "Bandit", "properties": {"slack_factor": 0.2}}, maximize=search.maximizes)
    logged = {"best": [leading], "kept": [kept], "ended": [ended]}
    assert policy.ended(logged, ["kept", "ended"]) == ["ended"], "the rehearsal's service does as well"


@pytest.mark.parametrize("policy", ["bandit", "median", "truncation"])
@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_a_trial_is_compared_with_those_that_run(policy: str, goal: str) -> None:
    """As the rehearsal's service does it, where none has ended yet."""
    names = {"bandit": "Bandit", "median": "MedianStopping", "truncation": "TruncationSelection"}
    settings = {"slack_factor": 0.1, "truncation_percentage": 30}
    theirs = Policy({"name": names[policy], "properties": settings}, maximize=goal == "maximize")
    stop = Stop(policy, percent=30)
    search = dataclasses.replace(of("x: {low: 0.0, high: 1.0}"), goal=goal, algorithm="random", stop=stop)
    source, ends = random.Random(5), Counter[bool]()
    for _ in range(20):
        logged = {str(number): [source.uniform(0.5, 1) for _ in range(3)] for number in range(8)}
        study = Study(search, [])
        for run, values in logged.items():
            study.enter(int(run), {"x": 0.5})
            said = [study.ends_early(int(run), step, value) for step, value in enumerate(values)]
        signed = {run: [value * theirs.sign for value in values] for run, values in logged.items()}
        assert said[2] is theirs.lags(signed, "7", 3)
        ends[said[2]] += 1
    assert min(ends[True], ends[False]) > 0


@pytest.mark.parametrize("policy", ["median", "truncation"])
def test_four_others_have_to_be_as_far(policy: str) -> None:
    stop = Stop(policy, after=1, percent=50)
    search = dataclasses.replace(of("x: {low: 0.0, high: 1.0}"), goal="maximize", algorithm="random", stop=stop)
    study = Study(search, [])
    for number in range(1, 6):
        study.enter(number, {"x": 0.5})
        assert not study.ends_early(number, 0, float(number == 1))
    for number in range(1, 5):
        assert not study.ends_early(number, 1, 1.0)
    assert study.ends_early(5, 1, 0.4)
