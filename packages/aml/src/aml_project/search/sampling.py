"""What to try next, and who is to end early: Optuna, told of all that was tried before.

Optuna keeps nothing: the record does. What a trial draws depends on the seed, its number and what is known by then, so
that a search that was killed does not draw the same again.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from statistics import fmean, median
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from aml_project.search.definition import Choice, Parameter, Search, Stop
from aml_project.search.record import COMPLETE, STOPPED, Trial, as_text
from aml_project.values import Values

STARTUP = 4  # others that have come as far before a trial is judged by their median, or as one of the worst
STATES = {COMPLETE: TrialState.COMPLETE, STOPPED: TrialState.PRUNED}

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


class Study:
    """The trials as Optuna knows them."""

    def __init__(self, search: Search, past: Iterable[Trial]) -> None:
        self.search = search
        direction = StudyDirection.MAXIMIZE if search.maximizes else StudyDirection.MINIMIZE
        self.study = optuna.create_study(direction=direction, pruner=pruner(search))
        self.distributions = {parameter.name: distribution(parameter) for parameter in search.parameters}
        self.open: dict[int, optuna.trial.Trial] = {}  # by the number in the record
        self.taken: set[str] = set()
        self.grid = search.grid() if search.algorithm == "grid" else iter(())
        past = list(past)
        self.taken.update(as_text(trial.values) for trial in past)
        self.study.add_trials([frozen for trial in past if (frozen := self.frozen(trial))])

    def frozen(self, trial: Trial) -> optuna.trial.FrozenTrial | None:
        """A trial of before; nothing of one that has no value to learn from."""
        value = trial.value(self.search)
        if value is None:
            return None
        return optuna.trial.create_trial(
            state=STATES[trial.state], value=value, params=dict(trial.values),
            distributions={name: self.distributions[name] for name in trial.values},
            intermediate_values=dict(trial.steps),
        )  # fmt: skip

    def propose(self, number: int) -> Values | None:
        """The values of the next trial; nothing where a grid has no more."""
        if self.search.algorithm == "grid":
            values = next((values for values in self.grid if as_text(values) not in self.taken), None)
            return None if values is None else self.enter(number, values)
        if self.search.algorithm == "bayesian":
            from aml_project.search import gaussian

            return self.enter(number, gaussian.propose(self.search, self.study, self.search.seed + number))
        return self.enter(number)

    def enter(self, number: int, values: Values | None = None) -> Values:
        """Begin a trial, with these values if they are known, and return them."""
        if values is not None:
            self.taken.add(as_text(values))
            self.study.enqueue_trial(dict(values))
        self.study.sampler = sampler(self.search.algorithm, self.search.seed + number)
        trial = self.open[number] = self.study.ask()
        drawn: Values = {}
        for parameter in self.search.parameters:
            if self.search.active(parameter, drawn):
                drawn[parameter.name] = suggest(trial, parameter)
        return drawn

    def ends_early(self, number: int, step: int, value: float) -> bool:
        """Take what a trial has reached by a step; say whether it is to end with it."""
        trial = self.open[number]
        trial.report(value, step)
        return self.search.stop is not None and trial.should_prune()

    def over(self, trial: Trial) -> None:
        value = trial.value(self.search)
        state = TrialState.FAIL if value is None else STATES[trial.state]
        self.study.tell(self.open.pop(trial.number), value if state == TrialState.COMPLETE else None, state=state)


def distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.options)
    if parameter.whole:
        return IntDistribution(
            int(parameter.low), int(parameter.high), log=parameter.log, step=int(parameter.step or 1)
        )
    return FloatDistribution(float(parameter.low), float(parameter.high), log=parameter.log, step=parameter.step)


def suggest(trial: optuna.trial.Trial, parameter: Parameter) -> Any:
    if isinstance(parameter, Choice):
        return trial.suggest_categorical(parameter.name, parameter.options)
    if parameter.whole:
        step = int(parameter.step or 1)
        return trial.suggest_int(parameter.name, int(parameter.low), int(parameter.high), step=step, log=parameter.log)
    low, high = float(parameter.low), float(parameter.high)
    return parameter.tidy(trial.suggest_float(parameter.name, low, high, step=parameter.step, log=parameter.log))


def sampler(algorithm: str, seed: int) -> optuna.samplers.BaseSampler:
    if algorithm == "tpe":
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)


class Policy(optuna.pruners.BasePruner):
    """Ends what does worse by a step than others that have come as far, also those that run, as Azure ML does.

    A trial is judged by its best until then; those that went to their end count in any case. `bandit` ends what is
    behind the best by more than a share: with a slack of 0.1, the best has to be more than 1.1 times as good. `median`
    ends what is worse than the median of all means, `truncation` what is among the worst.
    """

    def __init__(self, search: Search, stop: Stop) -> None:
        self.stop, self.sign = stop, 1 if search.maximizes else -1  # so that more is better

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        step = trial.last_step
        if step is None or step < self.stop.after:
            return False
        others = [
            reached
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and (reached := self.reached(other, step))
        ]
        own = self.reached(trial, step)
        bests = [max(reached) for reached in others]
        if self.stop.policy == "bandit":
            return bool(bests) and max(own) < self.allowed(max(bests))
        if len(others) < STARTUP:
            return False
        if self.stop.policy == "median":
            return max(own) < median(fmean(reached) for reached in (*others, own))
        worse = sum(best < max(own) for best in bests)
        return worse < int((len(others) + 1) * self.stop.percent / 100)

    def reached(self, trial: optuna.trial.FrozenTrial, step: int) -> list[float]:
        """What a trial had logged by a step, if it is to be compared with."""
        is_there = trial.last_step is not None and trial.last_step >= step
        if trial.state == TrialState.FAIL or not (is_there or trial.state == TrialState.COMPLETE):
            return []
        return [self.sign * value for at, value in trial.intermediate_values.items() if at <= step]

    def allowed(self, best: float) -> float:
        return best / (1 + self.stop.slack) if best > 0 else best * (1 + self.stop.slack)


def pruner(search: Search) -> optuna.pruners.BasePruner:
    return Policy(search, search.stop) if search.stop else optuna.pruners.NopPruner()
