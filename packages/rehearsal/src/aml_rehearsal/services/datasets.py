"""Datasets of files and tables: those that have a name and versions, and those that are only used."""

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
    return add_version(workspace, {"name": name, "latest": {"dataflow": dataflow(workspace, store, path)}})


def dataflow(workspace: Workspace, store: str, path: str, transformations: list[Any] | None = None) -> str:
    """What a dataset holds, as the client writes it: the files below a path, and how they are read as a table."""
    names = workspace.names
    scope = f"{names.subscription_id}/resourcegroups/{names.resource_group}/workspaces/{names.workspace_name}"
    address = f"azureml://subscriptions/{scope}/datastores/{store}/paths/{path.strip('/')}/**"
    steps = f'---\ntype: mltable\npaths:\n  - pattern: "{address}"\n'
    if transformations:
        steps += "transformations:\n" + "".join(f"  - {json.dumps(step)}\n" for step in transformations)
    steps += 'metadata:\n  infer_column_types: "False"\n'
    return json.dumps({"blocks": [], "meta": {"RsDataflow": steps}})


def identifier(dataset: Record) -> Record:
    """How a run remembers a dataset."""
    latest = dataset["latest"]
    known = {"savedId": latest["savedDatasetId"], "registeredId": dataset["datasetId"]}
    return known | {"registeredVersion": latest["versionId"]}


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
    saved = (wish.get("latest") or {}).get("savedDatasetId")
    if same := registered(workspace, saved=saved) if saved else None:
        place = f"{same['name']}:{same['latest']['versionId']}"
        raise Refusal(400, f"Dataset {saved} has been registered as {place} (name:version).")
    return add_version(workspace, wish)


def registered(workspace: Workspace, *, name: str = "", version: str = "", saved: str = "") -> Record | None:
    """A version of a dataset that has a name: by that, or by the id of what it holds."""
    for versions in workspace.state.tables.datasets.values():
        for dataset in reversed(versions):
            latest = dataset["latest"]
            by_id = saved and saved in {latest["savedDatasetId"], dataset["datasetId"]}
            if by_id or (name and dataset["name"] == name and version in {"", "latest", latest["versionId"]}):
                return dataset
    return None


def find(workspace: Workspace, *, name: str = "", version: str = "", saved: str = "") -> Record:
    """A version of a dataset by name, or any dataset by the id of what it holds."""
    dataset = registered(workspace, name=name, version=version, saved=saved)
    dataset = dataset or workspace.state.tables.saved_datasets.get(saved)
    if dataset is None:
        asked = f"{name} version {version}" if name and version else name or saved
        raise Refusal(404, f"Dataset {asked} was not found", "DatasetNotFound")
    return dataset


def save(workspace: Workspace, kind: str, dataflow: str, properties: Record | None = None) -> Record:
    """Keep a dataset under an id only; what is kept already has one."""
    kept = workspace.state.tables.saved_datasets
    for dataset in kept.values():
        if (dataset["datasetType"], dataset["latest"]["dataflow"]) == (kind, dataflow):
            return dataset
    saved = workspace.state.new_id()
    latest = {"savedDatasetId": saved, "versionId": None, "dataflow": dataflow, "properties": properties or {}}
    kept[saved] = {"name": None, "datasetId": None, "datasetType": kind, "latest": latest, "createdTime": now()}
    return kept[saved]


@api.route("GET", BASE + "/datasets/query/name={name}")
def dataset_by_name(workspace: Workspace, request: Request) -> Any:
    return find(workspace, name=request.names["name"], version=request.query.get("versionId", ""))


@api.route("GET", BASE + "/datasets/query/savedDatasetId={saved}")
def dataset_by_saved_id(workspace: Workspace, request: Request) -> Any:
    dataset = registered(workspace, saved=request.names["saved"])
    return {"value": [dataset] if dataset else [], "continuationToken": None}


@api.route("GET PUT", BASE + "/datasets/{saved}")
def dataset_by_id(workspace: Workspace, request: Request) -> Any:
    dataset = registered(workspace, saved=request.names["saved"])
    if dataset is None:
        raise Refusal(404, f"Dataset {request.names['saved']} was not found", "DatasetNotFound")
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
    return saved_form(find(workspace, saved=request.names["saved"]))


@api.route("POST", BASE + "/saveddatasets")
def save_dataset(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    return saved_form(save(workspace, wish["datasetType"], wish["dataflowJson"], wish.get("properties")))


def saved_form(dataset: Record) -> Record:
    """What a dataset holds, as those are told who know its id."""
    latest = dataset["latest"]
    known = {"id": latest["savedDatasetId"], "datasetType": dataset["datasetType"], "dataChanged": False}
    return known | {"dataflowJson": latest["dataflow"], "properties": latest.get("properties") or {}}


@api.route("GET", "/data/v1.0{scope}/dataversion/unregistered-{saved}/versions/{version}")
def data_version(workspace: Workspace, request: Request) -> Any:
    dataset = find(workspace, saved=request.names["saved"])
    dataflow, tabular = dataset["latest"]["dataflow"], dataset["datasetType"] == "tabular"
    steps = json.loads(dataflow).get("meta", {}).get("RsDataflow", "")
    kind = "MLTable" if tabular else "UriFolder"
    return {
        "dataVersion": {"dataUri": f"azureml://{API_HOST}", "mutable": False, "dataType": kind},
        "legacyDataset": {},
        "legacyDatasetType": "Tabular" if tabular else "File",
        "legacyRslexYaml": steps,
        "rslexYaml": steps,
        "legacyDataflow": dataflow,
    }
