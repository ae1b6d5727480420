"""Models and the assets that hold their files."""

from __future__ import annotations

from typing import Any

from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, creator, now
from aml_rehearsal.workspace import Workspace

BASE = "/modelmanagement/v1.0{scope}"
# What a model may lack, and the client insists on where a model is told as a part of something else.
OPTIONAL = ("description", "mimeType", "framework", "frameworkVersion", "experimentName", "runId")


@api.route("GET POST", BASE + "/assets")
def assets(workspace: Workspace, request: Request) -> Any:
    table = workspace.state.tables.assets
    if request.method == "GET":
        run, name = request.query.get("runId"), request.query.get("name")
        found = [
            asset
            for asset in table.values()
            if (not run or asset.get("runid") == run or asset.get("runId") == run) and name in {None, asset["name"]}
        ]
        return {"value": found, "nextLink": None, "continuationToken": None}
    return new_asset(workspace, request.json)


def new_asset(workspace: Workspace, wish: Record) -> Record:
    """Keep artifacts that are there as the files of something."""
    asset = wish | {"id": workspace.state.new_id().replace("-", ""), "createdTime": now()}
    for artifact in asset.get("artifacts") or []:
        known = str(artifact.get("id") or artifact.get("prefix") or "").removeprefix("aml://artifact/")
        if known and not workspace.state.tables.artifacts.below(known):
            raise Refusal(404, f"Artifact {known} was not found", "ArtifactNotFound")
    workspace.state.tables.assets[asset["id"]] = asset
    return asset


@api.route("GET", BASE + "/assets/{asset}")
def asset(workspace: Workspace, request: Request) -> Any:
    try:
        return workspace.state.tables.assets[request.names["asset"]]
    except KeyError:
        raise Refusal(404, f"Asset {request.names['asset']} was not found", "AssetNotFound") from None


@api.route("GET POST", BASE + "/models")
def models(workspace: Workspace, request: Request) -> Any:
    table = workspace.state.tables.models
    if request.method == "POST":
        return new_version(workspace, request.json)
    found = [model for model in table.values() if matches(model, request.query)]
    newest = sorted(found, key=lambda model: (model["name"], -model["version"]))
    if request.query.get("latestVersionOnly", "").lower() == "true":
        newest = list({model["name"]: model for model in reversed(newest)}.values())
    count = int(request.query.get("count") or len(newest))
    return {"value": newest[:count], "nextLink": None, "continuationToken": None}


def new_version(workspace: Workspace, wish: Record) -> Record:
    """Register a model under the version that is asked for, or the next one."""
    table = workspace.state.tables.models
    same = [model for model in table.values() if model["name"] == wish["name"]]
    version = int(wish.get("version") or 1 + max((int(model["version"]) for model in same), default=0))
    key = f"{wish['name']}:{version}"
    if key in table:
        raise Refusal(409, f"Model {key} exists", "ModelExists")
    times = {"createdTime": now(), "modifiedTime": now(), "createdBy": creator("rehearsal")}
    table[key] = {"datasets": []} | wish | {"id": key, "version": version, **times}
    return table[key]


def remove(workspace: Workspace, key: str) -> Record:
    """Delete a model, unless it is served."""
    services = workspace.state.tables.services
    if used := [name for name, one in services.items() if key in one["environmentImageRequest"]["modelIds"]]:
        raise Refusal(409, f"Model {key} can't be deleted: the service {used[0]} serves it.", "ModelInUse")
    model = workspace.state.tables.models.pop(key)
    if not any(other["name"] == model["name"] for other in workspace.state.tables.models.values()):
        workspace.state.tables.registered_models.pop(model["name"], None)
    return model


def matches(model: Record, query: dict[str, str]) -> bool:
    """The filters of a listing."""
    if query.get("name") not in {None, model["name"]}:
        return False
    if query.get("runId") not in {None, model.get("runId")} or query.get("framework") not in {
        None,
        model.get("framework"),
    }:
        return False
    if "datasetId" in query and query["datasetId"] not in [entry.get("id") for entry in model.get("datasets") or []]:
        return False
    for key, table in (("tag", "kvTags"), ("tags", "kvTags"), ("properties", "properties")):
        for wanted in filter(None, query.get(key, "").split(",")):
            name, _, text = wanted.partition("=")
            held = model.get(table) or {}
            if name not in held or (text and held[name] != text):
                return False
    return True


def in_full(model: Record) -> Record:
    """A model with everything that it could have."""
    more: Record = {"unpack": False, "properties": {}, "datasets": [], "tags": model.get("kvTags") or {}}
    return dict.fromkeys(OPTIONAL) | more | {key: value for key, value in model.items() if value is not None}


@api.route("GET PATCH DELETE", BASE + "/models/{model}")
def model(workspace: Workspace, request: Request) -> Any:
    table, key = workspace.state.tables.models, request.names["model"]
    if key not in table:
        raise Refusal(404, f"Model {key} was not found", "ModelNotFound")
    if request.method == "DELETE":
        return remove(workspace, key)
    if request.method == "PATCH":
        for change in request.json:
            patch(table[key], change)
        table[key]["modifiedTime"] = now()
    return table[key]


def patch(record: Record, change: Record) -> None:
    """Apply one step of a JSON patch."""
    *parents, last = change["path"].strip("/").split("/")
    for name in parents:
        record = record.setdefault(name, {})
    if change["op"] == "remove":
        record.pop(last, None)
    else:
        record[last] = change["value"]
