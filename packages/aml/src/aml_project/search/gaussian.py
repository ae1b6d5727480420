"""The algorithm `bayesian`: a Gaussian process over what was tried, and the point that promises most by it."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from aml_project.search.by_chance import draw, values_of
from aml_project.search.definition import Choice, Parameter, Search
from aml_project.values import Value, Values, same

FIRST = 10  # trials by chance
KNOWN = 300  # trials that it learns from: the newest, since it takes their number to the third
CANDIDATES = 1000


def propose(search: Search, study: optuna.Study, seed: int) -> Values:
    source = random.Random(seed)
    trials = study.get_trials(deepcopy=False)
    over = [trial for trial in trials if trial.state == TrialState.COMPLETE][-KNOWN:]
    if len(over) < FIRST:
        return values_of(search, draw, source)
    values = np.array([trial.value for trial in over], dtype=float) * (1 if search.maximizes else -1)
    points = [point(search, trial.params) for trial in over]
    # One that runs is taken for a mean one, so that the next is not put beside it.
    running = [point(search, trial.params) for trial in trials if trial.state == TrialState.RUNNING]
    targets = np.concatenate([values, np.full(len(running), values.mean())])
    scale = targets.std() or 1.0
    kernel = ConstantKernel(1.0) * Matern(np.ones(len(points[0])), (1e-2, 1e2), nu=2.5) + WhiteKernel(1e-3)
    process = GaussianProcessRegressor(kernel, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(np.array(points + running), (targets - targets.mean()) / scale)
    candidates = [values_of(search, draw, source) for _ in range(CANDIDATES)]
    mean, spread = process.predict(np.array([point(search, one) for one in candidates]), return_std=True)
    best = (values.max() - targets.mean()) / scale
    return candidates[int(np.argmax(expected_improvement(mean - best, spread)))]


def point(search: Search, values: Mapping[str, Any]) -> list[float]:
    """Values as a point of the unit cube: a range is an axis, a choice one for each of its options."""
    return [number for parameter in search.parameters for number in axes(parameter, values.get(parameter.name))]


def axes(parameter: Parameter, value: Value | None) -> Iterator[float]:
    if isinstance(parameter, Choice):
        yield from (float(same(value, option)) for option in parameter.options)
    elif value is None:  # no parameter of this trial
        yield 0.5
    elif parameter.log:
        low, high = math.log(parameter.low), math.log(parameter.high)
        yield (math.log(float(value)) - low) / (high - low)
    else:
        yield (float(value) - parameter.low) / (parameter.high - parameter.low)


def expected_improvement(gain: np.ndarray[Any, Any], spread: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    spread = np.maximum(spread, 1e-9)
    ratio = gain / spread
    below = np.array([0.5 * math.erfc(-one / math.sqrt(2)) for one in ratio])
    return np.asarray(gain * below + spread * np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi))
