"""Make a project of a repo that has training code: add what is missing, and touch nothing else.

    aml init --dry-run

Conda files, runconfigs, Dockerfiles, tests and the lines of a Makefile come from the template; what is there stays as
it is. A script that lies outside of models/ is moved or copied where that is asked for, and only then.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project import project
from aml_project.command_line import DONE, Parser, note, run

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from aml_project.adoption.additions import Plan

EXAMPLE = """  aml init --dry-run
  aml init --model churn=src/train.py --move"""
AS_ONE = ("runtime", "deployment")  # folders that are listed as one


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Add to a repo with training code what it lacks to be a project; touch nothing else.", EXAMPLE)
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME=PATH",
        help="a model's name and the script that trains it (default: those of models/, or the only one here)",
    )  # fmt: skip
    carry = parser.add_mutually_exclusive_group()
    carry.add_argument(
        "--move", dest="carry", action="store_const", const="move", default="",
        help="move a script that lies elsewhere into models/NAME, with what it imports of this repo",
    )  # fmt: skip
    carry.add_argument("--copy", dest="carry", action="store_const", const="copy", help="copy it there instead")
    parser.add_argument("--dry-run", action="store_true", help="list what would be added, and add nothing")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    from aml_project.adoption import additions, scripts

    root = project.find() or Path.cwd()
    plan = additions.make(root, scripts.choose(root, args.model), args.carry)
    for line in plan.notes:
        note(line)
    if not (plan.files or plan.lines or plan.carried):
        print(f"Nothing to add: {root.name} is a project already; models here: {', '.join(project.models(root))}")
        return DONE
    if not args.dry_run:
        additions.write(plan)
    print("Would add:" if args.dry_run else "Added:", *listed(plan), sep="\n")
    if plan.by_hand:
        print("By hand:", *(f"  {line}" for line in plan.by_hand), sep="\n")
    if not args.dry_run:
        print(f"Next: {next_commands(plan)}")
    return DONE


def listed(plan: Plan) -> list[str]:
    """Each file with a + and a word why, then the lines that a file gets."""
    rows: dict[str, str] = {}
    verb = "moved" if plan.is_move else "copied"
    for source, target in reversed(plan.carried):
        rows[target.relative_to(plan.root).as_posix()] = f"{source.relative_to(plan.root).as_posix()}, {verb}"
    for path in plan.files:
        parts = path.split("/")
        one = "/".join([*parts[:3], ""]) if len(parts) > 3 and parts[2] in AS_ONE else path
        rows[one] = plan.why(path)
    width = max(map(len, rows), default=0)
    lines = [f"  + {path:{width}}  {why}" for path, why in rows.items()]
    for path, (added, _) in plan.lines.items():
        lines += [f"  + in {path}, {plan.why(path)}:", *(f"      {line}" for line in added)]
    return lines


def next_commands(plan: Plan) -> str:
    """How to go on: by make, where its verbs are not the owner's own targets."""
    verbs = ("setup", "train", "check")
    model = f"MODEL={plan.models[0]}" if len(project.models(plan.root)) > 1 else ""
    if not plan.own_targets & set(verbs):
        return f"make {' '.join([*verbs, model])}".rstrip()
    option = f" --model {plan.models[0]}" if model else ""
    aml = ".venv/.tools/bin"
    tools = f"python3 -m venv .venv/.tools && {aml}/pip install -r requirements-tools.txt"
    return " && ".join([tools, *(f"{aml}/aml {verb}{option}" for verb in verbs)])
