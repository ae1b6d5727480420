"""Register the environment of a model's runs under a version that is a hash of what it is built from.

    aml environment --model model1

The version is written into the runconfig. What has not changed is neither registered nor built again. Of a Dockerfile,
the text stands in the runconfig, because Azure ML wants the text and not the path; later calls take it anew from the
same file. To go back to the conda file: --base-image.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aml_project.api import project_of
from aml_project.command_line import DONE, Failure, Parser, note, run

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

    from aml_project.api import Project
    from aml_project.runconfigs.environment import Use

EXAMPLE = """  aml environment
  aml environment --dockerfile
  aml environment --list"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Register the environment of a model's runs, its version a hash of what it is built from.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is; --list: each of them)")
    parser.add_argument(
        "-c", "--run-configuration-name", dest="config", metavar="CONFIG",
        help="a runconfig of the model's aml_config/ (default: those that run in Azure)",
    )  # fmt: skip
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--dockerfile", nargs="?", const="", metavar="FILE",
        help="build it from a Dockerfile's text, up to the end of its stage `environment` (default: the model's)",
    )  # fmt: skip
    kind.add_argument("--base-image", metavar="IMAGE", help="build it from the conda file, on this image")
    kind.add_argument("--list", action="store_true", help="show which runconfig uses which version; change nothing")
    parser.add_argument("--no-write", action="store_true", help="print the lines for the runconfig instead")
    parser.add_argument("--dry-run", action="store_true", help="say what would be registered; ask and change nothing")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    project = project_of(args)
    if args.list:
        return list_all(project, args)
    model = project.model(args.model)
    dockerfile = None
    if args.dockerfile is not None:
        dockerfile = Path(args.dockerfile or os.path.relpath(model.folder / "Dockerfile"))
    if args.dry_run:
        from aml_project.runconfigs import environment

        uses = environment.to_register(model.folder, args.config, dockerfile=dockerfile, base_image=args.base_image)
        print("Would register, if it is not registered yet; asked nobody:")
        for use in uses:
            print(f"  {use.name}, version {use.version}, for {os.path.relpath(use.runconfig)}")
        return DONE
    how: dict[str, Any] = {"dockerfile": dockerfile, "base_image": args.base_image, "write": not args.no_write}
    try:
        for made in [model.environment(args.config, **how)] if args.config else model.environments(**how):
            print(made)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; the same command again goes on with what is there.") from None
    return DONE


def list_all(project: Project, args: argparse.Namespace) -> int:
    """Print which runconfig uses which environment, and what became of it."""
    from aml_project.runconfigs import environment as runconfig_environment

    model = project.model(args.model).name if args.model else "*"
    uses = []
    for file in sorted(project.root.glob(f"models/{model}/aml_config/*.runconfig")):
        try:
            uses.append(runconfig_environment.read(file))
        except Failure as failure:
            note(f"left out: {failure}")
    workspace, trouble = (None, None) if args.dry_run else opened(project)
    rows = [("runconfig", "environment", "version there", "version now", "state")]
    for use in uses:
        try:
            state = state_of(use, workspace)
        except Exception as error:  # the rest of the table can do without the service
            workspace, trouble = None, error
            state = state_of(use, None)
        rows.append((os.path.relpath(use.runconfig), use.name, use.written or "-", use.version or "-", state))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    if trouble:
        raise trouble
    return DONE


def opened(project: Project) -> tuple[Any, Exception | None]:
    """Open the workspace, if one is attached; the files can be listed without it."""
    try:
        workspace = project.workspace
    except Failure as failure:
        note(f"{failure}; so what is registered was not asked")
        return None, None
    try:
        return workspace.sdk, None
    except Failure as failure:
        return None, failure


def state_of(use: Use, workspace: Any) -> str:
    """Say in a few words whether a run gets what its files say."""
    from aml_project.runconfigs.environment_version import is_ours

    if use.nothing:
        return str(use.nothing)
    if is_ours(use.written) and use.written != use.version:
        return "changed since: make environment"
    if workspace is None:
        return "not asked" if use.written else "no version written: make environment"

    from aml_project.service import environments

    there = environments.is_registered(workspace, use.name, use.written or use.version)
    if not there:
        return "not registered: make environment"
    return "registered" if use.written else "registered, not written here: make environment"
