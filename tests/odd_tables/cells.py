"""What stands in the cells of a CSV: numbers, texts, booleans, dates, and what is missing."""

import random
import uuid
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from tests.odd_tables.odd_table import LABEL, one_column, refused, text_of, trained

MISSING = ("", "NA", "N/A", "n/a", "null", "NULL", "NaN", "nan", "None", "<NA>", "#N/A")
DAYS = [date(2024, 1, 1) + timedelta(days=17 * step) for step in range(30)]


def column(name: str, why: str, cells: Sequence[Any], kind: str, *says: str, **more: Any) -> None:
    """A column that repeats these cells is trained on as one of a kind."""
    trained(name, why, one_column(cells), {"x": "number", "odd": kind}, *says, **more)


def numbers_with(name: str, why: str, texts: Sequence[str], *says: str, **more: Any) -> None:
    """Many numbers and a few texts."""
    cells = [str(number) for number in range(100, 120 - len(texts))] + list(texts)
    kind = more.pop("kind", "number")
    trained(name, why, one_column(cells, 200), {"x": "number", "odd": kind}, *says, **more)


def late(name: str, why: str, first: Sequence[str], text: str, kind: str, *says: str, rows: int, **more: Any) -> None:
    """Many rows, the last 400 of which have another kind of text."""
    cells = [first[row % len(first)] for row in range(rows - 400)] + [text] * 400
    trained(
        name,
        why,
        lambda folder: (folder / "late.csv").write_text(one_column(cells, rows)),
        {"x": "number", "odd": kind},
        *says,
        **more,
    )


CODES = [f"{number:02}" for number in range(1, 10)]
NOT_NUMBERS = r"NOTE: .*odd.*--(numbers|categories)"

# Codes.
column("codes-with-zeros", "01 is no 1: its zeros would be gone", [*CODES, "10"], "category")
column("codes-with-one-zero", "a single 007 makes a column of codes", ["7", "8", "007", "12"], "category")
column("codes-of-digits-and-letters", "01 beside A1", [*CODES, "A1"], "category")
column("zip-codes", "five digits, some with a zero before", ["10115", "01067", "80331", "04109"], "category")
column(
    "telephone-numbers", "a plus, and more digits than a float holds", ["+4930123456789", "+4989987654321"], "number"
)
column("versions", "1.2.3 is no number", ["1.2.3", "1.10.0", "2.0.0"], "category")
column("decimals-with-zeros", "0.50 is a number for all its zeros", ["0.50", "0.05", "00.5", "1.00"], "number")
column("zero-alone", "a lone 0 is no code", ["0", "1", "2", "10"], "number")
late(
    "codes-late-letter-65536",
    "the letters come after one block of rows",
    CODES,
    "A1",
    "category",
    rows=66_200,
    full=True,
)
late("codes-late-letter-131072", "the letters come after two", CODES, "A1", "category", rows=131_472)
late(
    "numbers-late-text",
    "a text after 130,000 numbers",
    ["1", "2", "3"],
    "abc",
    "number",
    NOT_NUMBERS,
    rows=131_472,
    full=True,
)
late(
    "whole-then-decimal",
    "decimals after 65,536 whole numbers",
    ["1", "2", "3"],
    "2.5",
    "number",
    rows=66_200,
    full=True,
)
late(
    "numbers-then-zeros",
    "the first code with a zero comes late",
    ["11", "12", "13"],
    "07",
    "category",
    rows=66_200,
    full=True,
)

# Numbers, and what people write for them.
column("exponents", "1e3 and 1E-5", ["1e3", "1E-5", "2.5e+2", "-1e0"], "number")
column("signs-and-dots", "+2, .5, 5.", ["+2", ".5", "5.", "-.25"], "number")
column("blanks-around-numbers", "' 1 ' is a number", [" 1", "2 ", " 3 ", "4"], "number")
column("whole-and-decimal", "1 and 1.5 by turns", ["1", "1.5", "2", "2.5"], "number")
column("minus-zero", "-0 is 0", ["-0", "0", "-0.0", "1"], "number")
column("denormals", "so small that 32 bits round them", ["1e-40", "1e-45", "1e-320", "0", "1"], "number")
column(
    "beyond-2-53",
    "whole numbers beyond what a float tells apart",
    [str(2**53 + n) for n in range(4)],
    "number",
    r"NOTE: .*odd.*",
)
column(
    "beyond-64-bits",
    "twenty digits",
    ["12345678901234567890", "98765432109876543210"],
    "number",
    r"NOTE: .*odd.*digits",
)
column(
    "pi-to-fifty-places",
    "more digits than any float",
    ["3.14159265358979323846264338327950288419716939937510", "1"],
    "number",
)
for text in ("inf", "-Infinity", "1e39", "1e400"):
    refused(
        f"too-large-{text}",
        "what 32 bits don't hold is no number for a model",
        one_column(["1", "2", text, "3"]),
        r"odd.*(infinite|too large)",
    )
