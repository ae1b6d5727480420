"""Storage accounts as the resource manager knows them: their names, their keys, their containers."""

from __future__ import annotations

import re
from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import ContainerClient

from aml_rehearsal.addresses import REGION
from aml_rehearsal.azurite import SUFFIX
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import arm
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

PROVIDER = "/providers/Microsoft.Storage"
OF_SUBSCRIPTION = "/subscriptions/{subscription}" + PROVIDER
OF_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}" + PROVIDER + "/storageAccounts"
ACCOUNT = OF_GROUP + "/{account}"
CONTAINER = re.compile(r"[a-z0-9](-?[a-z0-9])*")


def add_account(workspace: Workspace, group: str, name: str, wish: Record | None = None) -> Record:
    wish, table = wish or {}, workspace.state.tables.storage_accounts
    if name not in table:
        place = f"/subscriptions/{workspace.names.subscription_id}/resourceGroups/{group}"
        table[name] = {
            "id": f"{place}{PROVIDER}/storageAccounts/{name}",
            "name": name,
            "type": "Microsoft.Storage/storageAccounts",
            "location": wish.get("location") or REGION,
            "kind": wish.get("kind") or "StorageV2",
            "sku": {"name": (wish.get("sku") or {}).get("name") or "Standard_LRS", "tier": "Standard"},
            "tags": wish.get("tags") or {},
            "properties": {
                "creationTime": now(),
                "primaryLocation": wish.get("location") or REGION,
                "statusOfPrimary": "available",
                "supportsHttpsTrafficOnly": True,
                "allowBlobPublicAccess": False,
                "minimumTlsVersion": "TLS1_2",
                **(wish.get("properties") or {}),
                "provisioningState": "Succeeded",
                "primaryEndpoints": {"blob": f"https://{name}.{SUFFIX}/"},
            },
        }
    return table[name]


def account_of(workspace: Workspace, request: Request) -> Record:
    """The account that a request names, in the group that it names."""
    account = workspace.state.tables.storage_accounts.get(request.names["account"].lower())
    if account is None or group_of(account) != request.names["group"].lower():
        name = f"Microsoft.Storage/storageAccounts/{request.names['account']}"
        message = f"The Resource '{name}' under resource group '{request.names['group']}' was not found."
        raise Refusal(404, message, "ResourceNotFound")
    return account


def group_of(account: Record) -> str:
    return str(account["id"]).split("/")[4].lower()


def taken(workspace: Workspace, name: str) -> tuple[str, str]:
    """Why an account can't be called so: the code and the sentence, or nothing."""
    if not re.fullmatch(r"[a-z0-9]{3,24}", name):
        return (
            "AccountNameInvalid",
            f"{name} is not a valid storage account name: 3 to 24 lower-case letters and digits.",
        )
    if name in workspace.state.tables.storage_accounts:
        return "AlreadyExists", f"The storage account named {name} is already taken."
    return "", ""


@arm.route("GET", OF_SUBSCRIPTION + "/storageAccounts")
def accounts(workspace: Workspace, request: Request) -> Any:
    if request.identity and request.identity.role == "stranger":
        return {"value": []}
    return {"value": list(workspace.state.tables.storage_accounts.values())}


@arm.route("POST", OF_SUBSCRIPTION + "/checkNameAvailability")
def name_is_free(workspace: Workspace, request: Request) -> Any:
    code, message = taken(workspace, str(request.json.get("name")))
    return {"nameAvailable": not code} | ({"reason": code, "message": message} if code else {})


@arm.route("GET", OF_GROUP)
def accounts_of_group(workspace: Workspace, request: Request) -> Any:
    group = request.names["group"].lower()
    return {"value": [found for found in workspace.state.tables.storage_accounts.values() if group_of(found) == group]}


@arm.route("GET PUT PATCH", ACCOUNT)
def account(workspace: Workspace, request: Request) -> Any:
    name = request.names["account"]
    if request.method == "PUT" and name not in workspace.state.tables.storage_accounts:
        code, message = taken(workspace, name)
        if code:
            raise Refusal(400, message, code)
        if name not in workspace.blobs.keys:
            known = ", ".join(workspace.blobs.keys)
            raise Refusal(400, f"The rehearsal has storage for these accounts only: {known}; not for {name}.")
        return add_account(workspace, request.names["group"], name, request.json)
    found = account_of(workspace, request)
    if request.method != "GET":
        found["tags"] = request.json.get("tags") or found["tags"]
    return found


@arm.route("POST", ACCOUNT + "/listKeys")
def keys(workspace: Workspace, request: Request) -> Any:
    name = account_of(workspace, request)["name"]
    if request.identity is None or request.identity.role != "contributor":
        raise Refusal(403, f"No authorization to perform action listKeys over '{request.path}'.", "AuthorizationFailed")
    return {"keys": [{"keyName": "key1", "value": workspace.blobs.keys[name], "permissions": "FULL"}]}


@arm.route("GET", ACCOUNT + "/blobServices/default/containers")
def containers(workspace: Workspace, request: Request) -> Any:
    account = account_of(workspace, request)
    service = workspace.blobs.service(account["name"], workspace.blobs.keys[account["name"]])
    return {"value": [described(account, container["name"]) for container in service.list_containers()]}


@arm.route("GET PUT", ACCOUNT + "/blobServices/default/containers/{container_name}")
def container(workspace: Workspace, request: Request) -> Any:
    account, name = account_of(workspace, request), request.names["container_name"]
    if not (3 <= len(name) <= 63 and CONTAINER.fullmatch(name)):
        raise Refusal(400, f"The container name '{name}' is not valid.", "ContainerNameInvalid")
    service = workspace.blobs.service(account["name"], workspace.blobs.keys[account["name"]])
    blobs: ContainerClient = service.get_container_client(name)
    if request.method == "PUT":
        try:
            blobs.create_container()
        except ResourceExistsError:
            return described(account, name)
        return Reply(described(account, name), 201)
    try:
        blobs.get_container_properties()
    except HttpResponseError:
        raise Refusal(404, f"The specified container {name} does not exist.", "ContainerNotFound") from None
    return described(account, name)


def described(account: Record, name: str) -> Record:
    return {
        "id": f"{account['id']}/blobServices/default/containers/{name}",
        "name": name,
        "type": "Microsoft.Storage/storageAccounts/blobServices/containers",
        "properties": {"publicAccess": "None", "deleted": False, "leaseState": "Available"},
    }
