"""tables.py, formats.py: a table is read once, types over all its rows; batches and requests read it the same way."""

import copy
import datetime
import decimal
import gzip
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from runtime import formats, input_schema, tables
from runtime.data import split_label


def text(*values: Any, name: str = "odd", delimiter: str = ",", rows: int = 24) -> str:
    """A CSV whose column has these values by turns, between a number and a label."""
    lines = [delimiter.join(("x", name, "label"))]
    lines += [
        delimiter.join((f"{row % 7}", str(values[row % len(values)]), "yes" if row % 5 else "no"))
        for row in range(max(rows, len(values)))
    ]
    return "\n".join(lines) + "\n"


def quoted(*values: str) -> list[str]:
    return [f'"{value}"' for value in values]


def json_lines(*values: Any) -> str:
    rows = ({"x": row % 7, "odd": values[row % len(values)], "label": "ab"[row % 5 > 1]} for row in range(24))
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, pa.Table):
        feather.write_feather(content, path) if path.suffix == ".feather" else parquet.write_table(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def types(path: Path, **reading: Any) -> dict[str, str]:
    """What a training makes of it; that batches and requests make the same of every row is checked on the way."""
    frame = tables.read_table(path, "label", reading)
    features, _ = split_label(frame, "label")
    columns = input_schema.describe(features)
    whole = input_schema.to_table(frame, columns)
    schema = json.loads(json.dumps(columns))
    row, parts = 0, []
    for file in formats.list_files(path):
        row = 0
        for batch, _ in formats.stream(file, schema, 5, 0, reading):
            parts.append(tables.to_table(batch, schema, row))
            row += len(batch)
    for name, values in whole.items():
        assert str(np.concatenate([part[name] for part in parts]).tolist()) == str(values.tolist()), name
    rows = [{column["name"]: sendable(frame[column["name"]][row], column) for column in columns} for row in range(24)]
    asked = input_schema.read_request(json.dumps({"data": rows}), schema, 1000)
    for name, values in whole.items():
        assert str(asked[name].tolist()) == str(values[:24].tolist()), name
    return {column["name"]: column["type"] for column in columns}


def sendable(value: Any, column: input_schema.Column) -> Any:
    """As a client has it."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value) if column["type"] == "date" else value


NOTE = "NOTE: "
DAYS = [datetime.date(2024, 1, 1) + datetime.timedelta(days=17 * step) for step in range(24)]


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (["01", "02", "09", "10"], "category", ""),
        (["7", "8", "007"], "category", ""),
        (["0.50", "00.5", "1"], "number", ""),
        (["1e3", "+2", ".5", "5.", "-1E-2", " 3 "], "number", ""),
        (["1", "", "NA", "null", "  "], "number", ""),
        (["a", "", "NA", "null", "  "], "category", ""),
        (["True", "False", ""], "category", ""),
        ([*range(19), "abc"], "number", "column 'odd', row 19: 'abc' in a column of numbers, 1 of 24 values: taken as"),
        ([*range(19), "$72.28"], "number", "'$72.28'"),
        ([*range(19), '"1,072.28"'], "number", "'1,072.28'"),
        ([*range(19), "0x1F"], "number", "'0x1F'"),
        (["a", "b", "1"], "category", ""),
        (quoted("1,5", "2,25"), "number", ""),
        (quoted("1,072", "2,500"), "category", "column 'odd' holds numbers with commas: read as text; --decimal ,"),
        ([9007199254740993, 9007199254740995, 1], "number", "more digits than a model tells apart"),
        (DAYS, "date", "column 'odd' holds dates"),
        ([f"{day}T12:30:00+02:00" for day in DAYS], "date", "holds dates"),
        ([f"{day:%d.%m.%Y}" for day in DAYS], "date", "holds dates"),
        ([f"{day:%m/%d/%Y} 8:05" for day in DAYS], "date", "holds dates"),
        ([*DAYS, "", "2024-02-30"], "date", "'2024-02-30' in a column of dates"),
        (["01/02/2024", "03/04/2024"], "category", "--dates odd=%d/%m/%Y or odd=%m/%d/%Y says which"),
        (["2024-01", "2024-02"], "category", ""),
        (["1400-05-06", "9999-12-31"], "date", "holds dates"),
    ],
)
def test_a_type_by_all_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: Sequence[Any], kind: str, said: str
) -> None:
    write(tmp_path / "it.csv", text(*values))
    assert types(tmp_path) == {"x": "number", "odd": kind}
    told = capsys.readouterr().err
    assert said in told and told.count(NOTE) == bool(said)


@pytest.mark.parametrize("rows", [1000, 131_472])
def test_codes_are_texts_wherever_the_letters_come(tmp_path: Path, rows: int) -> None:
    """Also where a file to be scored has no letters, and no zeros: what training read as text is text there."""
    codes = [f"0{row % 9 + 1}" for row in range(rows - 400)] + ["A1"] * 400
    path = write(tmp_path / "it.csv", text(*codes))
    frame = tables.read_table(path, "label")
    columns = input_schema.describe(frame[["x", "odd"]])
    assert columns[1]["categories"] == [*(f"0{digit}" for digit in range(1, 10)), "A1"]
    assert frame["odd"].tolist() == codes
    for values in (["01", "02"], ["1", "2"], ["10", "2.50"]):
        other = write(tmp_path / "other.csv", text(*values, rows=2))
        ((batch, _),) = formats.stream(other, columns, 10)
        assert tables.to_table(batch, columns)["odd"].tolist() == values
    numbers = write(tmp_path / "numbers.parquet", pa.table({"x": [1.0], "odd": [1]}))
    ((batch, _),) = formats.stream(numbers, columns, 10)
    with pytest.raises(formats.BadTable, match=r"column 'odd' must be text, not numbers \(int64\)"):
        tables.to_table(batch, columns)


@pytest.mark.parametrize(
    ("values", "kind", "said"),
    [
        (pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("2.25")]), "number", ""),
        (pa.array([True, False, None]), "category", ""),
        (pa.array([1, None, 3]), "number", ""),
        (pa.array(["01", "2", None]), "category", ""),
        (pa.array(["1", "2", "NA"]), "category", ""),
        (pa.array(["a", "b"]).dictionary_encode(), "category", ""),
        (pa.array([b"a", b"b"]), "category", ""),
        (pa.array(DAYS[:3]), "date", "holds dates"),
        (pa.array([datetime.datetime(2024, 1, 31, 12, 30), None]), "date", "holds dates"),
        (pa.array([datetime.datetime(2024, 1, 31, 12), None], pa.timestamp("ns", "Europe/Berlin")), "date", "holds"),
        (pa.array([datetime.time(8, 15), datetime.time(9)]), "category", ""),
    ],
)
@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_a_type_by_that_of_a_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: pa.Array, kind: str, *, said: str, ending: str
) -> None:
    rows = np.arange(24)
    odd = values.take(pa.array(rows % len(values)))
    table = pa.table({"x": rows % 7, "odd": odd, "label": np.where(rows % 5, "yes", "no")})
    write(tmp_path / f"it.{ending}", table)
    assert types(tmp_path) == {"x": "number", "odd": kind}
    told = capsys.readouterr().err
    assert said in told and told.count(NOTE) == bool(said)


@pytest.mark.parametrize(
    ("reading", "kind"),
    [
        ({"categories": ["odd"]}, "category"),
        ({"numbers": ["odd"]}, "number"),
        ({"dates": {"odd": "%d/%m/%Y"}}, "date"),
        ({"drop": ["odd"]}, None),
    ],
)
def test_an_option_chooses(tmp_path: Path, reading: dict[str, Any], kind: str | None) -> None:
    write(tmp_path / "it.csv", text("1", "abc", "01/02/2024", "007"))
    assert types(tmp_path, **reading).get("odd") == kind


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            [f"id{row}" for row in range(24)],
            "is an identifier (every value differs), so it is left out; --categories odd",
        ),
        (range(24), "counts the rows, so it is left out; --numbers odd keeps it"),
        (["same"], "has the same value in every row"),
        ([*[7] * 1999, 8], "has the same value in 1999 of 2000 rows"),
        (["", "NA"], "is empty"),
    ],
)
def test_a_column_that_tells_nothing_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: Sequence[Any], said: str
) -> None:
    write(tmp_path / "it.csv", text(*values))
    assert types(tmp_path) == {"x": "number"}
    assert f"NOTE: column 'odd' {said}" in capsys.readouterr().err
    write(tmp_path / "it.csv", text(*values).replace("odd", "", 1))
    assert types(tmp_path) == {"x": "number"}
    assert (
        f"NOTE: column 'Unnamed: 1', which has no name in the header, {said}".replace("odd", "Unnamed: 1")
        in capsys.readouterr().err
    )


def test_what_is_chosen_is_kept_and_so_is_all_that_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "it.csv", text(*range(24)))
    assert list(tables.read_table(path, "label", {"numbers": ["odd"]})) == ["x", "odd", "label"]
    assert list(tables.read_table(path, "label", {"drop": ["x"]})) == ["odd", "label"]
    assert "is kept since it is all that there is" in capsys.readouterr().err


def test_five_notes_and_how_many_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{row % 3},{'ab'[row % 2]}" + ",1" * 9 for row in range(12)]
    write(tmp_path / "it.csv", "\n".join(["x,label" + "".join(f",c{n}" for n in range(9)), *rows]))
    tables.read_table(tmp_path, "label")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 6 and told[-1] == "NOTE: and 4 more of the kind"


COMMAS = text("1,5", "2", "-3,25", delimiter=";")


@pytest.mark.parametrize(
    ("name", "content", "reading", "kind"),
    [
        ("it.csv", text("a", "b", delimiter=";"), {}, "category"),
        ("it.csv", text("a", "b", delimiter="\t"), {}, "category"),
        ("it.csv", text("a", "b", delimiter="|"), {}, "category"),
        ("it.tsv", text("a,b;c", "b", delimiter="\t"), {}, "category"),
        ("it.csv", COMMAS, {}, "number"),
        ("it.csv", text("1,500", "2", delimiter=";"), {"decimal": ","}, "number"),
        ("it.csv", text("é", "b").encode("latin-1"), {"encoding": "latin-1"}, "category"),
        ("it.csv", text("é", "東京").encode("utf-16"), {}, "category"),
        ("it.csv", text("é", "東京").encode("utf-16-le"), {"encoding": "utf-16-le"}, "category"),
        ("it.csv", text("é", "b").encode("utf-8-sig"), {}, "category"),
        ("it.csv.gz", gzip.compress(text("01", "b").encode()), {}, "category"),
        ("it.csv.zst", pa.compress(text("01", "b").encode(), "zstd", asbytes=True), {}, "category"),
        ("it.csv", text("a:b", "b", delimiter=":").replace("a:b", '"a:b"'), {"delimiter": ":"}, "category"),
        ("it.csv", text("a", "b").replace("\n", "\r\n"), {}, "category"),
        ("it.csv", text("z" * 3_000_000, "b", rows=3), {}, "category"),
        ("it.jsonl", json_lines("1", "2"), {}, "category"),
        ("it.jsonl", json_lines(True, None, False), {}, "category"),
        ("it.jsonl", json_lines(1, 2.5, None), {}, "number"),
    ],
)  # fmt: skip
def test_what_is_written_another_way(
    tmp_path: Path, name: str, content: Any, reading: dict[str, Any], kind: str
) -> None:
    write(tmp_path / name, content)
    if "zzz" not in str(content):
        assert types(tmp_path, **reading) == {"x": "number", "odd": kind}
    else:
        assert len(tables.read_table(tmp_path, "label")["odd"][0]) == 3_000_000


TABLE = {"x": [1, 2, 3, 4], "label": list("abab")}
MAPS = pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64()))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": "x,label\n1,a\n2,b,3\n"}, r"a\.csv: row 1: 3 values, and the header has 2 columns"),
        ({"a.csv": "x,x,label\n1,2,a\n"}, r"a\.csv: column 'x' is there 2 times; rename it"),
        ({"a.csv": "x,label\n1,a\n2,\0b\n"}, r"a\.csv: line 3: a NUL character; .*--encoding utf-16"),
        ({"a.csv": "label\na\nb\na\nb\n"}, "--label label: there is no other column"),
        ({"a.csv": "x,label\n1,no\n2, no\n3,no\n4, no\n"}, "--label label: row 1 has ' no', others 'no'; write them"),
        ({"a.csv": "x,label\n1,no\n2,No\n3,no\n4,No\n"}, "--label label: row 1 has 'No', others 'no'; write them"),
        ({"a.csv": "x,label\n1,a\n", "b.csv": "x,label\n1,a\n"}, r"b\.csv is a\.csv once more; remove one of them"),
        ({"a.csv": "x,label\n1,a\n", "b.csv": "y,label\n1,a\n"}, "do not have the same columns: 'x', 'y'"),
        ({"a.csv": "x,label\n1,é\n".encode("latin-1")}, r"a\.csv: line 2: .* byte 0xe9 .*fits --encoding windows-1252"),
        ({"a.csv": "x,label\n1,привет\n".encode("windows-1251")}, "line 2: .*; --encoding names another$"),
        ({"a.csv": "x,label\n1,é\x81\n".encode("latin-1")}, "line 2: .*; --encoding names another$"),
        ({"a.csv": "x;label,y\n1;2,a\n3;4,b\n"}, r"a\.csv: its values may be parted by ',' or ';'; --delimiter says"),
        ({"a.csv": 'x,label\n1,"a\n2,b\n'}, r"a\.csv: row 0: EOF inside string: a quote is never closed"),
        ({"a.csv": ""}, r"a\.csv: No columns to parse: it is empty"),
        ({"a.csv": "x,label\n1e39,a\n"}, r"a\.csv: row 0: column 'x' holds a number that is infinite or too large"),
        ({"a.parquet": pa.table(TABLE | {"l": [[1]] * 4})}, "column 'l' holds lists; --drop l"),
        ({"a.parquet": pa.table(TABLE | {"s": [{"a": 1}] * 4})}, "column 's' holds structs; --drop s"),
        ({"a.parquet": pa.table(TABLE | {"m": MAPS})}, "column 'm' holds maps; --drop m"),
        ({"a.parquet": pa.table(TABLE | {"b": [b"\xff\xfe"] * 4})}, "column 'b' holds bytes that are no text"),
        ({"a.jsonl": '{"x": 1, "label": "a"}\n{"x": [1], "label": "b"}\n'}, "column 'x' holds lists"),
        ({"a.jsonl": '{"x": 1, "label": "a"}\n[]\n'}, r"a\.jsonl: row 1: not an object of columns"),
    ],
)  # fmt: skip
def test_what_is_refused_is_one_line(tmp_path: Path, files: dict[str, Any], said: str) -> None:
    for name, content in files.items():
        write(tmp_path / name, content)
    with pytest.raises(SystemExit, match=said) as refused:
        split_label(tables.read_table(tmp_path, "label"), "label")
    assert "\n" not in str(refused.value)


def test_an_excel_file_needs_a_package_that_not_everybody_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "it.xlsx", b"PK")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    where = "add it to train-conda.yml and inference-conda.yml in aml_config/"
    with pytest.raises(SystemExit, match=rf"it\.xlsx: an Excel file needs the package openpyxl: {where}"):
        tables.read_table(tmp_path, "label")


def test_a_column_that_tells_the_label_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "it.csv", "x,odd,label\n" + "".join(f"{row % 7},{row % 2},{'ab'[row % 2]}\n" for row in range(24)))
    assert types(tmp_path) == {"x": "number", "odd": "number"}
    assert "NOTE: column 'odd' tells the label of every row: --drop odd if" in capsys.readouterr().err


def test_folders_and_an_index_of_pandas_are_columns(tmp_path: Path) -> None:
    for region, shift in (("north", 0), ("s%C3%BCd", 1)):
        frame = pd.DataFrame({"x": range(shift, 40 + shift), "label": list("ab") * 20})
        frame.index = pd.Index([row % 3 for row in range(40)], name="group")
        folder = tmp_path / f"region={region}" / "year=2024"
        folder.mkdir(parents=True)
        frame.to_parquet(folder / "it.parquet")
    frame = tables.read_table(tmp_path, "label")
    assert set(frame) == {"x", "label", "group", "region"}  # the year is the same everywhere
    assert frame["region"].value_counts().to_dict() == {"north": 40, "süd": 40}
    columns = input_schema.describe(frame[["group", "region"]])
    ((batch, _),) = formats.stream(folder / "it.parquet", columns, 100)
    assert set(tables.to_table(batch, columns)["region"]) == {"süd"}


def test_a_column_that_is_left_out_is_not_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "it.csv", text(*(f"id{row}" for row in range(24))))
    columns = input_schema.describe(tables.read_table(path, "label").drop(columns="label"))
    for row in ({"x": 1}, {"x": 1, "odd": ["whatever"]}):
        assert input_schema.read_request(json.dumps({"data": [row]}), columns, 1)["x"].tolist() == [1.0]
    other = write(tmp_path / "other.csv", "x\n1\n")
    ((batch, _),) = formats.stream(other, columns, 10)
    assert tables.to_table(batch, columns)["x"].tolist() == [1.0]


def test_the_rows_of_a_pipeline_are_handed_on_as_they_are(tmp_path: Path) -> None:
    """Codes with their zeros, texts among numbers: the training that reads them decides what they are."""
    path = write(tmp_path / "it.csv", text("01", "NA", '"1,5"'))
    frame = tables.read_rows(path)
    assert frame["odd"].fillna("-").tolist() == ["01", "-", "1,5"] * 8
    assert set(map(type, frame["label"])) == {str}


def test_a_model_is_judged_by_rows_that_are_read_by_its_schema(tmp_path: Path) -> None:
    path = write(tmp_path / "it.csv", text("01", "02", "A1", ""))
    frame = tables.read_table(path, "label")
    schema = input_schema.Schema(input_schema.describe(frame.drop(columns="label")), classes=["no", "yes"])
    other = write(tmp_path / "other.csv", text("01", "2", "") + "1,02,\n")
    table, labels = tables.read_by(other, schema, "label")
    assert table["odd"].tolist() == ["01", "2", ""] * 8 and len(labels) == 24
    assert labels.unique().tolist() == ["no", "yes"]


def test_a_schema_of_an_earlier_model_is_read_as_then(tmp_path: Path) -> None:
    """It has no word of reading, took booleans for numbers, and may have learnt that NA is a name."""
    columns = [{"name": "flag", "type": "number"}, {"name": "c", "type": "category", "categories": ["NA", "b"]}]
    (tmp_path / "schema.json").write_text(json.dumps({"columns": columns, "task": "classification", "classes": ["a"]}))
    schema = input_schema.find(str(tmp_path))[1]
    rows = [{"flag": True, "c": "NA"}, {"flag": None, "c": "null"}]
    asked = input_schema.read_request(json.dumps({"data": rows}), schema.columns, 9)
    path = write(tmp_path / "it.csv", "flag,c\nTrue,NA\n,null\n")
    ((batch, _),) = formats.stream(path, schema.columns, 9, 0, schema.reading)
    for table in (asked, tables.to_table(batch, schema.columns)):
        assert str(table["flag"].tolist()) == "[1.0, nan]" and table["c"].tolist() == ["NA", ""]


def test_a_wide_table_is_read_at_once_and_what_is_known_of_it_is_not_copied_with_each_column(tmp_path: Path) -> None:
    names = [f"c{place}" for place in range(1000)]
    rows = [",".join([*("1.25" for _ in names), "ab"[row % 2]]) for row in range(300)]
    path = write(tmp_path / "wide.csv", "\n".join([",".join([*names, "label"]), *rows]) + "\n")
    assert path.stat().st_size > formats.BLOCK
    assert [len(found) for found in tables.load(path, {}).values()] == [1]
    known = tables.read_table(path, "label").attrs
    assert copy.deepcopy(known)["columns"] is known["columns"]
