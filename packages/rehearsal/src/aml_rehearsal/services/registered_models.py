"""MLflow's registry of models: the versions are the models of the workspace, under the same numbers."""

from __future__ import annotations

import re
from typing import Any

from aml_rehearsal import mlflow_search
from aml_rehearsal.addresses import API_HOST
from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.mlflow_search import Clause, Name, wrong
from aml_rehearsal.services import models
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.mlflow import BASE, VERSION, in_azure, milliseconds, run_of, wished
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

STAGES = ("None", "Staging", "Production", "Archived")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
OF_RUN = re.compile(r"(?:runs:/(?P<a>[^/]+)/|azureml://.*/runs/(?P<b>[^/]+)/artifacts/?)(?P<path>.*)")
OF_MODEL = re.compile(r"models:/(?P<name>[^/]+)/(?P<version>\d+)")
UPLOADED = "azureml://artifacts/"
PROMPT = Name("tag", "mlflow.prompt.is_prompt")  # the client adds it to each search of models


def versions_of(workspace: Workspace, name: str) -> list[Record]:
    """All versions of a model, the newest first."""
    found = [model for model in workspace.state.tables.models.values() if model["name"] == name]
    return sorted(found, key=lambda model: -int(model["version"]))


def container(workspace: Workspace, name: str) -> Record:
    """What is known of a name that has, or is to have, versions."""
    table, versions = workspace.state.tables.registered_models, versions_of(workspace, name)
    if name not in table and not versions:
        raise Refusal(404, f"Registered Model with name={name} not found", "RESOURCE_DOES_NOT_EXIST")
    if name not in table:
        table[name] = {"name": name, "description": None, "tags": {}, "createdTime": versions[-1]["createdTime"]}
    return table[name]


def version_of(workspace: Workspace, name: Any, version: Any) -> Record:
    model = workspace.state.tables.models.get(f"{name}:{version}")
    if model is None:
        said = f"Model Version (name={name}, version={version}) not found"
        raise Refusal(404, said, "RESOURCE_DOES_NOT_EXIST")
    return model


def files_of(workspace: Workspace, model: Record) -> str:
    """The artifacts that are a version's files, by the beginning of their names."""
    asset = workspace.state.tables.assets.get(str(model.get("url") or "").removeprefix("aml://asset/")) or {}
    for artifact in asset.get("artifacts") or []:
        return str(artifact.get("prefix") or artifact.get("id")).removeprefix("aml://artifact/").rstrip("/")
    return ""


def source_of(workspace: Workspace, model: Record) -> str:
    """Where MLflow finds a version's files."""
    files = files_of(workspace, model)
    origin, _, rest = files.partition("/")
    place, _, path = rest.partition("/")
    run = workspace.state.tables.runs.get(place.removeprefix("dcid."))
    if origin == "ExperimentRun" and run:
        host = f"azureml://{API_HOST}{VERSION}".replace("{scope}", workspace.names.scope)
        return f"{host}/experiments/{run['experimentId']}/runs/{run['runId']}/artifacts/{path}"
    return UPLOADED + files if files else str(model.get("url") or "")


def version_json(workspace: Workspace, model: Record) -> Record:
    return {
        "name": model["name"],
        "version": str(model["version"]),
        "creation_timestamp": milliseconds(model["createdTime"]),
        "last_updated_timestamp": milliseconds(model["modifiedTime"]),
        "user_id": model["createdBy"]["userName"],
        "current_stage": model.get("stage") or STAGES[0],
        "description": model.get("description") or "",
        "source": source_of(workspace, model),
        "run_id": model.get("runId") or "",
        "status": "READY",
        "tags": [{"key": key, "value": str(text)} for key, text in (model.get("kvTags") or {}).items()],
    }


def newest_by_stage(workspace: Workspace, name: str, stages: list[str]) -> list[Record]:
    found: dict[str, Record] = {}
    for model in versions_of(workspace, name):
        stage = model.get("stage") or STAGES[0]
        if not stages or stage in stages:
            found.setdefault(stage, model)
    return [version_json(workspace, model) for model in found.values()]


def registered_json(workspace: Workspace, name: str) -> Record:
    known, versions = container(workspace, name), versions_of(workspace, name)
    changed = max([known["createdTime"], *(model["modifiedTime"] for model in versions)])
    return {
        "name": name,
        "creation_timestamp": milliseconds(known["createdTime"]),
        "last_updated_timestamp": milliseconds(changed),
        "description": known["description"] or "",
        "latest_versions": newest_by_stage(workspace, name, []),
        "tags": [{"key": key, "value": text} for key, text in known["tags"].items()],
    }


