"""A look into a few volumes, with no package for it: are image and label on the same grid, what is in the label?"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, NamedTuple

    class Header(NamedTuple):
        """What a NIfTI file says of itself."""

        shape: tuple[int, ...]
        place: tuple[float, ...]  # of its voxels in space
        kind: str  # of a voxel, as struct names it; nothing for one that is not listed
        order: str
        offset: int

else:
    from collections import namedtuple

    Header = namedtuple("Header", "shape place kind order offset")

SAMPLE = 5  # pairs that are looked at
VOXELS = 20_000_000  # of a label; in a larger one nothing is counted
HEADER = 348
KINDS = {2: "B", 4: "h", 8: "i", 16: "f", 64: "d", 256: "b", 512: "H", 768: "I"}
SHOWN = 6  # labels in a line


class Unreadable(ValueError):
    """A file that is no NIfTI, in a few words."""


def problems(datalist: Mapping[str, Any], folder: Path, classes: int) -> Iterator[str]:
    """What is wrong with the first pairs of image and label; `classes` is how many names there are, 0 for any."""
    for number, item in enumerate(datalist["training"][:SAMPLE]):
        if isinstance(item["image"], str) and isinstance(item["label"], str):
            for line in of_pair(folder / item["image"], folder / item["label"], classes):
                yield f"training[{number}]: {line}"


def of_pair(image: Path, label: Path, classes: int) -> Iterator[str]:
    """What is wrong with one pair."""
    headers = []
    for file in (image, label):
        if not file.name.endswith((".nii", ".nii.gz")):
            return  # another format, which MONAI may well read
        try:
            headers.append(header(file))
        except Unreadable as error:
            yield f"{file.name}: {error}"
            return
    one, other = headers
    if one.shape[:3] != other.shape[:3]:
        yield f"{label.name} has {in_words(other.shape)} voxels, {image.name} has {in_words(one.shape)}"
    elif any(abs(a - b) > 1e-3 for a, b in zip(one.place, other.place, strict=True)):
        yield f"{label.name} and {image.name} have as many voxels, and lie elsewhere in space: their affines differ"
    found = labels(label, other)
    odd = [value for value in found if value != int(value) or value < 0]
    if odd:
        yield f"{label.name} holds {odd[0]:g}: a label is 0 or a whole number above"
    elif found and classes and max(found) > classes:
        there = ", ".join(f"{value:g}" for value in sorted(found)[:SHOWN])
        yield f"{label.name} holds the labels {there}, and class_names names {classes} beside the background"


def header(file: Path) -> Header:
    """Read the header of a NIfTI file."""
    content = start_of(file, HEADER)
    if len(content) < HEADER or content[344:347] not in (b"n+1", b"ni1"):
        raise Unreadable("no NIfTI file")
    order = "<" if struct.unpack("<i", content[:4]) == (HEADER,) else ">"

    def at(position: int, kind: str) -> tuple[Any, ...]:
        return struct.unpack_from(f"{order}{kind}", content, position)

    axes, *sizes = at(40, "8h")
    (by_matrix,) = at(254, "h")
    # By its matrix or, in older files, by the quaternion, its offsets and the sizes of a voxel.
    place = at(280, "12f") if by_matrix > 0 else (*at(256, "6f"), *at(80, "3f"), 0.0, 0.0, 0.0)
    (kind,) = at(70, "h")
    (offset,) = at(108, "f")
    return Header(tuple(sizes[: max(axes, 0)]), place, KINDS.get(kind, ""), order, int(offset))


def labels(file: Path, header: Header) -> set[float]:
    """The different labels of a mask; nothing where it is too large, or of a kind that is not known."""
    count = 1
    for size in header.shape:
        count *= size
    if not header.kind or count > VOXELS:
        return set()
    size = struct.calcsize(header.kind)
    content = start_of(file, header.offset + count * size)[header.offset :]
    if len(content) < count * size or (header.order == ">" and size > 1):
        return set()
    return set(memoryview(content).cast("B").cast(header.kind))  # type: ignore[call-overload]


def start_of(file: Path, length: int) -> bytes:
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            return gzip.GzipFile(fileobj=stream).read(length) if packed else stream.read(length)
    except (EOFError, gzip.BadGzipFile, OSError) as error:
        raise Unreadable(f"can't be read: {error}") from None


def in_words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape[:3]))
