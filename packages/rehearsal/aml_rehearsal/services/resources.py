"""Azure Resource Manager: subscriptions, the resource group and the workspace."""

from __future__ import annotations

from typing import Any

from aml_rehearsal import azurite
from aml_rehearsal.routing import Refusal, Request
from aml_rehearsal.services.hosts import api, arm
from aml_rehearsal.tokens import TENANT
from aml_rehearsal.workspace import API, REGION, WORKSPACE_ID, Workspace


@arm.route("GET", "/tenants")
def tenants(workspace: Workspace, request: Request) -> Any:
    return {"value": [{"id": f"/tenants/{TENANT}", "tenantId": TENANT, "displayName": "rehearsal"}]}


@arm.route("GET", "/subscriptions")
def subscriptions(workspace: Workspace, request: Request) -> Any:
    return {"value": [describe(workspace)]}


@arm.route("GET", "/subscriptions/{subscription}")
def subscription(workspace: Workspace, request: Request) -> Any:
    return describe(workspace)


def describe(workspace: Workspace) -> dict[str, Any]:
    own = workspace.names.subscription_id
    return {
        "id": f"/subscriptions/{own}",
        "subscriptionId": own,
        "displayName": "rehearsal",
        "state": "Enabled",
        "tenantId": TENANT,
    }


@arm.route("GET HEAD", "/subscriptions/{subscription}/resourceGroups/{group}")
def group(workspace: Workspace, request: Request) -> Any:
    return {
        "id": workspace.names.group_scope,
        "name": workspace.names.resource_group,
        "location": REGION,
        "properties": {"provisioningState": "Succeeded"},
    }


@arm.route("GET", "{scope}")
def workspace_resource(workspace: Workspace, request: Request) -> Any:
    names, group_scope = workspace.names, workspace.names.group_scope
    return {
        "id": names.scope,
        "name": names.workspace_name,
        "type": "Microsoft.MachineLearningServices/workspaces",
        "location": REGION,
        "tags": {},
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": {"principalId": "rehearsal", "tenantId": TENANT, "type": "SystemAssigned"},
        "properties": {
            "workspaceId": WORKSPACE_ID,
            "friendlyName": names.workspace_name,
            "discoveryUrl": f"{API}/discovery",
            "provisioningState": "Succeeded",
            "creationTime": "2024-01-01T00:00:00Z",
            "storageAccount": f"{group_scope}/providers/Microsoft.Storage/storageAccounts/{azurite.ACCOUNT}",
            "keyVault": f"{group_scope}/providers/Microsoft.KeyVault/vaults/rehearsal",
            "applicationInsights": f"{group_scope}/providers/Microsoft.Insights/components/rehearsal",
        },
    }


@arm.route("POST", "{scope}/listKeys", "{scope}/listStorageAccountKeys")
def keys(workspace: Workspace, request: Request) -> Any:
    raise Refusal(403, "The rehearsal gives out no keys.", "AuthorizationFailed")


@api.route("GET", "/discovery{rest:rest}", token=False)
def discovery(workspace: Workspace, request: Request) -> Any:
    services = (
        "api history experimentation hyperdrive modelmanagement pipelines catalog studio notebooks inference mlflow"
    )
    return dict.fromkeys([*services.split(), "assets", "discovery"], API)
