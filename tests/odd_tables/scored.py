"""Trained on one file, then another is scored: what it holds is read by the schema, not guessed anew."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa

from tests.odd_tables.odd_table import (
    LABEL,
    PLAIN,
    Content,
    File,
    Types,
    of_type,
    one_column,
    plain,
    rows_of,
    squeezed,
    text_of,
    trained,
)

NUMBERS: Types = {"x": "number", "odd": "number"}
NUMBER, CODE = one_column(["1", "2.5", "7"]), one_column(["01", "02", "A1"])
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=17 * n) for n in range(30)]
DATED = one_column([f"{day}" for day in DAYS])
DATE = r"NOTE: .*odd.*(date|time)"


def scored(name: str, why: str, types: Types, *says: str, on: Content, then: Content, like: File | None = None) -> None:
    """The same answer from service and batch for each row of the second file."""
    trained(f"then-{name}", why, on, types, *says, then=then, same_as=like)


def bad(name: str, why: str, types: Types, then_says: str, *, on: Content, then: Content) -> None:
    """The second file is a bad one, and a line says why."""
    trained(f"then-{name}", why, on, types, then=then, then_says=then_says)


scored("only-digits", "a file whose codes all look like numbers", PLAIN, on=CODE, then=one_column(["01", "02", "10"]))
scored("one-code", "each row has the same", PLAIN, on=CODE, then=one_column(["02"]))
scored("unseen-codes", "which no row of the training had", PLAIN, on=CODE, then=one_column(["B7", "01", ""]))
scored("only-whole-numbers", "where decimals were trained on", NUMBERS, on=NUMBER, then=one_column(["1", "2"]))
scored("numbers-all-missing", "in every row of this file", NUMBERS, on=NUMBER, then=one_column(["", "NA"]))
scored("texts-all-missing", "in every row of this file", PLAIN, on=CODE, then=one_column(["", "NA"]))
scored("zeros-before-numbers", "007 in a column of numbers is 7", NUMBERS, on=NUMBER, then=one_column(["007", "01.50"]))
scored(
    "another-order",
    "names, not places, count",
    PLAIN,
    on=plain(),
    then=text_of((LABEL, "odd", "x"), [row[::-1] for row in rows_of("abc")]),
)
scored(
    "more-columns",
    "which nobody asked for, one of them twice",
    PLAIN,
    on=plain(),
    then=text_of(("n", "x", "n", "odd", ""), [(1, x, "z", c, "") for x, c, _ in rows_of("abc")]),
)
scored(
    "no-label",
    "which is what is to be found out",
    PLAIN,
    on=plain(),
    then=text_of(("x", "odd"), [(x, c) for x, c, _ in rows_of("abc")]),
)
scored("one-row", "alone", PLAIN, on=plain(), then="x,odd\n0.5,a\n")
scored("semicolons", "another hand wrote it", PLAIN, on=plain(), then=plain().replace(",", ";"), like=plain())
scored("tabs", "as .tsv", PLAIN, on=plain(), then={"new.tsv": plain().replace(",", "\t")}, like=plain())
scored("gzip", "squeezed", PLAIN, on=plain(), then={"new.csv.gz": squeezed(plain())}, like=plain())
scored(
    "utf-16",
    "in another encoding",
    PLAIN,
    on=one_column(["ä", "ö"]),
    then=one_column(["ä", "ö"]).encode("utf-16"),
    like=one_column(["ä", "ö"]),
)
scored(
    "crlf-and-bom",
    "saved by Excel",
    PLAIN,
    on=plain(),
    then=("\ufeff" + plain().replace("\n", "\r\n")).encode(),
    like=plain(),
)
scored("parquet-after-csv", "the same rows, typed", PLAIN, on=plain(), then=of_type("abc"))
scored("csv-after-parquet", "the same rows as texts", PLAIN, on=of_type("abc"), then=plain())
scored(
    "decimals-after-csv", "money, typed", NUMBERS, on=NUMBER, then=of_type([Decimal("1.50"), None], pa.decimal128(9, 2))
)
scored(
    "csv-after-decimals",
    "money as texts",
    NUMBERS,
    on=of_type([Decimal("1.50"), Decimal("7.25")], pa.decimal128(9, 2)),
    then=one_column(["1.50", "7.250", "7.25"]),
)
scored(
    "whole-after-decimal",
    "int32 where double was",
    NUMBERS,
    on=of_type([1.5, 2.5], pa.float64()),
    then=of_type([1, 2], pa.int32()),
)
scored(
    "booleans-as-texts",
    "True and true after a column of booleans",
    PLAIN,
    on=of_type([True, False], pa.bool_()),
    then=one_column(["True", "False"]),
)
scored(
    "booleans-after-texts",
    "a column of booleans after True and False",
    PLAIN,
    on=one_column(["True", "False"]),
    then=of_type([True, False, None], pa.bool_()),
)
scored(
    "dictionary-after-csv",
    "of texts",
    PLAIN,
    on=plain(),
    then=of_type(pa.array(["a", "z", None] * 40).dictionary_encode()),
)
scored(
    "timestamps-after-csv",
    "days as moments",
    {"x": "number", "odd": "date"},
    DATE,
    on=DATED,
    then=of_type([dt.datetime(2024, 2, 29, 12), None], pa.timestamp("us")),
)
scored(
    "csv-after-timestamps",
    "moments as texts",
    {"x": "number", "odd": "date"},
    DATE,
    on=of_type(DAYS, pa.date32()),
    then=DATED,
)
scored(
    "dates-with-times",
    "where only days were trained on",
    {"x": "number", "odd": "date"},
    DATE,
    on=DATED,
    then=one_column([f"{day}T12:30:00Z" for day in DAYS]),
)
scored(
    "dates-of-another-century",
    "which no row of the training had",
    {"x": "number", "odd": "date"},
    DATE,
    on=DATED,
    then=one_column(["1969-12-31", "2100-02-28", ""]),
)
scored(
    "hive",
    "region=north/ after a column of that name",
    {"x": "number", "region": "category"},
    on=one_column(["north", "south"], name="region"),
    then={f"region={name}/{name}.parquet": of_type("abc", rows=60).select(["x"]) for name in ("north", "south")},
)
scored(
    "parts",
    "of which one has no rows",
    PLAIN,
    on=plain(),
    then={"a.csv": plain(60, 1), "b.csv": "x,odd,label\n", "c.csv": plain(60, 2)},
)
scored(
    "twice",
    "the same rows in two files are no fault here",
    PLAIN,
    on=plain(),
    then={"a.csv": plain(60), "b.csv": plain(60)},
)
bad(
    "a-text",
    "where a number must be",
    NUMBERS,
    r"row \d+.*'odd'.*'much'",
    on=NUMBER,
    then=one_column(["1", "2", "much"]),
)
bad(
    "too-large",
    "for 32 bits",
    NUMBERS,
    r"row \d+.*'odd'.*(infinite|too large)",
    on=NUMBER,
    then=one_column(["1", "1e39"]),
)
bad(
    "no-column",
    "one that the model takes is not there",
    PLAIN,
    r"'odd' is missing",
    on=plain(),
    then=text_of(("x",), [(1,), (2,)]),
)
bad(
    "a-column-twice",
    "which of them?",
    PLAIN,
    r"'?odd'?.*",
    on=plain(),
    then=text_of(("x", "odd", "odd"), [(1, "a", "b")] * 9),
)
bad(
    "a-longer-row", "its values are one place off", PLAIN, r"(row|line) 12\d", on=plain(), then=plain() + "1,a,yes,no\n"
)
bad(
    "a-shorter-row",
    "a value is missing, and nobody knows which",
    PLAIN,
    r"(row|line) 12\d",
    on=plain(),
    then=plain() + "1,a\n",
)
bad(
    "all-rows-longer",
    "pandas would take the first value for a name",
    PLAIN,
    r"(row|line) [012]\b",
    on=plain(),
    then="x,odd,label\n" + "7,1,a,yes\n" * 9,
)
bad(
    "a-quote-not-closed",
    "the rest would be one value",
    PLAIN,
    r"quote|EOF",
    on=plain(),
    then=plain() + '1,"a,yes\n2,b,no\n',
)
bad("nul", "a 0 among the letters", PLAIN, r"NUL", on=plain(), then=plain() + "1,a\0b,yes\n")
bad(
    "latin-1",
    "where UTF-8 was trained on",
    PLAIN,
    r"(row|line) \d+|UTF|utf",
    on=one_column(["ä", "ö"]),
    then=one_column(["ä", "ö"]).encode("latin-1"),
)
bad("empty", "no byte at all", PLAIN, r"empty", on=plain(), then="")
bad(
    "numbers-for-names",
    "whole numbers of a typed file where texts must be",
    PLAIN,
    r"'odd'.*(text|number)",
    on=CODE,
    then=of_type([1, 2], pa.int64()),
)
bad(
    "names-for-numbers",
    "texts of a typed file where numbers must be",
    NUMBERS,
    r"row \d+.*'odd'.*'a'",
    on=NUMBER,
    then=of_type(["a", "b"]),
)
bad("lists", "several values", PLAIN, r"'odd'", on=plain(), then=of_type([[1], [2]], pa.list_(pa.int64())))
bad(
    "structs",
    "columns within a column",
    PLAIN,
    r"'odd'",
    on=plain(),
    then=of_type([{"a": 1}], pa.struct([("a", pa.int64())])),
)
bad("binary", "bytes that are no text", PLAIN, r"'odd'", on=plain(), then=of_type([b"\xff"], pa.binary()))
bad("no-parquet", "half of a download", PLAIN, r"Parquet", on=plain(), then={"new.parquet": b"PAR1" + bytes(99)})
