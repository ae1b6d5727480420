"""The data: brought to a run, parted from its labels, and into rows to learn from and rows that judge.

What is wrong with it is said in one line.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runtime.arguments import share

MANY = 20  # different numbers in a label: more than that are rarely classes
FEW = 10  # rows that a regression needs, so that some can be held out
LARGEST = float(np.finfo(np.float32).max)


def download(name: str, folder: Path, local_rank: int = 0, wait: Callable[[], None] = lambda: None) -> None:
    """Bring a dataset of the run to a folder of the node: its first process does, the others wait until all is there.

    For a run whose runconfig says `mechanism: direct`, which nobody else brings it to. Without a name there is nothing
    to do.
    """
    if not name:
        return
    if local_rank == 0:
        from azureml.core import Run

        datasets = getattr(Run.get_context(), "input_datasets", {})  # none outside of Azure ML
        if not hasattr(datasets.get(name), "download"):
            raise SystemExit(
                f"--dataset {name}: no data of this run with mechanism: direct; leave it out to train here"
            )
        print(f"Downloading {name} to {folder}", flush=True)
        datasets[name].download(str(folder), overwrite=True)
    wait()


def load_tabular_dataset(
    name: str, version: int | str = "latest", reading: dict[str, Any] | None = None, workspace: Any = None
) -> pd.DataFrame:
    """A registered dataset, of files or a table, with all its columns, in the types in which a training reads them.

    In a run it is one of the run's workspace, here one of the workspace that the project is attached to. `reading` is
    what arguments.reading() makes of --numbers, --categories and their like.
    """
    from azureml.core import Dataset, Run, Workspace

    from runtime import tables

    run = Run.get_context()
    workspace = workspace or (run.experiment.workspace if hasattr(run, "experiment") else Workspace.from_config())
    try:
        dataset = Dataset.get_by_name(workspace, name, version)
    except Exception as error:
        raise SystemExit(f"dataset {name}, version {version}: {' '.join(str(error).split())[:300]}") from None
    with TemporaryDirectory() as folder:
        if hasattr(dataset, "to_pandas_dataframe"):
            dataset.to_pandas_dataframe().to_parquet(Path(folder, f"{name}.parquet"), index=False)
        else:
            dataset.download(folder)
        try:
            return tables.read_whole(Path(folder), reading or {})
        except tables.Refused as refused:
            raise SystemExit(str(refused).replace(f"--data-path {folder}", f"dataset {name}", 1)) from None


def split_label(frame: pd.DataFrame, label: str, task: str = "classification") -> tuple[pd.DataFrame, pd.Series]:
    """Return the features and the labels: strings, or numbers for a regression. Rows without a label are left out.

    What is missing is told: each model makes something of it, and it may be a mistake in the data.
    """
    if label not in frame:
        alike = [name for name in frame.columns if name.strip().casefold() == label.strip().casefold()]
        meant = f"; {alike[0]!r} is one" if alike else ""
        raise SystemExit(f"--label {label}: no such column; the data has {', '.join(map(str, frame.columns))}{meant}")
    if len(frame.columns) < 2:
        raise SystemExit(f"--label {label}: there is no other column to predict it from")
    missing = [f"{name} in {count}" for name, count in frame.isna().sum().items() if count]
    if missing:
        more = f" and {len(missing) - 5} columns more" if len(missing) > 5 else ""
        print(f"Missing values, of {len(frame)} rows: {', '.join(missing[:5])}{more}", flush=True)
    frame = frame.dropna(subset=label)
    labels = frame[label].convert_dtypes()
    return frame.drop(columns=label), numbers(labels) if task == "regression" else classes(labels)


def classes(labels: pd.Series) -> pd.Series:
    """The labels of a classification. Many numbers are told: they are rarely meant as classes."""
    check_spelling(labels.astype(str))
    count = labels.nunique()
    instead = ""
    if count > MANY and labels.dtype.kind in "iuf":
        instead = f"{count} different numbers are taken for classes; --task regression predicts a number"
    if count < 2 or labels.value_counts().min() < 2:
        needed = "needs two classes or more, with two rows or more of each"
        raise SystemExit(f"--label {labels.name}: {'; '.join(filter(None, [needed, instead]))}")
    if instead:
        print(f"NOTE: --label {labels.name}: {instead}", file=sys.stderr, flush=True)
    return labels.astype(str)


def check_spelling(labels: pd.Series) -> None:
    """Labels that differ only in blanks or case are one class to whoever wrote them, and two to a model."""
    spelled: dict[str, str] = {}
    for text in labels.unique():
        other = spelled.setdefault(" ".join(text.split()).casefold(), text)
        if other != text:
            row = labels[labels == text].index[0]
            raise SystemExit(f"--label {labels.name}: row {row} has {text!r}, others {other!r}; write them alike")


def numbers(labels: pd.Series) -> pd.Series:
    """The labels of a regression."""
    found = pd.to_numeric(labels, errors="coerce").astype(float)
    if labels.dtype.kind not in "iufO":  # to_numeric() makes numbers of booleans and of dates
        found[:] = np.nan
    wrong = labels[~(found.abs() <= LARGEST)]
    if len(wrong):
        what = f"{str(wrong.iloc[0])[:80]!r} in row {wrong.index[0]} is no number, or too large a one"
        raise SystemExit(f"--label {labels.name}: {what}; --task classification predicts classes")
    if len(found) < FEW or found.nunique() < 2:
        raise SystemExit(f"--label {labels.name}: needs {FEW} rows or more, and two different numbers or more")
    return found


# Which rows a model learns from, and which it is judged by: drawn at random, by groups, or by time.


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

    def most_folds(self) -> tuple[int, str]:
        """How many folds there can be, and of what there is no more."""
        if self.groups is not None:
            groups = len(np.unique(self.groups))
            return groups, f"{self.by} has only {groups} values"
        if self.times is not None:
            return self.total - 1, f"there are only {self.total} rows"
        if self.strata is not None:
            fewest = int(np.unique(self.strata, return_counts=True)[1].min())
            return fewest, f"a class has only {fewest} rows"
        return self.total, f"there are only {self.total} rows"

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
    most, why = rows.most_folds()
    if count > most:
        raise SystemExit(f"--folds {count}: {why}; --folds {most} at most")
    pairs = list(rows.folds(count))  # all of them before the first training: one may be refused
    folds = [judge(train, test) for train, test in pairs]
    found: dict[str, float] = {}
    for name in folds[0]:
        values = np.array([fold[name] for fold in folds if name in fold])
        found |= {f"{name}_folds_mean": float(values.mean()), f"{name}_folds_std": float(values.std())}
    return found, folds