numbers_with("a-few-texts", "abc among numbers", ["abc"], NOT_NUMBERS)
numbers_with(
    "a-few-texts-kept",
    "the same, and the owner says that they are names",
    ["abc"],
    kind="category",
    args=("--categories", "odd"),
)
numbers_with(
    "a-few-texts-numbers", "the same, and the owner says that they are numbers", ["abc"], args=("--numbers", "odd")
)
numbers_with("a-dash-for-nothing", "- where nothing is known", ["-"], NOT_NUMBERS)
numbers_with("a-question-mark", "? where nothing is known", ["?"], NOT_NUMBERS)
numbers_with("thousands", "1,072.28 among numbers", ["1,072.28"], NOT_NUMBERS)
numbers_with("dollars", "$72.28 among numbers", ["$72.28"], NOT_NUMBERS)
numbers_with("euros", "72,28 € among numbers", ["72,28 €"], NOT_NUMBERS)
numbers_with("percent", "12% among numbers", ["12%"], NOT_NUMBERS)
numbers_with("hex", "0x1F among numbers", ["0x1F"], NOT_NUMBERS)
numbers_with("underscores", "1_000, which Python takes for a number and no table does", ["1_000"], NOT_NUMBERS)
numbers_with(
    "digits-of-others",
    "full-width and Arabic ones, which Python takes for numbers",
    ["\uff11\uff12", "\u0663"],
    NOT_NUMBERS,
)
numbers_with("excel-errors", "#DIV/0! and #REF!", ["#DIV/0!", "#REF!"], NOT_NUMBERS)
numbers_with("comparisons", "<5 and >100, as laboratories write", ["<5", ">100"], NOT_NUMBERS)
numbers_with("fractions", "1/2 among numbers", ["1/2"], NOT_NUMBERS)
numbers_with("brackets-for-minus", "(42), as accountants write", ["(42)"], NOT_NUMBERS)
numbers_with("number-then-unit", "42 kg among numbers", ["42 kg"], NOT_NUMBERS)
numbers_with("a-true-minus", "a minus of its own, U+2212", ["\u22125"], NOT_NUMBERS)
numbers_with("a-blank-that-does-not-break", "a non-breaking space within", ["1\u00a0072"], NOT_NUMBERS)
column("all-dollars", "no number without its sign", ["$1.50", "$20.00", "$3.25", "$7.00"], "category")
column("all-percent", "no number without its sign", ["12%", "50%", "7%"], "category")
column(
    "all-thousands",
    "each with a comma: 1,072 is not 1.072",
    ["1,072", "2,500", "12,000"],
    "category",
    r"NOTE: .*odd.*--(decimal|numbers)",
)
column(
    "all-decimal-comma",
    "quoted decimal commas in a file of commas",
    ["3,5", "2,25", "10,0"],
    "number",
    meant={"3,5": 3.5, "2,25": 2.25, "10,0": 10.0},
)
trained(
    "a-row-of-totals",
    "the last row is the sum, with TOTAL for a name",
    one_column(["a", "b", "c"]) + "TOTAL,1234,\n",
    {"x": "number", "odd": "category"},
    r"NOTE: .*\bx\b.*TOTAL",
    r"label.* in 1\b",
)

# What is missing.
column("missing-among-numbers", "all the ways to say so", ["1", "2", "3", *MISSING], "number")
column("missing-among-texts", "the same texts in a column of names", ["a", "b", "c", *MISSING], "category")
column("blanks-for-nothing-among-numbers", "a cell of blanks", ["1", "2", "3", "  "], "number")
column("blanks-for-nothing-among-texts", "a cell of blanks", ["a", "b", "c", "  "], "category")
column("quoted-nothing", "a blank within quotes", ["a", "b", "", " "], "category")
trained(
    "all-missing",
    "a column of nothing is left out",
    one_column(["", "NA", "null"]),
    {"x": "number"},
    r"NOTE: .*odd.*(missing|empty)",
)
column("almost-all-missing", "one value in a hundred", ["1.5", "2.5", *[""] * 118], "number")
column("names-like-missing", "Nan and none are names", ["Nan", "none", "Null", "na"], "category")

