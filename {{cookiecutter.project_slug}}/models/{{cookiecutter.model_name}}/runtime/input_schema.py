"""What the model takes and answers: train.py describes it, score.py checks each request against it."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

# {"name": …, "type": "number"}, {…, "type": "category", "categories": […]}, {…, "type": "image", "size": …} or
# {…, "type": "date", "format": …, "parts": […], "latest": …}; with {…, "texts": "missing"} what is none of its type
# counts as missing in a file.
Column = dict[str, Any]
Table = dict[str, np.ndarray]  # one array per column: float32 with NaN, or strings with "" where a value is missing

decode = json.JSONDecoder().raw_decode
ReadImage = Callable[[bytes, int], np.ndarray]  # the bytes of a file and a size in, pixels of that size out

SCHEMA_FILE = "schema.json"
# What counts as missing, blanks around it or not, wherever a text comes from.
MISSING = frozenset({
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
PARTS = ["year", "month", "day", "weekday", "age"]  # of a date; one with times has an hour as well
ISO_DATE = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*(?:(Z)|([+-])(\d\d):?(\d\d))?)?",
    re.ASCII,
)
LARGEST = float(np.finfo(np.float32).max)  # a number, either side of 0
BLANKS = re.compile(r"[ \t\n\r]*")
MAX_BYTES = 100_000_000  # of a request: what it becomes in memory is several times as large


@dataclass(frozen=True)
class Schema:
    """What a model takes and answers: schema.json, beside it."""

    columns: list[Column]
    task: str = "classification"
    classes: list[str] = field(default_factory=list)  # of a classification, in the order of the probabilities
    threshold: float | None = None  # the probability from which the second of two classes is answered
    margin: float | None = None  # of a regression: 9 of 10 numbers lie no further than that from their prediction
    reading: dict[str, Any] = field(default_factory=dict)  # how its owner said that files are to be read


class BadRequest(ValueError):
    """The caller's fault, in a sentence that the caller can act on."""


def describe(features: Any) -> list[Column]:
    """Describe the columns of a DataFrame: numbers, dates, and everything else is a category."""
    columns: list[Column] = []
    # What the reader of its files has found out.
    known: dict[str, Column] = json.loads(features.attrs.get("columns", "{}"))
    for name, values in features.items():
        kind = _typed(values).dtype.kind
        if kind == "M":
            column = {"name": name, "type": "date", "format": "", "parts": PARTS, "latest": ""}
            dates = values.to_numpy("datetime64[s]")
            dates = dates[~np.isnat(dates)]
            if len(dates):
                column["latest"] = str(dates.max())
                column["parts"] = PARTS + ["hour"] * bool((dates != dates.astype("datetime64[D]")).any())
        elif kind in "iuf":
            column = {"name": name, "type": "number"}
        else:
            column = {"name": name, "type": "category", "categories": sorted(set(_texts(values)) - {""})}
        if known.get(name, {}).get("type") == column["type"]:
            column |= known[name]
        columns.append(column)
    return columns


def inputs(columns: list[Column]) -> list[Column]:
    """The columns as the model gets them: numbers in the place of dates."""
    return [part for column in columns for part in _parts(column)]


def _parts(column: Column) -> list[Column]:
    if column["type"] != "date":
        return [column]
    return [{"name": f"{column['name']}.{part}", "type": "number"} for part in column["parts"]]


def to_table(features: Any, columns: list[Column]) -> Table:
    """Turn a DataFrame into the arrays that a request is turned into, so that both are treated alike."""
    table: Table = {}
    for column in columns:
        name, values = column["name"], features[column["name"]]
        if column["type"] == "date":
            table |= encode_dates(values.to_numpy("datetime64[s]"), column)
        elif column["type"] == "number":
            with np.errstate(over="ignore"):
                table[name] = _typed(values).to_numpy(dtype=np.float32, na_value=np.nan)
            if np.isinf(table[name]).any():
                raise SystemExit(f"Column {name!r} holds a number that is infinite or too large.")
        else:
            table[name] = _texts(values).to_numpy(dtype=object)
    return table


def _typed(values: Any) -> Any:
    """Whole numbers with holes come as objects."""
    return values.convert_dtypes() if values.dtype.kind == "O" else values


