"""How a file is written, and which files a folder holds."""

import random
from pathlib import Path

import pyarrow as pa

from tests.odd_tables.odd_table import (
    LABEL,
    PLAIN,
    Types,
    of_type,
    one_column,
    plain,
    refused,
    rows_of,
    squeezed,
    text_of,
    trained,
)

UMLAUTS = one_column(["Köln", "Zürich", "Łódź"])
WESTERN = one_column(["Köln", "Zürich", "Malmö"])
HALVES = (plain(60), plain(60, seed=1))


def told_apart(delimiter: str) -> str:
    return text_of(("x", "odd", LABEL), rows_of("abc"), delimiter)


def commas(odd: list[str], delimiter: str = ";") -> str:
    """Numbers as half of Europe writes them."""
    return text_of(("x", "odd", LABEL), [(f"{x}".replace(".", ","), c, y) for x, c, y in rows_of(odd)], delimiter)


# Encodings and ends of lines.
trained("bom", "as Excel writes UTF-8", "\ufeff".encode() + plain().encode(), PLAIN)
trained(
    "bom-and-quotes", "before a name in quotes", "\ufeff".encode() + plain().replace("x,", '"x",', 1).encode(), PLAIN
)
trained("crlf", "as Windows writes lines", plain().replace("\n", "\r\n"), PLAIN, same_as=plain())
trained("cr", "as an old Mac did", plain().replace("\n", "\r"), PLAIN, same_as=plain())
trained("crlf-and-lf", "both in one file", plain().replace("\n", "\r\n", 60), PLAIN, same_as=plain())
trained("utf-8", "beyond ASCII", UMLAUTS, PLAIN)
refused(
    "latin-1",
    "Köln in one byte a letter, as in many encodings",
    WESTERN.encode("latin-1"),
    r"table\.csv.*line 2.*--encoding",
)
trained(
    "latin-1-by-option",
    "the owner says so",
    WESTERN.encode("latin-1"),
    PLAIN,
    args=("--encoding", "latin-1"),
    same_as=WESTERN,
)
trained(
    "windows-1252-by-option",
    "a euro in one byte",
    one_column(["5 €", "7 €"]).encode("cp1252"),
    PLAIN,
    args=("--encoding", "windows-1252"),
    same_as=one_column(["5 €", "7 €"]),
)
trained("utf-16", "as Excel calls Unicode", UMLAUTS.encode("utf-16"), PLAIN, same_as=UMLAUTS)
trained(
    "utf-16-be",
    "the other way round",
    "\ufeff".encode("utf-16-be") + UMLAUTS.encode("utf-16-be"),
    PLAIN,
    same_as=UMLAUTS,
)
refused(
    "utf-16-without-a-mark", "half of its bytes are 0", UMLAUTS.encode("utf-16-le"), r"table\.csv.*(--encoding|NUL)"
)
trained(
    "utf-16-by-option",
    "the owner says so",
    UMLAUTS.encode("utf-16-le"),
    PLAIN,
    args=("--encoding", "utf-16-le"),
    same_as=UMLAUTS,
)
refused("an-encoding-that-is-none", "a slip of the pen", plain(), r"--encoding.*uft-8", args=("--encoding", "uft-8"))
refused(
    "nul", "a 0 among the letters", one_column(["a", "b\0c"]), r"table\.csv.*(row|line) \d+.*NUL|NUL.*(row|line) \d+"
)
refused("nul-at-the-end", "a file of a disk that was full", plain().encode() + bytes(4096), r"table\.csv.*NUL")

# What parts the columns.
trained("semicolons", "as half of Europe writes CSV", told_apart(";"), PLAIN, same_as=told_apart(","))
trained("tabs", "in a .csv", told_apart("\t"), PLAIN, same_as=told_apart(","))
trained("pipes", "in a .csv", told_apart("|"), PLAIN, same_as=told_apart(","))
trained("tsv", "by its name", {"table.tsv": told_apart("\t")}, PLAIN, same_as=told_apart(","))
trained(
    "tsv-with-commas-within",
    "which part nothing",
    {"table.tsv": text_of(("x", "odd", LABEL), rows_of(["a,b", "c,d"]), "\t")},
    PLAIN,
    same_as=one_column(["a,b", "c,d"]),
)
trained(
    "semicolons-and-decimal-commas",
    "3,5;a;yes",
    commas(["a", "b", "c"]),
    PLAIN,
    same_as=told_apart(","),
)
trained(
    "decimal-commas-by-option",
    "the owner says so",
    commas(["a", "b", "c"]),
    PLAIN,
    args=("--decimal", ","),
    same_as=told_apart(","),
)
trained(
    "semicolons-by-option",
    "the owner says so",
    told_apart(";"),
    PLAIN,
    args=("--delimiter", ";"),
    same_as=told_apart(","),
)
refused(
    "semicolons-and-another-option", "nothing is parted", told_apart(";"), r"--label label", args=("--delimiter", "|")
)
trained(
    "semicolons-with-commas-within",
    "both in each line: the header tells",
    text_of(("x", "odd", LABEL), rows_of(["a,b", "c,d"]), ";"),
    PLAIN,
    same_as=one_column(["a,b", "c,d"]),
)
trained("semicolons-within", "both in each line: the header tells", one_column(["a;b", "c;d"]), PLAIN)
refused("blanks-that-part", "columns lined up by blanks", told_apart(" "), r"table\.csv|--label label")

