"""The one reader of tables: training, batches and the steps of a pipeline read a file here, by one rule for types.

A type is found in all rows of all files, once, for training; the schema keeps it, and whoever scores reads by it.
"""

import codecs
import csv as python_csv
import gzip
import hashlib
import importlib
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from runtime import input_schema
from runtime.input_schema import MISSING, Column

TEXTS = {".csv", ".tsv"}
ENDINGS = {".csv", ".tsv", ".parquet", ".feather", ".jsonl", ".xlsx"}
PACKED = {".gz", ".zst"}  # at the end of a text's name
BLOCK = 1 << 20  # bytes of a text that are parsed at once
LARGEST_BLOCK = 1 << 28  # for a row that is longer than a block
ROWS = 10_000  # of a batch
MOST = 0.9  # of the values of a column are numbers, or dates: then it is a column of them, with a few texts
NEARLY_ALL = 0.999  # of the rows with the same value: there is nothing to learn from the others
ENOUGH = 20  # rows that make an identifier of a column in which every value differs
NOTES = 5  # lines at most
EXACT = 2**53  # from here on a float does not tell whole numbers apart

NUMBER = r"^[+-]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|(?i:inf|infinity))$"
PADDED = r"^[+-]?0[0-9]+$"  # a code: as a number it would lose its zeros
DECIMAL_COMMA = r"^[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?$"
THOUSANDS = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"
DAY, MONTH, YEAR, CLOCK = (
    "(0?[1-9]|[12][0-9]|3[01])",
    "(0?[1-9]|1[0-2])",
    "[0-9]{4}",
    "( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?",
)
DATES = {
    "": input_schema.ISO_DATE.pattern.replace(r"\d", "[0-9]"),
    "%d.%m.%Y": rf"{DAY}\.{MONTH}\.{YEAR}{CLOCK}",
    "%d/%m/%Y": rf"{DAY}/{MONTH}/{YEAR}{CLOCK}",
    "%m/%d/%Y": rf"{MONTH}/{DAY}/{YEAR}{CLOCK}",
    "%d-%m-%Y": rf"{DAY}-{MONTH}-{YEAR}{CLOCK}",
    "%m-%d-%Y": rf"{MONTH}-{DAY}-{YEAR}{CLOCK}",
    "%Y/%m/%d": rf"{YEAR}/{MONTH}/{DAY}{CLOCK}",
}
LIKE_A_DATE = r"^[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}"
TEXT = pa.dictionary(pa.int32(), pa.string())
NOTHING = pa.array(sorted(MISSING), pa.string())

Reading = dict[str, Any]  # what the owner said of it, see arguments.reading()


class BadTable(ValueError):
    """A file that can't be read, or not by this schema, in a sentence for its owner."""


class Refused(SystemExit):
    """Data that can't be trained on, in a line for its owner."""


# Files


def kind_of(file: Path) -> str:
    """The ending of a file, without that of its packing."""
    suffixes = [suffix.lower() for suffix in file.suffixes[-2:]]
    if len(suffixes) == 2 and suffixes[1] in PACKED and suffixes[0] in TEXTS | {".jsonl"}:
        return suffixes[0]
    return suffixes[-1] if suffixes else ""


def list_files(path: Path, endings: Collection[str] = frozenset(ENDINGS)) -> list[Path]:
    """The files of a folder with one of these endings, in the order of their names, without hidden ones."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    visible = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    return [file for file in visible if kind_of(file) in endings and file.is_file()]


def folder_values(file: Path, below: Path | None = None) -> dict[str, str]:
    """The columns that are folders, as region=north/."""
    parts = (file.relative_to(below) if below and below != file else file).parts[:-1]
    if below == file:
        parts = ()
    pairs = [part.partition("=") for part in parts if "=" in part]
    values = {unquote(name): unquote(value) for name, _, value in pairs if name}
    return {name: "" if value == "__HIVE_DEFAULT_PARTITION__" else value for name, value in values.items()}


# Batches of rows as they stand in a file


class Source(NamedTuple):
    """A file, and how to read it."""

    file: Path
    reading: Reading
    wanted: list[Column] | None = None  # of a schema; None reads all columns
    folders: Mapping[str, str] = MappingProxyType({})
    size: int = ROWS  # of a batch, where a file has no blocks of its own


Batches = Iterator[tuple[pa.RecordBatch, float]]  # with the share of the file that is read by then


def batches(source: Source, start: int = 0) -> Batches:
    """The rows of a file from one on: numbers where they are wanted and all are some, else what stands there."""
    readers: dict[str, Callable[[Source, int], Batches]] = {
        ".csv": read_text, ".tsv": read_text, ".parquet": read_parquet, ".feather": read_feather,
        ".jsonl": read_json_lines, ".xlsx": read_workbook,
    }  # fmt: skip
    try:
        for batch, share in readers[kind_of(source.file)](source, start):
            yield with_folders(batch, source), share
    except (OSError, EOFError, ValueError, UnicodeError, pa.ArrowException) as error:
        raise error if isinstance(error, BadTable) else BadTable(one_line(error)) from None


def with_folders(batch: pa.RecordBatch, source: Source) -> pa.RecordBatch:
    for name, value in source.folders.items():
        if name in batch.schema.names and source.wanted is None:
            raise BadTable(f"column {name!r} is in the file and in the name of its folder; rename one")
        if name not in batch.schema.names and (source.wanted is None or name in names_of(source.wanted)):
            indices = pa.array(np.zeros(len(batch), np.int32))
            batch = batch.append_column(name, pa.DictionaryArray.from_arrays(indices, pa.array([value])))
    return batch


def names_of(columns: list[Column]) -> list[str]:
    return [column["name"] for column in columns]


def check_names(names: list[str], source: Source) -> None:
    """Each column once, and all that are wanted."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice and (source.wanted is None or set(twice) & set(names_of(source.wanted))):
        raise BadTable(f"column {twice[0]!r} is there {Counter(names)[twice[0]]} times; rename it")
    if source.wanted is not None:
        missing = [repr(name) for name in names_of(source.wanted) if name not in {*names, *source.folders}]
        if missing:
            raise BadTable(f"column {', '.join(missing)} is missing")