@api.route("POST", BASE + "/registered-models/create")
def create_registered(workspace: Workspace, request: Request) -> Any:
    wish, name = request.json, wished(request.json, "name")
    if not NAME.fullmatch(name):
        raise wrong(
            f"The model name '{name}' must begin with a letter or digit, and have only those, '-', '.' and '_'."
        )
    if name in workspace.state.tables.registered_models or versions_of(workspace, name):
        raise Refusal(400, f"Registered Model (name={name}) already exists.", "RESOURCE_ALREADY_EXISTS")
    tags = {tag["key"]: tag["value"] for tag in wish.get("tags", [])}
    workspace.state.tables.registered_models[name] = {
        "name": name,
        "description": wish.get("description"),
        "tags": tags,
        "createdTime": now(),
    }
    return {"registered_model": registered_json(workspace, name)}


@api.route("GET", BASE + "/registered-models/get")
def get_registered(workspace: Workspace, request: Request) -> Any:
    return {"registered_model": registered_json(workspace, request.query.get("name", ""))}


@api.route("PATCH", BASE + "/registered-models/update")
def update_registered(workspace: Workspace, request: Request) -> Any:
    known = container(workspace, request.json.get("name", ""))
    known["description"] = request.json.get("description")
    return {"registered_model": registered_json(workspace, known["name"])}


@api.route("POST DELETE", BASE + "/registered-models/rename", BASE + "/registered-models/delete")
def change_registered(workspace: Workspace, request: Request) -> Any:
    container(workspace, request.json.get("name", ""))
    what = "Renaming" if request.path.endswith("/rename") else "Deleting"
    raise wrong(f"{what} a registered model is not supported by Azure Machine Learning: its versions can be deleted.")


@api.route("POST DELETE", BASE + "/registered-models/set-tag", BASE + "/registered-models/delete-tag")
def tag_registered(workspace: Workspace, request: Request) -> Any:
    known = container(workspace, request.json.get("name", ""))
    known["tags"] = tagged(known["tags"], request)
    return {}


def tagged(tags: Record, request: Request) -> Record:
    """The tags with one set, or without one."""
    key = wished(request.json, "key")
    if request.path.endswith("/set-tag"):
        return tags | {key: str(request.json.get("value", ""))}
    return {name: text for name, text in tags.items() if name != key}


@api.route("GET", BASE + "/registered-models/search", BASE + "/registered-models/list")
def search_registered(workspace: Workspace, request: Request) -> Any:
    names = {model["name"] for model in workspace.state.tables.models.values()}
    found = [registered_json(workspace, name) for name in sorted({*names, *workspace.state.tables.registered_models})]
    return searched("registered_models", found, request)


@api.route("GET", BASE + "/model-versions/search")
def search_versions(workspace: Workspace, request: Request) -> Any:
    found = [version_json(workspace, model) for model in workspace.state.tables.models.values()]
    found.sort(key=lambda each: (each["name"], -int(each["version"])))
    return searched("model_versions", found, request)


def searched(kind: str, found: list[Record], request: Request) -> Record:
    wanted = mlflow_search.clauses(request.query.get("filter"))
    for clause in wanted:
        if clause.name.kind == "tag" and clause.name != PROMPT:
            in_azure(request, "Searching models by tag")
        if clause.comparator in {"LIKE", "ILIKE"}:
            in_azure(request, f"Searching models by {clause.comparator}")
    order = mlflow_search.orders(request.every("order_by"))
    found = [each for each in found if all(holds(clause, each) for clause in wanted)]
    found = mlflow_search.ordered(found, order, told)
    found, following = mlflow_search.page(found, request.query.get("max_results"), request.query.get("page_token"))
    return {kind: found, "next_page_token": following}


def holds(clause: Clause, found: Record) -> bool:
    """Of models, what lacks a tag has another one."""
    held = told(found, clause.name)
    return clause.comparator == "!=" if held is None and clause.name.kind == "tag" else clause.holds(held)


def told(found: Record, name: Name) -> Any:
    """What a search of models compares."""
    if name.kind == "tag":
        return {tag["key"]: tag["value"] for tag in found["tags"]}.get(name.key)
    key = {"source_path": "source", "version_number": "version", "timestamp": "last_updated_timestamp"}.get(
        name.key, name.key
    )
    if name.kind != "attribute" or key not in found:
        raise wrong(f"Invalid attribute key '{name.key}' specified.")
    return int(found[key]) if key == "version" else found[key]


