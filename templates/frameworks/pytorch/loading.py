"""The samples as tensors, batch by batch; what takes time to read is read ahead."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import images
from network import as_input
from samples import Batches, Data


class Rows(Dataset[tuple[Tensor, Tensor]]):
    """Rows of a table, which lie in memory."""

    def __init__(self, rows: np.ndarray, labels: np.ndarray) -> None:
        self.rows, self.labels = torch.from_numpy(rows), torch.from_numpy(labels)

    def __getitem__(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        chosen = torch.from_numpy(batch)
        return self.rows[chosen], self.labels[chosen]


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Images, which are read when their batch is due."""

    def __init__(self, data: Data) -> None:
        self.files, self.shape, self.labels = data.files, data.shape, torch.from_numpy(data.labels)

    def __getitem__(self, batch: np.ndarray) -> tuple[Tensor, Tensor]:
        pixels = np.zeros((len(batch), *self.shape), np.uint8)
        for place, index in enumerate(batch):
            pixels[place] = images.read_image(self.files[index], self.shape[0])
        return as_input(pixels), self.labels[torch.from_numpy(batch)]


def loader(data: Data, batches: Batches, workers: int, device: str) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches for the network. Images are read ahead by workers; a table needs none."""
    workers = workers if data.rows is None else 0
    return DataLoader(
        Images(data) if data.rows is None else Rows(data.rows, data.labels),
        sampler=batches,
        batch_size=None,  # what the sampler gives is a batch
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=device == "cuda",
    )