# Squeezed, or something else by that name.
trained("gzip", "a .csv.gz", {"table.csv.gz": squeezed(plain())}, PLAIN, same_as=plain())
trained(
    "zstd", "a .csv.zst", {"table.csv.zst": pa.compress(plain().encode(), "zstd", asbytes=True)}, PLAIN, same_as=plain()
)
refused("gzip-that-is-none", "a plain file by that name", {"table.csv.gz": plain()}, r"table\.csv\.gz")
refused("gzip-cut-off", "half of a download", {"table.csv.gz": squeezed(plain(4000))[:2000]}, r"table\.csv\.gz")
refused("zip", "a table in an archive", {"table.zip": b"PK\x03\x04" + bytes(60)}, r"table\.zip|no .*\.csv")
refused("parquet-by-the-name-of-csv", "a download by the wrong name", b"PAR1" + bytes(100) + b"PAR1", r"table\.csv")
refused("csv-by-the-name-of-parquet", "the other way round", {"table.parquet": plain()}, r"table\.parquet")
refused("parquet-cut-off", "half of a download", {"table.parquet": b"PAR1" + bytes(100)}, r"table\.parquet")
refused(
    "a-web-page",
    "the login of whoever keeps the file",
    "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n</html>\n",
    r"table\.csv|--label label",
)
refused(
    "a-pointer-of-git-lfs",
    "what git keeps in place of the file",
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    r"table\.csv|--label label",
)
refused("empty", "no byte at all", "", r"table\.csv.*empty")
refused("only-newlines", "no line with anything in it", "\n\n\n", r"table\.csv.*(empty|no)")
refused("noise", "bytes of no meaning", random.Random(22).randbytes(4000), r"table\.csv")

# Folders.
trained("two-files", "one after the other", {"a.csv": HALVES[0], "b.csv": HALVES[1]}, PLAIN)
trained(
    "another-order-of-columns",
    "names, not places, count",
    {"a.csv": HALVES[0], "b.csv": text_of((LABEL, "odd", "x"), [row[::-1] for row in rows_of("abc", 60)])},
    PLAIN,
)
refused(
    "other-columns",
    "one has a column less",
    {"a.csv": HALVES[0], "b.csv": text_of(("x", LABEL), [(x, y) for x, _, y in rows_of("a")])},
    r"a\.csv.*b\.csv|b\.csv.*a\.csv",
)
trained(
    "a-type-that-changes",
    "numbers in one, texts in the other: over all files it is a category",
    {"a.csv": one_column(["1", "2", "3"], 60), "b.csv": one_column(["a", "b", "c"], 60)},
    PLAIN,
)
trained(
    "codes-in-the-second-file",
    "01 and A1, of which the first file has only 01",
    {"a.csv": one_column(["01", "02"], 60), "b.csv": one_column(["A1", "01"], 60)},
    PLAIN,
)
trained("csv-and-parquet", "both in one folder", {"a.csv": HALVES[0], "b.parquet": of_type("abc", rows=60)}, PLAIN)
trained(
    "parquet-of-two-types",
    "int64 and double",
    {"a.parquet": of_type([1, 2], pa.int64(), 60), "b.parquet": of_type([1.5, 2.5], pa.float64(), 60)},
    {"x": "number", "odd": "number"},
)
trained(
    "parquet-of-texts-and-dictionaries",
    "the same to a model",
    {
        "a.parquet": of_type("ab", pa.string(), 60),
        "b.parquet": of_type("bc", pa.dictionary(pa.int32(), pa.string()), 60),
    },
    PLAIN,
)
refused(
    "the-same-file-twice",
    "each row would count twice, in training and in the test",
    {"a.csv": plain(), "copy of a.csv": plain()},
    r"a\.csv.*copy of a\.csv|copy of a\.csv.*a\.csv",
)
refused(
    "the-same-file-in-a-folder", "a backup beside it", {"a.csv": plain(), "backup/a.csv": plain()}, r"backup/a\.csv"
)
refused(
    "the-same-parquet-twice",
    "byte for byte",
    {"a.parquet": of_type("abc"), "b.parquet": of_type("abc")},
    r"b\.parquet is a\.parquet",
)
refused("an-empty-file-among-others", "a part that failed", {"a.csv": plain(), "b.csv": ""}, r"b\.csv.*empty")
trained("a-header-among-others", "a part without rows", {"a.csv": plain(), "b.csv": "x,odd,label\n"}, PLAIN)
trained(
    "hidden-files",
    "what tools leave behind",
    {
        "table.csv": plain(),
        ".table.csv": "no,table\n1\n",
        "._table.csv": b"\0\5\x16\7",
        ".ipynb_checkpoints/table-checkpoint.csv": plain(),
        "_SUCCESS": "",
        "_committed_1.txt": "x",
    },
    PLAIN,
)
trained(
    "other-files",
    "which are no tables",
    {"table.csv": plain(), "README.md": "# Data", "picture.png": b"\x89PNG", "notes.txt": "a"},
    PLAIN,
)
trained("nested-folders", "however deep", {"a/b/c.csv": HALVES[0], "d.csv": HALVES[1]}, PLAIN)
trained("endings-in-capitals", "a .CSV", {"TABLE.CSV": plain()}, PLAIN)
trained("odd-names-of-files", "blanks, commas, umlauts", {"größe, 2024 (1).csv": plain()}, PLAIN)
refused("no-file", "an empty folder", {}, r"--data-path .*no .*(file|table)")
refused("no-table", "files, and none of them a table", {"README.md": "# Data"}, r"--data-path .*no .*(file|table)")
HIVE: Types = {**PLAIN, "region": "category"}


