"""runtime/: what is read of a file in chunks is what train.py reads of it whole; what is wrong with it is one line."""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runtime import batch, formats, input_schema, tables
from tests.conftest import DATA

Columns = list[input_schema.Column]


def test_a_table_in_chunks_is_read_as_train_py_reads_it() -> None:
    """Every value, whatever the chunks are."""
    frame = tables.read_table(DATA, "churned")
    columns = input_schema.describe(frame)
    whole = input_schema.to_table(frame, columns)
    inputs = batch.list_inputs(DATA, columns)
    chunks = [chunk for chunk in batch.read_chunks(inputs, columns, 7) if not chunk.last]
    for column in columns:
        name = column["name"]
        parts = [tables.to_table(chunk.content, columns)[name].tolist() for chunk in chunks]
        assert str([value for part in parts for value in part]) == str(whole[name].tolist())


NUMBER: input_schema.Column = {"name": "x", "type": "number"}
CATEGORY: input_schema.Column = {"name": "c", "type": "category", "categories": ["a"]}


def values(file: Path, size: int = 2, start: int = 0) -> list[tuple[float, str]]:
    """All rows of a file from one on, read in chunks."""
    found: list[tuple[float, str]] = []
    for chunk in batch.read_chunks({"it": file}, [NUMBER, CATEGORY], size, start):
        if isinstance(chunk.content, Exception):
            raise chunk.content
        if chunk.content is not None:
            assert chunk.row == start + len(found) and 0 < len(chunk.content) <= size
            table = tables.to_table(chunk.content, [NUMBER, CATEGORY], chunk.row)
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
        "c,x\n" + "".join(f"{name},1\n" for name in sorted(input_schema.MISSING)),
        "x,c\n" + "".join(f"{name},a\n" for name in sorted(input_schema.MISSING)),
        "x,c\n 1 , a \n+2,b\n.5,c\n1e3,d\n12345678901234567890,e\n",
        "x,c\n",
        'x,c\n1,"a\nb"\n2,"c"\n3,"d"\n',
        "x,c\n1,Zürich\n2,東京\n3,🚀\n",
    ],
)
@pytest.mark.parametrize("block", [24, formats.BLOCK])
def test_csv_is_read_as_pandas_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, block: int
) -> None:
    """From whatever row on, in whatever chunks, and however much is parsed at once."""
    monkeypatch.setattr(formats, "BLOCK", block)
    file = tmp_path / "it.csv"
    file.write_text(content, encoding="utf-8", newline="")
    frame = pd.read_csv(file, dtype={"c": str})
    table = input_schema.to_table(frame, [NUMBER, CATEGORY])
    wanted = list(zip(table["x"].tolist(), table["c"].tolist(), strict=True))
    for size, start in itertools.product((1, 2, 1000), (0, 1, 2, 3, 1000)):
        assert str(values(file, size, start)) == str(wanted[start:])


