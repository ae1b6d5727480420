"""Azure Resource Manager: subscriptions, the resource group and the workspace."""

from __future__ import annotations

import re
from typing import Any

from aml_rehearsal import azurite
from aml_rehearsal.addresses import API, API_HOST, REGION, TENANT, WORKSPACE_ID
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import api, arm
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace


@arm.route("GET", "/tenants")
def tenants(workspace: Workspace, request: Request) -> Any:
    return {"value": [{"id": f"/tenants/{TENANT}", "tenantId": TENANT, "displayName": "rehearsal"}]}


@arm.route("GET", "/subscriptions")
def subscriptions(workspace: Workspace, request: Request) -> Any:
    return {"value": [describe(workspace)]}


@arm.route("GET", "/subscriptions/{subscription}")
def subscription(workspace: Workspace, request: Request) -> Any:
    return describe(workspace)


@arm.route("GET", "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices")
def provider(workspace: Workspace, request: Request) -> Any:
    """Where workspaces can be."""
    kind = {"resourceType": "workspaces", "locations": ["West Europe"], "apiVersions": ["2021-01-01"]}
    return {
        "namespace": "Microsoft.MachineLearningServices",
        "registrationState": "Registered",
        "resourceTypes": [kind],
    }


def describe(workspace: Workspace) -> dict[str, Any]:
    own = workspace.names.subscription_id
    return {
        "id": f"/subscriptions/{own}",
        "subscriptionId": own,
        "displayName": "rehearsal",
        "state": "Enabled",
        "tenantId": TENANT,
    }


@arm.route(
    "GET", "/subscriptions/{subscription}/resources", "/subscriptions/{subscription}/resourceGroups/{group}/resources"
)
def found_resources(workspace: Workspace, request: Request) -> Any:
    """The resources of a kind; only workspaces are told, one."""
    wanted = request.query.get("$filter", "")
    if "machinelearningservices/workspaces" not in wanted.lower():
        message = f"The rehearsal lists the resources that are workspaces, not {wanted or 'all'}."
        raise Refusal(501, message, "NotImplemented")
    whole = workspace_resource(workspace, request)
    return {"value": [{key: whole[key] for key in ("id", "name", "type", "location", "tags", "sku", "identity")}]}


@arm.route(
    "GET",
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices/workspaces",
    "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/workspaces",
)
def workspaces(workspace: Workspace, request: Request) -> Any:
    """The one, unless it lies in another group."""
    group = request.names.get("group", workspace.names.resource_group)
    own = group.lower() == workspace.names.resource_group.lower()
    return {"value": [workspace_resource(workspace, request)] if own else [], "nextLink": None}


def add_group(workspace: Workspace, name: str, location: str = REGION, tags: Record | None = None) -> Record:
    group = workspace.state.tables.resource_groups.setdefault(
        name.lower(),
        {
            "id": f"/subscriptions/{workspace.names.subscription_id}/resourceGroups/{name}",
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": location,
            "tags": {},
            "managedBy": None,
            "properties": {"provisioningState": "Succeeded"},
        },
    )
    if group["location"].lower() != location.lower():
        message = f"The Resource group '{name}' already exists in location '{group['location']}'."
        raise Refusal(409, f"{message} It can't be made in '{location}'.", "InvalidResourceGroupLocation")
    if tags is not None:
        group["tags"] = tags
    return group


@arm.route("GET", "/subscriptions/{subscription}/resourceGroups")
def groups(workspace: Workspace, request: Request) -> Any:
    return {"value": list(workspace.state.tables.resource_groups.values())}


@arm.route("GET HEAD PUT", "/subscriptions/{subscription}/resourceGroups/{group}")
def group(workspace: Workspace, request: Request) -> Any:
    name, table = request.names["group"], workspace.state.tables.resource_groups
    if request.method == "PUT":
        if not re.fullmatch(r"[\w().-]{0,89}[\w()-]", name):
            raise Refusal(400, f"The resource group name '{name}' is not allowed.", "InvalidResourceGroup")
        known = name.lower() in table
        location = str(request.json.get("location") or "").replace(" ", "").lower()
        if not location:
            raise Refusal(400, "The location property is required for this definition.", "LocationRequired")
        return Reply(add_group(workspace, name, location, request.json.get("tags")), 200 if known else 201)
    return Reply(status=204) if request.method == "HEAD" else table[name.lower()]


# What each role may do, as the resource manager lists it: actions, and what of them is left out again.
OWN = "Microsoft.MachineLearningServices/workspaces"
RIGHTS = {
    "contributor": (["*"], ["Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write"]),
    "scientist": (
        [f"{OWN}/*/{verb}" for verb in ("read", "action", "delete", "write")],
        [f"{OWN}/delete", f"{OWN}/write", f"{OWN}/listKeys/action"]
        + [f"{OWN}/computes/{verb}" for verb in ("*/write", "*/delete", "listKeys/action")],
    ),
    "reader": (["*/read"], []),
}


@arm.route("GET", "{scope}/providers/Microsoft.Authorization/permissions")
def permissions(workspace: Workspace, request: Request) -> Any:
    actions, left_out = RIGHTS.get(request.identity.role if request.identity else "", ([], []))
    return {"value": [{"actions": actions, "notActions": left_out}] if actions else []}


@arm.route("GET PUT", "{scope}")
def workspace_resource(workspace: Workspace, request: Request) -> Any:
    """The one workspace; who makes it finds it made."""
    names, group_scope = workspace.names, workspace.names.group_scope
    said = workspace.state.tables.single.get("workspace", {})  # what somebody has changed of it
    return {
        "id": names.scope,
        "name": names.workspace_name,
        "kind": "Default",
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": REGION,
        "tags": said.get("tags", {}),
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": {"principalId": "rehearsal", "tenantId": TENANT, "type": "SystemAssigned"},
        "properties": {
            "workspaceId": WORKSPACE_ID,
            "friendlyName": names.workspace_name,
            "discoveryUrl": f"{API}/discovery",
            "mlFlowTrackingUri": f"azureml://{API_HOST}/mlflow/v1.0{names.scope}",
            "provisioningState": "Succeeded",
            "creationTime": "2024-01-01T00:00:00Z",
            "storageAccount": f"{group_scope}/providers/Microsoft.Storage/storageAccounts/{azurite.ACCOUNT}",
            "keyVault": f"{group_scope}/providers/Microsoft.KeyVault/vaults/rehearsal",
            "applicationInsights": f"{group_scope}/providers/Microsoft.Insights/components/rehearsal",
            **said.get("properties", {}),
        },
    }


@api.route("GET", "/discovery{rest:rest}", token=False)
def discovery(workspace: Workspace, request: Request) -> Any:
    services = (
        "api history experimentation hyperdrive modelmanagement pipelines catalog studio notebooks inference mlflow"
    )
    return dict.fromkeys([*services.split(), "assets", "discovery"], API)


@arm.route(
    "GET",  # of a private endpoint the client asks with two slashes
    "{first:(/?)}/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network"
    "/{kind:(virtualNetworks|privateEndpoints)}/{name}",
)
def network(workspace: Workspace, request: Request) -> Any:
    """There is none, so nothing private can be made in it."""
    name = f"Microsoft.Network/{request.names['kind']}/{request.names['name']}"
    message = f"The Resource '{name}' under resource group '{request.names['group']}' was not found."
    raise Refusal(404, message, "ResourceNotFound")
