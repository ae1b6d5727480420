"""Components of the second generation: what a step of a pipeline job runs, with the inputs and outputs that it has."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import codes, command_jobs, versioned_assets
from aml_rehearsal.services.versioned_assets import Kind, add_routes
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,254}")
TYPES = ("command", "parallel", "pipeline")
WORDS = {"description", "tags", "display_name", "_source", "$schema"}  # what may differ where the rest is the same


def names(workspace: Workspace) -> Iterable[str]:
    own = workspace.state.tables.components.keys_where(anonymous=None)
    return dict.fromkeys(key.rpartition(":")[0] for key in own)


def versions(workspace: Workspace, name: str) -> list[Record]:
    table = workspace.state.tables.components
    return [table[key] for key in table.keys_where(name=name)]


def keep(workspace: Workspace, name: str, version: str, wish: Record) -> None:
    table, key, spec = workspace.state.tables.components, f"{name}:{version}", wish.get("componentSpec") or {}
    if not NAME.fullmatch(name):
        raise Refusal(400, f"'{name}' is no name for a component: letters, digits, - and _, at most 255.", "UserError")
    if spec.get("type") not in TYPES:
        message = f"The rehearsal does not play components of the type {spec.get('type')}."
        raise Refusal(501, message, "NotImplemented")
    known = table.get(key)
    if known and content(known["properties"]["componentSpec"]) != content(spec):
        raise Refusal(400, f"The component {name} has a version {version} with other content.", "UserError")
    task = spec.get("task") or spec
    if task.get("code"):
        codes.snapshot_of(workspace, str(task["code"]))
    if task.get("environment"):
        command_jobs.environment_of(workspace, str(task["environment"]))
    anonymous = "yes" if wish.get("isAnonymous") else None  # what a pipeline job brings is not listed
    kept: Record = known or {"name": name, "version": version, "createdTime": now(), "anonymous": anonymous}
    properties = {"componentSpec": spec, "isAnonymous": bool(anonymous)}
    table[key] = kept | {"properties": properties}


def content(spec: Record) -> Record:
    return {key: value for key, value in spec.items() if key not in WORDS}


def spec_of(workspace: Workspace, text: str) -> Record:
    """What the component says that a step names."""
    _, found = versioned_assets.meant(workspace, KIND, text)
    spec: Record = found["properties"]["componentSpec"]
    return spec


KIND = Kind("components", names, versions, keep)
add_routes(KIND)
