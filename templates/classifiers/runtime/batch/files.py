"""The rows of files, a chunk at a time and as train.py reads them: however large a file is, memory stays the same."""

import importlib
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from runtime import input_schema
from runtime.data import READERS, list_files

# What pandas takes for a missing value in a CSV file.
MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
           "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]  # fmt: skip
ROWS, IMAGES = 10_000, 64  # in a chunk, unless it is said
BLOCK = 1 << 20  # bytes of a CSV file that are parsed at once
LARGEST = float(np.finfo(np.float32).max)


class BadFile(ValueError):
    """A file that can't be scored, in a sentence for its owner."""


class Chunk(NamedTuple):
    """Some rows of one file, or some images."""

    names: list[str]  # the file's, or the images'
    row: int  # number of the first row in its file
    content: Any  # a RecordBatch or a DataFrame, None at the end of a file; a list of images; or what is wrong
    last: bool  # nothing follows of them
    share: float  # how much of the file is read by then


def list_inputs(path: Path, columns: list[input_schema.Column]) -> dict[str, Path]:
    """The files that a model with these columns can score, tables or images, by what the result calls them."""
    files = list_files(path, READERS if not of_images(columns) else images().ENDINGS)
    names = [file.relative_to(path).as_posix() if file != path else file.name for file in files]
    return dict(zip((os.fsencode(name).decode(errors="replace") for name in names), files, strict=True))


def of_images(columns: list[input_schema.Column]) -> bool:
    return bool(columns[0]["type"] == "image")


def images() -> Any:
    """The module that reads them: only frameworks that have models of images come with it."""
    return importlib.import_module("runtime.images")


