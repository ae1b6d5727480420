"""Put the wheels of the tools into vendor/ and name them there, for where the template's address can't be reached.

    aml vendor

A closed network, or a pipeline without access to the template's git: whoever clones this repo has its tools then. The
address that they came from stays as a comment, and `aml vendor` again takes what it has by then.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from aml_project import checkout, template, tools
from aml_project.command_line import DONE, Failure, Parser, Progress, run
from aml_project.files import write_whole
from aml_project.project import root
from aml_project.template import LIST

EXAMPLE = """  aml vendor
  aml vendor --from ~/aml-template"""
COMMIT = re.compile(r"@([0-9a-f]{7,64})(?=#|$)")
PARTS = ("aml", "rehearsal", "az")  # what a project may call for


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Put the wheels of the tools into vendor/, and name them there.", EXAMPLE)
    parser.add_argument(
        "--from", dest="checkout", metavar="FOLDER", help="a checkout of the template (default: what local.mk names)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    return run(vendor, parser, argv)


def vendor(args: argparse.Namespace) -> int:
    here = root()
    place = args.checkout or checkout.noted(here)
    named = named_in(here)
    sources = [source(part, place, named) for part in PARTS]
    if args.dry_run:
        print("Would put the wheels of these into vendor/:", *sources, sep="\n  ")
        return DONE
    folder = here / "vendor"
    beside, before = (folder.with_name(f".{folder.name}.{end}") for end in ("new", "before"))
    try:
        commit = build(sources, beside, place)
        wheel = next(beside.glob("aml_project-*.whl")).name
        remove(before)
        if folder.exists():
            folder.rename(before)
        beside.rename(folder)
    finally:
        remove(beside)
        remove(before)
    address = COMMIT.sub(f"@{commit}", named) if commit else named
    lines = ["# What make calls: wheels in vendor/, which `aml vendor` has put there. They are of:", f"# {address}"]
    write_whole(here / LIST, "\n".join([*lines, f"./vendor/{wheel}", ""]))
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"vendor/: {len(PARTS)} wheels, {size / 1e3:.0f} kB; {LIST} names them. Commit both.")
    return DONE


def remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def named_in(here: Path) -> str:
    """The requirement that the project names its tools by, also where wheels stand for it now."""
    found = template.named(here)
    if not found:
        raise Failure(f"{LIST}: names no aml-project @ ADDRESS: write that line")
    return found


def source(part: str, place: str | None, named: str) -> str:
    """A part of the template as pip takes it."""
    if place:
        folder = Path(place).expanduser().resolve() / "packages" / part
        if not (folder / "pyproject.toml").is_file():
            raise Failure(f"{place}: no checkout of the template: it has no packages/{part}")
        return str(folder)
    return named.partition("@")[2].strip().replace("packages/aml", f"packages/{part}")


def build(sources: list[str], folder: Path, place: str | None) -> str:
    """Build the wheels into a folder; return the commit that they are of."""
    import subprocess

    with Progress("Building the wheels"):
        done = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--wheel-dir", str(folder), *sources],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        why = " ".join(said[-1].split())[:200] if said else "pip said nothing"
        raise Failure(f"{sources[0]}: could not be built: {why} (where there is a checkout: aml vendor --from FOLDER)")
    found = COMMIT.search(sources[0])
    commit = tools.commit_of_folder(Path(place).expanduser()) if place else found[1] if found else ""
    write_whole(folder / tools.COMMIT_FILE, f"{commit}\n")
    return commit
