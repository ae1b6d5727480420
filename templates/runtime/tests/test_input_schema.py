"""runtime/input_schema.py: a request becomes the model's table, or one sentence that says what is wrong with it."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runtime import input_schema
from runtime.input_schema import BadRequest, Column, Schema

NUMBER: Column = {"name": "größe", "type": "number"}
CATEGORY: Column = {"name": "city", "type": "category", "categories": ["Zürich"]}
IMAGE: Column = {"name": "image", "type": "image", "size": 2}
MAX_ROWS = 3


def read_image(content: bytes, size: int) -> Any:
    """As runtime/images.py does: a file that is none of an image is a ValueError."""
    if not content.startswith(b"GIF"):
        raise ValueError("no image")
    return np.full((size, size), len(content))


def read(body: Any, columns: list[Column]) -> dict[str, list[Any]]:
    text = body if isinstance(body, (bytes, str)) else json.dumps(body)
    table = input_schema.read_request(text, columns, MAX_ROWS)
    return {name: values.tolist() for name, values in table.items()}


@pytest.mark.parametrize(
    ("rows", "sizes", "cities"),
    [
        ([{"größe": 1, "city": "a"}, {"größe": 2.5, "city": "b", "more": []}], [1.0, 2.5], ["a", "b"]),
        ([{"größe": 1, "city": ""}, {"größe": -0.5, "city": "01"}], [1.0, -0.5], ["", "01"]),
        ([{"größe": None, "city": None}], [None], [""]),
        ([{"größe": float("nan"), "city": "nan"}], [None], [""]),
        ([{"größe": None, "city": " "}, {"größe": 0, "city": " NA "}], [None, 0.0], ["", ""]),
        ([{"größe": 0, "city": city} for city in ("Zürich", "東京", "🚀")], [0.0] * 3, ["Zürich", "東京", "🚀"]),
        ([{"größe": 3e38, "city": "\ud7ff"}, {"größe": -3e38, "city": "\ue000"}], None, ["\ud7ff", "\ue000"]),
    ],
)
def test_the_forms_of_a_request_give_one_table(rows: list[Any], sizes: list[Any] | None, cities: list[str]) -> None:
    records = [{name: row[name] for name in ("größe", "city")} for row in rows]
    split = {"columns": ["city", "größe"], "index": [0], "data": [[row["city"], row["größe"]] for row in records]}
    tables = [
        read(body, [NUMBER, CATEGORY])
        for body in (
            {"data": rows},
            json.dumps({"data": rows}, ensure_ascii=False).encode(),
            split,
            {"data": split},
        )
    ]
    for table in tables:
        assert list(table) == ["größe", "city"] and table["city"] == cities
        found = [None if np.isnan(size) else size for size in table["größe"]]
        assert found == (sizes or [pytest.approx(row["größe"]) for row in rows])


GOOD = {"größe": 1, "city": "a"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The body is empty: send JSON, with the header Content-Type: application/json."),
        ("", "The body is empty: send JSON, with the header Content-Type: application/json."),
        (b"{", "The body is not JSON: Expecting property name enclosed in double quotes: …"),
        (b'{"data": [{"\xff": 1}]}', "The body is not JSON: byte 12 is no UTF-8."),
        (b"[" * 100_000, "The body is not JSON that can be read: it is nested too deeply."),
        *(
            (body, 'The body must be an object with a list of rows under "data".')
            for body in (b"[]", b"7", b'"data"', b'{"rows": []}', b'{"data": "x"}', b'{"data": {}}', b'{"columns": []}')
        ),
        ({"data": []}, 'There are no rows under "data".'),
        ({"data": [GOOD] * 4}, "These are too many rows: one request may hold 3."),
        *(
            ({"data": [GOOD, row]}, "Row 1 must be an object with a value for each column.")
            for row in (7, "city", ["a"], None)
        ),
        ({"data": [GOOD, {}]}, "Row 1: column 'größe' is missing."),
        ({"data": [GOOD, {"größe": 1}]}, "Row 1: column 'city' is missing."),
        ({"columns": 1, "data": [[]]}, '"columns" must be a list of column names.'),
        ({"columns": {"größe": 1}, "data": [[1]]}, '"columns" must be a list of column names.'),
        ({"columns": ["city", 1], "data": [["a", 1]]}, '"columns" must be a list of column names.'),
        ({"columns": None, "data": [GOOD]}, '"columns" must be a list of column names.'),
        ({"columns": ["city", "city"], "data": [["a", "b"]]}, '"columns" names a column more than once.'),
        *(
            (
                {"columns": ["city", "größe"], "data": [["a", 1], row]},
                "Row 1 must be a list of 2 values, one for each of the columns.",
            )
            for row in (["a"], ["a", 1, 2], "ab", {"city": 1, "größe": 1})
        ),
        ({"data": [GOOD, GOOD | {"größe": "1"}]}, "Row 1: column 'größe' must be a number, not \"1\"."),
        ({"data": [GOOD | {"größe": [1]}]}, "Row 0: column 'größe' must be a number, not a list."),
        ({"data": [GOOD | {"größe": {"東京": 1}}]}, "Row 0: column 'größe' must be a number, not an object."),
        ({"data": [GOOD | {"größe": True}]}, "Row 0: column 'größe' must be a number, not true."),
        ({"data": [GOOD | {"city": 10**30}]}, "Row 0: column 'city' must be a string, not a number so large."),
        ({"data": [GOOD | {"größe": "東京"}]}, "Row 0: column 'größe' must be a number, not \"東京\"."),
        ({"data": [GOOD | {"größe": "\udfff"}]}, "Row 0: column 'größe' must be a number, not \"\\udfff\"."),
        ({"data": [GOOD | {"city": 1}]}, "Row 0: column 'city' must be a string, not 1."),
        ({"data": [GOOD | {"city": False}]}, "Row 0: column 'city' must be a string, not false."),
        ({"data": [GOOD | {"größe": "x" * 200}]}, f"Row 0: column 'größe' must be a number, not \"{'x' * 80}\"."),
        *(
            (
                {"data": [GOOD, GOOD | {"city": f"Z{half}rich"}]},
                "Row 1: column 'city' holds half a character (a lone surrogate).",
            )
            for half in ("\ud800", "\udcff", "\udfff")
        ),
        *(
            ({"data": [GOOD, GOOD | {"größe": size}]}, "Column 'größe' holds a number that is infinite or too large.")
            for size in (1e300, -1e300, 10**400, float("inf"), float("-inf"))
        ),
    ],
)
def test_what_is_wrong_with_a_request_is_a_sentence(body: Any, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(body, [NUMBER, CATEGORY])
    assert re.fullmatch(".*".join(map(re.escape, said.split("…"))), str(refused.value))


def test_a_request_may_hold_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"data": [{"city": "a"}]})
    monkeypatch.setattr(input_schema, "MAX_BYTES", len(body))
    assert read(body, [CATEGORY]) == {"city": ["a"]}
    with pytest.raises(BadRequest) as refused:
        read(body + " ", [CATEGORY])
    assert str(refused.value) == f"{len(body) + 1} bytes are too many: one request may hold {len(body)}."


def encoded(*contents: bytes) -> bytes:
    return json.dumps({"data": [{"image": base64.b64encode(content).decode()} for content in contents]}).encode()


@pytest.mark.parametrize(
    ("body", "kind", "lengths"),
    [
        (b"GIF89", "image/gif", [5]),
        (b"GIF", "application/octet-stream", [3]),
        (encoded(b"GIF8", b"GIF"), "application/json", [4, 3]),
        (encoded(b"GIF8", b"GIF"), "", [4, 3]),
    ],
)
def test_an_image_is_a_file_or_its_base64(body: bytes, kind: str, lengths: list[int]) -> None:
    table = input_schema.read_body(body, kind, [IMAGE], MAX_ROWS, read_image)
    assert table["image"].shape == (len(lengths), 2, 2)
    assert table["image"][:, 1, 1].tolist() == lengths


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"PK", "image/png", "The body must be an image file: no image."),
        (b"GIF", "text/plain", "The body is not JSON: …"),
        (encoded(b"GIF", b"PK"), "", "Row 1: column 'image' must be the base64 of an image file: no image."),
        ({"data": [{"image": "ab c"}]}, "", "Row 0: column 'image' must be the base64 of an image file: it is no…"),
        ({"data": [{"image": "R0 lG"}]}, "", "Row 0: column 'image' must be the base64 of an image file: it is no…"),
        ({"data": [{"image": "Zürich"}]}, "", "Row 0: column 'image' must be the base64 of an image file: it is no…"),
        ({"data": [{"image": None}]}, "", "Row 0: column 'image' must be the base64 of an image file: no image."),
        ({"data": [{"image": 1}]}, "", "Row 0: column 'image' must be a string, not 1."),
    ],
)
def test_what_is_wrong_with_an_image_is_a_sentence(body: Any, kind: str, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        input_schema.read_body(
            body if isinstance(body, bytes) else json.dumps(body).encode(), kind, [IMAGE], MAX_ROWS, read_image
        )
    assert re.fullmatch(".*".join(map(re.escape, said.split("…"))), str(refused.value))


def test_a_model_of_tables_reads_no_image() -> None:
    """Whatever the header says, and whether or not its framework could."""
    body = json.dumps({"data": [{"city": "R0lG"}]}).encode()
    for kind in ("image/gif", "application/octet-stream", "application/json"):
        assert input_schema.read_body(body, kind, [CATEGORY], MAX_ROWS, read_image)["city"].tolist() == ["R0lG"]


def test_an_answer_names_the_likeliest_label() -> None:
    classes = ["Zürich", "東京", "🚀"]
    rows = np.array([[0.25, 0.5, 0.25], [0.5, 0.25, 0.25], [0, 0, 1], [0.5, 0.5, 0]])
    predictions = input_schema.answer(rows, Schema([], classes=classes))["predictions"]
    assert [row["label"] for row in predictions] == ["東京", "Zürich", "🚀", "Zürich"]
    assert [list(row["probabilities"].items()) for row in predictions] == [
        list(zip(classes, row, strict=True)) for row in rows.tolist()
    ]


def test_an_answer_is_a_number_and_two_around_it() -> None:
    outputs = np.array([1, -2.5], np.float32)
    schema = Schema([], "regression", margin=0.5)
    assert input_schema.answer(outputs, schema)["predictions"] == [
        {"value": 1.0, "low": 0.5, "high": 1.5},
        {"value": -2.5, "low": -3.0, "high": -2.0},
    ]
    without = Schema([], "regression")
    assert input_schema.answer(outputs, without)["predictions"] == [{"value": 1.0}, {"value": -2.5}]
    with pytest.raises(ValueError, match="a prediction that is not a number"):
        input_schema.answer(np.array([1, np.nan]), without)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([float("nan"), 0.5], "a probability that is not a number"),
        ([float("inf"), 0.5], "a probability that is not a number"),
        ([0.25, 0.5, 0.25], "longer"),
        ([1.0], "shorter"),
    ],
)
def test_a_model_that_does_not_fit_its_classes_gives_no_answer(row: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        input_schema.answer(np.array([row]), Schema([], classes=["a", "b"]))


def test_the_schema_lies_beside_the_model_for_people_too(tmp_path: Path) -> None:
    saved = tmp_path / "deep" / "model"
    saved.mkdir(parents=True)
    input_schema.save(saved, Schema([NUMBER], "regression", margin=0.1))
    assert input_schema.find(str(tmp_path)) == (saved, Schema([NUMBER], "regression", margin=0.1))
    schema = Schema([NUMBER, CATEGORY], classes=["Zürich", "東京"])
    input_schema.save(saved, schema)
    assert input_schema.find(str(tmp_path)) == (saved, schema)
    text = (saved / "schema.json").read_text(encoding="utf-8")
    assert "größe" in text and "東京" in text and text.endswith("}\n")


@pytest.mark.parametrize("count", [0, 2])
def test_one_model_is_to_be_found(tmp_path: Path, count: int) -> None:
    for number in range(count):
        (tmp_path / str(number)).mkdir()
        input_schema.save(tmp_path / str(number), Schema([NUMBER], classes=["a"]))
    with pytest.raises(FileNotFoundError) as refused:
        input_schema.find(str(tmp_path))
    assert str(refused.value) == f"{tmp_path}: expected one schema.json below it, found {count}; is the model trained?"


def test_columns_of_every_kind() -> None:
    frame = pd.DataFrame(
        {
            "flag": [True, None, False],
            "count": pd.array([1, None, 3], dtype="Int64"),
            "day": pd.to_datetime(["2024-01-01", None, "2024-01-02"]),
            "nothing": [None, None, None],
            "city": ["東京", None, "Zürich"],
        }
    )
    columns = input_schema.describe(frame)
    assert columns == [
        {"name": "flag", "type": "category", "categories": ["False", "True"]},
        {"name": "count", "type": "number"},
        {"name": "day", "type": "date", "format": "", "parts": input_schema.PARTS, "latest": "2024-01-02T00:00:00"},
        {"name": "nothing", "type": "category", "categories": []},
        {"name": "city", "type": "category", "categories": ["Zürich", "東京"]},
    ]
    table = input_schema.to_table(frame, columns)
    assert table["flag"].tolist() == ["True", "", "False"]
    assert str(table["count"].tolist()) == "[1.0, nan, 3.0]" and table["count"].dtype == np.float32
    assert {name: str(values.tolist()) for name, values in table.items() if name.startswith("day.")} == {
        "day.year": "[2024.0, nan, 2024.0]",
        "day.month": "[1.0, nan, 1.0]",
        "day.day": "[1.0, nan, 2.0]",
        "day.weekday": "[0.0, nan, 1.0]",
        "day.age": "[1.0, nan, 0.0]",
    }
    assert table["nothing"].tolist() == ["", "", ""]
    assert table["city"].tolist() == ["東京", "", "Zürich"]


@pytest.mark.parametrize("number", [float("inf"), 1e300])
def test_a_number_out_of_range_is_one_line(number: float) -> None:
    frame = pd.DataFrame({"x": [1.0, number]})
    with pytest.raises(SystemExit, match="'x' holds a number that is infinite or too large"):
        input_schema.to_table(frame, input_schema.describe(frame))
