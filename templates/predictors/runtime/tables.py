"""What the columns of a table are: training, batches and the steps of a pipeline read it here, by one rule for types.

A type is found in all rows of all files, once, for training; the schema keeps it, and whoever scores reads by it. How
the files are written is for runtime/formats.py to find out.
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from runtime import input_schema
from runtime.formats import (
    ENDINGS,
    TEXT,
    BadTable,
    Reading,
    Source,
    array_of,
    batches,
    folder_values,
    kind_of,
    kind_of_type,
    list_files,
)
from runtime.input_schema import MISSING, Column

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
NOTHING = pa.array(sorted(MISSING), pa.string())


class Refused(SystemExit):
    """Data that can't be trained on, in a line for its owner."""


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
    known = {column["name"]: column for column in columns if column["type"] != "category"}
    frame.attrs["columns"] = json.dumps(known)  # a text: pandas copies what is here with each column that is taken
    notes.show()
    return frame


def read_whole(path: Path, reading: Reading) -> pd.DataFrame:
    """Read every column of one file, or of all those in a folder, by the types that a training would find."""
    notes = Notes()
    contents = load(path, reading)
    chosen = {*reading.get("numbers", []), *reading.get("dates", {})}
    frame = frame_of(contents, decide(contents, "", reading, notes), chosen, notes)
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


def read_rows(path: Path, reading: Reading | None = None) -> pd.DataFrame:
    """Read files as they stand there, every text a text: to hand on some of their rows."""
    frames = []
    for file, found in load(path, reading or {}).items():
        with refusing(file):
            for batch in found:
                columns = [without_dictionary(column) for column in batch.columns]
                frames.append(pa.RecordBatch.from_arrays(columns, batch.schema.names).to_pandas())
    frame = pd.concat(frames, ignore_index=True)
    return frame.mask(frame.isin(list(MISSING)))