def _texts(values: Any) -> Any:
    return values.astype(object).where(values.notna(), "").astype(str)


def parse_dates(texts: Iterable[str | None], form: str) -> np.ndarray:
    """Dates of texts, to the second: in the format that the training data had, or as ISO 8601; NaT is none."""
    return np.array([_date(text, form) for text in texts], dtype="datetime64[s]")


def _date(text: str | None, form: str) -> datetime | None:
    text = (text or "").strip()
    try:
        if iso := ISO_DATE.fullmatch(text):
            year, month, day, hour, minute, second = (int(part or 0) for part in iso.groups()[:6])
            zone = timedelta(hours=int(iso[9] or 0), minutes=int(iso[10] or 0))
            date = datetime(year, month, day, hour, minute, second)
            return date + zone if iso[8] == "-" else date - zone
        if form:
            clock = " %H:%M:%S" if text.count(":") == 2 else " %H:%M" if ":" in text else ""
            return datetime.strptime(text, form + clock)
    except (ValueError, OverflowError):
        pass
    return None


def encode_dates(dates: np.ndarray, column: Column) -> Table:
    """What a model can make something of: the parts of each date, and its age in days before the latest known one."""
    days = dates.astype("datetime64[D]")
    months, years = days.astype("datetime64[M]"), days.astype("datetime64[Y]")
    latest = np.datetime64(column["latest"] or "NaT", "s").astype("datetime64[D]")
    every = {
        "year": years - np.datetime64("0000", "Y"),
        "month": months - years + 1,
        "day": days - months + 1,
        "weekday": (days - np.datetime64("1969-12-29", "D")) % np.timedelta64(7, "D"),  # Monday is 0
        "age": latest - days,
        "hour": (dates - days).astype("timedelta64[h]"),
    }
    table: Table = {}
    for part in column["parts"]:
        numbers = every[part].astype(np.int64).astype(np.float32)
        table[f"{column['name']}.{part}"] = np.where(np.isnat(every[part]), np.float32("nan"), numbers)
    return table


def save(folder: Path, schema: Schema) -> None:
    """Keep the schema beside the model."""
    text = json.dumps(asdict(schema), indent=2, ensure_ascii=False)
    (folder / SCHEMA_FILE).write_text(text + "\n", encoding="utf-8")


def find(root: str) -> tuple[Path, Schema]:
    """Find the saved model below a folder, however deep it lies; return its folder and its schema."""
    found = sorted(Path(root).rglob(SCHEMA_FILE))
    if len(found) != 1:
        raise FileNotFoundError(
            f"{root}: expected one {SCHEMA_FILE} below it, found {len(found)}; is the model trained?"
        )
    return found[0].parent, Schema(**json.loads(found[0].read_text(encoding="utf-8")))


def read_body(body: bytes, kind: str, columns: list[Column], max_rows: int, read_image: ReadImage) -> Table:
    """Check a request, which for a model of images may also be the file of one image, by its Content-Type."""
    column = columns[0]
    if column["type"] != "image" or not (kind.startswith("image/") or kind == "application/octet-stream"):
        return read_request(body, columns, max_rows, read_image)
    try:
        return {column["name"]: read_image(body, column["size"])[np.newaxis]}
    except ValueError as error:
        raise BadRequest(f"The body must be an image file: {error}.") from None


def read_request(body: str | bytes, columns: list[Column], max_rows: int, read_image: ReadImage | None = None) -> Table:
    """Check a request and return its rows as arrays; columns of images need what reads one.

    Takes {"data": [{column: value, …}, …]}, and what pandas writes with orient="split",
    {"columns": […], "data": [[…], …]}, as the body itself or under "data".
    """
    if not body:
        raise BadRequest("The body is empty: send JSON, with the header Content-Type: application/json.")
    if len(body) > MAX_BYTES:
        raise BadRequest(f"{len(body)} bytes are too many: one request may hold {MAX_BYTES}.")
    request = _parsed(body, max_rows)
    split = request if isinstance(request, dict) and "columns" in request else None
    rows = request.get("data") if isinstance(request, dict) else None
    if isinstance(rows, dict):
        split, rows = rows, rows.get("data")
    if not isinstance(rows, list):
        raise BadRequest('The body must be an object with a list of rows under "data".')
    if not rows:
        raise BadRequest('There are no rows under "data".')
    if len(rows) > max_rows:
        raise _too_many(max_rows)
    if split is not None:
        rows = _records(split.get("columns"), rows)
    table: Table = {}
    for column in columns:
        values = _values(column, rows, read_image)
        table |= encode_dates(values, column) if column["type"] == "date" else {column["name"]: values}
    return table


