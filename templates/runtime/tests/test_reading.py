"""runtime/: what is read of a file in chunks is what train.py reads of it whole; what is wrong with it is one line."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runtime import input_schema
from runtime.batch import files
from runtime.data import read_table
from tests.conftest import DATA

Columns = list[input_schema.Column]


@pytest.fixture
def columns(outputs: Path) -> Columns:
    return input_schema.find(str(outputs))[1]


def test_a_table_in_chunks_is_read_as_train_py_reads_it(columns: Columns) -> None:
    """Every value, whatever the chunks are."""
    whole = input_schema.to_table(read_table(DATA), columns)
    inputs = files.list_inputs(DATA, columns)
    chunks = [chunk for chunk in files.read_chunks(inputs, columns, 7) if not chunk.last]
    for column in columns:
        name = column["name"]
        parts = [files.table(chunk.content, columns)[name].tolist() for chunk in chunks]
        assert str([value for part in parts for value in part]) == str(whole[name].tolist())


NUMBER: input_schema.Column = {"name": "x", "type": "number"}
CATEGORY: input_schema.Column = {"name": "c", "type": "category", "categories": ["a"]}


def values(file: Path, size: int = 2) -> list[tuple[float, str]]:
    """All rows of a file, read in chunks."""
    found: list[tuple[float, str]] = []
    for chunk in files.read_chunks({"it": file}, [NUMBER, CATEGORY], size):
        if isinstance(chunk.content, Exception):
            raise chunk.content
        if chunk.content is not None:
            assert chunk.row == len(found)
            table = files.table(chunk.content, [NUMBER, CATEGORY], chunk.row)
            found += zip(table["x"].tolist(), table["c"].tolist(), strict=True)
    return found


@pytest.mark.parametrize(
    "content",
    [
        "x,c\n1,a\n2,b\n3,c\n",
        "x,c\n\n1,a\n  \n2,b\n\n",
        "\ufeffx,c\r\n1,a\r\n2,b",
        'c,x\n"a, ""b""\nc",1\n5" pipe,2\n',
        "x,c,y\n1,01,\n2,1.0,z\n,007,\n4,True,\n",
        "x,c\nTrue,a\nFalse,b\n,c\nTrue,\n",
        "x,c\n1,a\n2\n3,c\n",
        "c,x\n" + "".join(f"{name},1\n" for name in files.MISSING),
        "x,c\n" + "".join(f"{name},a\n" for name in files.MISSING),
        "x,c\n 1 , a \n+2,b\n.5,c\n1e3,d\n12345678901234567890,e\n",
        "x,c\n",
    ],
)
def test_csv_is_read_as_pandas_reads_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "it.csv"
    file.write_text(content, encoding="utf-8", newline="")
    frame = pd.read_csv(file, dtype={"c": str})
    table = input_schema.to_table(frame, [NUMBER, CATEGORY])
    for size in (1, 2, 1000):
        assert str(values(file, size)) == str(list(zip(table["x"].tolist(), table["c"].tolist(), strict=True)))


def test_parquet_of_other_types_is_read_as_train_py_reads_it(tmp_path: Path) -> None:
    days = pd.to_datetime(["2024-01-01", None, "2024-01-02", "2024-01-03"])
    flags = pd.array([True, None, False, True], dtype="boolean")
    for number, category in (
        (flags, days),
        (pd.array([1, None, 3, 4], dtype="Int64"), pd.Categorical(["a", "b", None, "a"])),
        ([1, 2, 3, 4], [None] * 4),
    ):
        frame = pd.DataFrame({"c": category, "x": number})
        frame.to_parquet(tmp_path / "it.parquet", row_group_size=3)
        table = input_schema.to_table(frame, [NUMBER, CATEGORY])
        wanted = list(zip(table["x"].tolist(), table["c"].tolist(), strict=True))
        assert str(values(tmp_path / "it.parquet")) == str(wanted)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "No columns to parse"),
        ("x\n1\n", "column 'c' is missing"),
        ("x,c\n1,a\n2,b\n3,c\nmuch,d\n", "row 3: column 'x' must be a number, not 'much'"),
        ("x,c\n1,a\n1e300,b\n", "row 1: column 'x' holds a number that is infinite or too large"),
        ("x,c\ninf,a\n", "row 0: column 'x' holds a number that is infinite or too large"),
        ("x,c\n1,a\n2,b,3\n", "Expected 2 fields in line 3, saw 3"),
        ("x,c\n1,a,3\n2,b,3\n", "the first row has more values than there are columns"),
        ('x,c\n1,"a\n2,b\n', "EOF inside string"),
        (b"x,c\n1,\xff\n", "can't decode byte 0xff"),
        (b"PAR1" * 3, "Parquet"),
        (pd.DataFrame({"c": [1, 2], "x": [1, 2]}), "column 'c' must be text, not numbers (int64)"),
        (pd.DataFrame({"c": ["a", "b"], "x": ["1", "much"]}), "row 1: column 'x' must be a number, not 'much'"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, content: Any, said: str) -> None:
    if isinstance(content, pd.DataFrame):
        file = tmp_path / "it.parquet"
        content.to_parquet(file)
    else:
        data = content.encode() if isinstance(content, str) else content
        file = tmp_path / ("it.parquet" if data.startswith(b"PAR1") else "it.csv")
        file.write_bytes(data)
    with pytest.raises(files.BadFile) as caught:
        values(file)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_columns_of_every_kind() -> None:
    frame = pd.DataFrame(
        {
            "flag": [True, None, False],
            "count": pd.array([1, None, 3], dtype="Int64"),
            "day": pd.to_datetime(["2024-01-01", None, "2024-01-02"]),
            "nothing": [None, None, None],
        }
    )
    columns = input_schema.describe(frame)
    assert [column["type"] for column in columns] == ["number", "number", "category", "category"]
    table = input_schema.to_table(frame, columns)
    assert table["flag"].tolist()[::2] == [1.0, 0.0]
    assert set(table["day"]) - {""} == set(columns[2]["categories"])
    assert table["nothing"].tolist() == ["", "", ""]


def test_an_infinite_number_is_one_line() -> None:
    frame = pd.DataFrame({"x": [1.0, float("inf")]})
    with pytest.raises(SystemExit, match="'x' holds a number that is infinite"):
        input_schema.to_table(frame, input_schema.describe(frame))
