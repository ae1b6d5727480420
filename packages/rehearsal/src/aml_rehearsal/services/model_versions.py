"""Models as the second generation has them: those of the one registry, by where their files lie."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import data_assets, datastores, models
from aml_rehearsal.services.registered_models import container, files_of, versions_of
from aml_rehearsal.services.versioned_assets import Kind, add_routes
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
TYPES = ("custom_model", "mlflow_model", "triton_model")


def names(workspace: Workspace) -> Iterable[str]:
    return list(dict.fromkeys(model["name"] for model in workspace.state.tables.models.values()))


def versions(workspace: Workspace, name: str) -> list[Record]:
    return [
        {"version": str(model["version"]), "createdTime": model["createdTime"], "properties": shown(workspace, model)}
        for model in reversed(versions_of(workspace, name))
    ]


def shown(workspace: Workspace, model: Record) -> Record:
    """What a model is in the words of the second generation."""
    known = model.get("asset") or {}  # what only it has said
    kind = "mlflow_model" if str(model.get("mimeType")) == "mlflow" or model.get("framework") == "MLflow" else TYPES[0]
    return {
        "modelUri": known.get("modelUri")
        or data_assets.address(workspace, datastores.ARTIFACT_STORE, files_of(workspace, model)),
        "modelType": known.get("modelType") or kind,
        "flavors": known.get("flavors") or {},
        "jobName": known.get("jobName") or model.get("runId"),
        "description": model.get("description"),
        "tags": model.get("kvTags") or {},
        "properties": model.get("properties") or {},
        "stage": model.get("stage"),
    }


def keep(workspace: Workspace, name: str, version: str, wish: Record) -> None:
    """Register a model, or change what is said of one."""
    if not NAME.fullmatch(name):
        raise Refusal(400, f"'{name}' is no name for a model.", "UserError")
    if not version.isdigit():
        raise Refusal(400, f"The version of a model is a whole number here, not '{version}'.", "UserError")
    table, key = workspace.state.tables.models, f"{name}:{int(version)}"
    if key in table:
        uri = data_assets.in_full(workspace, str(wish.get("modelUri") or ""))
        if wish.get("modelUri") and uri != shown(workspace, table[key])["modelUri"]:
            raise Refusal(400, "Asset paths cannot be updated.", "UserError")
    else:
        make(workspace, name, version, wish)
    model = table[key]
    for own, words in (("description", "description"), ("kvTags", "tags"), ("properties", "properties")):
        if wish.get(words) is not None:
            model[own] = wish[words]
    if wish.get("stage"):
        model["stage"] = wish["stage"]
    model["modifiedTime"] = now()


def make(workspace: Workspace, name: str, version: str, wish: Record) -> None:
    if wish.get("modelType", TYPES[0]) not in TYPES:
        raise Refusal(400, f"modelType: {', '.join(TYPES)}, not {wish['modelType']}.", "UserError")
    sent = str(wish.get("modelUri") or "")
    uri, job = data_assets.in_full(workspace, sent), data_assets.job_of(sent)
    place = data_assets.place_of(uri)
    if place is None:
        raise Refusal(400, f"modelUri: {uri} is no path of a datastore or of a job.", "UserError")
    asset = models.new_asset(workspace, {"name": name, "artifacts": [{"prefix": artifacts(workspace, *place)}]})
    said = {"modelUri": uri, "modelType": wish.get("modelType") or TYPES[0], "flavors": wish.get("flavors") or {}}
    known = {"name": name, "version": version, "url": f"aml://asset/{asset['id']}", "unpack": False}
    kind = "mlflow" if said["modelType"] == "mlflow_model" else "application/x-python"
    more: Record = {"mimeType": kind, "runId": job or wish.get("jobName"), "kvTags": {}, "properties": {}}
    models.new_version(workspace, known | more | {"asset": said | {"jobName": job or wish.get("jobName")}})
    container(workspace, name)


def artifacts(workspace: Workspace, store: str, path: str) -> str:
    """The artifacts that a path of a datastore holds, by the beginning of their names.

    What lies elsewhere is copied to where the registry keeps its files, for the clients that know those only.
    """
    if store == datastores.ARTIFACT_STORE:
        wanted = path.rstrip("/")
        if not workspace.state.tables.artifacts.below(wanted):
            raise Refusal(400, f"modelUri: nothing lies at {store}/{path}.", "UserError")
        return wanted
    held = workspace.state.tables.datastores.get(store.lower())
    section = (held or {}).get("azureStorageSection") or {}
    if section.get("accountName") not in workspace.blobs.keys:
        raise Refusal(400, f"modelUri: there is no datastore {store} that the rehearsal can read.", "UserError")
    account, place = section["accountName"], section["containerName"]
    service = workspace.blobs.service(account, workspace.blobs.keys[account]).get_container_client(place)
    wanted = path.rstrip("/")
    found = [
        blob.name
        for blob in service.list_blobs(name_starts_with=wanted or None)
        if blob.name == wanted or blob.name.startswith(f"{wanted}/")
    ]
    if not found:
        raise Refusal(400, f"modelUri: nothing lies at {store}/{path}.", "UserError")
    # Under a name of its own, the last part as it is: that is what the file or the folder is called in a download.
    origin = f"LocalUpload/{workspace.state.new_id()}"
    last = wanted.rpartition("/")[2]
    for blob in found:
        key = f"{origin}/{last}{blob[len(wanted) :]}"
        workspace.blobs.copy(account, place, blob, key)
        workspace.state.tables.artifacts[key] = {"createdTime": now()}
    return f"{origin}/{last}"


KIND = Kind("models", names, versions, keep, apart=("isArchived",))
add_routes(KIND)
