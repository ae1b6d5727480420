"""Volumes and masks: what a request brings, which class a voxel has, how well two masks agree."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch
from monai.transforms import LoadImage

from runtime.input_schema import BadRequest

Classes = dict[str, list[int]]  # the labels of each class
ENDINGS = (".nii.gz", ".nii")
MAX_BYTES = 1_000_000_000  # of a request
GZIP = b"\x1f\x8b"


def is_volume(file: Path) -> bool:
    return file.name.lower().endswith(ENDINGS) and not file.name.startswith(".")


def stem(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".nii")


def read(file: Path | str) -> Any:
    """A volume, channels first, with its place in space."""
    return LoadImage(ensure_channel_first=True)(str(file))


def received(request: Any, folder: Path) -> tuple[Path, Path | None]:
    """Put what a request brings into a folder: a volume, and its label if it is a form with both."""
    parts = {name: file.read() for name, file in request.files.items()} or {"image": request.get_data()}
    if "image" not in parts:
        raise BadRequest(f'The form has no file "image"; it has {", ".join(parts)}.')
    found = {name: as_volume(name, parts[name], folder) for name in ("image", "label") if name in parts}
    return found["image"], found.get("label")


def as_volume(name: str, content: bytes, folder: Path) -> Path:
    """Write a volume to a file that can be read; a BadRequest says that it can't."""
    if not content:
        raise BadRequest(f"The {name} is empty: send a NIfTI file.")
    if len(content) > MAX_BYTES:
        raise BadRequest(f"{len(content)} bytes are too many: the {name} may have {MAX_BYTES}.")
    file = folder / f"{name}.nii{'.gz' if content.startswith(GZIP) else ''}"
    file.write_bytes(content)
    try:
        shape = read(file).shape
    except Exception as error:  # each of the libraries that MONAI reads with raises its own
        why = (str(error).splitlines() or [type(error).__name__])[-1].replace(str(folder), "")
        raise BadRequest(f"The {name} can't be read as a NIfTI file: {why}") from None
    if len(shape) != 4:
        raise BadRequest(f"The {name} has {len(shape) - 1} axes: a volume has three.")
    return file


def classes_of(task: dict[str, Any], labels: Sequence[int]) -> Classes:
    """The names of the classes and their labels: from class_names of task.yaml, else from the labels that there are."""
    names = task.get("class_names")
    if not names:
        return {f"class{label}": [int(label)] for label in labels if label != 0}
    found = {}
    for number, entry in enumerate(names, start=1):
        named = entry if isinstance(entry, dict) else {"name": entry}
        index = named.get("index", number)
        found[str(named["name"])] = [int(label) for label in (index if isinstance(index, list) else [index])]
    return found


def dice(found: Any, wanted: Any, classes: Classes) -> dict[str, float]:
    """How much of each class is where it should be: 1 for all, 0 for nothing; NaN where the label has none of it."""
    scores = {}
    for number, (name, labels) in enumerate(classes.items()):
        guessed, actual = part(found, number, labels), part(wanted, number, labels)
        both, either = int((guessed & actual).sum()), int(guessed.sum() + actual.sum())
        scores[name] = 2 * both / either if actual.any() else float("nan")
    return scores


def part(mask: Any, number: int, labels: list[int]) -> torch.Tensor:
    """The voxels of a class, in a mask of labels or in one with a channel for each class."""
    voxels = torch.as_tensor(np.asarray(mask))
    if len(voxels) > 1:
        return voxels[number] > 0
    return torch.isin(voxels[0].round().long(), torch.tensor(labels))


def scores(found: Any, label: Path, classes: Classes) -> str:
    """The Dice of each class, as a header can say it."""
    wanted = read(label)
    if wanted.shape[1:] != found.shape[1:]:
        raise BadRequest(f"The label has {tuple(wanted.shape[1:])} voxels, the image {tuple(found.shape[1:])}.")
    return "; ".join(f"{quote(name)}={score:.6f}" for name, score in dice(found, wanted, classes).items())
