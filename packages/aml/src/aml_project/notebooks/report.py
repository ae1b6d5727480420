"""Tell what became of a notebook: one line for each thing that is not where it was."""

from __future__ import annotations

import sys
from pathlib import Path

from aml_project.notebooks.notebook_file import LARGE
from aml_project.notebooks.script import Script
from aml_project.notebooks.step_scripts import Steps
from aml_project.notebooks.tracing import WHOLE


def tell(notebook: Path, target: str, script: Script, *, is_formatted: bool) -> None:
    print(f"{one_line(notebook.name)} is {one_line(target)} now")
    tell_of_conversion(notebook, script, target, is_formatted=is_formatted)


def tell_of_steps(notebook: Path, folder: str, made: Steps, *, is_formatted: bool) -> None:
    print(f"{one_line(notebook.name)} is {len(made.steps)} steps now: {one_line(folder)}/pipeline.yml")
    for step in made.steps:
        handed = [name for each in step.saves for name in each.names]
        print(f"  step    {one_line(step.name + '.py' + (': hands on ' if handed else '') + ', '.join(handed))}")
    tell_of_conversion(notebook, made.script, f"{folder}/*.py", is_formatted=is_formatted)


def tell_of_conversion(notebook: Path, script: Script, target: str, *, is_formatted: bool) -> None:
    """Tell what moved, and what is left to do."""
    for is_read, verb in ((True, "reads "), (False, "writes")):
        word, place = ("from", "--data-path") if is_read else ("to", "outputs")
        moved = [
            f"{one_line(move.text)}{'' if move.how == WHOLE else '…'} {word} {place}/{move.rest}"
            for move in script.moves
            if move.is_read == is_read
        ]
        for line in dict.fromkeys(moved):
            print(f"  {verb}  {line}")
    for argument in script.arguments:
        print(f"  takes   {one_line(argument)}")
    if script.comments:
        print(f"  {script.comments} {'piece' if script.comments == 1 else 'pieces'} of IPython: a comment each")
    for finding in script.findings:
        kind = "ERROR" if finding.is_error else "NOTE"
        print(f"{kind}: {one_line(notebook.name)}, {finding}", file=sys.stderr)
    if not is_formatted:
        print(f"NOTE: {one_line(target)}: not formatted; make lint does it, once make setup has run", file=sys.stderr)
    size = notebook.stat().st_size
    if size > LARGE:
        told = f"{one_line(notebook.name)}: {size / 1e6:.0f} MB, most of it outputs: clear them before you commit it"
        print(f"NOTE: {told}", file=sys.stderr)


def one_line(text: str) -> str:
    """A text that every terminal takes."""
    return " ".join(text.split())[:200].encode("utf-8", "backslashreplace").decode()
