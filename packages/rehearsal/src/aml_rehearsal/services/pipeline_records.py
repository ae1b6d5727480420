"""What pipelines are made of, kept by kind and id."""

from __future__ import annotations

from typing import Any

from aml_rehearsal.messages import Refusal
from aml_rehearsal.state import Record, now
from aml_rehearsal.store import Table
from aml_rehearsal.workspace import Workspace

ACTIVE = {"0", "Active"}


def kept(workspace: Workspace, kind: str) -> Table[Record]:
    table = workspace.state.tables.pipelines.get(kind)
    if table is None:
        raise Refusal(404, f"There are no {kind}.")
    return table


def find(workspace: Workspace, kind: str, name: str) -> Record:
    record = kept(workspace, kind).get(name)
    if record is None:
        raise Refusal(404, f"There is no {name} among the {kind}.")
    return record


def named(workspace: Workspace, kind: str, name: str) -> Record | None:
    return next((record for record in kept(workspace, kind).values() if record["Name"] == name), None)


def add(workspace: Workspace, kind: str, wish: Record, **known: Any) -> Record:
    """Keep something new."""
    record: Record = {"EntityStatus": "0", "CreatedDate": now(), "LastModifiedDate": now()}
    record |= wish | {"Id": workspace.state.new_id()} | known
    kept(workspace, kind)[record["Id"]] = record
    return record


def listed(
    workspace: Workspace, kind: str, wanted: dict[str, str] | None = None, *, active: bool = False
) -> list[Record]:
    """What there is of a kind, on request only what is active."""
    return [
        record
        for record in kept(workspace, kind).values()
        if not (active and record["EntityStatus"] not in ACTIVE)
        and all(record.get(name) == text for name, text in (wanted or {}).items())
    ]


def referred(workspace: Workspace, reference: Record) -> Record:
    """The version of a dataset that a graph refers to, by id or by name."""
    for versions in workspace.state.tables.datasets.values():
        for one in reversed(versions):
            named = {one["datasetId"], one["name"]} & {reference.get("Id"), reference.get("Name")}
            if named and reference.get("Version") in {None, "latest", one["latest"]["versionId"]}:
                return one
    raise Refusal(404, f"Dataset {reference.get('Name') or reference.get('Id')} was not found", "DatasetNotFound")