# Booleans are no numbers.
for name, pair in {
    "python": ("True", "False"),
    "json": ("true", "false"),
    "excel": ("TRUE", "FALSE"),
    "words": ("yes", "no"),
    "letters": ("Y", "N"),
    "short": ("t", "f"),
    "switches": ("on", "off"),
    "signs": ("✓", "✗"),
}.items():
    column(f"booleans-{name}", "of two words", pair, "category", full=name != "python")
column("booleans-of-digits", "0 and 1 are numbers", ["0", "1"], "number")
column("booleans-of-all-spellings", "True, TRUE and true", ["True", "TRUE", "true", "False"], "category")
column("booleans-with-holes", "True, False and nothing", ["True", "False", ""], "category")
column("booleans-and-digits", "True beside 1", ["True", "1", "False", "0"], "category")

# Dates.
DATE = r"NOTE: .*odd.*(date|time)"
for name, why, cells in (
    ("iso", "2024-01-31", [f"{day}" for day in DAYS]),
    ("iso-with-time", "2024-01-31 12:30:00", [f"{day} 12:30:00" for day in DAYS]),
    ("iso-with-t", "2024-01-31T12:30", [f"{day}T12:30" for day in DAYS]),
    ("iso-utc", "with a Z", [f"{day}T12:30:00Z" for day in DAYS]),
    ("iso-with-zones", "of two zones", [f"{day}T12:30:00{'+02:00' if day.month % 2 else '-05:30'}" for day in DAYS]),
    ("iso-to-the-nanosecond", "nine digits of a second", [f"{day}T12:30:00.123456789" for day in DAYS]),
    ("iso-with-holes", "some are missing", [f"{day}" for day in DAYS[:12]] + ["", "NA"]),
    ("before-1970", "of our grandparents", [f"19{year}-05-06" for year in range(10, 40)]),
    ("before-1677", "beyond what 64 bits of nanoseconds hold", [f"{year}-05-06" for year in range(1400, 1430)]),
    ("year-9999", "for ever", ["9999-12-31", *[f"{day}" for day in DAYS[:9]]]),
    ("leap-days", "the 29th of February", ["2024-02-29", "2020-02-29", "2023-02-28", "2000-02-29"]),
    ("european", "31.01.2024", [f"{day:%d.%m.%Y}" for day in DAYS]),
    ("british", "31/01/2024", [f"{day:%d/%m/%Y}" for day in DAYS]),
    ("american", "01/31/2024", [f"{day:%m/%d/%Y}" for day in DAYS]),
):
    column(f"dates-{name}", why, cells, "date", DATE, full=name not in ("iso", "european"))
column(
    "dates-of-either-kind",
    "01/02/2024 is in January or in February",
    ["01/02/2024", "03/04/2024", "05/06/2024"],
    "category",
    r"NOTE: .*odd.*--dates",
)
column("dates-of-digits", "20240131 is a number", [f"{day:%Y%m%d}" for day in DAYS], "number")
column("dates-epoch", "seconds since 1970 are a number", [str(1_700_000_000 + 86_400 * n) for n in range(30)], "number")
column("dates-months", "January", [f"{day:%B}" for day in DAYS], "category")
column("dates-years", "2024 is a number", [str(year) for year in range(1990, 2020)], "number")
column("dates-years-and-months", "2024-01", [f"{day:%Y-%m}" for day in DAYS], "category")
column("dates-weeks", "2024-W05", [f"2024-W{week:02}" for week in range(1, 20)], "category")
column(
    "dates-that-are-none",
    "the 30th of February among dates",
    ["2024-02-30", *[f"{day}" for day in DAYS]],
    "date",
    r"NOTE: .*odd.*2024-02-30",
    meant={"2024-02-30": None},
)
column(
    "dates-and-a-text",
    "unknown among dates",
    ["unknown", *[f"{day}" for day in DAYS]],
    "date",
    r"NOTE: .*odd.*unknown",
    meant={"unknown": None},
)
column("dates-as-categories", "the owner says so", [f"{day}" for day in DAYS], "category", args=("--categories", "odd"))
column("times-of-day", "12:30 has no date", ["08:15", "12:30", "23:59"], "category")
column("durations", "1 day, 2:03:04", ["1 day, 2:03:04", "2:00:00"], "category")

