"""The data as tensors: rows of a table or images, split for the test, batch by batch, shared among the processes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import encoding
import images
import input_schema
from network import as_input
from tables import read_table, split_label

VALIDATION = 0.1  # of the training samples, to see when early stopping is due


class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Rows of a table, which lie in memory."""

    def __init__(self, matrix: np.ndarray, labels: np.ndarray) -> None:
        self.matrix, self.labels = torch.from_numpy(matrix), torch.from_numpy(labels)
        self.shape = [matrix.shape[1]]

    def __getitem__(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        chosen = torch.from_numpy(batch)
        return self.matrix[chosen], self.labels[chosen]


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Images, which are read when their batch is due: the workers read ahead."""

    def __init__(self, files: Sequence[Path], labels: np.ndarray, size: int) -> None:
        self.files, self.labels, self.size = files, torch.from_numpy(labels), size
        self.shape = [3, size, size]

    def __getitem__(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        pixels = np.zeros((len(batch), self.size, self.size, 3), np.uint8)
        for place, index in enumerate(batch):
            pixels[place] = images.read_image(self.files[index], self.size)
        return as_input(pixels), self.labels[torch.from_numpy(batch)]


class Split(NamedTuple):
    """Which samples are for what; those of the test are seen once, when the training is over."""

    train: np.ndarray
    validation: np.ndarray  # empty without early stopping
    test: np.ndarray


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


class Data(NamedTuple):
    """What there is to learn from, and what a request has to look like."""

    samples: Rows | Images
    split: Split
    labels: np.ndarray
    classes: list[str]
    columns: list[input_schema.Column]
    encoding: encoding.Encoding | None  # of a table


def read(path: Path, label: str, ratio: float, early_stopping: bool, image_size: int, seed: int) -> Data:
    """Read a table, or list the images: what lies there says which."""
    if images.is_image_folder(path):
        files, names = images.list_images(path)
        classes, labels = np.unique(names, return_inverse=True)
        split = split_samples(labels, ratio, early_stopping, seed)
        columns = [{"name": "image", "type": "image", "size": image_size}]
        return Data(Images(files, labels, image_size), split, labels, classes.tolist(), columns, None)
    features, named = split_label(read_table(path), label)
    columns = input_schema.describe(features)
    table = input_schema.to_table(features, columns)
    classes, labels = np.unique(named.to_numpy(str), return_inverse=True)
    split = split_samples(labels, ratio, early_stopping, seed)
    fitted = encoding.fit({name: values[split.train] for name, values in table.items()}, columns)
    samples = Rows(fitted.matrix(table, columns), labels)
    return Data(samples, split, labels, classes.tolist(), columns, fitted)


class Batches:
    """This process's part of each batch: the same batches in the same order, however many processes share them."""

    def __init__(self, indices: np.ndarray, size: int, rank: int = 0, processes: int = 1) -> None:
        self.indices, self.size, self.rank, self.processes = indices, size, rank, processes
        self.order = indices

    def __len__(self) -> int:
        return -(-len(self.indices) // self.size)

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.order), self.size):
            yield self.order[start : start + self.size][self.rank :: self.processes]

    def shuffle(self, seed: int, epoch: int) -> None:
        """Another order for each epoch, the same one for the same seed: also in a run that goes on."""
        self.order = np.random.default_rng((seed, epoch)).permutation(self.indices)


def loader(samples: Rows | Images, batches: Batches, workers: int, device: str) -> DataLoader[tuple[Tensor, Tensor]]:
    """Read ahead in workers where reading takes time; a table lies in memory already."""
    workers = workers if isinstance(samples, Images) else 0
    return DataLoader(
        samples,
        sampler=batches,
        batch_size=None,  # what the sampler gives is a batch
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=device == "cuda",
    )
