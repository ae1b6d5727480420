"""The samples as tensors, batch by batch; what takes time to read is read ahead."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from network import as_input
from runtime import images
from runtime.samples import Batches, Data


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Images, which are read when their batch is due."""

    def __init__(self, data: Data) -> None:
        self.files, self.shape, self.labels = data.files, data.shape, torch.from_numpy(data.labels)

    def __getitem__(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        pixels = np.zeros((len(batch), *self.shape), np.uint8)
        for place, index in enumerate(batch):
            pixels[place] = images.read_image(self.files[index], self.shape[0])
        return as_input(pixels), self.labels[torch.from_numpy(batch)]


class Rows:
    """Rows of a table, which lie in memory: nothing is to be read ahead."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray, batches: Batches) -> None:
        self.rows, self.labels, self.batches = torch.from_numpy(rows), torch.from_numpy(labels), batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.batches:
            chosen = torch.from_numpy(batch)
            yield self.rows[chosen], self.labels[chosen]


def loader(data: Data, batches: Batches, workers: int, device: str) -> Rows | DataLoader[tuple[Tensor, Tensor]]:
    """Batches for the network. Images are read ahead by workers, so that it never waits for them."""
    if data.rows is not None:
        return Rows(data.rows, data.labels, batches)
    return DataLoader(
        Images(data),
        sampler=batches,
        batch_size=None,  # what the sampler gives is a batch
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=device == "cuda",
    )
