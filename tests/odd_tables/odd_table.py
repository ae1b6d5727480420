"""An odd table: how it is made, and what must happen to whoever trains on it."""

import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from xml.sax.saxutils import escape

import pyarrow as pa
from pyarrow import feather, parquet

LABEL = "label"
ROWS = 120

Types: TypeAlias = dict[str, str]  # of each column that is trained on
File: TypeAlias = str | bytes | pa.Table  # a text is written as UTF-8, a table in the format that its name says
Content: TypeAlias = File | dict[str, File] | Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class OddTable:
    """What is written, and what must come of it."""

    name: str
    why: str
    content: Content
    types: Types | None  # None: it is refused
    says: tuple[str, ...]  # trained: a pattern for each NOTE; refused: one for the line
    args: tuple[str, ...] = ()
    label: str = LABEL
    same_as: File | None = None  # its rows as CSV or typed, where they can't be read by what reads CSV and nothing else
    meant: dict[str, Any] = field(default_factory=dict)  # texts that stand for a number: what a client sends for them
    then: Content | None = None  # what is scored in its place
    then_says: str = ""  # a pattern, if that is a bad file
    full: bool = False  # only in `make test-full`: it takes seconds, or is one of many of its kind


TABLES: dict[str, OddTable] = {}


def trained(name: str, why: str, content: Content, types: Types, *says: str, **more: Any) -> None:
    """One that is trained on, with columns of these types; each NOTE fits a pattern, and each pattern a NOTE."""
    add(OddTable(name=name, why=why, content=content, types=types, says=says, **more))


def refused(name: str, why: str, content: Content, says: str, **more: Any) -> None:
    """One that is refused in a line that fits a pattern."""
    add(OddTable(name=name, why=why, content=content, types=None, says=(says,), **more))


def add(table: OddTable) -> None:
    assert table.name not in TABLES, f"two tables are called {table.name}"
    TABLES[table.name] = table


def written(content: Content, folder: Path) -> Path:
    """Write it; return what --data-path or --input names."""
    folder.mkdir(parents=True)
    if callable(content):
        content(folder)
        return folder
    if not isinstance(content, dict):
        path = folder / ("table.parquet" if isinstance(content, pa.Table) else "table.csv")
        write(path, content)
        return path
    for name, file in content.items():
        write(folder / name, file)
    return folder


def write(path: Path, file: File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(file, bytes):
        path.write_bytes(file)
    elif isinstance(file, str):
        path.write_bytes(file.encode())
    elif path.suffix == ".feather":
        feather.write_feather(file, path)
    else:
        parquet.write_table(file, path)


def text_of(header: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str = ",") -> str:
    """As CSV."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def rows_of(odd: Sequence[Any], rows: int = ROWS, labels: Sequence[Any] = ("no", "yes")) -> Iterator[tuple[Any, ...]]:
    """A number, one of the odd values in turn, and a label that depends on both: a model has to read them well."""
    draw = random.Random(22)
    for row in range(rows):
        place = row % len(odd)
        x = round(draw.gauss(0, 1), 3)
        share = (x + place * 7 % 5 - 2 + draw.gauss(0, 0.5) + 4) / 8
        # The first rows of each label are certain, so that all labels are there.
        chosen = row % len(labels) if row < 3 * len(labels) else int(min(max(share, 0), 0.999) * len(labels))
        yield x, odd[place], labels[chosen]


def one_column(odd: Sequence[Any], rows: int = ROWS, name: str = "odd", **more: Any) -> str:
    """A CSV of an odd column between a number and a label."""
    return text_of(("x", name, LABEL), rows_of(odd, rows, **more))


def of_type(values: Sequence[Any], kind: pa.DataType | None = None, rows: int = ROWS) -> pa.Table:
    """The same as a table of typed columns."""
    x, odd, labels = zip(*rows_of(values, rows), strict=True)
    return pa.table({"x": x, "odd": pa.array(odd, kind), LABEL: labels})


def plain(rows: int = ROWS, seed: int = 0) -> str:
    """Nothing odd: what an odd table would be without its oddity. Another seed has other rows."""
    draw = random.Random(seed)
    texts = [(round(draw.gauss(0, 1), 3), draw.choice("abc")) for _ in range(rows)]
    return text_of(("x", "odd", LABEL), [(x, c, "yes" if x + (c == "a") > 0 else "no") for x, c in texts])


PLAIN: Types = {"x": "number", "odd": "category"}


def squeezed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def workbook(*sheets: Sequence[Sequence[Any]]) -> bytes:
    """An .xlsx of some sheets, which nothing that writes such files need be installed for."""
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml."
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}sheet.main+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kinds}worksheet+xml"/>' for n in numbers
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        + "".join(f'<sheet name="Sheet{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
        )
        + "</Relationships>",
    }
    for number, rows in zip(numbers, sheets, strict=True):
        lines = "".join(
            f'<row r="{r}">' + "".join(cell(value, r, c) for c, value in enumerate(row)) + "</row>"
            for r, row in enumerate(rows, 1)
        )
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>'
        )
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name), '<?xml version="1.0" encoding="UTF-8"?>\n' + text)
    return whole.getvalue()


def cell(value: Any, row: int, column: int) -> str:
    place = f'r="{chr(ord("A") + column)}{row}"'
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c {place} t="b"><v>{value:d}</v></c>'
    if isinstance(value, int | float):
        return f"<c {place}><v>{value}</v></c>"
    return f'<c {place} t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
