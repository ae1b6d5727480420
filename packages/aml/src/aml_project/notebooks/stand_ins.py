"""What stands for the notebook in a converted script. The head of a script gets the text of what it uses, from here."""

# mypy: ignore-errors
# Notebooks have no annotations, and so have none of the functions that stand for them.

import argparse
import itertools
from pathlib import Path

from matplotlib import pyplot

args = argparse.Namespace(output_path="outputs")
figure_numbers = itertools.count(1)


def output_path(name):
    """A path below outputs/, which Azure ML keeps with the run. Its folder is made."""
    path = Path("outputs", name)
    (path if str(name).endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
    return path


def output_path_of_step(name):
    """A path below --output-path. Its folder is made."""
    path = Path(args.output_path, name)
    (path if str(name).endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
    return path


def save_figures(*args, **kwargs):
    """Save the figures that the notebook shows here: a run has no screen."""
    for number in pyplot.get_fignums():
        name = f"figures/figure-{next(figure_numbers):02}.png"
        pyplot.figure(number).savefig(output_path(name), bbox_inches="tight")
    pyplot.close("all")


def display(*values, **options):
    """Print what the notebook shows."""
    for value in values:
        if value is not None:
            print(value)


def clear_output(wait=False):
    """The log of a run keeps what was printed."""


def as_text(*values, **options):
    """The text of what the notebook shows in its own way."""
    return " ".join(str(value) for value in values)