def read_chunks(
    inputs: dict[str, Path], columns: list[input_schema.Column], size: int | None = None, row: int = 0
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
            for content, share in read_table(file, columns, size, row):
                yield Chunk([name], row, content, False, share)
                row += len(content)
            yield Chunk([name], row, None, True, 1.0)
        except BadFile as error:
            yield Chunk([name], row, error, True, 1.0)
        row = 0


def read_table(file: Path, columns: list[input_schema.Column], size: int, start: int) -> Iterator[tuple[Any, float]]:
    """The rows of one file from a row on, with the share of the file that is read by then."""
    read = read_parquet if file.suffix.lower() == ".parquet" else read_csv
    try:
        yield from read(file, columns, size, start)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise error if isinstance(error, BadFile) else BadFile(one_line(error)) from None


def read_parquet(file: Path, columns: list[input_schema.Column], size: int, start: int) -> Iterator[tuple[Any, float]]:
    names = [column["name"] for column in columns]
    texts = [column["name"] for column in columns if column["type"] == "category"]
    check_names(parquet.read_schema(file).names, columns)  # a dictionary of no column would be a KeyError
    with parquet.ParquetFile(file, read_dictionary=texts) as table:
        done = 0
        for group in range(table.num_row_groups):
            rows = table.metadata.row_group(group).num_rows
            if done + rows <= start:
                done += rows
                continue
            for batch in table.iter_batches(size, [group], names, use_threads=False):
                skipped = min(max(start - done, 0), len(batch))
                done += len(batch)
                if skipped < len(batch):
                    yield batch.slice(skipped), done / table.metadata.num_rows


def read_csv(file: Path, columns: list[input_schema.Column], size: int, start: int) -> Iterator[tuple[Any, float]]:
    """With pyarrow, which is fast and takes no file that is out of the ordinary; what it refuses, pandas reads on."""
    done = 0
    whole = file.stat().st_size
    try:
        with QuoteCounter(file) as opened:
            for batch, is_last in with_last(open_csv(opened, columns)):
                if is_last and opened.quotes % 2:  # a quote is never closed: what follows it would be one value
                    raise pa.ArrowInvalid
                skipped = min(max(start - done, 0), len(batch))
                done += skipped
                for offset in range(skipped, len(batch), size):
                    part = batch.slice(offset, size)
                    done += len(part)
                    yield part, min(opened.tell() / whole, 1.0)
    except pa.ArrowException:
        yield from read_csv_with_pandas(file, columns, size, max(start, done))


class QuoteCounter(io.FileIO):
    """A file that counts the quotes that are read from it."""

    quotes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.quotes += content.count(b'"')
        return content


def with_last(items: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    """Each of the items, and whether it is the last."""
    waiting: list[Any] = []
    for item in items:
        if waiting:
            yield waiting.pop(), False
        waiting.append(item)
    if waiting:
        yield waiting.pop(), True


def open_csv(opened: Any, columns: list[input_schema.Column]) -> csv.CSVStreamingReader:
    kinds = {"number": pa.float64(), "category": pa.dictionary(pa.int32(), pa.string())}
    types = {column["name"]: kinds[column["type"]] for column in columns}
    return csv.open_csv(
        opened,
        csv.ReadOptions(use_threads=False, block_size=BLOCK),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=MISSING, strings_can_be_null=True
        ),
    )


def read_csv_with_pandas(
    file: Path, columns: list[input_schema.Column], size: int, start: int
) -> Iterator[tuple[Any, float]]:
    texts = {column["name"]: str for column in columns if column["type"] == "category"}
    whole = file.stat().st_size
    with file.open("rb") as opened:
        for frame in pd.read_csv(opened, dtype=texts, chunksize=size):
            check_names(list(frame), columns)
            if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the first value for the row's name
                raise BadFile("the first row has more values than there are columns")
            rest = frame[frame.index >= start]
            if len(rest):
                yield rest, min(opened.tell() / whole, 1.0)


def check_names(names: list[str], columns: list[input_schema.Column]) -> None:
    missing = [repr(column["name"]) for column in columns if column["name"] not in names]
    if missing:
        raise BadFile(f"column {', '.join(missing)} is missing")


def table(content: Any, columns: list[input_schema.Column], row: int = 0) -> input_schema.Table:
    """The columns of a chunk or of a DataFrame as the model takes them, checked as a request is."""
    if isinstance(content, pa.RecordBatch) and (quick := quick_table(content, columns)):
        return quick
    frame = content.to_pandas() if isinstance(content, pa.RecordBatch) else content
    for column in columns:
        values = frame[column["name"]]
        if column["type"] == "category" and values.dtype.kind in "biuf" and values.notna().any():
            raise BadFile(f"column {column['name']!r} must be text, not numbers ({values.dtype})")
    try:
        return input_schema.to_table(frame, columns)
    except (SystemExit, ValueError, TypeError, OverflowError) as error:
        raise BadFile(wrong_number(frame, columns, row) or one_line(error)) from None


def quick_table(batch: pa.RecordBatch, columns: list[input_schema.Column]) -> input_schema.Table | None:
    """The same for columns of the ordinary kinds, several times as fast; the slow way says what is wrong."""
    table: input_schema.Table = {}
    for column in columns:
        values = batch.column(column["name"])
        kind = values.type
        if column["type"] == "number" and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            with np.errstate(over="ignore"):
                numbers = values.to_numpy(zero_copy_only=False).astype(np.float32)
            if np.isinf(numbers).any():
                return None
            table[column["name"]] = numbers
        elif column["type"] == "category" and pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type):
            texts = np.append(values.dictionary.to_numpy(zero_copy_only=False), "")
            table[column["name"]] = texts[values.indices.fill_null(len(texts) - 1).to_numpy()]
        else:
            return None
    return table


def wrong_number(frame: Any, columns: list[input_schema.Column], row: int) -> str:
    """Say where a number is none, or none that the model can take."""
    for column in columns:
        if column["type"] != "number":
            continue
        for place, value in enumerate(frame[column["name"]].tolist()):
            try:
                wrong = not pd.isna(value) and not abs(float(value)) <= LARGEST
                reason = "holds a number that is infinite or too large"
            except (TypeError, ValueError, OverflowError):
                wrong, reason = True, f"must be a number, not {str(value)[:80]!r}"
            if wrong:
                return f"row {row + place}: column {column['name']!r} {reason}"
    return ""


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


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
