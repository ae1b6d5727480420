"""The rows of files, a chunk at a time and as train.py reads them: however large a file is, memory stays the same."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from runtime import formats, input_schema, tables
from runtime.formats import one_line

BadFile = formats.BadTable
ROWS, IMAGES = 10_000, 64  # in a chunk, unless it is said


class Chunk(NamedTuple):
    """Some rows of one file, or some images."""

    names: list[str]  # the file's, or the images'
    row: int  # number of the first row in its file
    content: Any  # a RecordBatch, None at the end of a file; a list of images; or what is wrong
    last: bool  # nothing follows of them
    share: float  # how much of the file is read by then


def list_inputs(path: Path, columns: list[input_schema.Column]) -> dict[str, Path]:
    """The files that a model with these columns can score, tables or images, by what the result calls them."""
    files = formats.list_files(path, images().ENDINGS if of_images(columns) else formats.ENDINGS)
    names = [file.relative_to(path).as_posix() if file != path else file.name for file in files]
    return dict(zip((os.fsencode(name).decode(errors="replace") for name in names), files, strict=True))


def of_images(columns: list[input_schema.Column]) -> bool:
    return bool(columns[0]["type"] == "image")


def images() -> Any:
    """The module that reads them: only frameworks that have models of images come with it."""
    return importlib.import_module("runtime.images")


def read_chunks(
    inputs: dict[str, Path],
    columns: list[input_schema.Column],
    size: int | None = None,
    row: int = 0,
    reading: formats.Reading | None = None,
) -> Iterator[Chunk]:
    """All rows of the files, from a row of the first one on, in chunks of at most so many."""
    size = size or (IMAGES if of_images(columns) else ROWS)
    if of_images(columns):
        names = list(inputs)
        for start in range(0, len(names), size):
            group = names[start : start + size]
            yield Chunk(group, 0, [inputs[name] for name in group], True, 1.0)
        return
    for name, file in inputs.items():
        try:
            for content, share in formats.stream(file, columns, size, row, reading):
                yield Chunk([name], row, content, False, share)
                row += len(content)
            yield Chunk([name], row, None, True, 1.0)
        except BadFile as error:
            yield Chunk([name], row, error, True, 1.0)
        row = 0


def table(content: Any, columns: list[input_schema.Column], row: int = 0) -> input_schema.Table:
    """The columns of a chunk or of a DataFrame as the model takes them, checked as a request is."""
    return tables.to_table(content, columns, row)


def read_images(
    inputs: dict[str, Path], column: input_schema.Column
) -> tuple[list[str], input_schema.Table, dict[str, str]]:
    """The names of the images that can be read, their pixels, and what is wrong with the others."""
    pixels: dict[str, np.ndarray] = {}
    bad: dict[str, str] = {}
    for name, file in inputs.items():
        try:
            pixels[name] = images().read_image(file, column["size"])
        except images().BadImage as error:
            bad[name] = one_line(error).removeprefix(f"{file}: ")
    return list(pixels), {column["name"]: np.stack(list(pixels.values()))} if pixels else {}, bad
