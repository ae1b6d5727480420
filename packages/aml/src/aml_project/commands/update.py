"""Bring the template's newest files into the repo and each of its models; what you have edited is kept.

    aml update --check

Git merges what has changed in the template into what is here. Where both have changed the same lines, both are written,
between markers. Nothing is committed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from aml_project import template, updates
from aml_project.command_line import DONE, REFUSED, Failure, Parser, note, run
from aml_project.git import git, holds
from aml_project.project import root

EXAMPLE = """  aml update --check
  aml update
  aml update --from v1.2 --to main"""
MANY = 5  # files of one folder that are gone are listed up to here


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Bring the template's newest files here; what you have edited is kept.", EXAMPLE)
    parser.add_argument("--check", action="store_true", help="list what would change, and write nothing; 1 if anything")
    parser.add_argument("--to", metavar="COMMIT", help="of the template (default: the newest of its default branch)")
    parser.add_argument("--from", dest="base", metavar="COMMIT", help="that this repo is of (default: what it names)")
    return run(update, parser, argv)


def update(args: argparse.Namespace) -> int:
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
    """A line for each file; one for all that goes from a folder, where it is much."""
    gone = [path for path, content in plan.files.items() if content is None]
    folders = Counter(path.split("/")[0] for path in gone if "/" in path)
    many = {folder: count for folder, count in folders.items() if count > MANY and folder != "models"}
    lines = [f"  removed   {folder}/: {count} files" for folder, count in many.items()]
    for path, content in sorted(plan.files.items()):
        if content is None and path.split("/")[0] in many:
            continue
        kind = "removed" if content is None else "added" if path in plan.new else "changed"
        lines.append(f"  {'conflict' if path in plan.conflicts else kind:9} {path}")
    lines += [f"  {'conflict':9} {path}" for path in plan.conflicts if path not in plan.files]
    return lines


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