def hive(name: str, why: str, folders: tuple[str, str], types: Types, *says: str, **more: object) -> None:
    trained(
        f"hive-{name}",
        why,
        {
            f"{folder}/part-0.parquet": table
            for folder, table in zip(folders, (of_type("abc", rows=60), of_type("cab", rows=60)), strict=True)
        },
        types,
        *says,
        **more,
    )


hive("folders", "region=north/ is a column", ("region=north", "region=south"), HIVE)
hive("numbers", "year=2024/ is a number", ("year=2023", "year=2024"), {**PLAIN, "year": "number"})
hive("of-two", "one within the other", ("year=2023/region=north", "year=2024/region=south"), {**HIVE, "year": "number"})
hive("codes", "month=01/ is a code", ("month=01", "month=10"), {**PLAIN, "month": "category"})
hive("escaped", "blanks and slashes as %20 and %2F", ("region=a%20b", "region=c%2Fd"), HIVE)
hive("missing", "what Hive calls nothing", ("region=north", "region=__HIVE_DEFAULT_PARTITION__"), HIVE)
trained("hive-csv", "CSV as well", {"region=north/a.csv": HALVES[0], "region=south/b.csv": HALVES[1]}, HIVE)
refused(
    "hive-and-a-column",
    "region in the path and in the file",
    {"odd=a/a.csv": HALVES[0], "odd=b/b.csv": HALVES[1]},
    r"odd",
)
refused(
    "hive-of-some",
    "one file has a region, the other none",
    {"region=north/a.csv": HALVES[0], "b.csv": HALVES[1]},
    r"region|a\.csv.*b\.csv",
)


# Links, and what can't be read.
def linked(folder: Path) -> None:
    (folder / ".store").mkdir()
    (folder / ".store" / "a.csv").write_text(plain())
    (folder / "table.csv").symlink_to(folder / ".store" / "a.csv")


def linked_twice(folder: Path) -> None:
    (folder / "a.csv").write_text(plain())
    (folder / "b.csv").symlink_to("a.csv")


def linked_in_a_circle(folder: Path) -> None:
    (folder / "table.csv").write_text(plain())
    (folder / "again").symlink_to(folder)


def linked_to_nothing(folder: Path) -> None:
    (folder / "a.csv").write_text(plain())
    (folder / "b.csv").symlink_to("gone.csv")


def unreadable(folder: Path) -> None:
    """Which even root can't read: its first page is nobody's."""
    (folder / "table.csv").symlink_to("/proc/self/mem")


trained("a-link", "to a file elsewhere", linked, PLAIN, same_as=plain())
refused("a-link-to-the-same", "one file by two names", linked_twice, r"a\.csv.*b\.csv|b\.csv.*a\.csv")
trained("a-circle-of-links", "a folder that holds itself", linked_in_a_circle, PLAIN, same_as=plain())
refused("a-link-to-nothing", "a part of the data is gone", linked_to_nothing, r"b\.csv")
refused("unreadable", "an error of the disk", unreadable, r"table\.csv")
