"""Take the packages of a list that you have over into a model's two conda files, or those that its code imports.

    aml requirements requirements.txt

Your versions win, those of Azure ML's own packages stay. The difference is shown, then both files are written, or none;
what can't be carried over is listed. The same again changes nothing.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aml_project.command_line import DONE, REFUSED, WRONG_USE, Failure, Parser, note, run
from aml_project.project import pick_model, root
from aml_project.requirements import list_file

PURPOSES = ("train", "inference")
EXAMPLE = """  aml requirements requirements.txt
  aml requirements environment.yml --check
  aml requirements --python ~/venv/bin/python"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Take the packages that you have over into a model's two conda files.", EXAMPLE)
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE",
        help="requirements.txt, environment.yml or pyproject.toml (default: what the model's code imports)",
    )  # fmt: skip
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument(
        "--python", type=Path, metavar="PATH",
        help="your own Python: what is imported gets the versions that it has (default: the active environment's)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-python", action="store_true", help="leave the Python version of the conda files as it is"
    )
    parser.add_argument(
        "--check", action="store_true", help="show the difference and write nothing; exit 1 if there is one"
    )
    parser.add_argument("--dry-run", action="store_true", help="show the difference and write nothing")
    return run(take_over, parser, argv)


def take_over(args: argparse.Namespace) -> int:
    model = pick_model(root(), args.model)
    kind = list_file.kind_of(args.file) if args.file else ""
    if args.python and not args.python.is_file():
        raise Failure(f"--python: {args.python}: not there", WRONG_USE)

    from aml_project.requirements import libraries, own_environment
    from aml_project.tools import start_again

    own = own_environment.OWN_PYTHON
    if own not in os.environ:
        os.environ[own] = own_environment.find()
    missing = libraries.missing(toml=kind == "pyproject_file")
    given = f' FROM="{args.file}"' if args.file else ""
    code = start_again(missing, f"make requirements{given} MODEL={model} where there is a network")
    return write_changes(args, model, kind) if code is None else code


def write_changes(args: argparse.Namespace, model: str, kind: str) -> int:
    """Show what changes, and write it unless that is not wanted."""
    from aml_project.requirements import conda_editing, merging, own_environment
    from aml_project.requirements.collecting import collect
    from aml_project.requirements.writing import replace_all

    folder = root() / "models" / model / "aml_config"
    files = {purpose: conda_editing.read(folder / f"{purpose}-conda.yml") for purpose in PURPOSES}
    listed = list_file.read(args.file, kind) if args.file else None
    own = str(args.python or os.environ.get(own_environment.OWN_PYTHON, ""))
    found, python = collect(root() / "models" / model, files, listed, own, keep_python=args.keep_python)
    merged = merging.merge(found, files, python, read_tools())
    texts = {
        file.path: (file.text, conda_editing.changed(file, merged.changes[purpose])) for purpose, file in files.items()
    }
    add_pyproject(texts, python)
    texts = {path: pair for path, pair in texts.items() if pair[0] != pair[1]}
    for path, (before, after) in texts.items():
        print(conda_editing.difference(path, before, after), flush=True)
    for line in found.notes.lines():
        note(line)
    if not texts:
        print(f"Nothing to change: the conda files of {model} have all of it.")
        return DONE
    if args.check or args.dry_run:
        print("Nothing was written.")
        return REFUSED if args.check else DONE
    replace_all({path: after.encode("utf-8") for path, (_, after) in texts.items()})
    print(f"Written. Next: make setup MODEL={model}")
    return DONE


def read_tools() -> dict[str, str]:
    """Return the packages for work on this repo, which `make setup` installs beside those of the model."""
    from aml_project.requirements import requirements_file

    file = root() / "requirements-dev.txt"
    return {one.name: one.specifier for one in requirements_file.read(file).wanted} if file.is_file() else {}


def add_pyproject(texts: dict[Path, tuple[str, str]], python: str) -> None:
    """Let the repo's own pyproject.toml allow the Python of the environments."""
    import re

    file = root() / "pyproject.toml"
    if not file.is_file():
        return
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    match = re.search(r'^requires-python = ">=3\.(\d+)"', text, re.MULTILINE)
    if match and int(match[1]) > int(python.split(".")[1]):
        texts[file] = (text, f'{text[: match.start()]}requires-python = ">={python}"{text[match.end() :]}')