# Texts.
column("blanks-around-texts", "' a' is not 'a', for the model as for the service", [" a", "a", "a ", "b"], "category")
column("upper-and-lower", "A is not a", ["a", "A", "b"], "category")
column("composed-and-not", "é of one character and of two", ["caf\u00e9", "cafe\u0301", "tea"], "category")
column(
    "odd-characters", "emoji, right to left, no width", ["🚀", "👩‍👩‍👧", "עברית", "a\u200bb", "\u202eabc"], "category"
)
column("quotes-and-commas-within", "as CSV has them", ['say "hi"', "a, b", 'all "of, it"\n'], "category")
column("newlines-within", "a value of several lines", ["one\ntwo", "one\r\ntwo", "one"], "category")
column("backslashes", "which escape nothing", ["a\\b", "a\\", "\\n", '\\"'], "category")
column("formulas", "as a spreadsheet would run", ["=1+1", "@SUM(A1)", "-a", "+a"], "category")
column(
    "sql-and-python", "which nobody runs", ["'; DROP TABLE x; --", "__import__('os')", "{{ 7*7 }}", "%s"], "category"
)
column("control-characters", "a bell and a tab", ["a\x07", "a\tb", "a\x1b[0m"], "category")
column("html", "of a web page", ["<b>a</b>", "&amp;", "<script>"], "category")
column("lists-as-text", "[1, 2] is a text", ["[1, 2]", "[3]", "{}"], "category")
column("long-texts", "100,000 characters each", ["long " * 20_000, "other " * 20_000], "category")
trained(
    "a-text-of-two-megabytes",
    "more than is parsed at once",
    one_column(["a", "b"], 60) + f"0.5,{'z' * 2_000_000},yes\n",
    {"x": "number", "odd": "category"},
)

# Columns that tell nothing, or too much.
draw = random.Random(22)
LEFT_OUT = r"NOTE: .*odd.*(left out|differ|identif)"
for name, why, cells in (
    ("uuids", "every one differs", [str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(120)]),
    ("counted", "1, 2, 3, … tells where a row stood", [str(number) for number in range(1, 121)]),
    ("addresses", "every one differs", [f"person{number}@example.com" for number in range(120)]),
    ("counted-codes", "C0001, C0002, …", [f"C{number:04}" for number in range(120)]),
    ("counted-backwards", "… 3, 2, 1", [str(number) for number in range(120, 0, -1)]),
):
    trained(f"identifiers-{name}", why, one_column(cells), {"x": "number"}, LEFT_OUT)
trained(
    "identifiers-kept",
    "the owner says that it is a number",
    one_column(range(1, 121)),
    {"x": "number", "odd": "number"},
    args=("--numbers", "odd"),
)
column(
    "numbers-that-all-differ",
    "an income is no identifier",
    [f"{draw.gauss(3000, 500):.2f}" for _ in range(120)],
    "number",
)
column(
    "whole-numbers-that-all-differ", "nor if it is in cents", [str(draw.randrange(10**7)) for _ in range(120)], "number"
)
for name, cells in {"number": ["7"], "text": ["same"], "nothing-else": ["same", ""]}.items():
    says = () if name == "nothing-else" else (r"NOTE: .*odd.*(constant|same|one value)",)
    kinds = {"x": "number"} | ({"odd": "category"} if name == "nothing-else" else {})
    trained(f"constant-{name}", "the same in every row", one_column(cells), kinds, *says)
trained(
    "almost-constant",
    "another value in one row of a thousand",
    one_column(["same"] * 999 + ["other"], 1000),
    {"x": "number"},
    r"NOTE: .*odd.*(constant|same|one value)",
)
trained(
    "nothing-but-an-identifier",
    "without it there would be none at all: it is kept, and a line says so",
    text_of(("id", LABEL), [(f"u{n}", "yes" if n % 3 else "no") for n in range(60)]),
    {"id": "category"},
    r"NOTE: .*'id'.*identifier",
)