def test_parquet_of_other_types_is_read_as_train_py_reads_it(tmp_path: Path) -> None:
    days = pd.to_datetime(["2024-01-01", None, "2024-01-02", "2024-01-03"])
    flags = pd.array([True, None, False, True], dtype="boolean")
    for number, category in (
        (flags, days),
        (pd.array([1, None, 3, 4], dtype="Int64"), pd.Categorical(["a", "b", None, "a"])),
        ([1, 2, 3, 4], [None] * 4),
        ([1, 2, 3, 4], [float("nan")] * 4),
        ([0.5, None, 3, 4], ["Zürich", None, "東京", "🚀"]),
    ):
        frame = pd.DataFrame({"c": category, "x": number})
        frame.to_parquet(tmp_path / "it.parquet", row_group_size=3)
        table = input_schema.to_table(frame, [NUMBER, CATEGORY])
        wanted = list(zip(table["x"].tolist(), table["c"].tolist(), strict=True))
        for size, start in itertools.product((1, 2, 1000), (0, 1, 2, 3, 4, 1000)):
            assert str(values(tmp_path / "it.parquet", size, start)) == str(wanted[start:])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "No columns to parse"),
        ("x\n1\n", "column 'c' is missing"),
        ("x,c\n1,a\n2,b\n3,c\nmuch,d\n", "row 3: column 'x' must be a number, not 'much'"),
        (f"x,c\n{'y' * 200},a\n", f"row 0: column 'x' must be a number, not '{'y' * 80}'"),
        (
            f"x,c\n{np.finfo(np.float32).max},a\n-inf,a\n",
            "row 1: column 'x' holds a number that is infinite or too large",
        ),
        ("x,c\n,a\n-1e300,a\n", "row 1: column 'x' holds a number that is infinite or too large"),
        ("x,c\n1,a\n1e300,b\n", "row 1: column 'x' holds a number that is infinite or too large"),
        ("x,c\ninf,a\n", "row 0: column 'x' holds a number that is infinite or too large"),
        ("x,c\n1,a\n2\n3,c\n", "row 1: 1 values, and the header has 2 columns"),
        ("x,c\n1,a\n2,b,3\n", "row 1: 3 values, and the header has 2 columns"),
        ("x,c\n1,a,3\n2,b,3\n", "row 0: 3 values, and the header has 2 columns"),
        ('x,c\n1,"a\n2,b\n', "EOF inside string"),
        ('x,c\n1,"a"\n2,"b\n3,c\n', "EOF inside string"),
        (b"x,c\n1,\xff\n", "can't decode byte 0xff"),
        (b"PAR1" * 3, "Parquet"),
        (pd.DataFrame({"x": [1]}), "column 'c' is missing"),
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
    with pytest.raises(batch.BadFile) as caught:
        values(file)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_rows_of_a_frame_count_from_0(tmp_path: Path) -> None:
    """As a ParallelRunStep hands it over."""
    frame = pd.DataFrame({"x": ["1", "much"], "c": ["a", "b"]})
    with pytest.raises(batch.BadFile, match="row 1: column 'x' must be a number, not 'much'"):
        tables.to_table(frame, [CATEGORY, NUMBER])


@pytest.mark.parametrize("block", [40, formats.BLOCK])
@pytest.mark.parametrize("text", ["b", "two\nlines"])
def test_ordinary_columns_are_read_the_quick_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, text: str
) -> None:
    """Also where a block ends within quotes; pandas takes several times as long."""
    monkeypatch.setattr(formats, "BLOCK", block)
    monkeypatch.setattr(input_schema, "to_table", None)
    wanted = [(float(number), text) for number in range(2000)]
    (tmp_path / "it.csv").write_text("x,c\n" + "".join(f'{number},"{text}"\n' for number in range(2000)))
    assert values(tmp_path / "it.csv") == wanted
    for kind in ("int64", "float64"):
        frame = pd.DataFrame({"x": range(2000), "c": [text] * 2000}).astype({"x": kind})
        frame.to_parquet(tmp_path / "it.parquet")
        assert values(tmp_path / "it.parquet") == wanted


def told(chunks: Iterable[batch.Chunk]) -> list[tuple[str, int, int, bool]]:
    """Of each chunk its file, its first row, how many it has (-1: the file is bad), and whether nothing follows."""
    return [
        (
            chunk.names[0],
            chunk.row,
            -1 if isinstance(chunk.content, batch.BadFile) else len(chunk.content if chunk.content is not None else []),
            chunk.last,
        )
        for chunk in chunks
    ]


@pytest.fixture
def several(tmp_path: Path) -> dict[str, Path]:
    """Three files: five rows, four of which the last is bad, and five in a Parquet file."""
    (tmp_path / "a.csv").write_text("x,c\n" + "1,a\n" * 5)
    (tmp_path / "b.csv").write_text("x,c\n1,a\n2,b\n3,c\n4,d,more\n")
    pd.DataFrame({"x": range(5), "c": list("abcde")}).to_parquet(tmp_path / "c.PARQUET", row_group_size=3)
    (tmp_path / "readme.txt").write_text("none of them")
    return batch.list_inputs(tmp_path, [NUMBER, CATEGORY])


