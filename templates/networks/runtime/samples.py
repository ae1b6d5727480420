"""What there is to learn from: a table or a folder of images, split for the test, and shared among the processes."""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from runtime import encoding, images, input_schema, report
from runtime.arguments import reading
from runtime.data import Rows, held_out, rows_of

VALIDATION = 0.1  # of the training samples, to see when early stopping is due


class Split(NamedTuple):
    """Which samples are for what; those of the test are seen once, when the training is over."""

    train: np.ndarray
    validation: np.ndarray  # empty without early stopping
    test: np.ndarray


class Data(NamedTuple):
    """The samples, and what a request has to look like."""

    rows: np.ndarray | None  # of a table: a row of numbers for each sample
    files: list[Path]  # of images
    shape: list[int]  # of one sample: [columns], or [height, width, colours]
    actual: np.ndarray  # the labels, as they are in the data
    labels: np.ndarray  # as the network learns them: the number of each one's class, or a column of scaled numbers
    classes: list[str]  # of a regression none
    split: Split
    how: str  # they were parted, in a few words
    columns: list[input_schema.Column]
    encoding: encoding.Encoding | None  # of a table
    profile: report.Profile

    @property
    def task(self) -> str:
        return "classification" if self.classes else "regression"

    @property
    def outputs(self) -> int:
        """How many the network has: one for each class, or one for the number."""
        return len(self.classes) or 1

    def schema(self, args: argparse.Namespace, metrics: dict[str, float]) -> input_schema.Schema:
        """What the model takes and answers."""
        answered = {"threshold": args.threshold, "margin": metrics.get("margin")}
        return input_schema.Schema(self.columns, self.task, self.classes, **answered, reading=reading(args))

    def class_weights(self, balanced: bool) -> np.ndarray | None:
        """What a sample of each class counts, so that all classes count alike; None: as often as they come."""
        if not balanced or not self.classes:
            return None
        counts = np.bincount(self.labels[self.split.train], minlength=len(self.classes))
        return (counts.sum() / (len(self.classes) * np.maximum(counts, 1))).astype(np.float32)

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """What the network says: probabilities as they are, numbers as large as the labels."""
        return outputs if self.encoding is None or self.classes else self.encoding.unscaled(outputs)


def read(args: argparse.Namespace, load_data: Callable[[argparse.Namespace], tuple[Any, Any]]) -> Data:
    """List the images, or read a table with load_data(): what lies there says which."""
    if images.is_image_folder(args.data_path):
        return read_images(args)
    if args.data_path.is_dir() and not images.holds_tables(args.data_path):
        raise SystemExit(f"--data-path {args.data_path}: no .csv or .parquet file there, and no sub-folder with images")
    features, named = load_data(args)
    features, parted = rows_of(features, named, args)
    columns = input_schema.describe(features)
    table = input_schema.to_table(features, columns)
    actual, is_regression = named.to_numpy(), args.task == "regression"
    classes, labels = ([], np.zeros(len(actual), int)) if is_regression else numbered(actual)
    split = split_samples(parted, args.train_test_split_ratio, args.es_patience >= 0)
    of_training = {name: values[split.train] for name, values in table.items()}
    fitted = encoding.fit(of_training, columns, actual[split.train] if is_regression else None)
    rows = fitted.matrix(table, columns)
    labels = fitted.scaled(actual) if is_regression else labels
    profile = report.profile(table, actual, args.label)
    return Data(rows, [], [rows.shape[1]], actual, labels, classes, split, parted.described(), columns, fitted, profile)


def read_images(args: argparse.Namespace) -> Data:
    if args.task == "regression":
        raise SystemExit("--task regression: images have classes, the folders that they lie in: --task classification")
    files, names = images.list_images(args.data_path)
    classes, labels = numbered(names)
    parted = Rows(np.asarray(names, str), len(names), args.seed)
    split = split_samples(parted, args.train_test_split_ratio, args.es_patience >= 0)
    columns = [{"name": "image", "type": "image", "size": args.image_size}]
    shape = [args.image_size, args.image_size, 3]
    profile = report.profile({}, names, "class")
    how = parted.described()
    return Data(None, files, shape, np.array(names), labels, classes, split, how, columns, None, profile)


def numbered(names: Sequence[str] | np.ndarray) -> tuple[list[str], np.ndarray]:
    """The classes in their order, and the number of each one's."""
    classes, labels = np.unique(np.asarray(names, str), return_inverse=True)
    return classes.tolist(), labels


def split_samples(rows: Rows, ratio: float, early_stopping: bool) -> Split:
    """Hold out a share for the test, and some of the rest where it is to be seen when early stopping is due."""
    train, test = rows.split(ratio)
    if not early_stopping:
        return Split(train, train[:0], test)
    strata = rows.strata if rows.strata is not None else np.zeros(rows.total, int)
    rest, validation = held_out(train, strata, VALIDATION, np.random.default_rng(rows.seed))
    return Split(rest, validation, test)


class Batches:
    """This process's part of each batch: the same batches in the same order, however many processes share them."""

    def __init__(self, indices: np.ndarray, size: int, rank: int = 0, processes: int = 1) -> None:
        self.indices, self.size, self.rank, self.processes = indices, size, rank, processes
        self.order = indices

    def __len__(self) -> int:
        return math.ceil(len(self.indices) / self.size)

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.order), self.size):
            yield self.order[start : start + self.size][self.rank :: self.processes]

    def shuffle(self, seed: int, epoch: int) -> None:
        """Another order for each epoch, the same one for the same seed: also in a run that goes on."""
        self.order = np.random.default_rng((seed, epoch)).permutation(self.indices)
