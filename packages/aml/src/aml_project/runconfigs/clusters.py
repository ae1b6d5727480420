"""Which clusters the runconfigs name, and what a new one is to be: checked before Azure is asked."""

from __future__ import annotations

import os
import re
from collections import namedtuple

from aml_project.command_line import WRONG_USE, Failure
from aml_project.names import check
from aml_project.project import answers, pick_model
from aml_project.runconfigs import reading

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

LIMITS = {"min_nodes": 0, "max_nodes": 4, "idle_seconds": 300}  # of a new cluster
RESERVED = ("local", "amlcompute", "containerinstance")  # what the client takes for something else than a cluster

# A cluster that is wished for; what of it was given and is no default; the most nodes that a runconfig asks for, and
# which one that is.
Wish = namedtuple("Wish", "cluster given needed file")


def wish(
    root: Path,
    name: str | None = None,
    *,
    vm_size: str | None = None,
    min_nodes: int | None = None,
    max_nodes: int | None = None,
    idle_seconds: int | None = None,
    low_priority: bool = False,
    ssh_user: str | None = None,
    ssh_key_file: Path | None = None,
    model: str | None = None,
) -> Wish:
    """Complete what is given by what the runconfigs and the answers say; refuse what Azure would refuse."""
    given = {"min_nodes": min_nodes, "max_nodes": max_nodes, "idle_seconds": idle_seconds}
    limits = {limit: count for limit, count in given.items() if count is not None}
    asked = nodes_asked(root, pick_model(root, model) if model else None)
    name = name or only(asked)
    needed, file = asked.get(name, (1, None))
    cluster: dict[str, Any] = {
        "name": name,
        "vm_size": vm_size or answers(root).get("vm_size") or "",
        "low_priority": low_priority,
        "limits": LIMITS | {"max_nodes": max(LIMITS["max_nodes"], needed)} | limits,
        "ssh_user": ssh_user,
    }
    names = {"compute_name": name, "vm_size": cluster["vm_size"]}
    check(names | ({"ssh_user": ssh_user} if ssh_user is not None else {}), {"compute_name": "--name"})
    if name.lower() in RESERVED:
        raise Failure(f"--name: {name} is a word of the client's own; take another", WRONG_USE)
    if (ssh_user is None) != (ssh_key_file is None):
        raise Failure("--ssh-user and --ssh-key-file: give both, or neither and SSH stays off", WRONG_USE)
    cluster["ssh_key"] = read_public_key(ssh_key_file) if ssh_key_file else None
    check_limits(limits)
    return Wish(cluster, {"vm_size": vm_size, "low_priority": low_priority, "limits": limits}, needed, file)


def nodes_asked(root: Path, model: str | None) -> dict[str, tuple[int, str]]:
    """Return what the runconfigs name as a target: with the most nodes that one asks for, and which one that is."""
    found: dict[str, tuple[int, str]] = {}
    for path, config in reading.read_all(root, model):
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


def check_limits(limits: dict[str, int]) -> None:
    """Refuse limits that no cluster can have, as far as they are given."""
    for limit, least in {"min_nodes": 0, "max_nodes": 1, "idle_seconds": 1}.items():
        if limits.get(limit, least) < least:
            raise Failure(f"--{limit.replace('_', '-')}: a whole number from {least}, not {limits[limit]}", WRONG_USE)
    if "min_nodes" in limits and "max_nodes" in limits and limits["min_nodes"] > limits["max_nodes"]:
        raise Failure(f"--min-nodes: {limits['min_nodes']} is more than the most, {limits['max_nodes']}", WRONG_USE)


def read_public_key(file: Path) -> str:
    """Return the public key of a file; what the file holds is in no message."""
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


def nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"