class Dialect(NamedTuple):
    """How a text is written."""

    encoding: str
    delimiter: str
    names: list[str]  # of the header
    ordinary: bool  # the header is its first line


class Text(io.RawIOBase):
    """The bytes of a text as UTF-8, unpacked; it counts quotes, and refuses a NUL."""

    def __init__(self, file: Path, encoding: str) -> None:
        self.file = file.open("rb")
        self.size = file.stat().st_size
        self.quotes = self.lines = 0
        self.opened: Any = self.file
        if file.suffix.lower() == ".gz":
            self.opened = gzip.GzipFile(fileobj=self.file)
        elif file.suffix.lower() == ".zst":
            self.opened = pa.CompressedInputStream(pa.PythonFile(self.file, "r"), "zstd")
        try:
            self.decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
        except LookupError:
            raise BadTable(f"--encoding {encoding}: no such encoding") from None

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        content: bytes = self.opened.read(size)
        while self.decoder:
            text = self.decoder.decode(content, final=not content)
            if text or not content:
                content = text.encode()
                break
            content = self.opened.read(size)
        if (place := content.find(b"\0")) >= 0:
            line = self.lines + content.count(b"\n", 0, place) + 1
            raise BadTable(f"line {line}: a NUL character; if the file is UTF-16, --encoding utf-16 reads it")
        self.quotes += content.count(b'"')
        self.lines += content.count(b"\n")
        return content

    def lines_of_bytes(self) -> Iterator[bytes]:
        """Its lines."""
        rest = b""
        while content := self.read(1 << 16):
            *whole, rest = (rest + content).split(b"\n")
            for line in whole:
                yield line + b"\n"
        if rest:
            yield rest

    def share(self) -> float:
        return min(self.file.tell() / max(self.size, 1), 1.0)

    def close(self) -> None:
        self.file.close()
        super().close()


def look_at(source: Source) -> Dialect:
    """Find out how a text is written: by what was said, else by its first bytes and its header."""
    encoding = source.reading.get("encoding", "") or encoding_of(source.file)
    with Text(source.file, encoding) as text:
        start = text.read(1 << 16).decode("utf-8", "replace").removeprefix("\ufeff")
    if not start.strip():
        raise BadTable("No columns to parse: it is empty")
    given = source.reading.get("delimiter", "")
    if given:
        candidates = ["\t" if given in ("tab", "\\t") else given]
    else:
        candidates = ["\t"] if kind_of(source.file) == ".tsv" else [",", ";", "\t", "|"]
    rows = {delimiter: first_rows(start, delimiter) for delimiter in candidates}
    headers = {delimiter: named(found[0]) for delimiter, found in rows.items()}
    if source.wanted is not None:
        wanted = set(names_of(source.wanted)) - set(source.folders)
        fitting = [delimiter for delimiter, names in headers.items() if wanted <= set(names)]
    else:
        fitting = []
    several = [delimiter for delimiter, names in headers.items() if len(names) > 1]
    even = [delimiter for delimiter in several if len({*map(len, rows[delimiter])}) == 1]
    if not fitting and len(several) > 1 and len(even) != 1:
        raise BadTable(f"its values may be parted by {' or '.join(map(repr, several))}; --delimiter says by which")
    delimiter = next(iter(fitting or even or several or candidates))
    return Dialect(encoding, delimiter, headers[delimiter], not start.startswith(("\r", "\n")))


def encoding_of(file: Path) -> str:
    """By the mark at its beginning."""
    with file.open("rb") as opened:
        return "utf-16" if opened.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


def first_rows(start: str, delimiter: str) -> list[list[str]]:
    """The header and some rows, the last of which may be torn."""
    rows = [row for row in python_csv.reader(io.StringIO(start, newline=""), delimiter=delimiter) if row]
    return rows[:100] if len(rows) > 100 or len(start) < 1 << 15 else rows[:-1] or rows


def named(header: list[str]) -> list[str]:
    """The names of the columns: pandas writes none for its index, and calls it this when it reads it."""
    return [name or f"Unnamed: {place}" for place, name in enumerate(header)]


def read_text(source: Source, start: int) -> Batches:
    """With pyarrow, which is fast: wanted numbers at once, the rest as texts; Python's csv reads what it refuses."""
    dialect = look_at(source)
    check_names(dialect.names, source)
    wanted = [name for name in names_of(source.wanted or []) if name in dialect.names]
    names = dialect.names if source.wanted is None else wanted
    numbers = [column["name"] for column in source.wanted or [] if column["type"] == "number"]
    done, block = start, BLOCK
    ways = [dict.fromkeys(numbers, pa.float64()), {}] if numbers else [{}]
    while ways and dialect.ordinary:
        try:
            for batch, share in parse_text(source, dialect, names, types=ways[0], block=block, start=done):
                done += len(batch)
                yield batch, share
        except pa.ArrowInvalid as error:
            if "invalid UTF8" in str(error):
                raise wrong_encoding(source.file) from None
            if "straddling" in str(error) and block < LARGEST_BLOCK:
                block *= 16
            else:
                ways.pop(0)
            continue
        return
    yield from parse_slowly(source, dialect, names, done)


