"""What the command lines of all train.py have in common, so that a runconfig need not know which one it starts."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

MODEL = Path(__file__).resolve().parents[1]
ANSWERS = MODEL / ".answers.json"  # what the model was made with; it travels to every run
SAMPLE_LABELS = {"classification": "churned", "regression": "monthly_fee"}  # columns of the sample data
TASKS = tuple(SAMPLE_LABELS)


def data_folder() -> Path:
    """Where the data lies, seen from the model's folder: data/NAME; data/ itself in a repo whose models share it."""
    shared = Path("..", "..", "data")
    own = shared / MODEL.name
    return own if (MODEL / own).is_dir() else shared


def own_task() -> str:
    """What the model was made for, classification or regression: the answer to the template's question."""
    answers = json.loads(ANSWERS.read_text(encoding="utf-8")) if ANSWERS.exists() else {}
    return str(answers.get("task", "classification"))


def sample_label() -> str:
    """The column of the sample data that is predicted until there is a table with one of your own."""
    return SAMPLE_LABELS[own_task()]


def share(text: str) -> float:
    """The type of an argument that is a part of a whole."""
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("a share between 0 and 1")
    return value


def names(text: str) -> list[str]:
    """The type of an argument that names columns."""
    return [name.strip() for name in text.split(",") if name.strip()]


def formats(text: str) -> dict[str, str]:
    """The type of an argument that names columns of dates, with their formats."""
    return {name.strip(): form for name, _, form in (part.partition("=") for part in text.split(","))}


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the files are to be read, where they don't tell it themselves."""
    add = parser.add_argument_group("reading").add_argument
    add("--numbers", type=names, metavar="A,B", help="columns to read as numbers; a text that is none is missing")
    add("--categories", type=names, metavar="A,B", help="columns to read as text")
    add("--dates", type=formats, metavar="A=%%d/%%m/%%Y,B", help="columns to read as dates, as in strptime or ISO 8601")
    add("--drop", type=names, metavar="A,B", help="columns to leave out")
    add_text_arguments(parser)


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the texts among the files are written."""
    add = parser.add_argument_group("texts").add_argument
    add("--delimiter", help="what stands between the values of a CSV file")
    add("--decimal", choices=[".", ","], help="the decimal sign of its numbers")
    add("--encoding", help="how its characters are encoded, as latin-1")


def reading(args: argparse.Namespace) -> dict[str, Any]:
    """What was said of it, as the schema keeps it; and of the columns by which the rows were parted."""
    options = ("numbers", "categories", "dates", "drop", "delimiter", "decimal", "encoding", "split_by", "time")
    return {name: value for name in options if (value := getattr(args, name, None))}


def parse(parser: argparse.ArgumentParser, argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. What others take and this model has no use for is told, and not refused."""
    args, rest = parser.parse_known_args(argv)
    others = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    others.add_argument("--epochs")
    others.add_argument("--batch-size")
    others.add_argument("--es-patience")
    others.add_argument("--class-weight")
    unused, unknown = others.parse_known_args(rest)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if given := [f"--{name.replace('_', '-')}" for name in vars(unused)]:
        print(f"NOTE: this model has no use for {', '.join(given)}", file=sys.stderr)
    return args
