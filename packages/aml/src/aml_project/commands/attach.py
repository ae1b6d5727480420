"""Name the Azure ML workspace of this repo: writes .azureml/config.json, which both generations of the client read.

    aml attach --subscription-id ID --resource-group GROUP --workspace-name NAME

Nothing is sent anywhere, unless --check asks the service whether it is there and open to you.
"""

from __future__ import annotations

import argparse

from aml_project import project
from aml_project.command_line import DONE, SERVICE_FAILED, Failure, Parser, run
from aml_project.names import WORKSPACE, check, option

EXAMPLE = """  aml attach --subscription-id 12345678-1234-1234-1234-123456789abc \\
      --resource-group my-group --workspace-name my-workspace
  aml attach --check"""


def main(argv: list[str] | None = None) -> int:
    known = project.known_names()
    parser = Parser("Name the Azure ML workspace of this repo.", EXAMPLE)
    for field in WORKSPACE:
        given = known.get(field) or None
        shown = (given or "none").replace("%", "%%")
        parser.add_argument(option(field), default=given, help=f"(default: {shown})")
    parser.add_argument("--check", action="store_true", help="ask the service first; write nothing if it says no")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    return run(attach, parser, argv)


def attach(args: argparse.Namespace) -> int:
    root = project.root()
    names: dict[str, str] = {field: getattr(args, field) or "" for field in WORKSPACE}
    check(names)
    before = project.attached(root)
    replaced = bool(before) and any(before[field].lower() != names[field].lower() for field in WORKSPACE)
    instead = f", in place of {before['workspace_name']} in {before['resource_group']}" if replaced else ""
    where = f"{names['workspace_name']} in {names['resource_group']}"
    if args.dry_run:
        print(f"Would attach to {where}{instead}: {project.CONFIG}; nothing was written")
        return DONE
    if args.check:
        print(f"{where}: {ask_service(names, args.debug)}")
    project.attach(root, names)
    print(f"Attached to {where}{instead}: {project.CONFIG}")
    return DONE


def ask_service(names: dict[str, str], debug: bool) -> str:
    """Say where the workspace is; a Failure says why it can't be opened."""
    from aml_project.service.workspace import connect

    try:
        found = connect(*(names[field] for field in WORKSPACE), ask=False, debug=debug)
    except Failure as failure:
        raise Failure(f"{failure}; nothing was changed", failure.code) from failure
    if not found.location:
        raise Failure(f"{names['workspace_name']}: the service answered without a location", SERVICE_FAILED)
    return f"there, in {found.location}, and open to you"