@api.route("GET POST", BASE + "/registered-models/get-latest-versions")
def latest_versions(workspace: Workspace, request: Request) -> Any:
    sent = request.query if request.method == "GET" else request.json
    stages = request.every("stages") if request.method == "GET" else sent.get("stages") or []
    known = container(workspace, str(sent.get("name") or ""))
    return {"model_versions": newest_by_stage(workspace, known["name"], [known_stage(stage) for stage in stages])}


def known_stage(stage: str) -> str:
    if stage not in STAGES:
        raise wrong(f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.")
    return stage


@api.route("POST", BASE + "/model-versions/create")
def create_version(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    known, source = container(workspace, wished(wish, "name")), wished(wish, "source")
    copied = OF_MODEL.fullmatch(source)
    run_id = wish.get("run_id") or None
    if run_id:
        run_of(workspace, run_id)
    if copied:
        url = version_of(workspace, copied["name"], copied["version"])["url"]
    else:
        url, run_id = kept(workspace, known["name"], source, run_id)
    model = models.new_version(
        workspace,
        {
            "name": known["name"],
            "url": url,
            "mimeType": "application/x-python",
            "framework": "Custom",
            "description": wish.get("description"),
            "kvTags": {tag["key"]: tag["value"] for tag in wish.get("tags", [])},
            "properties": {},
            "runId": run_id,
            "unpack": False,
        },
    )
    return {"model_version": version_json(workspace, model)}


def kept(workspace: Workspace, name: str, source: str, run_id: str | None) -> tuple[str, str | None]:
    """Keep files, of a run or uploaded, as those of a model; return their address and the run that they are of."""
    of_run = OF_RUN.fullmatch(source)
    if of_run:
        run = run_of(workspace, of_run["a"] or of_run["b"])
        run_id = run["runId"]
        prefix = f"ExperimentRun/{run['dataContainerId']}/{of_run['path']}".rstrip("/")
    elif source.startswith(UPLOADED):
        prefix = source.removeprefix(UPLOADED).rstrip("/")
    else:
        prefix = source
    if f"{prefix}/MLmodel" not in workspace.state.tables.artifacts:
        said = "is no folder of artifacts with an MLmodel. Registering other than MLflow's models"
        raise wrong(f"Invalid model version source: '{source}' {said} is not supported by Azure Machine Learning.")
    asset = models.new_asset(workspace, {"name": name, "artifacts": [{"prefix": prefix}], "runid": run_id})
    return f"aml://asset/{asset['id']}", run_id


def asked_version(workspace: Workspace, request: Request) -> Record:
    sent = request.query if request.method == "GET" else request.json
    return version_of(workspace, sent.get("name"), sent.get("version"))


@api.route("GET", BASE + "/model-versions/get")
def get_version(workspace: Workspace, request: Request) -> Any:
    return {"model_version": version_json(workspace, asked_version(workspace, request))}


@api.route("GET", BASE + "/model-versions/get-download-uri")
def download_uri(workspace: Workspace, request: Request) -> Any:
    return {"artifact_uri": source_of(workspace, asked_version(workspace, request))}


@api.route("PATCH", BASE + "/model-versions/update")
def update_version(workspace: Workspace, request: Request) -> Any:
    model = asked_version(workspace, request)
    model |= {"description": request.json.get("description"), "modifiedTime": now()}
    return {"model_version": version_json(workspace, model)}


@api.route("POST", BASE + "/model-versions/transition-stage")
def transition(workspace: Workspace, request: Request) -> Any:
    model, stage = asked_version(workspace, request), known_stage(wished(request.json, "stage"))
    if request.json.get("archive_existing_versions"):
        for other in versions_of(workspace, model["name"]):
            if other.get("stage") == stage and other is not model:
                other |= {"stage": "Archived", "modifiedTime": now()}
    model |= {"stage": stage, "modifiedTime": now()}
    return {"model_version": version_json(workspace, model)}


@api.route("DELETE", BASE + "/model-versions/delete")
def delete_version(workspace: Workspace, request: Request) -> Any:
    models.remove(workspace, asked_version(workspace, request)["id"])
    return {}


@api.route("POST DELETE", BASE + "/model-versions/set-tag", BASE + "/model-versions/delete-tag")
def tag_version(workspace: Workspace, request: Request) -> Any:
    model = asked_version(workspace, request)
    model["kvTags"] = tagged(model.get("kvTags") or {}, request)
    return {}
