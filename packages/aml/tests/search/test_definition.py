"""search.yml: what it says, and each way in which it may be wrong, a line each with the mend."""

import pytest

from aml_project.search.definition import Choice, Range, Search, Stop, parse

SEARCH = """
metric: roc_auc
goal: maximize
trials: 40
parallel: 4
algorithm: tpe
stop: {policy: median, after: 5}
hours: 2
parameters:
  regularization: {low: 1.0e-4, high: 10, log: true}
  max-iter: {low: 100, high: 2000, step: 100}
  solver: [lbfgs, saga]
"""


def parsed(text: str) -> Search:
    search, findings = parse(text)
    assert search is not None, findings
    return search


def of(parameter: str) -> Search:
    """A search of these parameters, a line each."""
    return parsed("metric: m\ngoal: minimize\nparameters:\n  " + parameter.replace("\n", "\n  "))


def test_what_it_says_is_plain_data() -> None:
    assert parsed(SEARCH) == Search(
        metric="roc_auc",
        goal="maximize",
        trials=40,
        parallel=4,
        stop=Stop("median", 5),
        hours=2,
        parameters=(
            Range("regularization", 0.0001, 10, log=True),
            Range("max-iter", 100, 2000, step=100),
            Choice("solver", ("lbfgs", "saga")),
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # What YAML takes for something else.
        ("1.0e-4", "1e-4", "line 10: 1e-4 is a text in YAML, and no number: write 1.0e-4"),
        ("high: 10,", "high: 1e1,", "line 10: 1e1 is a text in YAML, and no number: write 1.0e+1"),
        ("lbfgs", "no", "line 12: no is false in YAML: write 'no' in quotes for the text, or false"),
        ("saga", "On", "line 12: On is true in YAML: write 'On' in quotes for the text, or true"),
        ("solver:", "on:", "line 12: on is true in YAML: write 'on' in quotes for the text, or true"),
        ("saga", "010", "line 12: 010 is the number 8 in YAML: write 8, or '010' in quotes"),
        ("saga", "1:30", "line 12: 1:30 is the number 90 in YAML: write 90, or '1:30' in quotes"),
        ("saga", "2024-01-01", "line 12: 2024-01-01 is a date in YAML: write '2024-01-01' in quotes"),
        ("high: 10,", "high: .inf,", "line 10: .inf is no end of anything: write a number"),
        ("trials: 40", "trials: 40\ntrials: 41", "line 5: trials: stands here twice: YAML takes the last one"),
        ("goal:", "\tgoal:", "line 3: found character '\\t' that cannot start any token: mend it"),
        ("solver: [lbfgs", "solver: [[lbfgs]", "parameters.solver: ['lbfgs']: write texts, numbers, true or false"),
        # What is missing, or called wrongly.
        ("metric: roc_auc\n", "", "metric: name a number that train.py writes to metrics.json, as in roc_auc"),
        ("maximize", "max", "goal: no 'max': write maximize or minimize"),
        ("tpe", "hyperband", "algorithm: no 'hyperband': write random or grid or bayesian or tpe"),
        ("trials: 40", "trial: 40", "trial: no such key: write trials"),
        ("trials: 40", "trials: 0", "trials: 0: write a whole number from 1 to 10000"),
        ("trials: 40", "trials: true", "trials: True: write a whole number from 1 to 10000"),
        ("parallel: 4", "parallel: 2.5", "parallel: 2.5: write a whole number from 1 to 100"),
        ("hours: 2", "hours: -1", "hours: -1: write a number above 0"),
        ("median, after: 5", "median, after: x", "stop.after: 'x': write how many steps each trial makes at least"),
        ("policy: median", "policy: hyperband", "stop.policy: no 'hyperband': write median or truncation or bandit"),
        ("median,", "median, slack: 1,", "stop.slack: no such key: there are policy, after"),
        ("median,", "bandit, slack: 0,", "stop.slack: 0: write a number above 0, as in 0.1"),
        # Folds.
        ("hours: 2", "folds: 5", "folds: name one argument of train.py and its values, as in {fold: [1, 2, 3]}"),
        ("hours: 2", "folds: {a: [1]}", "folds: only a grid tries each combination with each: write algorithm: grid"),
        ("tpe", "grid\nfolds: {solver: [a, b]}", "folds: solver is one of the parameters as well: remove it there"),
        ("tpe", "grid\nfolds: {--a: [1, 2]}", "folds: --a: name an argument of train.py without its --, as in fold"),
        ("tpe", "grid\nfolds: {fold: [1, 1]}", "folds: 1 stands there twice: remove one"),
        # Ranges without sense.
        ("1.0e-4", "0", "parameters.regularization: log takes no logarithm of low 0: write a low above 0"),
        ("low: 100,", "low: 3000,", "parameters.max-iter: low 3000 is not below high 2000: exchange them"),
        ("2000", "2050", "parameters.max-iter: in steps of 100 from 100, 2050 is never met: write high: 2000"),
        ("step: 100", "step: 0", "parameters.max-iter.step: 0: write a number above 0 and at most 1900"),
        ("step: 100", "step: 100, log: true", "parameters.max-iter: log and step exclude each other: leave one out"),
        ("step: 100", "max: 100", "parameters.max-iter.max: no such key: there are low, high, step, log, when"),
        ("low: 100, ", "", "parameters.max-iter.low: missing: write a number"),
        ("[lbfgs, saga]", "lbfgs", "parameters.solver: 'lbfgs': write [one, two], or {low: 1, high: 10}"),
        ("[lbfgs, saga]", "[1, true]", "parameters.solver: True and 1 are one value to an engine: remove one"),
        ("[lbfgs, saga]", "[]", "parameters.solver: write the values in brackets, as in [one, two]"),
        ("solver:", "--solver:", "parameters: --solver: name an argument of train.py without its --, as in max-iter"),
        ("tpe", "grid", "algorithm: grid would never end: give regularization a step, or values in brackets"),
        ("saga]", "saga]\n  x: {low: 1, high: 2, when: {solvr: saga}}", "parameters.x.when.solvr: no choice of"),
        ("saga]", "saga]\n  x: {low: 1, high: 2, when: {solver: sag}}", "parameters.x.when.solver: 'sag': write"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(old: str, new: str, said: str) -> None:
    assert old in SEARCH
    search, findings = parse(SEARCH.replace(old, new, 1))
    assert search is None
    assert len(findings) == 1, findings
    assert findings[0].startswith(said), findings


@pytest.mark.parametrize("text", ["", "[]", "just words", "a: [", "\x00", "&a [*a]"])
def test_what_is_no_search_at_all_is_told_as_well(text: str) -> None:
    search, findings = parse(text)
    assert search is None
    assert findings


def test_a_grid_too_large_to_walk_is_refused() -> None:
    many = "\n".join(f"  p{number}: {{low: 1, high: 100}}" for number in range(3))
    assert parse(f"metric: m\ngoal: minimize\nalgorithm: grid\nparameters:\n{many}") == (
        None,
        ["algorithm: grid has more than 100,000 combinations: make the steps larger"],
    )


@pytest.mark.parametrize(
    ("parameter", "options"),
    [
        ("{low: 2, high: 5}", (2, 3, 4, 5)),
        ("{low: 100, high: 300, step: 100}", (100, 200, 300)),
        ("{low: 0, high: 0.3, step: 0.1}", (0.0, 0.1, 0.2, 0.3)),
        ("{low: -0.3, high: 0.3, step: 0.3}", (-0.3, 0.0, 0.3)),
        ("{low: 1.0, high: 3.0, step: 1}", (1.0, 2.0, 3.0)),
        ("{low: 0.0, high: 1.0}", None),
        ("{low: 1, high: 1000, log: true}", tuple(range(1, 1001))),
        ("[a, 2, 1.5, true]", ("a", 2, 1.5, True)),
    ],
)
def test_both_ends_belong_to_a_range_and_steps_begin_at_its_low(parameter: str, options: tuple[object, ...]) -> None:
    (found,) = of(f"x: {parameter}").parameters
    assert found.options == options
    assert found.count == (None if options is None else len(options))
    for option in options or ():
        assert found.holds(option)
    outside = (found.low - 1, found.high + 1, "b", True) if isinstance(found, Range) else ("b", 1, False)
    for other in outside:
        assert not found.holds(other)


def test_a_parameter_with_a_condition_is_one_only_where_that_holds() -> None:
    search = of("solver: [lbfgs, saga]\nratio: {low: 0.0, high: 1.0, when: {solver: saga}}")
    assert search.fits({"solver": "saga", "ratio": 0.5})
    assert search.fits({"solver": "lbfgs"})
    assert not search.fits({"solver": "lbfgs", "ratio": 0.5})
    assert not search.fits({"solver": "saga"})
    assert not search.fits({"solver": "saga", "ratio": 1.5})
    assert not search.fits({"solver": "sag", "ratio": 0.5})
