"""The workspace as a resource that is changed, its keys, its connections and linked services."""

from __future__ import annotations

from typing import Any

from aml_rehearsal import azurite
from aml_rehearsal.addresses import REGION, TENANT, WORKSPACE_ID
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import arm
from aml_rehearsal.services.resources import workspace_resource
from aml_rehearsal.state import Record, now
from aml_rehearsal.store import Table
from aml_rehearsal.workspace import Workspace

RESOURCE = "Microsoft.MachineLearningServices/workspaces"


@arm.route("PATCH", "{scope}")
def update(workspace: Workspace, request: Request) -> Any:
    """Keep what is said of the workspace; it changes nothing else here."""
    wish, single = request.json, workspace.state.tables.single
    kept = single.get("workspace", {})
    properties = {key: value for key, value in (wish.get("properties") or {}).items() if value is not None}
    tags = wish["tags"] if wish.get("tags") is not None else kept.get("tags", {})
    single["workspace"] = {"tags": tags, "properties": kept.get("properties", {}) | properties}
    return workspace_resource(workspace, request)


@arm.route("DELETE", "{scope}")
def delete(workspace: Workspace, request: Request) -> Any:
    message = "The rehearsal is this one workspace: it ends with it, and --fresh begins with an empty one."
    raise Refusal(501, message, "NotImplemented")


@arm.route("POST", "{scope}/listKeys")
def keys(workspace: Workspace, request: Request) -> Any:
    storage = f"{workspace.names.group_scope}/providers/Microsoft.Storage/storageAccounts/{azurite.ACCOUNT}"
    return {
        "userStorageKey": workspace.blobs.key,
        "userStorageResourceId": storage,
        "appInsightsInstrumentationKey": WORKSPACE_ID,
        "containerRegistryCredentials": None,
        "notebookAccessKeys": None,
    }


@arm.route("POST", "{scope}/resynckeys")
def sync_keys(workspace: Workspace, request: Request) -> Any:
    return Reply(status=200)  # the keys of the storage account are those that the workspace has


@arm.route("POST", "{scope}/diagnose")
def diagnose(workspace: Workspace, request: Request) -> Any:
    """Nothing is wrong with what stands on loopback."""
    kinds = ("userDefinedRoute", "networkSecurityRule", "resourceLock", "dnsResolution", "storageAccount", "keyVault")
    return {"value": {f"{kind}Results": [] for kind in (*kinds, "containerRegistry", "applicationInsights", "other")}}


@arm.route("DELETE", "{scope}/privateEndpointConnections/{name}")
def delete_endpoint(workspace: Workspace, request: Request) -> Any:
    return Reply(status=204)  # there is none


def kept(workspace: Workspace, request: Request, table: Table[Record], kind: str) -> Reply:
    """One of the things that the resource manager keeps beside a workspace: told, put or deleted."""
    name, wish = request.names["name"], request.json if request.method == "PUT" else {}
    if request.method == "PUT":
        times = {"createdTime": table[name]["properties"]["createdTime"] if name in table else now()}
        identity = wish.get("identity")
        table[name] = {
            "id": f"{workspace.names.scope}/{kind}/{name}",
            "name": name,
            "type": f"{RESOURCE}/{kind}",
            "location": REGION,
            "identity": identity and identity | {"principalId": workspace.state.new_id(), "tenantId": TENANT},
            "properties": (wish.get("properties") or {}) | times | {"modifiedTime": now()},
        }
    elif request.method == "DELETE":
        return Reply(status=200 if table.pop(name, None) else 204)
    if name not in table:
        raise Refusal(404, f"{kind}: '{name}' could not be found.", "ResourceNotFound")
    return Reply(shown(request, table[name]))


def shown(request: Request, record: Record) -> Record:
    """What is kept, without what opens it for those who only look."""
    if request.identity and request.identity.role == "reader":
        return record | {"properties": {key: value for key, value in record["properties"].items() if key != "value"}}
    return record


@arm.route("GET", "{scope}/connections")
def connections(workspace: Workspace, request: Request) -> Any:
    wanted = {key: request.query[key] for key in ("category", "target") if request.query.get(key)}
    found = workspace.state.tables.connections.values()
    listed = [shown(request, one) for one in found if wanted.items() <= one["properties"].items()]
    # The client of the first generation asks for a version of the service that answers with the bare list.
    return listed if request.query.get("api-version", "") < "2021" else {"value": listed}


@arm.route("GET PUT DELETE", "{scope}/connections/{name}")
def connection(workspace: Workspace, request: Request) -> Any:
    return kept(workspace, request, workspace.state.tables.connections, "connections")


@arm.route("GET", "{scope}/linkedServices")
def linked_services(workspace: Workspace, request: Request) -> Any:
    return {"value": list(workspace.state.tables.linked_services.values())}


@arm.route("GET PUT DELETE", "{scope}/linkedServices/{name}")
def linked_service(workspace: Workspace, request: Request) -> Any:
    return kept(workspace, request, workspace.state.tables.linked_services, "linkedServices")
