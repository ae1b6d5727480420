"""Bring the template's newest files into the repo and each of its models; what you have edited is kept.

    aml update --check

Git merges what has changed in the template into what is here. Where both have changed the same lines, both are written,
between markers. Nothing is committed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from aml_project import template
from aml_project.command_line import DONE, REFUSED, Failure, Parser, note, run
from aml_project.git import git, holds
from aml_project.project import root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from aml_project import updates

EXAMPLE = """  aml update --check
  aml update
  aml update --from v1.2 --to main"""
MANY = 5  # files of one folder that come or go are named, more are counted


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Bring the template's newest files here; what you have edited is kept.", EXAMPLE)
    parser.add_argument("--check", action="store_true", help="list what would change, and write nothing; 1 if anything")
    parser.add_argument("--to", metavar="COMMIT", help="of the template (default: the newest of its default branch)")
    parser.add_argument("--from", dest="base", metavar="COMMIT", help="that this repo is of (default: what it names)")
    return run(update, parser, argv)


def update(args: argparse.Namespace) -> int:
    from aml_project import updates

    here = root()
    if not holds(here):
        raise Failure("an update needs git, which shows what it changed and takes it back: git init, and commit")
    if args.check and updates.is_interrupted(here):
        raise Failure("an update was interrupted: make update finishes it")
    if not args.check and (left := updates.finish(here)):
        print(f"Finished the update to {left.commit[:7]} that was interrupted.")
        return tell(here, left)
    if not args.check and git(here, "status", "--porcelain", "--", "."):
        raise Failure("git status: something here is not committed; commit it first, then an update can be taken back")
    source = template.source(here)
    wanted = args.to or template.newest(source)
    if Path(source).is_dir() and not args.to and git(Path(source), "status", "--porcelain"):
        note(f"{source}: what is not committed there is not part of the update")
    if {part.commit for part in updates.parts(here, args.base)} == {wanted}:
        print(f"This repo is of the template's commit {wanted[:7]}, the newest: nothing to do")
        return DONE
    plan = updates.plan(here, source, wanted, args.base)
    if not plan.files and not plan.conflicts:
        print("Nothing to do")
        return DONE
    if args.check:
        print(f"The template's commit {plan.commit[:7]} would change this:", *listed(plan), sep="\n")
        return REFUSED
    before = template.commit(here)
    updates.write(here, plan)
    print(f"Updated from the template's commit {before[:7] or args.base} to {plan.commit[:7]}:")
    return tell(here, plan)


def listed(plan: updates.Plan) -> list[str]:
    """A line for each file; one for all that come to a folder, or go from it, where they are many."""
    kinds = {path: kind(plan, path) for path in sorted({*plan.files, *plan.conflicts})}
    many = Counter((kind, folder_of(path)) for path, kind in kinds.items() if kind in ("added", "removed"))
    lines = []
    for path, kind_ in kinds.items():
        count = many[kind_, folder_of(path)]
        if count <= MANY:
            lines.append(f"  {kind_:9} {path}")
        elif (line := f"  {kind_:9} {folder_of(path)}/: {count} files") not in lines:
            lines.append(line)
    return lines


def kind(plan: updates.Plan, path: str) -> str:
    if path in plan.conflicts:
        return "conflict"
    return "removed" if plan.files[path] is None else "added" if path in plan.new else "changed"


def folder_of(path: str) -> str:
    """The folder that a file is counted in: of a model the ones below it, else those at the top."""
    folders = path.split("/")[:-1]
    return "/".join(folders[: 3 if folders[:1] == ["models"] else 1])


def tell(here: Path, plan: updates.Plan) -> int:
    """Say what is to be done now."""
    print(*listed(plan), sep="\n")
    if (here / "vendor").is_dir() and "./vendor/" in (here / template.LIST).read_text(encoding="utf-8"):
        note("vendor/ holds the tools of before: make vendor brings those of this commit")
    if plan.conflicts:
        print(f"Not merged, {len(plan.conflicts)} for you:")
        print(*(f"  {path}: {todo}" for path, todo in sorted(plan.conflicts.items())), sep="\n")
        return REFUSED
    print("Next: git diff, make check, commit")
    return DONE
