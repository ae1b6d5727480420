"""What the model takes and answers: train.py describes it, score.py checks each request against it."""

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

# {"name": …, "type": "number"}, {…, "type": "category", "categories": […]} or {…, "type": "image", "size": …}
Column = dict[str, Any]
Table = dict[str, np.ndarray]  # one array per column: float32 with NaN, or strings with "" where a value is missing

ReadImage = Callable[[bytes, int], np.ndarray]  # the bytes of a file and a size in, pixels of that size out

SCHEMA_FILE = "schema.json"
MAX_BYTES = 100_000_000  # of a request: what it becomes in memory is several times as large


@dataclass(frozen=True)
class Schema:
    """What a model takes and answers: schema.json, beside it."""

    columns: list[Column]
    task: str = "classification"
    classes: list[str] = field(default_factory=list)  # of a classification, in the order of the probabilities


class BadRequest(ValueError):
    """The caller's fault, in a sentence that the caller can act on."""


def describe(features: Any) -> list[Column]:
    """Describe the columns of a DataFrame: numbers and booleans are numbers, everything else is a category."""
    columns: list[Column] = []
    for name, values in features.items():
        if _typed(values).dtype.kind in "biuf":
            columns.append({"name": name, "type": "number"})
        else:
            columns.append({"name": name, "type": "category", "categories": sorted(set(_texts(values)) - {""})})
    return columns


def to_table(features: Any, columns: list[Column]) -> Table:
    """Turn a DataFrame into the arrays that a request is turned into, so that both are treated alike."""
    table: Table = {}
    for column in columns:
        name, values = column["name"], features[column["name"]]
        if column["type"] == "number":
            with np.errstate(over="ignore"):
                table[name] = _typed(values).to_numpy(dtype=np.float32, na_value=np.nan)
            if np.isinf(table[name]).any():
                raise SystemExit(f"Column {name!r} holds a number that is infinite or too large.")
        else:
            table[name] = _texts(values).to_numpy(dtype=object)
    return table


def _typed(values: Any) -> Any:
    """Booleans and whole numbers with holes come as objects."""
    return values.convert_dtypes() if values.dtype.kind == "O" else values


def _texts(values: Any) -> Any:
    return values.astype(object).where(values.notna(), "").astype(str)


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
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None
    split = request if isinstance(request, dict) and "columns" in request else None
    rows = request.get("data") if isinstance(request, dict) else None
    if isinstance(rows, dict):
        split, rows = rows, rows.get("data")
    if not isinstance(rows, list):
        raise BadRequest('The body must be an object with a list of rows under "data".')
    if not rows:
        raise BadRequest('There are no rows under "data".')
    if len(rows) > max_rows:
        raise BadRequest(f"{len(rows)} rows are too many: one request may hold {max_rows}.")
    if split is not None:
        rows = _records(split.get("columns"), rows)
    return {column["name"]: _values(column, rows, read_image) for column in columns}


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
    accepted = (int, float) if is_number else str
    values = []
    for number, row in enumerate(rows):
        try:
            value = row[name]
        except KeyError:
            raise BadRequest(f"Row {number}: column {name!r} is missing.") from None
        except TypeError:
            raise BadRequest(f"Row {number} must be an object with a value for each column.") from None
        if value is not None and not isinstance(value, accepted):
            wanted = "a number" if is_number else "a string"
            shown = json.dumps(value, ensure_ascii=False)[:80].encode(errors="backslashreplace").decode()
            raise BadRequest(f"Row {number}: column {name!r} must be {wanted}, not {shown}.")
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise BadRequest(f"Row {number}: column {name!r} holds half a character (a lone surrogate).")
        values.append(value)
    if column["type"] == "image" and read_image:
        return np.stack([_pixels(place, column, value or "", read_image) for place, value in enumerate(values)])
    if not is_number:
        return np.array(["" if value is None else value for value in values], dtype=object)
    try:
        numbers = np.array(values, dtype=np.float32)
    except OverflowError:  # an integer beyond every float
        numbers = np.array([np.inf])
    if np.count_nonzero(np.isinf(numbers)):  # of one number in a third of what any() takes
        raise BadRequest(f"Column {name!r} holds a number that is infinite or too large.")
    return numbers


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


def answer(probabilities: np.ndarray, schema: Schema) -> dict[str, Any]:
    """The answer to a request: for each row the likeliest label, and the probability of every label by its name."""
    classes, rows = schema.classes, probabilities.tolist()
    if not all(map(isfinite, chain.from_iterable(rows))):  # JSON has no word for it, and a label of it would be a guess
        raise ValueError("the model gave a probability that is not a number")
    return {
        "predictions": [
            {"label": classes[row.index(max(row))], "probabilities": dict(zip(classes, row, strict=True))}
            for row in rows
        ]
    }
