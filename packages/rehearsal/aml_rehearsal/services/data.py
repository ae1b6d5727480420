"""Datastores and file datasets."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from aml_rehearsal.routing import Refusal, Request
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import API_HOST, Workspace, creator

STORES = "/datastore/v1.0{scope}"
DATASETS = "/dataset/v1.0{scope}"
# How a dataset's definition names a place in a datastore, in the two forms that clients write.
ADDRESS = re.compile(r"azureml://subscriptions/[^\s\"']+?/datastores/(?P<store>[^/\s]+)/paths/(?P<path>[^\"'\n]*)")
PAIR = re.compile(
    r"datastoreName[\"']?:\s*[\"']?(?P<store>[\w-]+).{0,80}?relativePath[\"']?:\s*[\"']?(?P<path>[^\"'\n,}]*)",
    re.DOTALL,
)


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
    return store | {"azureStorageSection": storage and storage | {"credential": None}}


@api.route("GET POST", STORES + "/datastores")
def datastores(workspace: Workspace, request: Request) -> Any:
    table = workspace.state.tables.datastores
    if request.method == "GET":
        return {"value": [without_key(store) for store in table.values()], "continuationToken": None}
    wish: Record = dict(request.json)
    if wish["name"] in table:
        raise Refusal(409, f"Datastore {wish['name']} exists", "DatastoreExists")
    storage = wish.get("azureStorageSection")
    if storage:
        storage["endpoint"] = storage.get("endpoint") or "core.windows.net"
        storage["protocol"] = storage.get("protocol") or "https"
    table[wish["name"]] = wish
    return shown(request, wish)


@api.route("GET", STORES + "/default")
def default_store(workspace: Workspace, request: Request) -> Any:
    return shown(request, workspace.state.tables.datastores[workspace.state.tables.default_datastore])


@api.route("PUT", STORES + "/default/{name}")
def set_default_store(workspace: Workspace, request: Request) -> Any:
    if request.names["name"] not in workspace.state.tables.datastores:
        raise Refusal(404, f"Datastore {request.names['name']} was not found")
    workspace.state.tables.default_datastore = request.names["name"]
    return {}


@api.route("GET PUT DELETE", STORES + "/datastores/{name}")
def datastore(workspace: Workspace, request: Request) -> Any:
    name, table = request.names["name"], workspace.state.tables.datastores
    if request.method == "PUT":
        table[name] = request.json
    if name not in table:
        raise Refusal(404, f"Datastore {name} was not found")
    return shown(request, table.pop(name) if request.method == "DELETE" else table[name])


def created(workspace: Workspace, name: str, store: str, path: str) -> Record:
    """Register the files below a path of a datastore as the next version, as the client's own register does."""
    names = workspace.names
    scope = f"{names.subscription_id}/resourcegroups/{names.resource_group}/workspaces/{names.workspace_name}"
    address = f"azureml://subscriptions/{scope}/datastores/{store}/paths/{path.strip('/')}/**"
    steps = f'---\ntype: mltable\npaths:\n  - pattern: "{address}"\nmetadata:\n  infer_column_types: "False"\n'
    dataflow = json.dumps({"blocks": [], "meta": {"RsDataflow": steps}})
    return add_version(workspace, {"name": name, "latest": {"dataflow": dataflow}})


def add_version(workspace: Workspace, wish: Record) -> Record:
    versions = workspace.state.tables.datasets.setdefault(wish["name"], [])
    number = str(len(versions) + 1)
    dataset_id = versions[0]["datasetId"] if versions else workspace.state.new_id()
    definition = dict(wish.get("latest") or {})
    definition |= {
        "versionId": number,
        "datasetId": dataset_id,
        "savedDatasetId": definition.get("savedDatasetId") or workspace.state.new_id(),
        "createdTime": now(),
        "modifiedTime": now(),
        "createdBy": creator("rehearsal"),
        "datasetDefinitionState": {"state": "active"},
    }
    versions.append(
        {
            "description": None,
            "tags": {},
            "datasetType": "file",
            **{key: value for key, value in wish.items() if value is not None},
            "datasetId": dataset_id,
            "latest": definition,
            "nextVersionId": str(len(versions) + 2),
            "createdTime": now(),
            "modifiedTime": now(),
            "etag": "0",
            "isVisible": True,
            "datasetState": {"state": "active"},
        }
    )
    return versions[-1]


