"""Name the Azure ML workspace of this repo: writes .azureml/config.json, which both generations of the client read.

    python scripts/attach_workspace.py --subscription-id ID --resource-group GROUP --workspace-name NAME

Nothing is sent anywhere, unless --check asks the service whether it is there and open to you.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from azure_ml.names import RULES as NAMES
from azure_ml.names import WORKSPACE, check, option
from command_line import DONE, SERVICE_FAILED, Failure, Parser, run

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / ".azureml" / "config.json"
RULES = {field: NAMES[field] for field in WORKSPACE}
EXAMPLE = """  python scripts/attach_workspace.py --subscription-id 12345678-1234-1234-1234-123456789abc \\
      --resource-group my-group --workspace-name my-workspace
  python scripts/attach_workspace.py --check"""


def main(argv: list[str] | None = None) -> int:
    known = read_answers() | read_attached()
    parser = Parser("Name the Azure ML workspace of this repo.", EXAMPLE)
    for field in RULES:
        given = known.get(field) or None
        shown = (given or "none").replace("%", "%%")
        parser.add_argument(option(field), default=given, help=f"(default: {shown})")
    parser.add_argument("--check", action="store_true", help="ask the service first; write nothing if it says no")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    return run(attach, parser, argv)


def attach(args: argparse.Namespace) -> int:
    names: dict[str, str] = {field: getattr(args, field) or "" for field in RULES}
    check(names)
    before = read_attached()
    replaced = bool(before) and any(before[field].lower() != names[field].lower() for field in RULES)
    instead = f", in place of {before['workspace_name']} in {before['resource_group']}" if replaced else ""
    where = f"{names['workspace_name']} in {names['resource_group']}"
    if args.dry_run:
        print(f"Would attach to {where}{instead}: {CONFIG.relative_to(ROOT)}; nothing was written")
        return DONE
    if args.check:
        print(f"{where}: {ask_service(names, args.debug)}")
    write_config(names)
    print(f"Attached to {where}{instead}: {CONFIG.relative_to(ROOT)}")
    return DONE


def ask_service(names: dict[str, str], debug: bool) -> str:
    """Say where the workspace is; a Failure says why it can't be opened."""
    from azure_ml.workspace import connect

    try:
        found = connect(*(names[field] for field in RULES), ask=False, debug=debug)
    except Failure as failure:
        raise Failure(f"{failure}; nothing was changed", failure.code) from failure
    if not found.location:
        raise Failure(f"{names['workspace_name']}: the service answered without a location", SERVICE_FAILED)
    return f"there, in {found.location}, and open to you"


def write_config(workspace: dict[str, str]) -> None:
    """Write the file that the clients look for, from any folder of the repo upwards.

    Scope is what `az ml run` goes by, the three names are what the portal's download holds; the SDKs read both.
    """
    names = {field: workspace[field] for field in RULES}
    group = f"/subscriptions/{names['subscription_id']}/resourceGroups/{names['resource_group']}"
    scope = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{names['workspace_name']}"
    CONFIG.parent.mkdir(exist_ok=True)
    beside = CONFIG.with_name("config.json.new")
    beside.write_text(json.dumps({"Id": None, "Scope": scope, **names}, indent=2) + "\n", encoding="utf-8")
    beside.replace(CONFIG)


def read_attached() -> dict[str, str]:
    """The workspace that is attached now; nothing if none is, or if no such file can be made out."""
    try:
        config = json.loads(CONFIG.read_text(encoding="utf-8"))
        scope = str(config.get("Scope") or "").split("/")
        names = [scope[2], scope[4], scope[8]] if len(scope) > 8 else [config[field] for field in RULES]
    except (OSError, ValueError, KeyError, AttributeError):
        return {}
    return dict(zip(RULES, map(str, names), strict=True))


def read_answers() -> dict[str, str]:
    """The answers that this repo was rendered with."""
    file = ROOT / ".cookiecutter.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SystemExit(f"ERROR: {file.name}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
