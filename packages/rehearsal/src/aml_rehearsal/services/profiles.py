"""Profiles of tables: the client computes one in a run of its own, here is kept which run and where."""

from __future__ import annotations

import hashlib
from typing import Any

from aml_rehearsal import dataset_files
from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services import datasets, datastores
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

ACTIONS = "/dataset/v1.0{scope}/datasets/{dataset}/actions"


@api.route("POST", "/dataset/v1.0{scope}/saveddatasets/{saved}/profilewithpreview")
def begin(workspace: Workspace, request: Request) -> Any:
    saved, target = request.names["saved"], request.query.get("computeTarget")
    datasets.find(workspace, saved=saved)
    if target != "local":
        message = f"The rehearsal makes profiles of tables on the caller's computer: 'local', not {target}."
        raise Refusal(501, message, "NotImplemented")
    action: Record = {
        "actionId": workspace.state.new_id(),
        "actionType": "profile",
        "datasetId": saved,
        "computeTarget": target,
        "arguments": {"generate_preview": "True", "row_count": "1000"},
        "resultArtifactIds": [],
        "experimentName": request.query.get("experimentName"),
        "runId": request.query.get("runId"),
        "datastoreName": request.query.get("datastoreName"),
        "createdTime": now(),
        "status": "Running",
        "stamp": stamp(workspace, saved),
    }
    workspace.state.tables.profiles[action["actionId"]] = action
    return told(action)


@api.route("GET", ACTIONS + "/{action}")
def look(workspace: Workspace, request: Request) -> Any:
    return told(find(workspace, request.names["action"]))


@api.route("PUT", ACTIONS + "/{action}/result")
def end(workspace: Workspace, request: Request) -> Any:
    action = find(workspace, request.names["action"])
    action |= {"resultArtifactIds": request.json.get("resultArtifactIds") or [], "status": "Completed"}
    return told(action)


@api.route("POST", ACTIONS + "/result")
def last_result(workspace: Workspace, request: Request) -> Any:
    """The last profile that was made of a table, and whether the table has changed since."""
    made = [action for action in of_dataset(workspace, request) if action["resultArtifactIds"]]
    if not made:
        return {"resultArtifactIds": [], "isUpToDate": None, "isUpToDateError": "There is no profile of this dataset."}
    last, today = made[-1], stamp(workspace, made[-1]["datasetId"])
    unknown = None if today else "Whether the data has changed is known of blob storage only."
    words = {key: last[key] for key in ("resultArtifactIds", "experimentName", "runId", "datastoreName")}
    return words | {"isUpToDate": today == last["stamp"] if today else None, "isUpToDateError": unknown}


@api.route("POST", ACTIONS + "/listactionsfromrequest")
def listed(workspace: Workspace, request: Request) -> Any:
    return {"value": [told(action) for action in of_dataset(workspace, request)], "continuationToken": None}


def find(workspace: Workspace, action: str) -> Record:
    found = workspace.state.tables.profiles.get(action)
    if found is None:
        raise Refusal(404, f"Action {action} was not found.", "ActionNotFound")
    return found


def of_dataset(workspace: Workspace, request: Request) -> list[Record]:
    saved = request.json.get("savedDatasetId")
    return [action for action in workspace.state.tables.profiles.values() if action["datasetId"] == saved]


def told(action: Record) -> Record:
    return {key: text for key, text in action.items() if key != "stamp"}


def stamp(workspace: Workspace, saved: str) -> str:
    """What is another text once a table's files are others; nothing where they lie elsewhere than in blob storage."""
    seen = []
    try:
        for store, path in dataset_files.places(datasets.find(workspace, saved=saved)):
            place = dataset_files.Place(workspace, datastores.find(workspace, store))
            fits = dataset_files.matcher(path)
            blobs = place.listed(path.partition("*")[0].rstrip("/"))
            seen += [f"{store} {blob.name} {blob.etag}" for blob in blobs if fits.fullmatch(blob.name)]
    except Refusal:
        return ""
    return hashlib.sha256("\n".join(seen).encode()).hexdigest() if seen else ""
