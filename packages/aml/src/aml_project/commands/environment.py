"""Register the environment of a model's runs under a version that is a hash of what it is built from.

    aml environment --model model1

The version is written into the runconfig. What has not changed is neither registered nor built again. Of a Dockerfile,
the text stands in the runconfig, because Azure ML wants the text and not the path; later calls take it anew from the
same file. To go back to the conda file: --base-image.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, Progress, note, run
from aml_project.project import pick_model, root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

    from aml_project.runconfigs.environment import Use

NAME = r"[a-zA-Z0-9_.-]{1,255}"
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
    return list_all(args) if args.list else register(args)


def register(args: argparse.Namespace) -> int:
    from aml_project.runconfigs import environment as runconfig_environment

    model = pick_model(root(), args.model)
    if args.base_image is not None and not args.base_image.strip():
        raise Failure("--base-image: name an image, as in mcr.microsoft.com/azureml/NAME:TAG", WRONG_USE)
    dockerfile = None
    if args.dockerfile is not None:
        dockerfile = Path(args.dockerfile or os.path.relpath(root() / "models" / model / "Dockerfile"))
    uses = [
        runconfig_environment.read(file, dockerfile, args.base_image, config=config)
        for file, config in picked(model, args.config).items()
    ]
    check(uses, model, args.config)
    uses = [use for use in uses if use.nothing is None]
    if args.dry_run:
        print("Would register, if it is not registered yet; asked nobody:")
        for use in uses:
            print(f"  {use.name}, version {use.version}, for {os.path.relpath(use.runconfig)}")
        return DONE

    from aml_project.service import environments
    from aml_project.service.workspace import open_workspace

    if not args.no_write:
        from aml_project.runconfigs.editing import edited

        for use in uses:  # before anything is sent: what can't be written is not registered
            edited(use.file, use.changes)
    workspace = open_workspace(root(), debug=args.debug)
    try:
        for use in uses:
            agree(use)
            with Progress(f"Registering {use.name}"):
                new = environments.register(workspace, use.name, use.version, use.parts)
            said = "registered" if new else "is registered already, nothing to build"
            print(f"Environment {use.name}, version {use.version}: {said}")
            write(use, args.no_write)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; the same command again goes on with what is there.") from None
    return DONE


def picked(model: str, name: str | None) -> dict[Path, dict[str, Any]]:
    """Return the runconfigs that are meant, and what they say."""
    from aml_project.runconfigs import reading

    files = sorted((root() / "models" / model / "aml_config").glob("*.runconfig"))
    if name is not None:
        named = [file for file in files if file.stem == name.removesuffix(".runconfig")]
        if not named:
            there = ", ".join(file.stem for file in files) or "none"
            raise Failure(f"-c: no such runconfig: {name}; {model} has {there}", WRONG_USE)
        return {file: reading.read(file) for file in named}
    found = {file: config for file in files if (config := reading.read(file)).get("target", "local") != "local"}
    if not found:
        raise Failure(f"no runconfig of {model} runs in Azure; -c names another", WRONG_USE)
    return found


def check(uses: list[Use], model: str, config: str | None) -> None:
    """Refuse what nothing can be registered for."""
    for use in uses:
        shown = os.path.relpath(use.runconfig)
        if use.nothing is None and not re.fullmatch(NAME, use.name):
            raise Failure(f"{shown}: environment.name: 1 to 255 letters, digits, '-', '_' and '.', not {use.name!r}")
        if use.nothing and config:
            raise Failure(f"{shown}: its environment {use.nothing}: there is nothing to register")
    if all(use.nothing for use in uses):
        reasons = ", ".join(f"{os.path.relpath(use.runconfig)} {use.nothing}" for use in uses)
        raise Failure(f"nothing to register for {model}: {reasons}")


def agree(use: Use) -> None:
    """Make sure that the client reads of a runconfig and its conda file what was read here."""
    if len(use.changes) > 1:  # it is not what stands there that is registered
        return
    from azureml.core import Environment, RunConfiguration

    from aml_project.runconfigs.environment_version import image_parts

    loaded = RunConfiguration.load(str(use.runconfig.parent.parent), use.runconfig.stem)
    section = Environment._serialize_to_dict(loaded.environment)
    if image_parts(section, section["python"].get("condaDependencies")) != use.parts:
        raise Failure(f"{os.path.relpath(use.runconfig)}: the client reads another environment from it: make check")


def write(use: Use, no_write: bool) -> None:
    """Write the version, and what goes with it, into the runconfig; or say what to write."""
    shown = os.path.relpath(use.file)
    line = f'{shown}: environment.version: "{use.version}"'
    if not no_write:
        from aml_project.runconfigs.editing import edit

        print(f"{line}: written" if edit(use.file, use.changes) else line)
        return
    print(line)
    for key, value in use.changes.items():
        if key[-1] != "version":
            import json

            name = ".".join(key if key[0] == "environment" else ("environment", *key))
            print(f"{shown}: {name}: {json.dumps(value, ensure_ascii=False)}")


def list_all(args: argparse.Namespace) -> int:
    """Print which runconfig uses which environment, and what became of it."""
    from aml_project.runconfigs import environment as runconfig_environment

    model = pick_model(root(), args.model) if args.model else "*"
    uses = []
    for file in sorted(root().glob(f"models/{model}/aml_config/*.runconfig")):
        try:
            uses.append(runconfig_environment.read(file))
        except Failure as failure:
            note(f"left out: {failure}")
    workspace, trouble = (None, None) if args.dry_run else opened(args.debug)
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


def opened(debug: bool) -> tuple[Any, Exception | None]:
    """Open the workspace, if one is attached; the files can be listed without it."""
    from aml_project import project
    from aml_project.service.workspace import open_workspace

    try:
        project.workspace(root())
    except Failure as failure:
        note(f"{failure}; so what is registered was not asked")
        return None, None
    try:
        return open_workspace(root(), debug=debug), None
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
