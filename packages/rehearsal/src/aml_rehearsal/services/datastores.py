"""Datastores: names for containers of blob storage, with what opens them."""

from __future__ import annotations

import re
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError

from aml_rehearsal import file_shares
from aml_rehearsal.azurite import ACCOUNT
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import api, arm
from aml_rehearsal.services.versioned_assets import resource
from aml_rehearsal.state import Record, creator, now
from aml_rehearsal.workspace import Workspace

BASE = "/datastore/v1.0{scope}"
NAME = re.compile(r"[A-Za-z0-9_]{1,255}")
ARTIFACT_STORE = "workspaceartifactstore"  # what runs keep
CREDENTIALS = ("credential", "accountKey", "sasToken", "clientCredentials")
TAKEN = "Another datastore with the same name already exists"  # by these words the client knows that it can update


def shown(request: Request, store: Record) -> Record:
    """A datastore as the client gets it: with the key that it opens with, under both of its names."""
    storage = store.get("azureStorageSection")
    if not storage:
        return store
    if request.identity and request.identity.role == "reader":
        return without_key(store)
    kind, credential = storage.get("credentialType"), storage.get("credential")
    # Where the client registers a key it says credential; where it reads one it looks at the older fields only.
    older = {"accountKey": {"AccountKey": credential}.get(kind), "sasToken": {"Sas": credential}.get(kind)}
    return store | {"azureStorageSection": storage | older | {"isSas": kind == "Sas"}}


def without_key(store: Record) -> Record:
    """A datastore as those see it who only look."""
    storage = store.get("azureStorageSection")
    return store | {"azureStorageSection": storage and storage | dict.fromkeys(CREDENTIALS)}


def keep(workspace: Workspace, request: Request, name: str, wish: Record | None = None) -> Record:
    """Keep what a request says of a datastore."""
    store: Record = dict(request.json if wish is None else wish)
    if not NAME.fullmatch(name):
        message = "A datastore name has letters, digits and underscores only, at most 255 of them"
        raise Refusal(400, f"{message}, not '{name}'.")
    table = workspace.state.tables.datastores
    known = table.get(name.lower(), {"createdTime": now(), "createdBy": creator("rehearsal")})
    storage = store.get("azureStorageSection")
    if storage:
        storage["endpoint"] = storage.get("endpoint") or "core.windows.net"
        storage["protocol"] = storage.get("protocol") or "https"
        if request.query.get("createIfNotExists", "").lower() == "true":
            create_container(workspace, storage, share=store.get("dataStoreType") == "AzureFile")
    kept = {"name": name.lower(), "createdTime": known["createdTime"], "createdBy": known["createdBy"]}
    table[name.lower()] = store | kept | {"modifiedTime": now()}
    return shown(request, table[name.lower()])


def create_container(workspace: Workspace, storage: Record, *, share: bool) -> None:
    """Make the container, or the file share, that a datastore is to name."""
    account, container = storage["accountName"], storage["containerName"]
    if account not in workspace.state.tables.storage_accounts:
        raise Refusal(400, f"There is no storage account {account} in the rehearsal.")
    if share:
        try:
            file_shares.share_folder(workspace, account, container).mkdir(parents=True, exist_ok=True)
        except file_shares.Refused as refused:
            raise Refusal(400, str(refused)) from None
        return
    try:
        workspace.blobs.service(account, storage.get("credential") or "").create_container(container)
    except ResourceExistsError:
        return
    except (AzureError, ValueError) as error:
        said = getattr(error, "error_code", None) or type(error).__name__
        raise Refusal(400, f"The container {container} can't be made in {account}: {said}") from None


def add_datastore(workspace: Workspace, name: str, container: str) -> None:
    """Have a container of the workspace's own account as a datastore that opens with the account's key."""
    storage = {
        "accountName": ACCOUNT,
        "containerName": container,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "credentialType": "AccountKey",
        "credential": workspace.blobs.key,
        "areWorkspaceManagedIdentitiesAllowed": False,
        "blobCacheTimeout": None,
        "clientCredentials": None,
        "subscriptionId": workspace.names.subscription_id,
        "resourceGroup": workspace.names.resource_group,
        "serviceDataAccessAuthIdentity": "None",
    }
    store = {
        "name": name,
        "dataStoreType": "AzureBlob",
        "hasBeenValidated": True,
        "tags": {},
        "properties": {},
        "azureStorageSection": storage,
        "createdBy": creator("rehearsal"),
        "createdTime": now(),
        "modifiedTime": now(),
    }
    workspace.state.tables.datastores.setdefault(name, store)


@api.route("GET POST", BASE + "/datastores")
def datastores(workspace: Workspace, request: Request) -> Any:
    table = workspace.state.tables.datastores
    if request.method == "GET":
        return {"value": [shown(request, store) for store in table.values()], "continuationToken": None}
    name = str(request.json.get("name") or "")
    if name.lower() in table:
        raise Refusal(400, f"{TAKEN}: {name}.")
    return keep(workspace, request, name)


@api.route("GET", BASE + "/default")
def default_store(workspace: Workspace, request: Request) -> Any:
    return shown(request, workspace.state.tables.datastores[workspace.state.tables.default_datastore])


@api.route("PUT", BASE + "/default/{name}")
def set_default_store(workspace: Workspace, request: Request) -> Any:
    workspace.state.tables.default_datastore = find(workspace, request.names["name"])["name"]
    return {}


