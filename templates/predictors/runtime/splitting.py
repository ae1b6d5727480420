"""Which rows a model learns from, and which it is judged by: drawn at random, by groups, or by time."""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from runtime.arguments import share


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to those of train.py."""
    add = parser.add_argument_group("split").add_argument
    add("--train-test-split-ratio", type=share, default=0.3, help="share held out for the test (default: %(default)s)")
    add("--split-by", metavar="COLUMN", help="rows with the same value here are all for training, or all for the test")
    add("--time", metavar="COLUMN", help="train on the earlier rows by this column, test on the later ones")


class Rows(NamedTuple):
    """The rows of a table, and what says which of them may be parted from which."""

    strata: np.ndarray | None  # the classes, each of which is to be on both sides; None: there are none
    total: int
    seed: int
    groups: np.ndarray | None = None  # of --split-by
    times: np.ndarray | None = None  # of --time
    by: str = ""  # the column of either

    def split(self, ratio: float) -> tuple[np.ndarray, np.ndarray]:
        """The rows to train on and those to test with, about so large a share of all."""
        if self.groups is not None:
            from sklearn.model_selection import GroupShuffleSplit

            draw = GroupShuffleSplit(1, test_size=ratio, random_state=self.seed)
            train, test = next(draw.split(self.groups, groups=self.groups))
            return self.judged(np.sort(train), np.sort(test))
        if self.times is not None:
            latest = np.sort(self.times)[round((1 - ratio) * self.total)]
            is_late = self.times >= latest  # rows of the same time are on the same side
            return self.judged(np.flatnonzero(~is_late), np.flatnonzero(is_late))
        strata = self.strata if self.strata is not None else np.zeros(self.total, int)
        return held_out(np.arange(self.total), strata, ratio, np.random.default_rng(self.seed))

    def folds(self, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """So many pairs of rows to train on and to test with; by time, each test is later than its training."""
        from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

        if self.groups is not None:
            pairs = GroupKFold(count).split(self.groups, groups=self.groups)
        elif self.times is not None:
            order = np.argsort(self.times, kind="stable")
            pairs = ((order[train], order[test]) for train, test in TimeSeriesSplit(count).split(order))
        elif self.strata is not None:
            pairs = StratifiedKFold(count, shuffle=True, random_state=self.seed).split(self.strata, self.strata)
        else:
            pairs = KFold(count, shuffle=True, random_state=self.seed).split(np.arange(self.total))
        for train, test in pairs:
            yield self.judged(train, test)

    def judged(self, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same; a class that only the test has could never be learned."""
        if not len(train) or not len(test):
            raise SystemExit(f"{self.option} {self.by}: one side would have no row; its values are too few")
        if self.strata is not None and (only := set(self.strata[test]) - set(self.strata[train])):
            raise SystemExit(f"{self.option} {self.by}: all rows of the class {str(min(only))!r} would be for the test")
        return train, test

    @property
    def option(self) -> str:
        return "--split-by" if self.groups is not None else "--time" if self.times is not None else "--folds"

    def described(self) -> str:
        """How they are parted, in a few words; none if they are drawn at random, as usual."""
        if self.groups is not None:
            return f", each {self.by} on one side"
        return f", the latest by {self.by}" if self.times is not None else ""


def rows_of(features: pd.DataFrame, labels: pd.Series, args: argparse.Namespace) -> tuple[pd.DataFrame, Rows]:
    """How the rows may be parted; and the features, without the columns that only say that."""
    strata = labels.to_numpy(str) if args.task == "classification" else None
    rows = Rows(strata, len(labels), args.seed)
    if args.threshold is not None and (strata is None or labels.nunique() != 2):
        has = f"{labels.nunique()} classes" if strata is not None else "numbers"
        raise SystemExit(f"--threshold {args.threshold:g}: only two classes have one; --label {args.label} has {has}")
    given = {"--split-by": args.split_by, "--time": args.time}
    columns = [name for name in given.values() if name]
    if len(columns) > 1:
        raise SystemExit("--split-by or --time, not both")
    for option, name in given.items():
        if name and name not in features:
            raise SystemExit(f"{option} {name}: no such column; the data has {', '.join(map(str, features.columns))}")
    if args.split_by:
        groups, names = pd.factorize(features[args.split_by], use_na_sentinel=False)
        if len(names) < 2:
            raise SystemExit(f"--split-by {args.split_by}: every row has the same value")
        rows = rows._replace(groups=groups, by=args.split_by)
    if args.time:
        rows = rows._replace(times=moments(features[args.time], args.time), by=args.time)
    return features.drop(columns=columns), rows


def moments(values: pd.Series, name: str) -> np.ndarray:
    """The column as numbers that grow with time."""
    found = (
        values if values.dtype.kind in "iufM" else pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True)
    )
    wrong = found.isna().to_numpy()
    if wrong.any():
        place = int(wrong.argmax())
        what = "is missing" if pd.isna(values.iloc[place]) else f"is {str(values.iloc[place])[:40]!r}, no time"
        raise SystemExit(f"--time {name}: {what} in row {place}; a number, or a date as 2024-12-31, says when it was")
    return found.astype("int64").to_numpy() if found.dtype.kind == "M" else found.to_numpy()


def held_out(
    indices: np.ndarray, strata: np.ndarray, ratio: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share of each class, one row of it at least."""
    kept, held = [], []
    for stratum in np.unique(strata[indices]):
        own = random.permutation(indices[strata[indices] == stratum])
        count = min(max(round(ratio * len(own)), 1), len(own) - 1)
        held.append(own[:count])
        kept.append(own[count:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(held))


def cross_validated(
    rows: Rows, count: int, judge: Callable[[np.ndarray, np.ndarray], dict[str, float]]
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Train and judge once for each fold: the mean and the deviation of each metric, and the metrics of each fold."""
    if count < 2:
        raise SystemExit(f"--folds {count}: 2 or more")
    if rows.strata is not None and rows.groups is None and rows.times is None:
        fewest = int(np.unique(rows.strata, return_counts=True)[1].min())
        if fewest < count:
            raise SystemExit(f"--folds {count}: a class has only {fewest} rows; --folds {fewest} at most")
    folds = [judge(train, test) for train, test in rows.folds(count)]
    found: dict[str, float] = {}
    for name in folds[0]:
        values = np.array([fold[name] for fold in folds if name in fold])
        found |= {f"{name}_folds_mean": float(values.mean()), f"{name}_folds_std": float(values.std())}
    return found, folds
