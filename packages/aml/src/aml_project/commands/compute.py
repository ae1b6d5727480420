"""Make the cluster that the runs name, or change the limits of the one that is there.

    aml compute --max-nodes 8

The same again changes nothing. A new cluster gets the defaults; one that is there keeps its limits, unless an option
gives another one.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, Progress, note, run
from aml_project.names import check
from aml_project.project import answers, attached_name, pick_model, root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

LIMITS = {"min_nodes": 0, "max_nodes": 4, "idle_seconds": 300}  # of a new cluster
RESERVED = ("local", "amlcompute", "containerinstance")  # what the client takes for something else than a cluster
OPTIONS = {"compute_name": "--name"}
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
    asked = nodes_asked(args.model)
    name = args.name or only(asked)
    vm_size = args.vm_size or default_vm_size()
    check_arguments(args, name, vm_size)
    needed, file = asked.get(name, (1, None))
    wish = {
        "name": name,
        "vm_size": vm_size,
        "low_priority": args.low_priority,
        "limits": LIMITS | {"max_nodes": max(LIMITS["max_nodes"], needed)} | given_limits(args),
        "ssh_user": args.ssh_user,
        "ssh_key": read_public_key(args.ssh_key_file) if args.ssh_key_file else None,
    }
    if args.dry_run:
        check_limits(wish["limits"])
        return describe(wish)

    from aml_project.service import compute
    from aml_project.service.workspace import open_workspace

    workspace = open_workspace(root(), debug=args.debug)
    given = {"vm_size": args.vm_size, "low_priority": args.low_priority, "limits": given_limits(args)}
    try:
        with Progress(f"Cluster {name}: waiting for Azure"):
            said, limits = compute.ensure(workspace, wish, given, say=note)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; the same command again goes on with what is there.") from None
    print(f"Cluster {name}: {said}")
    if limits["min_nodes"] > 0:
        note(f"{nodes(limits['min_nodes'])} kept: that costs money while idle; --min-nodes 0 ends it")
    if file and needed > limits["max_nodes"]:
        note(f"{file} asks for {nodes(needed)}, and {name} has at most {limits['max_nodes']}: --max-nodes {needed}")
    return DONE


def nodes_asked(model: str | None) -> dict[str, tuple[int, str]]:
    """Return what the runconfigs name as a target: with the most nodes that one asks for, and which one that is."""
    from aml_project.runconfigs import reading

    found: dict[str, tuple[int, str]] = {}
    for path, config in reading.read_all(root(), pick_model(root(), model) if model else None):
        target, count = config.get("target"), str(config.get("nodeCount") or 1)
        if isinstance(target, str) and target not in RESERVED:
            asks = int(count) if count.isdecimal() else 1
            found[target] = max(found.get(target, (0, "")), (asks, os.path.relpath(path)), key=lambda ask: ask[0])
    return found


def only(asked: dict[str, tuple[int, str]]) -> str:
    """Return the one cluster that the runs name."""
    if len(asked) == 1:
        return next(iter(asked))
    if asked:
        raise Failure(f"--name: say which; the runconfigs name {', '.join(sorted(asked))}", WRONG_USE)
    raise Failure("--name: no runconfig names a cluster; give one", WRONG_USE)


def default_vm_size() -> str:
    return answers(root()).get("vm_size") or ""


def given_limits(args: argparse.Namespace) -> dict[str, int]:
    return {limit: getattr(args, limit) for limit in LIMITS if getattr(args, limit) is not None}


def check_arguments(args: argparse.Namespace, name: str, vm_size: str) -> None:
    """Refuse what Azure would refuse, before it is asked."""
    names = {"compute_name": name, "vm_size": vm_size}
    check(names | ({"ssh_user": args.ssh_user} if args.ssh_user is not None else {}), OPTIONS)
    if name.lower() in RESERVED:
        raise Failure(f"--name: {name} is a word of the client's own; take another", WRONG_USE)
    if (args.ssh_user is None) != (args.ssh_key_file is None):
        raise Failure("--ssh-user and --ssh-key-file: give both, or neither and SSH stays off", WRONG_USE)
    for limit, least in {"min_nodes": 0, "max_nodes": 1, "idle_seconds": 1}.items():
        if getattr(args, limit) is not None and getattr(args, limit) < least:
            shown = limit.replace("_", "-")
            raise Failure(f"--{shown}: a whole number from {least}, not {getattr(args, limit)}", WRONG_USE)
    if args.min_nodes is not None and args.max_nodes is not None:
        check_limits(given_limits(args))


def check_limits(limits: dict[str, int]) -> None:
    if limits["min_nodes"] > limits["max_nodes"]:
        raise Failure(f"--min-nodes: {limits['min_nodes']} is more than the most, {limits['max_nodes']}", WRONG_USE)


def read_public_key(file: Path) -> str:
    """Return the public key of a file; what the file holds is in no message."""
    import re

    try:
        with file.open("rb") as stream:
            text = stream.read(20_000).decode("utf-8", "replace").strip()
    except OSError as error:
        raise Failure(f"--ssh-key-file: {file}: {error.strerror}", WRONG_USE) from None
    wrong = ""
    if not text:
        wrong = "it is empty"
    elif "PRIVATE KEY" in text or text.startswith("PuTTY-User-Key-File"):
        wrong = f"a private key, which stays with you; the public one is often beside it: {file}.pub"
    elif "\n" in text:
        wrong = "more than one line: give a file with one public key in it"
    elif not re.fullmatch(r"(ssh-\w+|ecdsa-[\w-]+|sk-[\w@.-]+) [A-Za-z0-9+/]{32,}={0,2}( .*)?", text):
        wrong = "not a public key, which starts with its kind, as in ssh-rsa"
    if wrong:
        raise Failure(f"--ssh-key-file: {file}: {wrong}", WRONG_USE)
    return text


def describe(wish: dict[str, Any]) -> int:
    """Say what would be made if nothing is there yet."""
    limits = wish["limits"]
    rows = {
        "workspace": attached_name(root()),
        "VM size": wish["vm_size"] + (", low priority" if wish["low_priority"] else ""),
        "nodes": f"{limits['min_nodes']} to {limits['max_nodes']}",
        "idle": f"{limits['idle_seconds']} seconds until a node goes",
        "SSH": f"for {wish['ssh_user']}" if wish["ssh_user"] else "off",
    }
    print(f"Would make the cluster {wish['name']}, if it is not there yet; asked nobody:")
    for title, text in rows.items():
        print(f"  {title:11}{text}")
    return DONE


def nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"