def _parsed(body: str | bytes, max_rows: int) -> Any:
    try:
        text = body if isinstance(body, str) else body.decode(json.detect_encoding(body), "surrogatepass")
        text = text.removeprefix("\ufeff")  # with which some editors begin a file
        brackets = text.count("{") + text.count("[")  # one for each row, and a few around them
        return json.loads(text) if brackets <= max_rows + 5 else _bounded(text, max_rows)
    except BadRequest:
        raise
    except RecursionError:
        raise BadRequest("The body is not JSON that can be read: it is nested too deeply.") from None
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not JSON: byte {error.start} is no {error.encoding.upper()}.") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise BadRequest("The body holds a whole number that is too large.") from None


def _bounded(text: str, max_rows: int) -> Any:
    """As json.loads, but rows under "data" that are too many are never made: each of them takes 60 bytes and more."""
    value, end = _members(text, _blanks(text, 0), max_rows)
    if (end := _blanks(text, end)) < len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _members(text: str, at: int, max_rows: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends; an object's "data" is read row by row."""
    if not text.startswith("{", at):
        return _rows(text, at, max_rows)
    found: dict[str, Any] = {}
    at = _blanks(text, at + 1)
    while not text.startswith("}", at):
        name, at = decode(text, at)
        if not isinstance(name, str):
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        at = _blanks(text, _past(":", text, _blanks(text, at)))
        found[name], at = _members(text, at, max_rows) if name == "data" else decode(text, at)
        at = _next(text, at, "}")
    return found, at + 1


def _rows(text: str, at: int, max_rows: int) -> tuple[Any, int]:
    if not text.startswith("[", at):
        return decode(text, at)
    found: list[Any] = []
    at = _blanks(text, at + 1)
    while not text.startswith("]", at):
        if len(found) == max_rows:
            raise _too_many(max_rows)
        row, at = decode(text, at)
        found.append(row)
        at = _next(text, at, "]")
    return found, at + 1


def _next(text: str, at: int, closing: str) -> int:
    """Where the next member begins, or the closing bracket stands."""
    at = _blanks(text, at)
    if text.startswith(closing, at):
        return at
    at = _blanks(text, _past(",", text, at))
    if text.startswith(closing, at):
        raise json.JSONDecodeError("Illegal trailing comma before end of object", text, at)
    return at


def _past(mark: str, text: str, at: int) -> int:
    if not text.startswith(mark, at):
        raise json.JSONDecodeError(f"Expecting {mark!r} delimiter", text, at)
    return at + 1


def _blanks(text: str, at: int) -> int:
    return BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing as well


def _too_many(max_rows: int) -> BadRequest:
    return BadRequest(f"These are too many rows: one request may hold {max_rows}.")


def _records(names: Any, rows: list[Any]) -> list[dict[str, Any]]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest('"columns" must be a list of column names.')
    if len(set(names)) < len(names):
        raise BadRequest('"columns" names a column more than once.')
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise BadRequest(f"Row {number} must be a list of {len(names)} values, one for each of the columns.")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _values(column: Column, rows: list[Any], read_image: ReadImage | None) -> np.ndarray:
    name, is_number = column["name"], column["type"] == "number"
    is_category = column["type"] == "category"
    accepted = (int, float) if is_number else str
    values = []
    for number, row in enumerate(rows):
        try:
            value = row[name]
        except KeyError:
            raise BadRequest(f"Row {number}: column {name!r} is missing.") from None
        except TypeError:
            raise BadRequest(f"Row {number} must be an object with a value for each column.") from None
        if is_category and isinstance(value, bool):
            value = value if (text := of_boolean(value, column)) is None else text
        if value is not None and (not isinstance(value, accepted) or value is True or value is False):
            wanted = "a number" if is_number else "a string"
            raise BadRequest(f"Row {number}: column {name!r} must be {wanted}, not {_shown(value)}.")
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise BadRequest(f"Row {number}: column {name!r} holds half a character (a lone surrogate).")
        if is_category and (not value or is_missing(value, column)):
            value = ""
        values.append(value)
    if column["type"] == "image" and read_image:
        return np.stack([_pixels(place, column, value or "", read_image) for place, value in enumerate(values)])
    if column["type"] == "date":
        return _dates(values, column)
    if not is_number:
        return np.array(values, dtype=object)
    try:
        numbers = np.array(values, dtype=np.float32)
    except OverflowError:  # an integer beyond every float
        numbers = np.array([np.inf])
    if np.count_nonzero(np.isinf(numbers)):  # of one number in a third of what any() takes
        raise BadRequest(f"Column {name!r} holds a number that is infinite or too large.")
    return numbers


def _shown(value: Any) -> str:
    """A value that is not what it should be, for the message."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, int) and not -(10**20) < value < 10**20:
        return "a number so large"  # whose digits may be more than Python writes
    text = json.dumps(value[:80] if isinstance(value, str) else value, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def _dates(texts: list[str | None], column: Column) -> np.ndarray:
    dates = parse_dates(texts, column["format"])
    for number in np.flatnonzero(np.isnat(dates)):
        text = texts[number] or ""
        if text.strip() not in MISSING:
            like = column["format"] and f" or {column['format']}"
            raise BadRequest(
                f"Row {number}: column {column['name']!r} must be a date as 2024-01-31{like}, not {text[:80]!r}."
            )
    return dates


def is_missing(text: str, column: Column) -> bool:
    """Say whether a text stands for nothing. One that an earlier model has learnt as a category is a category."""
    return text.strip() in MISSING and text not in column["categories"]


def of_boolean(value: bool, column: Column) -> str | None:
    """The category that a true or a false is, as the training data spell it; None in a column of other texts."""
    spelled = {text.lower(): text for text in column["categories"]}
    if not spelled or not set(spelled) <= {"true", "false"} or len(spelled) < len(column["categories"]):
        return None
    return str(spelled.get(str(value).lower(), value))


def _pixels(row: int, column: Column, text: str, read_image: ReadImage) -> np.ndarray:
    """The image that a request holds as the base64 of its file."""
    wanted = f"Row {row}: column {column['name']!r} must be the base64 of an image file"
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise BadRequest(f"{wanted}: it is no base64.") from None
    try:
        return read_image(content, column["size"])
    except ValueError as error:
        raise BadRequest(f"{wanted}: {error}.") from None


def answer(outputs: np.ndarray, schema: Schema) -> dict[str, Any]:
    """The answer to a request: what a model makes of each row.

    The likeliest label and the probability of every label by its name; of a regression the number, and two between
    which 9 of 10 lie.
    """
    if schema.task == "regression":
        columns = answered_numbers(outputs, schema)
        rows = [dict(zip(columns, row, strict=True)) for row in np.column_stack([*columns.values()]).tolist()]
        if not all(map(isfinite, chain.from_iterable(row.values() for row in rows))):
            raise ValueError("the model gave a prediction that is not a number")
        return {"predictions": rows}
    classes, probabilities = schema.classes, outputs.tolist()
    if not all(map(isfinite, chain.from_iterable(probabilities))):  # JSON has no word for it, and a label is no guess
        raise ValueError("the model gave a probability that is not a number")
    return {
        "predictions": [
            {"label": classes[place], "probabilities": dict(zip(classes, row, strict=True))}
            for place, row in zip(chosen(outputs, schema.threshold).tolist(), probabilities, strict=True)
        ]
    }


def chosen(probabilities: np.ndarray, threshold: float | None) -> np.ndarray:
    """The number of the class that is answered, for each row: the likeliest one, unless a threshold says otherwise."""
    if threshold is None:
        return probabilities.argmax(axis=1)
    return (probabilities[:, 1] >= threshold).astype(int)


def answered_numbers(values: np.ndarray, schema: Schema) -> dict[str, np.ndarray]:
    """What a regression answers, by name: for each row the value and, if its margin is known, low and high."""
    values = values.astype(np.float64)
    if schema.margin is None:
        return {"value": values}
    return {"value": values, "low": values - schema.margin, "high": values + schema.margin}
