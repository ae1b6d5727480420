"""Upload a folder and register it as the next version of a dataset, which the runconfigs then read.

    aml dataset --from data --name customers

Only what is not in the storage yet is sent, whatever has interrupted an earlier call; what has not changed gets no new
version. With --spec, files that lie in a datastore already are registered.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aml_project.api import project_of
from aml_project.command_line import DONE, Parser, run

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from aml_project.storage.plan import Plan

EXAMPLE = """  aml dataset
  aml dataset --from ~/images --name images --account mystorage --container images
  aml dataset --spec dataset_spec.json"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Upload a folder and register it as the next version of a dataset.", EXAMPLE)
    parser.add_argument(
        "--from", dest="folder", type=Path, metavar="FOLDER", help="what to upload (default: data/NAME/)"
    )
    parser.add_argument("--name", help="of the dataset (default: the one that the runconfigs read)")
    parser.add_argument(
        "--spec", type=Path, metavar="FILE", help="a dataset_spec.json: registers files that are in a datastore already"
    )
    parser.add_argument("--description", help="a sentence for people")
    parser.add_argument("--datastore", metavar="NAME", help="where it goes (default: the workspace's own)")
    parser.add_argument("--account", help="a storage account of your own; its container becomes a datastore")
    parser.add_argument("--container", help="the container there; made if it is missing")
    parser.add_argument(
        "--access", choices=("sas", "key", "identity"), default="sas",
        help="how runs open that container: by a SAS to read and list, by the account's key, or by their own identity "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--hours", type=float, default=24, help="how long the SAS holds (default: %(default)s)")
    parser.add_argument("--model", help="whose runconfigs are written (default: of all that read the dataset)")
    parser.add_argument("--no-write", action="store_true", help="print the lines for the runconfigs, and write none")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; ask and change nothing")
    return run(register, parser, argv)


def register(args: argparse.Namespace) -> int:
    project = project_of(args)
    given = {name: value for name, value in vars(args).items() if name not in ("debug", "dry_run", "no_write")}
    if args.dry_run:
        from aml_project.storage import plan

        return describe(plan.make(project.root, **given))
    try:
        print(project.dataset(**given, write=not args.no_write))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; the same command sends only what is missing.") from None
    return DONE


def describe(plan: Plan) -> int:
    """Say what would be done, from the files alone."""
    rows = {"dataset": plan.name}
    if plan.spec:
        rows["from"] = f"{plan.datastore}, as {plan.spec.file} says"
    else:
        from aml_project.storage.local_files import list_files, room_below
        from aml_project.storage.progress import bytes_text

        files, left_out = list_files(plan.folder, room_below(plan.name))
        rows["from"] = f"{plan.folder}: {len(files)} files, {bytes_text(sum(file.size for file in files))}"
        rows["left out"] = ", ".join(left_out) or "nothing"
        own = f"{plan.account}/{plan.container}, opened by {plan.access}" if plan.account else ""
        rows["to"] = own or f"datastore {plan.datastore or 'of the workspace, the default one'}"
    rows["runconfigs"] = ", ".join(os.path.relpath(reader.file) for reader in plan.reading) or "none reads it"
    print("Would upload and register; asked nobody:" if not plan.spec else "Would register; asked nobody:")
    for name, value in rows.items():
        print(f"  {name + ':':12}{value}")
    return DONE
