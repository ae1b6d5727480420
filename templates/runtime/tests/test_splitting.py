"""runtime/data.py, its rows: which rows are for training and which judge, and what is said where that can't be."""

import argparse
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runtime import data

TABLE = pd.DataFrame(
    {
        "customer": [f"c{number // 4}" for number in range(40)],
        "day": pd.date_range("2024-01-01", periods=20).repeat(2),
        "size": np.arange(40.0),
    }
).sample(frac=1, random_state=3, ignore_index=True)
LABELS = pd.Series(np.where(TABLE["size"] % 2 == 1, "yes", "no"))


def given(**args: Any) -> argparse.Namespace:
    return argparse.Namespace(
        **{"task": "classification", "seed": 1, "threshold": None, "label": "y", "split_by": None, "time": None} | args
    )


def test_at_random_each_class_is_on_both_sides_by_its_share() -> None:
    features, rows = data.rows_of(TABLE, LABELS, given())
    train, test = rows.split(0.25)
    assert list(features) == list(TABLE)
    assert sorted([*train, *test]) == list(range(40)) and len(test) == 10
    assert LABELS[test].value_counts().to_dict() == {"no": 5, "yes": 5}
    assert [part.tolist() for part in rows.split(0.25)] == [train.tolist(), test.tolist()], "same seed, same rows"


def test_the_rows_of_a_group_are_on_one_side_and_its_column_is_no_feature() -> None:
    features, rows = data.rows_of(TABLE, LABELS, given(split_by="customer"))
    assert list(features) == ["day", "size"]
    for train, test in [rows.split(0.3), *rows.folds(4)]:
        assert not set(TABLE["customer"][train]) & set(TABLE["customer"][test]) and len(train) + len(test) == 40


def test_what_is_later_judges_what_was_earlier() -> None:
    features, rows = data.rows_of(TABLE, LABELS, given(time="day"))
    assert list(features) == ["customer", "size"]
    for train, test in [rows.split(0.3), *rows.folds(3)]:
        assert TABLE["day"][train].max() <= TABLE["day"][test].min()
    train, test = rows.split(0.3)
    assert TABLE["day"][train].max() < TABLE["day"][test].min(), "rows of one time are on the same side"


@pytest.mark.parametrize("values", [TABLE["size"], TABLE["day"].dt.strftime("%Y-%m-%d"), TABLE["size"].astype(int)])
def test_times_are_dates_or_numbers(values: pd.Series) -> None:
    _, rows = data.rows_of(TABLE.assign(day=values), LABELS, given(time="day"))
    assert rows.times is not None and (np.argsort(rows.times, kind="stable") == np.argsort(values, kind="stable")).all()


def test_each_row_judges_once_in_folds() -> None:
    for args in ({}, {"split_by": "customer"}, {"task": "regression"}):
        _, rows = data.rows_of(TABLE, LABELS, given(**args))
        assert sorted(np.concatenate([test for _, test in rows.folds(4)])) == list(range(40))


def test_cross_validation_tells_mean_and_deviation() -> None:
    _, rows = data.rows_of(TABLE, LABELS, given())
    scores = iter([0.5, 0.7, 0.9, 0.7])
    found, folds = data.cross_validated(rows, 4, lambda *_: {"accuracy": next(scores)})
    assert found == {"accuracy_folds_mean": pytest.approx(0.7), "accuracy_folds_std": pytest.approx(np.sqrt(0.02))}
    assert [fold["accuracy"] for fold in folds] == [0.5, 0.7, 0.9, 0.7]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"split_by": "shop"}, "--split-by shop: no such column; the data has customer, day, size"),
        ({"time": "shop"}, "--time shop: no such column; the data has customer, day, size"),
        ({"time": "customer"}, r"--time customer: is 'c\d', no time in row 0; a number, or a date as 2024-12-31"),
        ({"split_by": "customer", "time": "day"}, "--split-by or --time, not both"),
        ({"threshold": 0.3, "task": "regression"}, "--threshold 0.3: only two classes have one; --label y has numbers"),
    ],
)
def test_what_can_not_part_the_rows_is_one_line(args: dict[str, Any], said: str) -> None:
    with pytest.raises(SystemExit, match=f"^{said}"):
        data.rows_of(TABLE, LABELS, given(**args))


def test_a_threshold_is_of_two_classes() -> None:
    with pytest.raises(SystemExit, match="only two classes have one; --label y has 10 classes"):
        data.rows_of(TABLE, TABLE["customer"], given(threshold=0.3))


def test_one_group_and_a_class_that_only_the_test_has_are_one_line() -> None:
    with pytest.raises(SystemExit, match="--split-by customer: every row has the same value"):
        data.rows_of(TABLE.assign(customer="c"), LABELS, given(split_by="customer"))
    late = pd.Series(np.where(TABLE["day"] > "2024-01-17", "late", "early"))
    _, rows = data.rows_of(TABLE, late, given(time="day"))
    with pytest.raises(SystemExit, match="--time day: all rows of the class 'late' would be for the test"):
        rows.split(0.3)


@pytest.mark.parametrize(
    ("args", "count", "said"),
    [
        ({}, 1, "--folds 1: 2 or more"),
        ({}, 50, "--folds 50: a class has only 20 rows; --folds 20 at most"),
        ({"split_by": "customer"}, 11, "--folds 11: customer has only 10 values; --folds 10 at most"),
        ({"time": "day"}, 40, "--folds 40: there are only 40 rows; --folds 39 at most"),
        ({"task": "regression"}, 41, "--folds 41: there are only 40 rows; --folds 40 at most"),
    ],
)
def test_folds_that_can_not_be_are_one_line(args: dict[str, Any], count: int, said: str) -> None:
    _, rows = data.rows_of(TABLE, LABELS, given(**args))
    with pytest.raises(SystemExit, match=f"^{said}$"):
        data.cross_validated(rows, count, lambda *_: {})


def test_a_fold_that_can_not_be_is_told_before_one_is_trained() -> None:
    late = pd.Series(np.where(TABLE["day"] > "2024-01-11", "late", LABELS))
    _, rows = data.rows_of(TABLE, late, given(time="day"))
    with pytest.raises(SystemExit, match=r"^--time day: all rows of the class 'late' would be for the test$"):
        data.cross_validated(rows, 3, lambda *_: pytest.fail("a fold was trained"))
