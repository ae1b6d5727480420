"""How a file of a table is written: which files there are, their formats and dialects, and their rows in batches.

What the columns are is for runtime/tables.py to find out: numbers are read as such where they are wanted.
"""

import codecs
import csv as python_csv
import gzip
import importlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
from pyarrow import csv

from runtime.input_schema import MISSING, Column

TEXTS = {".csv", ".tsv"}
ENDINGS = {".csv", ".tsv", ".parquet", ".feather", ".jsonl", ".xlsx"}
PACKED = {".gz", ".zst"}  # at the end of a text's name
BLOCK = 1 << 20  # bytes of a text that are parsed at once
WIDE = 100  # columns: for each so many, what a training parses at once is a block larger
LARGEST_BLOCK = 1 << 28  # for a row that is longer than a block
ROWS = 10_000  # of a batch
TEXT = pa.dictionary(pa.int32(), pa.string())

Reading = dict[str, Any]  # what the owner said of it, see arguments.reading()


class BadTable(ValueError):
    """A file that can't be read, or not by this schema, in a sentence for its owner."""


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
        self.quotes = self.lines = self.done = 0
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
        self.done = self.file.tell()  # asked here, by the thread that reads: another one would be told anything
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
        return min(self.done / max(self.size, 1), 1.0)

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
    if source.wanted is None:
        block *= 1 + len(names) // WIDE  # each column of each block costs time, however few its rows
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
                mend = "it fits --encoding windows-1252" if is_western(line) else "--encoding names another"
                return BadTable(f"line {number}: can't decode byte 0x{line[error.start]:02x} as UTF-8; {mend}")
    return BadTable("can't decode it as UTF-8; --encoding names another")


def is_western(line: bytes) -> bool:
    """Whether a line may be windows-1252: its accents stand among plain letters, where other scripts have runs."""
    try:
        line.decode("windows-1252")
    except UnicodeDecodeError:
        return False
    return not re.search(rb"[\x80-\xff]{4}", line)


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
        raise BadTable(
            "an Excel file needs the package openpyxl: add it to train-conda.yml and inference-conda.yml in aml_config/"
            " (make setup installs it), or save the sheet as CSV"
        ) from None
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


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
