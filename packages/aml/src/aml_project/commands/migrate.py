"""Write the files of Azure ML's second generation beside those of the first, and a table of what became of each.

    aml migrate [FOLDER] [--dry-run]

FOLDER is any repo with .runconfig files, pipelines, searches, datasets or deployments of v1. Nothing in it is changed
or deleted. The same again changes nothing, and a file that was edited since is left as it is and named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.command_line import DONE, REFUSED, WRONG_USE, Failure, Parser, note, run

EXAMPLE = """  aml migrate --dry-run
  aml migrate ~/old-repo"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Write the files of Azure ML's second generation beside those of the first.", EXAMPLE)
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="the repo (default: where you are)")
    parser.add_argument("--dry-run", action="store_true", help="print the table, and write nothing")
    return run(migrate, parser, argv)


def migrate(args: argparse.Namespace) -> int:
    from aml_project.v2 import migration

    root = Path(args.folder).expanduser()
    if not root.is_dir():
        raise Failure(f"{args.folder}: no such folder", WRONG_USE)
    planned = migration.plan(root)
    print(migration.as_text(planned))
    if args.dry_run:
        print(f"\nWould write {migration.files(len(planned.texts))} and {migration.REPORT}.")
    else:
        migration.write(planned)
        new, same = len(planned.written), len(planned.same)
        print(f"\n{migration.files(new)} written, {same} as they were; the table is in {migration.REPORT}.")
        for name in planned.edited:
            note(f"{name}: edited since, or not of aml migrate: left as it is (move it away to get the new one)")
    return REFUSED if planned.unreadable else DONE