def parse_text(
    source: Source, dialect: Dialect, names: list[str], *, types: dict[str, pa.DataType], block: int, start: int
) -> Batches:
    commas = any(column.get("decimal") == "," for column in source.wanted or [])
    done = 0
    with Text(source.file, dialect.encoding) as text:
        reader = csv.open_csv(
            text,
            csv.ReadOptions(
                use_threads=source.wanted is None,
                block_size=block,
                column_names=dialect.names,
                skip_rows_after_names=1,
            ),
            csv.ParseOptions(delimiter=dialect.delimiter, newlines_in_values=True),
            csv.ConvertOptions(
                column_types={name: types.get(name, TEXT) for name in names},
                include_columns=names,
                null_values=sorted(MISSING),
                decimal_point="," if commas else ".",
            ),
        )
        for batch, is_last in with_last(reader):
            if is_last and text.quotes % 2:  # a quote is never closed: what follows it would be one value
                raise pa.ArrowInvalid
            skipped = min(max(start - done, 0), len(batch))
            done += len(batch)
            if skipped < len(batch):
                yield batch.slice(skipped), text.share()


def with_last(items: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    """Each of the items, and whether it is the last."""
    waiting: list[Any] = []
    for item in items:
        if waiting:
            yield waiting.pop(), False
        waiting.append(item)
    if waiting:
        yield waiting.pop(), True


def wrong_encoding(file: Path) -> BadTable:
    """Say where a text is none in UTF-8."""
    with Text(file, "utf-8") as text:
        for number, line in enumerate(text.lines_of_bytes(), 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x}"
                return BadTable(f"line {number}: can't decode {byte} as UTF-8; --encoding names another, as latin-1")
    return BadTable("can't decode it as UTF-8; --encoding names another, as latin-1")


class Lines:
    """The lines of a text, for a reader that asks for as many as a row has."""

    def __init__(self, text: Text) -> None:
        self.bytes, self.first = text.lines_of_bytes(), True
        self.begun = self.torn = False  # a row; and whether the text ends within one

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = next(self.bytes, b"")
        if not line:
            self.torn = self.begun
            raise StopIteration
        encoding, self.first, self.begun = "utf-8-sig" if self.first else "utf-8", False, True
        return line.decode(encoding)


def parse_slowly(source: Source, dialect: Dialect, names: list[str], start: int) -> Batches:
    """A row at a time: what pyarrow does not take, and which row is wrong."""
    width = len(dialect.names)
    places = [dialect.names.index(name) for name in names]
    python_csv.field_size_limit(LARGEST_BLOCK)
    with Text(source.file, dialect.encoding) as text:
        lines = Lines(text)
        reader = python_csv.reader(lines, delimiter=dialect.delimiter)
        rows: list[list[str]] = []
        number = -1  # the header's
        while True:
            lines.begun = False
            try:
                row = next(reader, None)
            except UnicodeDecodeError:
                raise wrong_encoding(source.file) from None
            except python_csv.Error as error:
                raise BadTable(f"row {number}: {one_line(error)}") from None
            if lines.torn:
                raise BadTable(f"row {number}: EOF inside string: a quote is never closed")
            if row is None:
                break
            if len(row) < 2 <= width and not "".join(row).strip():
                continue
            if len(row) != width and number >= 0:
                raise BadTable(f"row {number}: {len(row)} values, and the header has {width} columns")
            number += 1
            if number > start:
                rows.append(row)
            if len(rows) == ROWS:
                yield batch_of_texts(rows, names, places), text.share()
                rows = []
        if rows:
            yield batch_of_texts(rows, names, places), 1.0


def batch_of_texts(rows: list[list[str]], names: list[str], places: list[int]) -> pa.RecordBatch:
    arrays = [pa.array([row[place] for row in rows], pa.string()).dictionary_encode() for place in places]
    return pa.RecordBatch.from_arrays(arrays, names)


def read_parquet(source: Source, start: int) -> Batches:
    from pyarrow import parquet

    with parquet.ParquetFile(source.file) as table:
        check_names(table.schema_arrow.names, source)
        wanted = (
            None if source.wanted is None else [n for n in names_of(source.wanted) if n in table.schema_arrow.names]
        )
        texts = [name for name in wanted or [] if kind_of_type(table.schema_arrow.field(name).type) == "text"]
    with parquet.ParquetFile(source.file, read_dictionary=texts) as table:
        done, whole = 0, table.metadata.num_rows
        for group in range(table.num_row_groups):
            rows = table.metadata.row_group(group).num_rows
            if done + rows <= start:
                done += rows
                continue
            for batch in table.iter_batches(source.size, [group], wanted, use_threads=source.wanted is None):
                skipped = min(max(start - done, 0), len(batch))
                done += len(batch)
                if skipped < len(batch):
                    yield batch.slice(skipped), done / whole


def read_feather(source: Source, start: int) -> Batches:
    from pyarrow import feather

    table = feather.read_table(source.file, memory_map=True)
    check_names(table.column_names, source)
    if source.wanted is not None:
        table = table.select([name for name in names_of(source.wanted) if name in table.column_names])
    done = start
    for batch in table.slice(start).to_batches(source.size):
        done += len(batch)
        yield batch, done / len(table)


def read_json_lines(source: Source, start: int) -> Batches:
    rows: list[dict[str, Any]] = []
    number = 0
    with Text(source.file, source.reading.get("encoding", "utf-8")) as text:
        for line in text.lines_of_bytes():
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BadTable(f"row {number}: not JSON: {one_line(error)}") from None
            if not isinstance(row, dict):
                raise BadTable(f"row {number}: not an object of columns")
            number += 1
            if number > start:
                rows.append(row)
            if len(rows) == ROWS and source.wanted is not None:
                yield batch_of_values(rows, source), text.share()
                rows = []
    if rows:
        yield batch_of_values(rows, source), 1.0


def read_workbook(source: Source, start: int) -> Batches:
    try:
        openpyxl = importlib.import_module("openpyxl")
    except ImportError:
        raise BadTable("an Excel file needs openpyxl: add it to the requirements, or save the sheet as CSV") from None
    try:
        book = openpyxl.load_workbook(source.file, read_only=True, data_only=True)
    except Exception as error:  # of many kinds, among them those of zipfile and of a parser
        raise BadTable(f"no Excel file: {one_line(error)}") from None
    sheets = [sheet for sheet in book.worksheets if any(any(c is not None for c in row) for row in sheet.values)]
    if not sheets:
        raise BadTable("it is empty: no sheet has a row")
    if len(sheets) > 1:
        names = ", ".join(sheet.title for sheet in sheets)
        raise BadTable(f"more than one sheet has rows ({names}); save the one that counts as CSV")
    lines = [row for row in sheets[0].values if any(value is not None for value in row)]
    width = max(place + 1 for place, value in enumerate(lines[0]) if value is not None)
    header = named(["" if value is None else str(value) for value in lines[0][:width]])
    check_names(header, source)
    for number, line in enumerate(lines[1:]):
        if any(value is not None for value in line[width:]):
            raise BadTable(f"row {number}: more values than the header has columns ({width})")
    rows = [dict(zip(header, line, strict=False)) for line in lines[1 + start :]]
    if rows:
        yield batch_of_values(rows, source), 1.0


def batch_of_values(rows: list[dict[str, Any]], source: Source) -> pa.RecordBatch:
    """Columns of values that have types of their own."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if source.wanted is not None:
        names = [name for name in names_of(source.wanted) if name not in source.folders]
        check_names(list(dict.fromkeys(name for row in rows for name in row)), source)
    return pa.RecordBatch.from_arrays([array_of([row.get(name) for row in rows]) for name in names], names)


def missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def array_of(values: list[Any]) -> pa.Array:
    """Values of one kind as what they are; of several kinds as texts, as a CSV has them."""
    kinds = {type(value) for value in values if not missing(value)}
    if kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if len(kinds) == 1 and kinds <= {bool, str}:
        return pa.array(values)
    if kinds & {list, dict}:
        return pa.array([[value] if value is not None else None for value in map(repr, values)])
    try:
        if bool not in kinds and str not in kinds:
            return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        pass
    return pa.array([None if value is None else str(value) for value in values], pa.string()).dictionary_encode()


def stream(file: Path, columns: list[Column], size: int, start: int = 0, reading: Reading | None = None) -> Batches:
    """The rows of a file from one on, in batches of at most so many, for a model with these columns."""
    for batch, share in batches(Source(file, reading or {}, columns, folder_values(file), size), start):
        for offset in range(0, len(batch), size):
            yield batch.slice(offset, size), share


# Types


@dataclass
class Evidence:
    """What all rows of a column have shown."""

    kinds: set[str] = field(default_factory=set)
    known: int = 0  # values that are not missing
    numbers: int = 0
    padded: int = 0
    commas: int = 0  # numbers with a decimal comma
    grouped: int = 0  # the same, or thousands
    dates: Counter[str] = field(default_factory=Counter)

    def add(self, array: pa.Array, typed: bool) -> None:
        array = without_dictionary(array) if typed else array
        kind = kind_of_type(array.type)
        if kind.startswith("holds"):
            raise BadTable(kind)
        if kind != "text":
            known = len(array) - array.null_count
            self.known += known
            if known:
                self.kinds.add(kind)
            self.numbers += known * (kind == "number")
            self.dates[""] += known * (kind == "date")
            return
        texts, counts = counted(array)
        known = counts * ~is_missing(texts)
        if not known.any():
            return
        self.kinds.add("string" if typed else "text")
        self.known += int(known.sum())

        def count(pattern: str) -> int:
            return int(known[mask(pc.match_substring_regex(texts, pattern))].sum())

        numbers = count(NUMBER)
        self.numbers += numbers
        self.padded += count(PADDED) if numbers else 0
        if numbers < known.sum():
            self.commas += count(DECIMAL_COMMA)
            self.grouped += count(THOUSANDS)
            if count(LIKE_A_DATE):
                for form, pattern in DATES.items():
                    self.dates[form] += count(f"^{pattern}$")


def kind_of_type(kind: pa.DataType) -> str:
    """What a column of an Arrow type is, or that it holds what no model takes."""
    types = pa.types
    if types.is_dictionary(kind):
        return kind_of_type(kind.value_type)
    if any(
        is_text(kind) for is_text in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    ):
        return "text"
    if str(kind) == "string_view" or types.is_fixed_size_binary(kind):
        return "text"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_boolean(kind) or types.is_null(kind):
        return "boolean" if types.is_boolean(kind) else "nothing"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "date"
    if types.is_time(kind):
        return "time"
    for name in ("list", "struct", "map"):
        if name in str(kind):
            return f"holds {name}s"
    return f"holds {kind}"


def without_dictionary(array: pa.Array) -> pa.Array:
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def encoded(array: pa.Array) -> pa.DictionaryArray:
    """Texts as a dictionary of strings; bytes are taken for UTF-8."""
    array = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    if array.type != TEXT:
        try:
            array = array.cast(TEXT)
        except pa.ArrowInvalid:
            raise BadTable("holds bytes that are no text") from None
    return array


def counted(array: pa.Array) -> tuple[pa.StringArray, np.ndarray]:
    """The texts of a column without blanks around them, and how often each is there."""
    array = encoded(array)
    counts = np.bincount(array.indices.drop_null().to_numpy(), minlength=len(array.dictionary))
    return pc.utf8_trim_whitespace(array.dictionary), counts


def is_missing(trimmed: pa.StringArray) -> np.ndarray:
    return mask(pc.is_in(trimmed, value_set=NOTHING)) | mask(pc.is_null(trimmed))


def mask(array: pa.BooleanArray) -> np.ndarray:
    return np.asarray(array.fill_null(False).to_numpy(zero_copy_only=False), bool)


# Values

Wrong = list[tuple[int, str, int]]  # row, text and count of what is none of its column's type


def values_of(array: pa.Array, column: Column, row: int = 0, wrong: Wrong | None = None) -> np.ndarray:
    """A column of a batch as its type has it: numbers with NaN, texts with "", dates with NaT.

    A text that is none of its type is missing where training has taken it so (wrong notes it), or else refused.
    """
    kind = kind_of_type(array.type)
    name = column["name"]
    if kind.startswith("holds"):
        raise BadTable(f"column {name!r} {kind}")
    if column["type"] == "category":
        return category_values(array, kind, column)
    if kind == "nothing":
        none = np.full(len(array), np.nan)
        return none if column["type"] == "number" else none.astype("datetime64[s]")
    if kind == "text":
        values = values_of_texts(array, column, row, wrong)
    elif column["type"] == "number" and kind in ("number", "boolean"):
        values = pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    elif column["type"] == "date" and kind == "date":
        values = pc.cast(array, pa.timestamp("s"), safe=False).to_numpy(zero_copy_only=False).astype("datetime64[s]")
    else:
        raise BadTable(f"column {name!r} must be a {column['type']}, not {array.type}")
    if column["type"] == "number":
        with np.errstate(over="ignore"):
            small = values.astype(np.float32)
        if np.isinf(small).any():
            place = np.flatnonzero(np.isinf(small))[0]
            raise BadTable(f"row {row + place}: column {name!r} holds a number that is infinite or too large")
    return values


def values_of_texts(array: pa.Array, column: Column, row: int, wrong: Wrong | None) -> np.ndarray:
    """Numbers or dates of a column of texts."""
    texts, indices = places(array, column["name"])
    trimmed = pc.utf8_trim_whitespace(texts)
    is_number = column["type"] == "number"
    found, bad = (numbers_of if is_number else dates_of)(trimmed, column)
    counts = np.bincount(indices[indices >= 0], minlength=len(texts))
    for place in np.flatnonzero(bad & ~is_missing(trimmed) & (counts[: len(bad)] > 0)):
        first, text = row + int(np.flatnonzero(indices == place)[0]), texts[place].as_py()
        if wrong is not None:
            wrong.append((first, text, int(counts[place])))
        elif not column.get("texts"):
            wanted = "a number" if is_number else "a date as 2024-01-31"
            raise BadTable(f"row {first}: column {column['name']!r} must be {wanted}, not {text[:80]!r}")
    return np.append(found, np.array([np.nan]).astype(found.dtype))[indices]


def places(array: pa.Array, name: str) -> tuple[pa.StringArray, np.ndarray]:
    """The texts of a column, and which of them each row has; -1 is none."""
    try:
        array = encoded(array)
    except BadTable as error:
        raise BadTable(f"column {name!r} {error}") from None
    return array.dictionary, array.indices.fill_null(-1).to_numpy()


def numbers_of(texts: pa.StringArray, column: Column) -> tuple[np.ndarray, np.ndarray]:
    """The numbers that texts stand for, and which stand for none."""
    if column.get("decimal") == ",":
        texts = pc.replace_substring(pc.replace_substring(texts, ".", "?"), ",", ".")
    fits = mask(pc.match_substring_regex(texts, NUMBER))
    plain = pc.if_else(pa.array(fits), pc.replace_substring_regex(texts, r"^\+", ""), pa.scalar(None, pa.string()))
    numbers = pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False, writable=True)
    if not column.get("texts"):  # an earlier model took true and false for 1 and 0
        for place in np.flatnonzero(~fits):
            if (text := texts[place].as_py()) in ("True", "False"):
                numbers[place], fits[place] = text == "True", True
    return numbers, ~fits


def dates_of(texts: pa.StringArray, column: Column) -> tuple[np.ndarray, np.ndarray]:
    dates = input_schema.parse_dates(texts.to_pylist(), column["format"])
    return dates, np.isnat(dates)


def category_values(array: pa.Array, kind: str, column: Column) -> np.ndarray:
    name = column["name"]
    if kind == "nothing" or array.null_count == len(array):
        return np.full(len(array), "", object)
    if kind == "number":
        if pc.all(pc.is_nan(array)).as_py() if pa.types.is_floating(array.type) else False:
            return np.full(len(array), "", object)
        raise BadTable(f"column {name!r} must be text, not numbers ({array.type})")
    if kind == "boolean":
        spelled = [input_schema.of_boolean(value, column) for value in (False, True)]
        if None in spelled:
            raise BadTable(f"column {name!r} must be text, not true and false")
        chosen = np.array([*spelled, ""], object)
        return chosen[pc.cast(array, pa.int8()).fill_null(2).to_numpy()]
    if kind != "text":
        if not pa.types.is_date32(array.type):  # to the second, as it is sent
            seconds = pa.time32("s") if kind == "time" else pa.timestamp("s")
            array = pc.cast(array, seconds, safe=False)
        array = pc.cast(array, pa.string())
    texts, indices = places(array, name)
    known = set(column["categories"])
    found = texts.to_numpy(zero_copy_only=False).astype(object)
    for place in np.flatnonzero(is_missing(pc.utf8_trim_whitespace(texts))):
        if found[place] not in known:
            found[place] = ""
    return np.append(found, "")[indices]


def to_table(content: Any, columns: list[Column], row: int = 0) -> input_schema.Table:
    """The columns of a batch or of a DataFrame as the model takes them, checked as a request is."""
    table: input_schema.Table = {}
    for column in columns:
        values = values_of(arrow(content, column["name"]), column, row)
        if column["type"] == "date":
            table |= input_schema.encode_dates(values, column)
        else:
            table[column["name"]] = values.astype(np.float32) if column["type"] == "number" else values
    return table


def arrow(content: Any, name: str) -> pa.Array:
    """A column of a batch or of a DataFrame."""
    if isinstance(content, pa.RecordBatch):
        return content.column(name)
    if name not in content:
        raise BadTable(f"column {name!r} is missing")
    try:
        return pa.array(content[name], from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return array_of([None if value is None or value is pd.NaT else value for value in content[name].tolist()])


# Training


class Notes:
    """What is told of the data: a few lines, and how many more there were."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(f"NOTE: {line}")

    def show(self) -> None:
        more = len(self.lines) - NOTES
        shown = [*self.lines[:NOTES], f"NOTE: and {more} more of the kind"] if more > 0 else self.lines
        for line in shown:
            print(line, file=sys.stderr, flush=True)


@contextmanager
def refusing(file: Path) -> Iterator[None]:
    """End with one line where a file can't be read."""
    try:
        yield
    except BadTable as error:
        raise Refused(f"--data-path {file}: {error}") from None


def read_table(path: Path, label: str, reading: Reading | None = None) -> pd.DataFrame:
    """Read one file, or all of those in a folder (not in hidden ones), as one table to train on."""
    reading = reading or {}
    notes = Notes()
    contents = load(path, reading)
    columns = decide(contents, label, reading, notes)
    frame = frame_of(contents, columns, {*reading.get("numbers", []), *reading.get("dates", {})}, notes)
    frame = leave_out(frame, label, reading, notes)
    note_leaks(frame, label, notes)
    frame.attrs["columns"] = {column["name"]: column for column in columns if column["type"] != "category"}
    notes.show()
    return frame


def load(path: Path, reading: Reading, wanted: list[Column] | None = None) -> dict[Path, list[pa.RecordBatch]]:
    """All rows of all files, as they stand there."""
    files = list_files(path)
    if not files:
        kinds = ", ".join(sorted(ENDINGS - {".csv", ".parquet"}))
        raise Refused(f"--data-path {path}: no .csv or .parquet file there (nor {kinds})")
    check_files(path, files)
    dropped = reading.get("drop", [])
    there: set[str] = set()
    contents: dict[Path, list[pa.RecordBatch]] = {}
    for file in files:
        with refusing(file):
            source = Source(file, reading, wanted, folder_values(file, path))
            found = [batch for batch, _ in batches(source)]
            if not found:
                found = [pa.RecordBatch.from_pylist([])]
            there |= set(found[0].schema.names)
            contents[file] = [
                batch.select([name for name in batch.schema.names if name not in dropped]) for batch in found
            ]
    contents = {file: found for file, found in contents.items() if found[0].num_columns} or contents
    if wanted is None and (unknown := [name for name in dropped if name not in there]):
        raise Refused(f"--drop {unknown[0]}: no such column; the data has {', '.join(sorted(there))}")
    first = next(iter(contents))
    names = set(contents[first][0].schema.names)
    if not names:
        raise Refused(f"--data-path {first}: it is empty: no rows")
    for file, found in contents.items():
        if different := sorted(names ^ set(found[0].schema.names)):
            raise Refused(
                f"--data-path {path}: {first.name} and {file.name} do not have the same columns: "
                f"{', '.join(map(repr, different[:5]))}"
            )
    return contents


def check_files(path: Path, files: list[Path]) -> None:
    """All are there; and none is there twice, in the training as well as in the test."""
    for lost in path.rglob("*") if path.is_dir() else []:
        if kind_of(lost) in ENDINGS and lost.is_symlink() and not lost.exists():
            raise Refused(f"--data-path {path}: {lost.relative_to(path)} is a link to nothing")
    sizes = Counter(file.stat().st_size for file in files)
    seen: dict[bytes, Path] = {}
    for file in files:
        if sizes[file.stat().st_size] > 1:
            with file.open("rb") as opened:
                digest = hashlib.sha256(opened.read()).digest()
            if digest in seen:
                one, other = (twin.relative_to(path).as_posix() for twin in (file, seen[digest]))
                raise Refused(f"--data-path {path}: {one} is {other} once more; remove one of them")
            seen[digest] = file


def decide(contents: dict[Path, list[pa.RecordBatch]], label: str, reading: Reading, notes: Notes) -> list[Column]:
    """The type of each column, by all its rows."""
    first = next(iter(contents.values()))[0]
    for option in ("numbers", "categories", "dates"):
        for name in reading.get(option, []):
            if name not in first.schema.names:
                raise Refused(f"--{option} {name}: no such column; the data has {', '.join(first.schema.names)}")
    columns = []
    for name in first.schema.names:
        evidence = Evidence()
        for file, found in contents.items():
            typed = kind_of(file) in {".parquet", ".feather"}
            for batch in found:
                array = batch.column(name)
                own = typed or not pa.types.is_dictionary(array.type)
                try:
                    evidence.add(array, own and name not in folder_values(file))
                except BadTable as error:
                    raise Refused(f"--data-path {file}: column {name!r} {error}; --drop {name} leaves it out") from None
        columns.append(column_of(name, evidence, name == label, reading, notes))
    return columns


def chosen_type(name: str, evidence: Evidence, reading: Reading) -> str:
    """What the owner has chosen for a column, if anything."""
    if name in reading.get("categories", []):
        return "category"
    if name in reading.get("numbers", []):
        if evidence.known and not evidence.numbers + evidence.commas:
            raise Refused(f"--numbers {name}: there is no number in this column")
        return "number"
    return "date" if name in reading.get("dates", {}) else ""


def column_of(name: str, evidence: Evidence, is_label: bool, reading: Reading, notes: Notes) -> Column:
    """The type that most of its values have, or that its owner has chosen."""
    number: Column = {"name": name, "type": "number"}
    category: Column = {"name": name, "type": "category", "categories": []}
    most = max(MOST * evidence.known, 1)
    form, dates = max(evidence.dates.items(), key=lambda item: item[1], default=("", 0))
    forms = [other for other, count in evidence.dates.items() if count == dates]
    date: Column = {"name": name, "type": "date", "format": reading.get("dates", {}).get(name) or form}
    if reading.get("decimal") == "," or (evidence.commas > evidence.grouped and not reading.get("decimal")):
        number["decimal"] = ","
    if chosen := chosen_type(name, evidence, reading):
        return {"category": category, "number": number | {"texts": "missing"}, "date": date | {"texts": "missing"}}[
            chosen
        ]
    if evidence.kinds == {"number"} or (evidence.kinds == {"date"} and not is_label):
        return number if evidence.kinds == {"number"} else date
    if not evidence.kinds <= {"text", "number", "date", "string"} or not evidence.known:
        return category
    numbers = evidence.numbers + (evidence.commas if "decimal" in number else 0)
    if evidence.padded == 0 and "string" not in evidence.kinds and numbers >= (evidence.known if is_label else most):
        return number if numbers == evidence.known else number | {"texts": "missing"}
    if is_label:
        return category
    if dates >= most and len(forms) > 1:
        notes.add(
            f"column {name!r} holds dates whose day and month can't be told apart: read as text; "
            f"--dates {name}={forms[0]} or {name}={forms[1]} says which they are"
        )
    elif dates >= most:
        return date if dates == evidence.known else date | {"texts": "missing"}
    commas = evidence.commas + evidence.grouped if "text" in evidence.kinds else 0
    if commas and commas + evidence.numbers >= most:
        notes.add(
            f"column {name!r} holds numbers with commas: read as text; --decimal , reads them as decimal commas, "
            f"--categories {name} leaves them as they are"
        )
    return category


def frame_of(
    contents: dict[Path, list[pa.RecordBatch]], columns: list[Column], chosen: Collection[str], notes: Notes
) -> pd.DataFrame:
    """The values of each column, by its type."""
    data: dict[str, np.ndarray] = {}
    for column in columns:
        name = column["name"]
        parts: list[np.ndarray] = []
        said: list[tuple[Path, int, str]] = []
        count = 0
        for file, found in contents.items():
            row = 0
            for batch in found:
                wrong: Wrong = []
                array = batch.column(name)
                with refusing(file):
                    if column["type"] == "category" and kind_of_type(array.type) == "boolean":
                        array = pc.if_else(array, "True", "False")
                    parts.append(values_of(array, column, row, wrong))
                said += [(file, place, text) for place, text, _ in wrong]
                count += sum(times for *_, times in wrong)
                row += len(batch)
        values = np.concatenate(parts)
        if column["type"] == "category":
            values = np.where(values == "", None, values)
        data[name] = values
        if name in chosen:
            continue
        if said:
            note_texts(column, said, count, len(values), notes)
        elif column["type"] == "date":
            notes.add(
                f"column {name!r} holds dates: read as {', '.join(input_schema.PARTS)}; --categories {name} reads "
                "them as text"
            )
        elif column["type"] == "number" and (np.abs(values) >= EXACT).any():
            notes.add(
                f"column {name!r} holds whole numbers of more digits than a model tells apart; "
                f"--categories {name} reads them as text"
            )
    return pd.DataFrame(data)


def note_texts(column: Column, said: list[tuple[Path, int, str]], count: int, rows: int, notes: Notes) -> None:
    file, row, _ = said[0]
    name, kind = column["name"], column["type"]
    column["texts"] = "missing"
    texts = list(dict.fromkeys(text for *_, text in said))
    shown = ", ".join(repr(text[:40]) for text in texts[:3]) + (", …" if len(texts) > 3 else "")
    notes.add(
        f"{file.name}, column {name!r}, row {row}: {shown} in a column of {kind}s, {count} of {rows} values: taken as "
        f"missing; --categories {name} reads the column as text, --{kind}s {name} says that this is right"
    )


def leave_out(frame: pd.DataFrame, label: str, reading: Reading, notes: Notes) -> pd.DataFrame:
    """Leave out the columns that tell nothing: empty, all but constant, or another value in each row."""
    chosen = {*reading.get("numbers", []), *reading.get("categories", []), *reading.get("dates", {}), label}
    chosen |= {reading.get("split_by"), reading.get("time")}
    reasons: dict[str, str] = {}
    for name in frame.columns.difference(list(chosen), sort=False):
        if reason := useless(frame[name]):
            reasons[name] = reason
    rest = frame.columns.difference([*reasons, label], sort=False)
    if not len(rest) and reasons:
        name = next(iter(reasons))
        notes.add(f"column {name!r} {reasons.pop(name)}, and is kept since it is all that there is")
    for name in rest:
        if name.startswith("Unnamed: "):
            notes.add(f"column {called(name)} is read under that name, which requests have to use")
    for name, reason in reasons.items():
        kind = "numbers" if frame[name].dtype.kind == "f" else "categories"
        notes.add(f"column {called(name)} {reason}, so it is left out; --{kind} {name} keeps it")
    return frame.drop(columns=list(reasons))


def called(name: str) -> str:
    return f"{name!r}, which has no name in the header," if name.startswith("Unnamed: ") else repr(name)


def note_leaks(frame: pd.DataFrame, label: str, notes: Notes) -> None:
    """Tell of a column that tells the label: as a rule it was made of it, and won't be there when it is asked for."""
    if label not in frame:
        return
    for name in frame.columns.drop(label):
        if same_groups(frame[name].head(1000), frame[label].head(1000)) and same_groups(frame[name], frame[label]):
            notes.add(f"column {name!r} tells the {label} of every row: --drop {name} if it is only known with it")


def same_groups(values: pd.Series, labels: pd.Series) -> bool:
    """Say whether two columns part the rows alike."""
    one, other = pd.factorize(values)[0], pd.factorize(labels)[0]
    return bool(one.max(initial=0) > 0 and (one == other).all())


def useless(values: pd.Series) -> str:
    """Why there is nothing to learn from a column; "" if there is."""
    rows = len(values)
    some = values.iloc[:: rows // 1000 + 1]
    if rows > 10_000 and some.nunique() > 1 and some.duplicated().any() and some.value_counts().iloc[0] < len(some) / 2:
        return ""  # neither all the same nor each another one
    known = values.dropna()
    if not len(known):
        return "is empty"
    most = int(known.value_counts().iloc[0]) if known.dtype.kind != "f" else frequent(known.to_numpy())
    if most >= NEARLY_ALL * rows and rows > 1:
        return "has the same value in every row" if most == rows else f"has the same value in {most} of {rows} rows"
    if rows < ENOUGH or len(known) < rows:
        return ""
    if values.dtype.kind == "f":
        numbers = known.to_numpy()
        dense = numbers.max() - numbers.min() < 2 * rows  # of rows that were filtered or drawn, some numbers are gone
        whole = (numbers == np.floor(numbers)).all()
        return "counts the rows" if dense and whole and len(np.unique(numbers)) == rows else ""
    if values.dtype.kind == "O" and known.is_unique:
        return "is an identifier (every value differs)"
    return ""


def frequent(numbers: np.ndarray) -> int:
    """How often the value in the middle is there: no other one can be there in most of the rows."""
    return int((numbers == np.partition(numbers, len(numbers) // 2)[len(numbers) // 2]).sum())


def read_by(path: Path, schema: input_schema.Schema, label: str) -> tuple[input_schema.Table, pd.Series]:
    """Read files by the schema of a model: what it takes, and the labels that it should answer."""
    contents = load(path, schema.reading)
    if label not in next(iter(contents.values()))[0].schema.names:
        raise Refused(f"--label {label}: no such column in {path}")
    own = decide(
        {file: [rows.select([label]) for rows in found] for file, found in contents.items()}, label, {}, Notes()
    )
    labels = frame_of(contents, own, (), Notes())[label].dropna()
    tables: list[input_schema.Table] = []
    for file, found in contents.items():
        row = 0
        for batch in found:
            with refusing(file):
                tables.append(to_table(batch, schema.columns, row))
            row += len(batch)
    table = {name: np.concatenate([part[name] for part in tables])[labels.index] for name in tables[0]}
    return table, labels.astype(float) if schema.task == "regression" else labels.convert_dtypes().astype(str)


def read_rows(path: Path) -> pd.DataFrame:
    """Read files as they stand there, every text a text: to hand on some of their rows."""
    frames = []
    for file, found in load(path, {}).items():
        with refusing(file):
            for batch in found:
                columns = [without_dictionary(column) for column in batch.columns]
                frames.append(pa.RecordBatch.from_arrays(columns, batch.schema.names).to_pandas())
    frame = pd.concat(frames, ignore_index=True)
    return frame.mask(frame.isin(list(MISSING)))


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