@api.route("GET PUT DELETE", BASE + "/datastores/{name}")
def datastore(workspace: Workspace, request: Request) -> Any:
    store = find(workspace, request.names["name"])
    if request.method == "PUT":
        return keep(workspace, request, store["name"])
    if request.method == "DELETE":
        remove(workspace, store["name"])
    return shown(request, store)


# --- the second generation


# The second generation's kinds, by those of the first, and what each calls its place; databases are none of them.
KINDS = {
    "AzureBlob": ("AzureBlob", "containerName"),
    "AzureFile": ("AzureFile", "fileShareName"),
    "AzureDataLake": ("AzureDataLakeGen1", "storeName"),
    "AzureDataLakeGen2": ("AzureDataLakeGen2", "filesystem"),
}
LOGINS = {"AccountKey": "AccountKey", "Sas": "Sas", "ClientCredentials": "ServicePrincipal"}


def told(workspace: Workspace, store: Record) -> Record:
    """A datastore as the resource manager tells it: how it opens, not with what."""
    storage = store.get("azureStorageSection") or {}
    lake = store.get("azureDataLakeSection") or {}
    kind, place = KINDS[store.get("dataStoreType", "AzureBlob")]
    principal = lake or storage.get("clientCredentials") or {}
    login = LOGINS.get(storage.get("credentialType") or "None", "None")
    if principal.get("clientId"):
        login = "ServicePrincipal"
    elif not storage.get("credential"):
        login = "None"
    credentials: Record = {"credentialsType": login}
    if login == "ServicePrincipal":
        credentials |= {name: principal.get(name) for name in ("clientId", "tenantId", "authorityUrl")}
        credentials["resourceUrl"] = principal.get("resourceUri")
    properties = {
        "datastoreType": kind,
        "credentials": credentials,
        "isDefault": store["name"] == workspace.state.tables.default_datastore,
        "description": store.get("description"),
        "tags": store.get("tags") or {},
        "properties": store.get("properties") or {},
        "accountName": storage.get("accountName"),
        place: lake.get("storeName") or storage.get("containerName"),
        "endpoint": storage.get("endpoint"),
        "protocol": storage.get("protocol"),
    }
    return resource(workspace, f"datastores/{store['name']}", properties, store["createdTime"])


def as_kept(wish: Record) -> Record:
    """A datastore of the second generation as the first one writes it."""
    if wish.get("datastoreType") != "AzureBlob":
        message = f"The rehearsal has datastores of type AzureBlob only, not {wish.get('datastoreType')}."
        raise Refusal(501, message, "NotImplemented")
    credentials = wish.get("credentials") or {}
    kind, secrets = credentials.get("credentialsType") or "None", credentials.get("secrets") or {}
    if kind not in {"AccountKey", "Sas", "None"}:
        raise Refusal(501, f"The rehearsal opens datastores by key, SAS or login, not by {kind}.", "NotImplemented")
    storage = {key: wish.get(key) for key in ("accountName", "containerName", "endpoint", "protocol")}
    storage |= {"credentialType": kind, "credential": secrets.get("key") or secrets.get("sasToken")}
    words = {key: wish[key] for key in ("description", "tags", "properties") if wish.get(key) is not None}
    return {"dataStoreType": "AzureBlob", "hasBeenValidated": True, "azureStorageSection": storage} | words


@arm.route("GET", "{scope}/datastores")
def listed(workspace: Workspace, request: Request) -> Any:
    stores = workspace.state.tables.datastores.values()
    found = [told(workspace, store) for store in stores if store.get("dataStoreType", "AzureBlob") in KINDS]
    if request.query.get("isDefault", "").lower() == "true":
        found = [store for store in found if store["properties"]["isDefault"]]
    return {"value": found, "nextLink": None}


@arm.route("GET PUT DELETE", "{scope}/datastores/{name}")
def one(workspace: Workspace, request: Request) -> Any:
    name = request.names["name"]
    known = name.lower() in workspace.state.tables.datastores
    if request.method == "PUT":
        keep(workspace, request, name, as_kept(request.json.get("properties") or {}))
        return Reply(told(workspace, find(workspace, name)), 200 if known else 201)
    if request.method == "DELETE":
        if known:
            remove(workspace, name.lower())
        return Reply(status=200 if known else 204)
    store = find(workspace, name)
    if store.get("dataStoreType", "AzureBlob") not in KINDS:
        raise Refusal(404, f"Datastore {name} is a {store['dataStoreType']}: the second generation has no such kind.")
    return told(workspace, store)


@arm.route("POST", "{scope}/datastores/{name}/listSecrets")
def secrets(workspace: Workspace, request: Request) -> Any:
    """With what a datastore opens: its key also where one that expires is asked for, as the client signs with it."""
    storage = find(workspace, request.names["name"]).get("azureStorageSection") or {}
    if not storage.get("credential"):
        raise Refusal(400, f"The datastore {request.names['name']} has no credentials.", "UserError")
    if storage["credentialType"] == "Sas":
        return {"secretsType": "Sas", "sasToken": storage["credential"]}
    return {"secretsType": "AccountKey", "key": storage["credential"]}


def remove(workspace: Workspace, name: str) -> None:
    if name == workspace.state.tables.default_datastore:
        raise Refusal(400, f"{name} is the default datastore: it can't be removed.")
    del workspace.state.tables.datastores[name]


def find(workspace: Workspace, name: str) -> Record:
    try:
        return workspace.state.tables.datastores[name.lower()]
    except KeyError:
        raise Refusal(404, f"Datastore {name} was not found") from None
