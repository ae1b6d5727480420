"""Code of the second generation: a folder that the client uploads once, and that jobs then run."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from aml_rehearsal.azurite import ACCOUNT
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import arm
from aml_rehearsal.services.versioned_assets import reference, resource
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

VERSIONS = "{scope}/codes/{name}/versions"


@arm.route("POST", VERSIONS + "/{version}/startPendingUpload")
def start_upload(workspace: Workspace, request: Request) -> Any:
    """A container of its own, and what opens it."""
    container = f"code-{workspace.state.new_id()}"
    workspace.blobs.container(container)
    place = f"https://{workspace.blobs.host}/{container}"
    signed = f"{place}?{workspace.blobs.container_signature(container, 'rwdlac')}"
    account = f"{workspace.names.group_scope}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}"
    return {
        "pendingUploadId": workspace.state.new_id(),
        "pendingUploadType": "TemporaryBlobReference",
        "blobReferenceForConsumption": {
            "blobUri": place,
            "storageAccountArmId": account,
            "credential": {"credentialType": "SAS", "sasUri": signed},
        },
    }


@arm.route("GET", VERSIONS)
def versions(workspace: Workspace, request: Request) -> Any:
    """The client asks by the hash of a folder whether it is there already, under any name."""
    wanted, name = request.query.get("hash"), request.names["name"]
    found = [
        told(workspace, key, code)
        for key, code in workspace.state.tables.codes.items()
        if (
            (code["properties"].get("properties") or {}).get("hash_sha256") == wanted
            if wanted
            else code["name"] == name
        )
    ]
    return {"value": found, "nextLink": None}


@arm.route("GET PUT", VERSIONS + "/{version}")
def version(workspace: Workspace, request: Request) -> Any:
    table = workspace.state.tables.codes
    key = f"{request.names['name']}:{request.names['version']}"
    if request.method == "PUT":
        wish, known = request.json.get("properties") or {}, table.get(key)
        if known and known["properties"]["codeUri"] != wish.get("codeUri"):
            raise Refusal(400, "Asset paths cannot be updated.", "UserError")
        if known is None:
            table[key] = kept(workspace, request.names["name"], wish)
        return Reply(told(workspace, key, table[key]), 200 if known else 201)
    if key not in table:
        raise Refusal(404, f"Not found: codes/{key}", "UserError")
    return told(workspace, key, table[key])


def kept(workspace: Workspace, name: str, wish: Record) -> Record:
    """The code with the snapshot of its files: that is what a run has, of either generation."""
    address = urlsplit(str(wish.get("codeUri") or ""))
    container, _, folder = unquote(address.path).lstrip("/").partition("/")
    if address.hostname != workspace.blobs.host or not container:
        raise Refusal(400, f"codeUri: {wish.get('codeUri')} is no place of the workspace's storage.", "UserError")
    prefix = f"{folder.rstrip('/')}/" if folder else ""
    files = {
        blob.name.removeprefix(prefix): {"container": container, "blob": blob.name, "size": blob.size}
        for blob in workspace.blobs.container(container).list_blobs(name_starts_with=prefix or None)
    }
    if not files and folder:  # one file
        files = {folder.rpartition("/")[2]: {"container": container, "blob": folder, "size": 0}}
    snapshot = workspace.state.new_id()
    workspace.state.tables.snapshots[snapshot] = {"files": files, "properties": {}, "createdTime": now()}
    return {"name": name, "properties": wish, "snapshot": snapshot, "createdTime": now()}


def told(workspace: Workspace, key: str, code: Record) -> Record:
    name, _, number = key.rpartition(":")
    plain: Record = {"description": None, "tags": {}, "isArchived": False, "provisioningState": "Succeeded"}
    return resource(workspace, f"codes/{name}/versions/{number}", plain | code["properties"], code["createdTime"])


def snapshot_of(workspace: Workspace, text: str) -> str:
    """The snapshot of the code that a job names."""
    name, number = reference(text, "codes")
    code = workspace.state.tables.codes.get(f"{name}:{number}")
    if code is None:
        raise Refusal(404, f"Not found: codes/{name}/versions/{number}", "UserError")
    return str(code["snapshot"])