@api.route("GET POST", DATASETS + "/datasets")
def datasets(workspace: Workspace, request: Request) -> Any:
    table = workspace.state.tables.datasets
    if request.method == "GET":
        return {"value": [versions[-1] for versions in table.values()], "continuationToken": None}
    wish = request.json
    known = table.get(wish["name"])
    if known and request.query.get("updateDefinitionIfExists", "").lower() != "true":
        if request.query.get("ifExistsOk", "").lower() == "true":
            return known[-1]
        raise Refusal(409, f"Dataset {wish['name']} exists", "DatasetExists")
    return add_version(workspace, wish)


def find(workspace: Workspace, *, name: str = "", version: str = "", saved: str = "") -> Record:
    """A version of a dataset, by name or by the id of what it holds."""
    for versions in workspace.state.tables.datasets.values():
        for dataset in reversed(versions):
            latest = dataset["latest"]
            by_id = saved and saved in {latest["savedDatasetId"], dataset["datasetId"]}
            if by_id or (name and dataset["name"] == name and version in {"", "latest", latest["versionId"]}):
                return dataset
    asked = f"{name} version {version}" if name and version else name or saved
    raise Refusal(404, f"Dataset {asked} was not found", "DatasetNotFound")


@api.route("GET", DATASETS + "/datasets/query/name={name}")
def dataset_by_name(workspace: Workspace, request: Request) -> Any:
    return find(workspace, name=request.names["name"], version=request.query.get("versionId", ""))


@api.route("GET", DATASETS + "/datasets/query/savedDatasetId={saved}")
def dataset_by_saved_id(workspace: Workspace, request: Request) -> Any:
    dataset = find(workspace, saved=request.names["saved"])
    return {"value": [dataset], "continuationToken": None}


@api.route("GET", DATASETS + "/datasets/{saved}")
def dataset_by_id(workspace: Workspace, request: Request) -> Any:
    return find(workspace, saved=request.names["saved"])


@api.route("GET", DATASETS + "/saveddatasets/{saved}")
def saved_dataset(workspace: Workspace, request: Request) -> Any:
    dataset = find(workspace, saved=request.names["saved"])
    return dataset["latest"] | {"id": request.names["saved"], "datasetType": dataset["datasetType"]}


@api.route("POST", DATASETS + "/saveddatasets{rest:rest}")
def save_dataset(workspace: Workspace, request: Request) -> Any:
    return dict(request.json) | {"id": workspace.state.new_id()}


@api.route("GET", "/data/v1.0{scope}/dataversion/unregistered-{saved}/versions/{version}")
def data_version(workspace: Workspace, request: Request) -> Any:
    dataset = find(workspace, saved=request.names["saved"])
    dataflow = dataset["latest"]["dataflow"]
    steps = json.loads(dataflow).get("meta", {}).get("RsDataflow", "")
    return {
        "dataVersion": {"dataUri": f"azureml://{API_HOST}", "mutable": False, "dataType": "UriFolder"},
        "legacyDataset": {},
        "legacyDatasetType": "File",
        "legacyRslexYaml": steps,
        "rslexYaml": steps,
        "legacyDataflow": dataflow,
    }


def files(workspace: Workspace, dataset: Record) -> list[tuple[str, str, str]]:
    """The files of a dataset: container, blob, and the name below the folder that a run sees."""
    text = dataset["latest"].get("dataflow") or ""
    steps = json.loads(text).get("meta", {}).get("RsDataflow", text) if text else ""
    found: list[tuple[str, str, str]] = []
    for match in list(ADDRESS.finditer(steps)) or list(PAIR.finditer(text)):
        store = workspace.state.tables.datastores.get(match["store"])
        if store is None:
            raise Refusal(404, f"Datastore {match['store']} was not found")
        container = store["azureStorageSection"]["containerName"]
        prefix = re.sub(r"/?\*.*", "", unquote(match["path"])).strip("/")
        for blob in workspace.blobs.names(container, prefix):
            inside = blob[len(prefix) :]
            if prefix and inside and not inside.startswith("/"):
                continue  # another folder whose name begins alike
            found.append((container, blob, inside.strip("/") or blob.rpartition("/")[2]))
    if not found:
        raise Refusal(400, f"Dataset {dataset['name']} version {dataset['latest']['versionId']} holds no file.")
    return found
