"""Name the Azure ML workspace of this repo: writes .azureml/config.json, which both generations of the client read.

    python scripts/attach_workspace.py --subscription-id ID --resource-group GROUP --workspace-name NAME

What is not given is taken from the answers in .cookiecutter.json. Nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / ".azureml" / "config.json"
FIELDS = ("subscription_id", "resource_group", "workspace_name")
GUID = r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"


def main(argv: list[str] | None = None) -> int:
    answers = read_answers()
    parser = argparse.ArgumentParser(description="Name the Azure ML workspace of this repo.")
    for field in FIELDS:
        given = answers.get(field) or None
        parser.add_argument(f"--{field.replace('_', '-')}", default=given, help=f"(default: {given or 'none'})")
    args = vars(parser.parse_args(argv))
    missing = [f"--{field.replace('_', '-')}" for field in FIELDS if not args[field]]
    if missing:
        print(f"ERROR: give {' and '.join(missing)}", file=sys.stderr)
        return 2
    if not re.fullmatch(GUID, args["subscription_id"]):
        print(f"ERROR: --subscription-id: a GUID, not {args['subscription_id']!r}", file=sys.stderr)
        return 2
    write_config(args)
    print(f"Attached to {args['workspace_name']} in {args['resource_group']}: {CONFIG.relative_to(ROOT)}")
    return 0


def write_config(workspace: dict[str, str]) -> None:
    """Write the file that the clients look for, from any folder of the repo upwards.

    Scope is what `az ml run` goes by, the three names are what the portal's download holds; the SDKs read both.
    """
    names = {field: workspace[field] for field in FIELDS}
    group = f"/subscriptions/{names['subscription_id']}/resourceGroups/{names['resource_group']}"
    scope = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{names['workspace_name']}"
    CONFIG.parent.mkdir(exist_ok=True)
    CONFIG.write_text(json.dumps({"Id": None, "Scope": scope, **names}, indent=2) + "\n", encoding="utf-8")


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
