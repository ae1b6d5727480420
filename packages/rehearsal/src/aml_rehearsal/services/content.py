"""Snapshots: the model's folder as it was when a run was submitted."""

from __future__ import annotations

import io
import uuid
import zipfile
from typing import Any
from urllib.parse import unquote, urlsplit

from aml_rehearsal.azurite import ARTIFACTS
from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

NONE = str(uuid.UUID(int=0))
MOST_BYTES = 300 << 20
MOST_FILES = 2000


@api.route("GET", "/content/v1.0{scope}/snapshots/latest/metadata")
def latest(workspace: Workspace, request: Request) -> Any:
    """The client knows its own last snapshot; where it does not, it sends everything."""
    return {"root": {}, "id": NONE}


@api.route("POST", "/content/v2.0{scope}/snapshots/getblob")
def places(workspace: Workspace, request: Request) -> Any:
    """Say where each file is to be put."""
    names = request.json["FileNames"]
    check_number(names)
    nodes = []
    for name in names:
        checked(name)
        place = f"snapshots/{workspace.state.new_id()}/{name}"
        nodes.append({"fullName": name, "blobUri": workspace.blob_uri(ARTIFACTS, place, "racw")})
    return {"fileNodes": nodes}


@api.route("POST", "/content/v2.0{scope}/snapshots/{snapshot}")
def create(workspace: Workspace, request: Request) -> Any:
    """Keep which files a snapshot has: those sent now, the others as in its parent."""
    wish, snapshots = request.json, workspace.state.tables.snapshots
    if request.names["snapshot"] in snapshots:
        raise Refusal(409, f"Snapshot {request.names['snapshot']} exists", "SnapshotExists")
    parent = wish.get("ParentSnapshotId")
    if parent in {None, "", NONE}:
        files: dict[str, Record] = {}
    elif parent in snapshots:
        files = dict(snapshots[parent]["files"])
    else:
        raise Refusal(404, f"Snapshot {parent} was not found")
    sent = wish["FileRevisionList"]["FileNodes"]
    check_number(sent)
    for node in sent:
        blob = unquote(urlsplit(node["BlobUri"]).path).partition(f"/{ARTIFACTS}/")[2]
        files[checked(node["FullName"])] = {"blob": blob, "size": node["FileSize"]}
    alive = set(leaves(wish["DirTreeNode"]))
    missing = alive - set(files)
    if missing:
        raise Refusal(400, f"The snapshot lacks {min(missing)}")
    files = {name: file for name, file in files.items() if name in alive}
    if sum(file["size"] for file in files.values()) > MOST_BYTES:
        raise Refusal(400, f"A snapshot has at most {MOST_BYTES >> 20} MB.", "SnapshotTooLarge")
    snapshots[request.names["snapshot"]] = {
        "files": files,
        "properties": wish.get("Properties") or {},
        "createdTime": now(),
    }
    return {"id": request.names["snapshot"]}


@api.route("POST", "/content/v2.0{scope}/snapshots/{snapshot}/zip")
def packed(workspace: Workspace, request: Request) -> Any:
    """A snapshot's files in one."""
    name = request.names["snapshot"]
    if name not in workspace.state.tables.snapshots:
        raise Refusal(404, f"Snapshot {name} was not found")
    together = io.BytesIO()
    with zipfile.ZipFile(together, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, file in workspace.state.tables.snapshots[name]["files"].items():
            archive.writestr(path, workspace.blobs.read(file.get("container", ARTIFACTS), file["blob"]))
    key = f"snapshots/{name}.zip"
    workspace.blobs.write(ARTIFACTS, key, together.getvalue())
    return {"zipSasUri": workspace.blob_uri(ARTIFACTS, key, "r")}


def check_number(files: list[Any]) -> None:
    if len(files) > MOST_FILES:
        raise Refusal(400, f"A snapshot has at most {MOST_FILES} files, not {len(files)}.", "SnapshotTooLarge")


def leaves(node: Record, prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, child in (node.get("children") or {}).items():
        found += [prefix + name] if child["type"] == "File" else leaves(child, f"{prefix}{name}/")
    return found


def checked(name: str) -> str:
    """A name that stays inside the folder."""
    if name.startswith("/") or ".." in name.split("/"):
        raise Refusal(400, f"A path leads out of the snapshot: {name}")
    return name