def test_each_file_ends_with_a_chunk_that_says_so(several: dict[str, Path]) -> None:
    chunks = list(batch.read_chunks(several, [NUMBER, CATEGORY], 2, 3))
    assert told(chunks) == [
        ("a.csv", 3, 2, False),
        ("a.csv", 5, 0, True),
        ("b.csv", 0, -1, True),
        ("c.PARQUET", 0, 2, False),
        ("c.PARQUET", 2, 1, False),
        ("c.PARQUET", 3, 2, False),
        ("c.PARQUET", 5, 0, True),
    ]
    assert [chunk.share for chunk in chunks if chunk.names == ["c.PARQUET"]] == [0.4, 0.6, 1.0, 1.0]


def test_a_chunk_has_as_many_rows_as_are_quick(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,c\n" + "1,a\n" * (batch.ROWS + 1))
    chunks = batch.read_chunks({"a.csv": tmp_path / "a.csv"}, [NUMBER, CATEGORY])
    assert [len(chunk.content) for chunk in chunks if not chunk.last] == [batch.ROWS, 1]


@pytest.mark.parametrize("ending", ["", "  \n"])  # which pyarrow leaves to Python
def test_the_share_of_a_file_rises_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.setattr(formats, "BLOCK", 1000)
    file = tmp_path / "it.csv"
    file.write_text("x,c\n" + "1,a\n" * 30_000 + ending)
    shares = [share for _, share in formats.stream(file, [NUMBER, CATEGORY], 100)]
    assert len(shares) > 300 and shares == sorted(shares) and 0 < shares[0] < 0.5 and shares[-1] == 1.0


def test_what_the_result_calls_the_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in (b"deep/b.csv", b"a\xff.csv", "Zürich.csv".encode()):
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_text("x\n")
    found = batch.list_inputs(tmp_path, [NUMBER])
    assert list(found) == ["Zürich.csv", "a\ufffd.csv", "deep/b.csv"]
    assert list(batch.list_inputs(tmp_path / "deep" / "b.csv", [NUMBER])) == ["b.csv"]


IMAGE: input_schema.Column = {"name": "image", "type": "image", "size": 2}


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> type[ValueError]:
    """What reads images, which comes with some frameworks: a file of it is as bright as its text says."""

    class BadImage(ValueError):
        pass

    def read_image(file: Path, size: int) -> Any:
        if not file.read_text().isdigit():
            raise BadImage(f"{file}: no\nimage")
        return np.full((size, size), int(file.read_text()))

    known = SimpleNamespace(ENDINGS={".gif"}, BadImage=BadImage, read_image=read_image)
    monkeypatch.setattr(batch, "images", lambda: known)
    return BadImage


def test_images_are_read_in_groups(tmp_path: Path, images: type[ValueError]) -> None:
    for number in range(batch.IMAGES + 2):
        (tmp_path / f"{number:03}.gif").write_text(str(number))
    (tmp_path / "table.csv").write_text("x\n")
    inputs = batch.list_inputs(tmp_path, [IMAGE])
    for size, lengths in ((None, [batch.IMAGES, 2]), (60, [60, batch.IMAGES - 58])):
        chunks = list(batch.read_chunks(inputs, [IMAGE], size))
        assert [len(chunk.names) for chunk in chunks] == [len(chunk.content) for chunk in chunks] == lengths
        assert [name for chunk in chunks for name in chunk.names] == list(inputs)
        assert [file for chunk in chunks for file in chunk.content] == list(inputs.values())
        assert all((chunk.row, chunk.last, chunk.share) == (0, True, 1.0) for chunk in chunks)


def test_of_images_those_that_can_be_read_are_scored(tmp_path: Path, images: type[ValueError]) -> None:
    for name, content in (("a.gif", "7"), ("b.gif", "?"), ("c.gif", "9")):
        (tmp_path / name).write_text(content)
    names, table, bad = batch.read_images(batch.list_inputs(tmp_path, [IMAGE]), IMAGE)
    assert (names, bad) == (["a.gif", "c.gif"], {"b.gif": "no image"})
    assert table["image"].shape == (2, 2, 2) and table["image"][:, 0, 0].tolist() == [7, 9]
    assert batch.read_images({"b.gif": tmp_path / "b.gif"}, IMAGE) == ([], {}, {"b.gif": "no image"})
