"""The networks, for tables and for images: put yours here. score.py builds the same one from what train.py saved."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def build(shape: list[int], outputs: int) -> nn.Module:
    """The network for one row of a table ([columns]), or for one image ([height, width, colours])."""
    return table_network(shape[0], outputs) if len(shape) == 1 else image_network(shape[-1], outputs)


def table_network(columns: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(columns, 64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, outputs),
    )


def image_network(colours: int, outputs: int) -> nn.Module:
    """Small, for any image size. Its norms look at one image: the same net, however many processes share a batch."""
    layers: list[nn.Module] = []
    for before, after in ((colours, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(4, after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, outputs))


def answer(outputs: Tensor) -> Tensor:
    """What the outputs say: the probability of each class. A single output is the number that was asked for."""
    return outputs if outputs.shape[1] == 1 else outputs.softmax(dim=1)


def as_input(pixels: np.ndarray) -> Tensor:
    """Bytes of [images, height, width, colours] as numbers around 0 of [images, colours, height, width]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def save(path: Path, network: nn.Module, shape: list[int], outputs: int) -> None:
    """Write all that load() needs."""
    torch.save({"shape": shape, "classes": outputs, "weights": network.state_dict()}, path)


def load(path: Path) -> nn.Module:
    """The network as it was saved, ready to answer."""
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    network = build(saved["shape"], saved["classes"])
    network.load_state_dict(saved["weights"])
    return network.eval()
