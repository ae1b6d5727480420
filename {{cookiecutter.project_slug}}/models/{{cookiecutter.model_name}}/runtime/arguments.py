"""What the command lines of all train.py have in common, so that a runconfig need not know which one it starts."""

import argparse
import json
import sys
from pathlib import Path

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


def parse(parser: argparse.ArgumentParser, argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. What others take and this model has no use for is told, and not refused."""
    args, rest = parser.parse_known_args(argv)
    others = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    others.add_argument("--epochs")
    others.add_argument("--batch-size")
    others.add_argument("--es-patience")
    others.add_argument("--class-weight")
    others.add_argument("--folds")
    unused, unknown = others.parse_known_args(rest)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if given := [f"--{name.replace('_', '-')}" for name in vars(unused)]:
        print(f"NOTE: this model has no use for {', '.join(given)}", file=sys.stderr)
    return args
