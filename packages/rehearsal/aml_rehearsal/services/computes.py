"""Compute targets: only AmlCompute, created at once and always ready."""

from __future__ import annotations

from typing import Any

from aml_rehearsal.routing import Refusal, Reply, Request
from aml_rehearsal.services.hosts import api, arm
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import API, REGION, Workspace


def created(workspace: Workspace, name: str, vm_size: str, max_nodes: int, priority: str = "Dedicated") -> Record:
    """Add a cluster as if somebody had made it in the Studio."""
    scale = {"minNodeCount": 0, "maxNodeCount": max_nodes, "nodeIdleTimeBeforeScaleDown": "PT300S"}
    wish = {
        "properties": {"vmSize": vm_size, "vmPriority": priority, "scaleSettings": scale},
        "computeType": "AmlCompute",
    }
    return put(workspace, name, {"location": REGION, "tags": {}, "properties": wish})


def put(workspace: Workspace, name: str, wish: Record) -> Record:
    properties = wish.get("properties") or {}
    if properties.get("computeType") != "AmlCompute":
        raise Refusal(400, f"The rehearsal has AmlCompute only, not {properties.get('computeType')}.")
    details = properties.get("properties") or {}
    if not details.get("vmSize"):
        raise Refusal(400, "properties.vmSize: missing")
    details = {
        "subnet": None,
        "vmPriority": "Dedicated",
        "scaleSettings": {},
        **details,
        "allocationState": "Steady",
        "allocationStateTransitionTime": now(),
        "currentNodeCount": 0,
        "targetNodeCount": 0,
        "nodeStateCounts": {},
        "errors": None,
    }
    compute = {
        "id": f"{workspace.names.scope}/computes/{name}",
        "name": name,
        "type": "Microsoft.MachineLearningServices/workspaces/computes",
        "location": wish.get("location") or REGION,
        "tags": wish.get("tags") or {},
        "properties": {
            "description": None,
            "resourceId": None,
            "computeLocation": REGION,
            **properties,
            "properties": details,
            "provisioningState": "Succeeded",
            "provisioningErrors": None,
            "isAttachedCompute": False,
            "createdOn": now(),
            "modifiedOn": now(),
        },
    }
    workspace.state.tables.computes[name] = compute
    return compute


def merge(record: Record, changes: Record) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(record.get(key), dict):
            merge(record[key], change)
        elif change is not None:
            record[key] = change


for host, prefix in ((arm, ""), (api, "/rp/workspaces")):

    @host.route("GET", prefix + "{scope}/computes", prefix + "{scope}/computes/")
    def listing(workspace: Workspace, request: Request) -> Any:
        return {"value": list(workspace.state.tables.computes.values())}

    @host.route("GET PUT PATCH DELETE", prefix + "{scope}/computes/{name}")
    def compute(workspace: Workspace, request: Request) -> Any:
        name, computes = request.names["name"], workspace.state.tables.computes
        watched = {"Azure-AsyncOperation": f"{API}/operations/{name}"}  # where the client asks whether it is done
        if request.method == "PUT":
            return Reply(put(workspace, name, request.json), 201, watched)
        if name not in computes:
            raise Refusal(404, f"Compute target '{name}' was not found.", "ComputeNotFound")
        if request.method == "PATCH":
            merge(computes[name]["properties"], request.json.get("properties") or {})
            computes[name]["properties"]["modifiedOn"] = now()
        if request.method == "DELETE":
            return Reply(computes.pop(name), 202, watched)
        return computes[name]


@api.route("GET", "/operations/{name}")
def operation(workspace: Workspace, request: Request) -> Any:
    return {"status": "Succeeded"}
