"""Make the cluster that the runs name, or change the limits of the one that is there.

    aml compute --max-nodes 8

The same again changes nothing. A new cluster gets the defaults; one that is there keeps its limits, unless an option
gives another one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.api import project_of
from aml_project.command_line import DONE, Parser, run
from aml_project.project import attached_name

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

EXAMPLE = """  aml compute
  aml compute --name gpu-cluster --vm-size Standard_NC6s_v3 --max-nodes 2 --low-priority"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Make the cluster that the runs name, or change the limits of the one that is there.", EXAMPLE)
    parser.add_argument("--name", help="the cluster (default: the target that the runconfigs name)")
    parser.add_argument("--model", help="a folder of models/ whose runconfigs count (default: each of them)")
    parser.add_argument("--vm-size", metavar="SIZE", help="(default: the answer of .cookiecutter.json)")
    parser.add_argument(
        "--min-nodes", type=int, metavar="N",
        help="nodes that are kept, and paid for, while idle (default: 0; not changed if the cluster is there)",
    )  # fmt: skip
    parser.add_argument(
        "--max-nodes", type=int, metavar="N",
        help="(default: 4, or what a runconfig asks for if that is more; not changed if the cluster is there)",
    )  # fmt: skip
    parser.add_argument(
        "--idle-seconds", type=int, metavar="N",
        help="how long a node waits for work before it goes (default: 300; not changed if the cluster is there)",
    )  # fmt: skip
    parser.add_argument("--low-priority", action="store_true", help="cheaper nodes, which Azure may take away")
    parser.add_argument("--ssh-user", metavar="NAME", help="open the nodes to SSH for this user, with --ssh-key-file")
    parser.add_argument("--ssh-key-file", type=Path, metavar="FILE", help="the user's public key")
    parser.add_argument("--dry-run", action="store_true", help="say what would be made; ask and change nothing")
    return run(create, parser, argv)


def create(args: argparse.Namespace) -> int:
    project = project_of(args)
    given = {name: value for name, value in vars(args).items() if name not in ("debug", "dry_run")}
    if args.dry_run:
        return describe(project.root, given)
    try:
        print(project.cluster(**given))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; the same command again goes on with what is there.") from None
    return DONE


def describe(root: Path, given: dict[str, Any]) -> int:
    """Say what would be made if nothing is there yet."""
    from aml_project.runconfigs import clusters

    wish = clusters.wish(root, **given).cluster
    limits = wish["limits"]
    clusters.check_limits(limits)
    rows = {
        "workspace": attached_name(root),
        "VM size": wish["vm_size"] + (", low priority" if wish["low_priority"] else ""),
        "nodes": f"{limits['min_nodes']} to {limits['max_nodes']}",
        "idle": f"{limits['idle_seconds']} seconds until a node goes",
        "SSH": f"for {wish['ssh_user']}" if wish["ssh_user"] else "off",
    }
    print(f"Would make the cluster {wish['name']}, if it is not there yet; asked nobody:")
    for title, text in rows.items():
        print(f"  {title:11}{text}")
    return DONE
