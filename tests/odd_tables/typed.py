"""Columns whose type is written down: Parquet, what pandas makes of its index, feather, JSON lines, xlsx."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tests.odd_tables.odd_table import (
    LABEL,
    PLAIN,
    Types,
    json_lines,
    of_type,
    plain,
    refused,
    rows_of,
    trained,
    workbook,
)

MOMENTS = [dt.datetime(2024, 1, 1, 12, 30) + dt.timedelta(days=17 * n, hours=n) for n in range(30)]
SMALL = [1, 2, 3, None]
DATE = r"NOTE: .*odd.*(date|time)"


def typed(name: str, why: str, values: Any, kind: pa.DataType | None, becomes: str, *says: str, **more: Any) -> None:
    """A column of a type of Arrow's, in a Parquet file."""
    trained(f"parquet-{name}", why, of_type(values, kind), {"x": "number", "odd": becomes}, *says, **more)


def untrainable(name: str, why: str, values: Any, kind: pa.DataType) -> None:
    """A column that no model takes."""
    refused(f"parquet-{name}", why, of_type(values, kind), r"table\.parquet.*odd.*--drop")


for bits in (8, 16, 32, 64):
    typed(f"int{bits}", "whole numbers", SMALL, getattr(pa, f"int{bits}")(), "number", full=bits < 64)
    typed(f"uint{bits}", "without a sign", SMALL, getattr(pa, f"uint{bits}")(), "number", full=bits < 64)
typed(
    "uint64-beyond-2-53",
    "more than a float tells apart",
    [2**64 - 1, 2**53 + 1, 5],
    pa.uint64(),
    "number",
    r"NOTE: .*odd.*",
)
typed("float16", "half a float", [np.float16(0.5), np.float16(1.5), None], pa.float16(), "number")
typed("float32", "as the model computes", [0.1, 0.2, float("nan"), None], pa.float32(), "number")
typed("float64", "missing in both ways", [0.1, 0.2, float("nan"), None], pa.float64(), "number")
typed(
    "decimal",
    "money is a number",
    [Decimal("1.50"), Decimal("72.28"), None],
    pa.decimal128(10, 2),
    "number",
)
typed(
    "decimal-of-76-digits",
    "more than a float holds",
    [Decimal(10) ** 30, Decimal("0.5")],
    pa.decimal256(76, 2),
    "number",
    r"NOTE: .*odd.*digits",
)
typed("bool", "is no number", [True, False, None], pa.bool_(), "category")
typed("string", "ordinary", ["a", "b", None], pa.string(), "category")
typed("large-string", "as polars writes it", ["a", "b", None], pa.large_string(), "category")
typed("string-of-digits", "01 is a text", ["01", "1", "2"], pa.string(), "category")
typed("string-of-missing", "NA is missing here as well", ["a", "NA", "", None], pa.string(), "category")
typed("dictionary", "of texts", pa.array(["a", "b", None] * 40).dictionary_encode(), None, "category")
typed("dictionary-of-numbers", "of whole numbers", pa.array([7, 8, None] * 40).dictionary_encode(), None, "number")
typed("date32", "days", [m.date() for m in MOMENTS], pa.date32(), "date", DATE)
typed("date64", "days in milliseconds", [m.date() for m in MOMENTS], pa.date64(), "date", DATE)
for unit in ("s", "ms", "us", "ns"):
    typed(f"timestamp-{unit}", "without a zone", [*MOMENTS, None], pa.timestamp(unit), "date", DATE)
