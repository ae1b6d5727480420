"""What stands in the header, how many values the rows have, and which labels there are."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from tests.odd_tables.odd_table import LABEL, PLAIN, ROWS, one_column, plain, refused, rows_of, text_of, trained

ROWS_OF_TEXTS = [[str(value) for value in row] for row in rows_of("abc")]


def named(title: str, why: str, name: str, *says: str, **more: Any) -> None:
    """A column of this name."""
    trained(
        title, why, one_column("abc", name=name), {"x": "number", name: "category"}, *says, **{"full": True, **more}
    )


def lines(header: str, *more: str, rows: int = ROWS) -> str:
    """Plain rows under a header of one's own, then lines of one's own."""
    return "\n".join([header, *(",".join(row) for row in ROWS_OF_TEXTS[:rows]), *more]) + "\n"


def wide(columns: int) -> str:
    """So many numbers in a row."""
    rows = [[*(f"{x + n % 7 * (n % 3) / 10:.2f}" for n in range(columns)), label] for x, _, label in rows_of("abc", 60)]
    return text_of([*(f"c{n}" for n in range(columns)), LABEL], rows)


# Names of columns.
named("name-with-a-comma", "in quotes", "a, b", full=False)
named("name-with-quotes", "doubled", 'the "odd" one')
named("name-with-a-newline", "a header of two lines", "odd\none", full=False)
named("name-with-emoji", "beyond the first plane", "🚀 größe")
named("name-of-10000-letters", "longer than any", "n" * 10_000)
named("name-like-sql", "which nobody runs", "x'; DROP TABLE y; --")
named("name-like-python", "a word of the language", "class")
named("name-like-an-attribute", "which pandas has as well", "values")
named("name-like-a-format", "braces and percent", "{odd} %s")
named("name-like-a-path", "slashes and dots", "../odd/one.csv")
named("name-of-a-number", "2024", "2024")
named("name-like-missing", "NaN is a name here", "NaN")
named("name-like-a-boolean", "True is a name here", "True")
named("name-of-the-request", "data, as the request has it", "data")
named("name-of-the-result", "file, as the result of a batch has it", "file")
named("name-with-brackets", "[a] and <b>", "a[0] <b>")
named("name-of-a-dash", "as an option begins", "--label")
named("name-with-tab", "in a file of commas", "odd\tone")
trained(
    "names-that-onnx-joins",
    "'a b', 'a_b' and 'a-b' are three columns",
    text_of(("a b", "a_b", "a-b", LABEL), [(x, c, x * 2, y) for x, c, y in rows_of("abc")]),
    {"a b": "number", "a_b": "category", "a-b": "number"},
)
trained(
    "names-of-upper-and-lower",
    "Odd is not odd",
    text_of(("x", "odd", "Odd", LABEL), [(x, c, c * 2, y) for x, c, y in rows_of("abc")]),
    {"x": "number", "odd": "category", "Odd": "category"},
)
trained(
    "names-composed-and-not",
    "é of one character and of two",
    text_of(("caf\u00e9", "cafe\u0301", LABEL), rows_of("abc")),
    {"caf\u00e9": "number", "cafe\u0301": "category"},
)
trained(
    "names-with-blanks-around",
    "' odd ' keeps its blanks",
    one_column("abc", name=" odd "),
    {"x": "number", " odd ": "category"},
)
refused(
    "label-with-blanks-around",
    "' label' is not the label that is asked for",
    lines("x,odd, label"),
    r"--label label.*' ?label'",
)
refused(
    "label-in-upper-case", "Label is not the label that is asked for", lines("x,odd,Label"), r"--label label.*Label"
)
refused("names-twice", "which of them is meant?", lines("x,x,label"), r"table\.csv.*'?x'?.*(twice|[0-9] times)")
refused(
    "label-twice",
    "the second would tell the first",
    text_of(("x", LABEL, LABEL), [(x, y, y) for x, _, y in rows_of("abc")]),
    r"label.*(twice|[0-9] times)",
)
refused(
    "label-twice-by-pandas",
    "which once called the second label.1",
    text_of((LABEL, "x", LABEL, "x"), [(y, x, y, x) for x, _, y in rows_of("abc")]),
    r"(twice|[0-9] times)",
)
trained(
    "label.1-by-name",
    "a file that pandas wrote has such names: no two are the same, and one tells the label",
    text_of(("x", "label.1", LABEL), [(x, y, y) for x, _, y in rows_of("abc")]),
    {"x": "number", "label.1": "category"},
    r"NOTE: .*label\.1.*label",
)
trained(
    "leak-by-another-name",
    "a column that equals the label says all",
    text_of(("x", "left", LABEL), [(x, {"yes": 1, "no": 0}[y], y) for x, _, y in rows_of("abc")]),
    {"x": "number", "left": "number"},
    r"NOTE: .*left.*label",
)
trained(
    "label-among-features",
    "a feature is called label, the label otherwise",
    text_of(("x", LABEL, "churned"), rows_of("abc")),
    {"x": "number", LABEL: "category"},
    label="churned",
)
trained(
    "unnamed-0",
    "the index that pandas wrote",
    text_of(("", "x", "odd", LABEL), [(n, *row) for n, row in enumerate(rows_of("abc"))]),
    PLAIN,
    r"NOTE: .*(Unnamed: 0|first column|no name)",
)
trained(
    "unnamed-0-by-name",
    "the index that pandas wrote, read and written once more",
    text_of(("Unnamed: 0", "x", "odd", LABEL), [(n, *row) for n, row in enumerate(rows_of("abc"))]),
    PLAIN,
    r"NOTE: .*Unnamed: 0",
)
trained(
    "nameless-in-the-middle",
    "a column of values that has no name gets one, which requests must have: a line says so",
    text_of(("x", "", LABEL), rows_of("abc")),
    {"x": "number", "Unnamed: 1": "category"},
    r"NOTE: .*'Unnamed: 1'",
)
refused(
    "no-header",
    "the first row is taken for names",
    text_of(ROWS_OF_TEXTS[0], ROWS_OF_TEXTS[1:]),
    r"--label label: no such column",
)
refused(
    "no-label",
    "it is not there",
    text_of(("x", "odd"), [(x, c) for x, c, _ in rows_of("abc")]),
    r"--label label: no such column; the data has x, odd",
)
refused(
    "only-the-label",
    "nothing to learn from",
    text_of((LABEL,), [(y,) for *_, y in rows_of("abc")]),
    r"label.*(only|no other|nothing) ?.*",
)
refused("dropped-all", "the owner leaves nothing to learn from", plain(), r"no other column", args=("--drop", "x,odd"))
refused("dropped-nothing", "what the owner drops is not there", plain(), r"nope", args=("--drop", "nope"))
trained("dropped", "the owner leaves a column out", plain(), {"x": "number"}, args=("--drop", "odd"))
refused(
    "numbers-not-there", "--numbers names no column", plain(), r"--numbers nope.*x, odd", args=("--numbers", "nope")
)
refused(
    "numbers-that-are-none",
    "--numbers names a column of texts",
    plain(),
    r"odd.*--numbers|--numbers.*odd",
    args=("--numbers", "odd"),
)
trained(
    "numbers-as-categories",
    "the owner says that the numbers are names",
    one_column("123"),
    {"x": "number", "odd": "category"},
    args=("--categories", "odd"),
)

# Rows that are longer or shorter than the header.
refused(
    "a-longer-row",
    "one value too many in row 5",
    lines("x,odd,label", "1,a,yes,more"),
    r"table\.csv.*(row|line) 12[0-2].*(4|more)",
)
refused(
    "all-rows-longer",
    "pandas would take the first value for a name, and another column for the label",
    "x,odd,label\n" + "".join(f"7,{','.join(row)}\n" for row in ROWS_OF_TEXTS),
    r"table\.csv.*(row|line) [012]\b",
)
refused(
    "a-comma-at-the-end",
    "of each row, and not of the header",
    "x,odd,label\n" + "".join(f"{','.join(row)},\n" for row in ROWS_OF_TEXTS),
    r"table\.csv.*(row|line) [012]\b",
)
trained(
    "a-comma-at-the-end-of-all",
    "an empty column without a name",
    "x,odd,label,\n" + "".join(f"{','.join(row)},\n" for row in ROWS_OF_TEXTS),
    PLAIN,
    r"NOTE: .*(no name|column 4)",
)
refused(
    "a-shorter-row",
    "a value is missing in a row, and nobody knows which",
    lines("x,odd,label", "1,a"),
    r"table\.csv.*(row|line) 12[0-2]",
)
refused(
    "all-rows-shorter",
    "each has two values of three",
    "x,odd,label\n" + "".join(f"{row[0]},{row[2]}\n" for row in ROWS_OF_TEXTS),
    r"table\.csv.*(row|line) [012]\b",
)
refused(
    "a-comma-within",
    "a text with a comma that is not in quotes",
    lines("x,odd,label", "1,Smith, John,yes"),
    r"table\.csv.*(row|line) 12[0-2]",
)
refused(
    "a-quote-not-closed",
    "the rest of the file would be one value",
    lines("x,odd,label", '1,"a,yes', "2,b,no"),
    r"table\.csv.*(row|line) 12[0-3].*quote|quote.*(row|line) 12[0-3]",
)
trained("a-quote-within", '5" is no quote', one_column("abc") + '0.5,5" pipe,yes\n' * 4, PLAIN)
trained("blank-lines", "between rows and at the end", plain().replace("\n", "\n\n", 40) + "\n\n", PLAIN)
trained("blank-lines-first", "before the header", "\n\n" + plain(), PLAIN)
trained("no-newline-at-the-end", "the last row counts", plain().rstrip("\n"), PLAIN)
refused(
    "a-comment-first", "# exported on Monday", "# exported on Monday, by hand\n" + plain(), r"table\.csv|--label label"
)
refused("a-title-first", "as a spreadsheet has it", "Customers of 2024\n" + plain(), r"table\.csv|--label label")
refused(
    "a-second-header",
    "in the middle, as of two files one after the other",
    plain() + plain(seed=1),
    r"label.*(class|row|values).*",
)
refused("only-a-header", "and no row", "x,odd,label\n", r"table\.csv.*no (data )?rows?")
refused("one-row", "nothing to tell apart", "x,odd,label\n1,a,yes\n", r"label.*two")
refused("two-rows", "one of each label", "x,odd,label\n1,a,yes\n2,b,no\n", r"label.*two")
trained("ten-rows", "few, and enough", one_column("ab", 10), PLAIN)
trained(
    "5000-columns",
    "more than anybody names",
    lambda folder: (folder / "wide.csv").write_text(wide(5000)),
    {f"c{n}": "number" for n in range(5000)},
    full=True,
)
trained(
    "100000-categories",
    "of 200,000 rows",
    lambda folder: (folder / "many.csv").write_text(one_column([f"c{n}" for n in range(100_000)], 200_000)),
    PLAIN,
    "No ONNX export.* [0-9]{2},[0-9]{3} numbers",
    full=True,
)


# Labels.
def labels(name: str, why: str, values: Sequence[Any], *says: str, rows: int = ROWS, **more: Any) -> None:
    """Two columns and these labels."""
    trained(name, why, one_column("abc", rows, labels=values), PLAIN, *says, **more)


labels("label-of-digits", "0 and 1", ["0", "1"])
labels("label-of-decimals", "1.0 and 2.0", ["1.0", "2.0"])
labels("label-of-booleans", "True and False", ["True", "False"])
labels("label-of-codes", "01 and 1 are two labels", ["01", "1"])
labels("label-of-dates", "three days", [f"{date(2024, 1, 1) + timedelta(days=n)}" for n in range(3)])
labels("label-of-odd-texts", "quotes, commas, newlines, emoji", ['say "hi"', "a, b", "two\nlines", "🚀"])
labels("label-like-a-column", "x is a column as well", ["x", "label", "file"])
labels("label-composed-and-not", "é of one character and of two", ["caf\u00e9", "cafe\u0301"])
labels("label-of-long-texts", "a thousand characters", ["a" * 1000, "b" * 1000])
labels("label-of-100-classes", "more than a picture holds", [f"c{n:03}" for n in range(100)], rows=3000, full=True)
labels("label-of-500-classes", "once a picture of 302 inches", [f"c{n:03}" for n in range(500)], rows=5000, full=True)
labels("label-of-1000-classes", "as many as there may be", [f"c{n:04}" for n in range(1000)], rows=8000, full=True)
labels("label-with-holes", "rows without one are of no use", ["no", "yes", ""], r"label")
labels("label-called-na", "Namibia and nothing are the same text", ["DE", "NA", "FR"], r"label")
labels("label-of-whole-numbers-with-holes", "0 and 1, not 0.0 and 1.0", ["0", "1", ""], r"label")
labels(
    "label-of-many-numbers",
    "a label of 40 numbers looks like a regression",
    [str(n) for n in range(40)],
    r"NOTE: .*label.*40.*--task regression",
    rows=400,
)
refused(
    "label-of-prices",
    "every one another number",
    text_of(("x", "odd", LABEL), [(x, c, f"{x + 7:.5f}{n}") for n, (x, c, _) in enumerate(rows_of("abc"))]),
    r"--task regression",
)
refused("label-that-is-missing", "in every row", one_column("abc", labels=["", "NA"]), r"label")
refused("label-of-one-class", "nothing to tell apart", one_column("abc", labels=["yes"]), r"label.*two classes")
refused(
    "label-of-a-lone-row",
    "a class of one row can't be learnt and tested",
    one_column("abc") + "0.5,a,maybe\n",
    r"label.*maybe|label.*two rows",
)
refused(
    "label-with-blanks",
    "' no' and 'no' are one",
    one_column("abc", labels=["no", " no", "yes"]),
    r"label.*' no'.*'no'|label.*'no'.*' no'",
)
refused(
    "label-in-two-cases",
    "No and no are one",
    one_column("abc", labels=["no", "No", "yes"]),
    r"label.*'(no|No)'.*'(no|No)'",
)
