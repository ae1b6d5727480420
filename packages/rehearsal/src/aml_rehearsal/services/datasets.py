"""File datasets and their versions."""

from __future__ import annotations

import json
import re
from typing import Any

from aml_rehearsal.addresses import API_HOST
from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, creator, now
from aml_rehearsal.workspace import Workspace

BASE = "/dataset/v1.0{scope}"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,254}")


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


@api.route("GET POST", BASE + "/datasets")
def datasets(workspace: Workspace, request: Request) -> Any:
    table = workspace.state.tables.datasets
    if request.method == "GET":
        return {"value": [versions[-1] for versions in table.values()], "continuationToken": None}
    wish = request.json
    if not NAME.fullmatch(str(wish.get("name") or "")):
        message = "A dataset name has letters, digits, and among them space, dot, hyphen and underscore, at most 255"
        raise Refusal(400, f"{message}, not '{wish.get('name')}'.")
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


@api.route("GET", BASE + "/datasets/query/name={name}")
def dataset_by_name(workspace: Workspace, request: Request) -> Any:
    return find(workspace, name=request.names["name"], version=request.query.get("versionId", ""))


@api.route("GET", BASE + "/datasets/query/savedDatasetId={saved}")
def dataset_by_saved_id(workspace: Workspace, request: Request) -> Any:
    dataset = find(workspace, saved=request.names["saved"])
    return {"value": [dataset], "continuationToken": None}


@api.route("GET PUT", BASE + "/datasets/{saved}")
def dataset_by_id(workspace: Workspace, request: Request) -> Any:
    dataset = find(workspace, saved=request.names["saved"])
    if request.method == "PUT":
        return update(workspace, dataset["name"], request.json)
    return dataset


def update(workspace: Workspace, name: str, wish: Record) -> Record:
    """Change a version's words: what it holds stays."""
    dataset = find(workspace, name=name, version=str((wish.get("latest") or {}).get("versionId") or ""))
    dataset |= {key: wish[key] for key in ("description", "tags") if wish.get(key) is not None}
    dataset["modifiedTime"] = now()
    return dataset


@api.route("DELETE", BASE + "/datasets/{name}")
def unregister(workspace: Workspace, request: Request) -> Any:
    find(workspace, name=request.names["name"])
    del workspace.state.tables.datasets[request.names["name"]]
    return {}


@api.route("GET", BASE + "/saveddatasets/{saved}")
def saved_dataset(workspace: Workspace, request: Request) -> Any:
    dataset = find(workspace, saved=request.names["saved"])
    return dataset["latest"] | {"id": request.names["saved"], "datasetType": dataset["datasetType"]}


@api.route("POST", BASE + "/saveddatasets{rest:rest}")
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


@api.route("GET", "/data/v1.0{scope}/dataversion/{name}/versions/{version}")
def asset_of_the_second_generation(workspace: Workspace, request: Request) -> Any:
    """Where the client looks next for a dataset that is not there."""
    raise Refusal(404, f"{request.names['name']}: the rehearsal has no data assets.", "NotFound")