typed("timestamp-utc", "with a zone", MOMENTS, pa.timestamp("us", "UTC"), "date", DATE)
typed("timestamp-berlin", "with a zone that has summers", MOMENTS, pa.timestamp("us", "Europe/Berlin"), "date", DATE)
typed(
    "timestamp-before-1677",
    "beyond nanoseconds",
    [dt.datetime(1500 + n, 5, 6) for n in range(20)],
    pa.timestamp("us"),
    "date",
    DATE,
)
typed("string-view", "as newer writers have it", ["a", "b", None], pa.string_view(), "category")
typed("binary-of-text", "bytes that are UTF-8", [b"a", b"b", "ü".encode()], pa.binary(), "category")
typed("time", "a time of day has no date", [dt.time(8, 15), dt.time(12, 30)], pa.time64("us"), "category")
untrainable("duration", "how long something took", [dt.timedelta(hours=1), dt.timedelta(days=2)], pa.duration("us"))
untrainable("binary", "bytes that are no text", [b"\xff\x00", b"\x80"], pa.binary())
untrainable("binary-of-a-length", "bytes that are no text", [b"\xff\x00", b"\x80\x81"], pa.binary(2))
untrainable("list", "several values", [[1, 2], [3]], pa.list_(pa.int64()))
untrainable("list-of-a-length", "an embedding", [[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2))
untrainable("struct", "columns within a column", [{"a": 1}, {"a": 2}], pa.struct([("a", pa.int64())]))
untrainable("map", "names and values", [[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int64()))
trained(
    "parquet-null", "a column of the type of nothing", of_type([None], pa.null()), {"x": "number"}, r"NOTE: .*odd.*"
)
trained(
    "parquet-all-missing",
    "numbers, all of them missing",
    of_type([None], pa.float64()),
    {"x": "number"},
    r"NOTE: .*odd.*(missing|empty)",
)
refused(
    "parquet-infinite",
    "what a division by 0 leaves",
    of_type([1.0, float("inf")], pa.float64()),
    r"odd.*(infinite|too large)",
)
refused("parquet-too-large", "beyond 32 bits", of_type([1.0, 1e300], pa.float64()), r"odd.*(infinite|too large)")
refused(
    "parquet-names-twice",
    "Parquet allows it",
    of_type([1, 2]).rename_columns(["x", "x", LABEL]),
    r"table\.parquet.*x.*(twice|[0-9] times)",
)
refused("parquet-no-rows", "only a schema", of_type([1, 2]).slice(0, 0), r"table\.parquet.*no (data )?rows?")
refused("parquet-no-columns", "rows of nothing", pa.table({}), r"table\.parquet|--label label")
for name, kind, labels in (
    ("bool", pa.bool_(), [True, False]),
    ("int64", pa.int64(), [0, 1]),
    ("float64", pa.float64(), [1.0, 2.0]),
    ("decimal", pa.decimal128(5, 1), [Decimal("1.0"), Decimal("2.0")]),
    ("dictionary", pa.dictionary(pa.int8(), pa.string()), ["no", "yes"]),
    ("date32", pa.date32(), [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]),
):
    x, odd, chosen = zip(*rows_of("abc", labels=labels), strict=True)
    trained(
        f"parquet-label-{name}",
        "a label of a type",
        pa.table({"x": x, "odd": odd, LABEL: pa.array(chosen, kind)}),
        PLAIN,
    )
refused("parquet-label-null", "no label at all", of_type("abc").set_column(2, LABEL, pa.nulls(120)), r"label")
refused(
    "parquet-label-list",
    "a label of lists",
    of_type("abc").set_column(2, LABEL, pa.array([["a"], ["b"]] * 60)),
    r"label",
)

# What pandas makes of its index.
FRAME = of_type("abc").to_pandas()


def indexed(name: str, why: str, index: Any, types: Types, *says: str, **more: Any) -> None:
    trained(f"index-{name}", why, pa.Table.from_pandas(FRAME.set_index(index)), types, *says, **more)


trained("index-of-rows", "which is none", pa.Table.from_pandas(FRAME), PLAIN)
trained(
    "index-of-rows-left-over",
    "of rows that were filtered",
    pa.Table.from_pandas(FRAME[FRAME["x"] < 1]),
    PLAIN,
    r"NOTE: .*__index_level_0__",
)
indexed("named", "a column like others", "odd", PLAIN)
indexed(
    "of-two",
    "a column each",
    ["odd", pd.Index([f"g{n % 4}" for n in range(120)], name="group")],
    {**PLAIN, "group": "category"},
)
indexed(
    "of-times",
    "a date like others",
    pd.DatetimeIndex([MOMENTS[n % 30] for n in range(120)], name="day"),
    {**PLAIN, "day": "date"},
    r"NOTE: .*day.*(date|time)",
)
indexed(
    "without-a-name",
    "of texts",
    pd.Index([f"g{n % 4}" for n in range(120)]),
    {**PLAIN, "__index_level_0__": "category"},
)

# Other formats.
RECORDS = [dict(zip(("x", "odd", LABEL), row, strict=True)) for row in rows_of("abc")]
trained("feather", "Arrow in a file", {"table.feather": of_type("abc")}, PLAIN)
trained("jsonl", "an object a line", {"table.jsonl": json_lines(RECORDS)}, PLAIN, same_as=of_type("abc"))
trained(
    "jsonl-of-booleans",
    "true is no number",
    {"table.jsonl": json_lines({**record, "odd": record["odd"] == "a"} for record in RECORDS)},
    PLAIN,
    same_as=of_type([True, False, False]),
)
trained(
    "jsonl-with-nulls",
    "null is missing",
    {"table.jsonl": json_lines({**record, "odd": {"a": 1, "b": 2.5, "c": None}[record["odd"]]} for record in RECORDS)},
    {"x": "number", "odd": "number"},
    same_as=of_type([1, 2.5, None]),
)
trained(
    "jsonl-ragged",
    "what a line leaves out is missing",
    {"table.jsonl": json_lines({key: value for key, value in record.items() if value != "c"} for record in RECORDS)},
    PLAIN,
    same_as=of_type(["a", "b", None]),
)
trained(
    "jsonl-in-any-order",
    "names, not places, count",
    {
        "table.jsonl": json_lines(
            dict(reversed(record.items())) if n % 2 else record for n, record in enumerate(RECORDS)
        )
    },
    PLAIN,
    same_as=of_type("abc"),
)
trained(
    "jsonl-of-codes",
    "01 in quotes is a text",
    {
        "table.jsonl": json_lines(
            {**record, "odd": {"a": "01", "b": "1", "c": "2"}[record["odd"]]} for record in RECORDS
        )
    },
    PLAIN,
    same_as=of_type(["01", "1", "2"]),
)
refused(
    "jsonl-nested",
    "an object within",
    {"table.jsonl": json_lines({**record, "odd": {"a": 1}} for record in RECORDS)},
    r"table\.jsonl.*odd.*--drop",
)
refused(
    "jsonl-of-lists",
    "a list within",
    {"table.jsonl": json_lines({**record, "odd": [1, 2]} for record in RECORDS)},
    r"table\.jsonl.*odd.*--drop",
)
refused(
    "jsonl-broken", "half a line at the end", {"table.jsonl": json_lines(RECORDS) + '{"x": 1, "od'}, r"table\.jsonl"
)
refused("jsonl-of-nothing", "an empty file", {"table.jsonl": ""}, r"no rows")
SHEET = [["x", "odd", LABEL], *map(list, rows_of("abc"))]
trained("xlsx", "one sheet", {"table.xlsx": workbook(SHEET)}, PLAIN, same_as=of_type("abc"))
trained(
    "xlsx-with-holes",
    "cells that are not there",
    {"table.xlsx": workbook([SHEET[0], *([x, None if odd == "c" else odd, label] for x, odd, label in SHEET[1:])])},
    PLAIN,
    same_as=of_type(["a", "b", None]),
)
trained(
    "xlsx-of-booleans",
    "a cell of its own kind",
    {"table.xlsx": workbook([SHEET[0], *([x, odd == "a", label] for x, odd, label in SHEET[1:])])},
    PLAIN,
    same_as=of_type([True, False, False]),
)
trained(
    "xlsx-with-an-empty-sheet", "as Excel adds them", {"table.xlsx": workbook(SHEET, [])}, PLAIN, same_as=of_type("abc")
)
refused("xlsx-of-two-sheets", "which of them?", {"table.xlsx": workbook(SHEET, SHEET)}, r"table\.xlsx.*sheet")
refused("xlsx-of-nothing", "an empty sheet", {"table.xlsx": workbook([])}, r"table\.xlsx.*(empty|no rows?)")
refused("xlsx-that-is-none", "a CSV by that name", {"table.xlsx": plain()}, r"table\.xlsx")
refused(
    "xls", "of before 2007", {"table.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512)}, r"table\.xls|no .*\.csv"
)
