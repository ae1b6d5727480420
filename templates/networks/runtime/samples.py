"""What there is to learn from: a table or a folder of images, split for the test, and shared among the processes."""

import argparse
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from runtime import encoding, images, input_schema, report

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
    labels: np.ndarray
    classes: list[str]
    split: Split
    columns: list[input_schema.Column]
    encoding: encoding.Encoding | None  # of a table
    profile: report.Profile


def read(args: argparse.Namespace, load_data: Callable[[argparse.Namespace], tuple[Any, Any]]) -> Data:
    """List the images, or read a table with load_data(): what lies there says which."""
    if images.is_image_folder(args.data_path):
        files, names = images.list_images(args.data_path)
        classes, labels = np.unique(names, return_inverse=True)
        split = split_samples(labels, args.train_test_split_ratio, args.es_patience >= 0, args.seed)
        columns = [{"name": "image", "type": "image", "size": args.image_size}]
        shape = [args.image_size, args.image_size, 3]
        profile = report.profile({}, names, "class")
        return Data(None, files, shape, labels, classes.tolist(), split, columns, None, profile)
    if args.data_path.is_dir() and not images.holds_tables(args.data_path):
        raise SystemExit(f"--data-path {args.data_path}: no .csv or .parquet file there, and no sub-folder with images")
    features, named = load_data(args)
    columns = input_schema.describe(features)
    table = input_schema.to_table(features, columns)
    classes, labels = np.unique(named.to_numpy(str), return_inverse=True)
    split = split_samples(labels, args.train_test_split_ratio, args.es_patience >= 0, args.seed)
    fitted = encoding.fit({name: values[split.train] for name, values in table.items()}, columns)
    rows = fitted.matrix(table, columns)
    profile = report.profile(table, named, args.label)
    return Data(rows, [], [rows.shape[1]], labels, classes.tolist(), split, columns, fitted, profile)


def split_samples(labels: np.ndarray, ratio: float, early_stopping: bool, seed: int) -> Split:
    """Hold out a share of each class, one of it at least."""
    train, test = held_out(np.arange(len(labels)), labels, ratio, np.random.default_rng(seed))
    if not early_stopping:
        return Split(train, train[:0], test)
    rest, validation = held_out(train, labels, VALIDATION, np.random.default_rng(seed))
    return Split(rest, validation, test)


def held_out(
    indices: np.ndarray, labels: np.ndarray, ratio: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    kept, held = [], []
    for label in np.unique(labels[indices]):
        own = random.permutation(indices[labels[indices] == label])
        count = min(max(round(ratio * len(own)), 1), len(own) - 1)
        held.append(own[:count])
        kept.append(own[count:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(held))


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
