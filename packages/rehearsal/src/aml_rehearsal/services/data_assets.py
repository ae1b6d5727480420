"""Data assets of the second generation, and the first generation's datasets as that sees them: mltables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aml_rehearsal import dataset_files
from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services import datasets
from aml_rehearsal.services.datastores import ARTIFACT_STORE
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.versioned_assets import Kind, add_routes, meant
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

TYPES = {"uri_file": "UriFile", "uri_folder": "UriFolder", "mltable": "MLTable"}  # here, and in the first generation
SHORT = re.compile(r"azureml://datastores/(?P<store>[^/]+)/(?:paths/)?(?P<path>.*)", re.DOTALL)
LONG = re.compile(r"azureml://subscriptions/.+?/datastores/(?P<store>[^/]+)/paths/(?P<path>.*)", re.DOTALL)
OUTPUT = re.compile(r"azureml://jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths)?/?(?P<path>.*)", re.DOTALL)
RUN = re.compile(r"(?:runs:/|azureml://.*/runs/)(?P<job>[^/]+)/(?:artifacts/)?(?P<path>.*)", re.DOTALL)
ID = re.compile(r"azureml://locations/[^/]+/workspaces/[^/]+/data/(?P<name>[^/]+)/versions/(?P<version>[^/]+)")


def place_of(uri: str) -> tuple[str, str] | None:
    """The datastore and the path that an address means, if it is one of a datastore."""
    match = LONG.fullmatch(uri) or SHORT.fullmatch(uri)
    return (match["store"], match["path"]) if match else None


def address(workspace: Workspace, store: str, path: str) -> str:
    names = workspace.names
    scope = f"{names.subscription_id}/resourcegroups/{names.resource_group}/workspaces/{names.workspace_name}"
    return f"azureml://subscriptions/{scope}/datastores/{store}/paths/{path}"


def in_full(workspace: Workspace, uri: str) -> str:
    """An address in full: of a datastore, or of what a job has made, which lies in one too."""
    if place := place_of(uri):
        return address(workspace, *place)
    match = OUTPUT.fullmatch(uri) or RUN.fullmatch(uri)
    if match is None:
        return uri
    job, output, path = match["job"], match.groupdict().get("output"), match["path"]
    if job not in workspace.state.tables.runs:
        raise Refusal(400, f"{uri}: there is no job {job}.", "UserError")
    if output in {None, "artifacts", "default"}:
        return address(workspace, ARTIFACT_STORE, f"ExperimentRun/dcid.{job}/{path}")
    job = workspace.state.tables.runs[job]["properties"].get("best_child_run_id") or job  # of a search
    made = (workspace.state.tables.jobs.get(job) or {"properties": {}})["properties"].get("outputs") or {}
    if output not in made:
        raise Refusal(400, f"{uri}: the job {job} has no output {output}.", "UserError")
    held = made[output]
    one = output if held["jobOutputType"] == "uri_file" and held["uri"].endswith("/") else ""  # a file of that name
    return f"{in_full(workspace, held['uri'] + one).rstrip('/')}/{path}".rstrip("/")


def job_of(uri: str) -> str | None:
    """The job that has made what lies at an address, if that says so."""
    match = OUTPUT.fullmatch(uri) or RUN.fullmatch(uri)
    return match["job"] if match else None


def names(workspace: Workspace) -> Iterable[str]:
    own = [key.rpartition(":")[0] for key in workspace.state.tables.data_assets.keys_where(anonymous=None)]
    return dict.fromkeys([*own, *workspace.state.tables.datasets])


def versions(workspace: Workspace, name: str) -> list[Record]:
    table = workspace.state.tables.data_assets
    own = [table[key] for key in table.keys_where(name=name)]
    return own or [as_table(workspace, dataset) for dataset in workspace.state.tables.datasets.get(name, [])]


def as_table(workspace: Workspace, dataset: Record) -> Record:
    """A dataset of the first generation."""
    uri = next(iter(dataset_files.addresses(dataset)), "")
    if not uri.startswith(("http:", "https:")):
        places = dataset_files.places(dataset)
        uri = address(workspace, places[0][0], dataset_files.root(places[0][1])) if places else ""
    kind = f"{dataset['datasetType']} dataset of the first generation"
    words = {"description": dataset.get("description"), "tags": dataset.get("tags") or {}}
    properties = words | {"dataType": "mltable", "dataUri": uri, "properties": {"kind": kind}}
    return {"version": dataset["latest"]["versionId"], "createdTime": dataset["createdTime"], "properties": properties}


def keep(workspace: Workspace, name: str, version: str, wish: Record) -> None:
    table, key = workspace.state.tables.data_assets, f"{name}:{version}"
    if wish.get("dataType") not in TYPES:
        raise Refusal(400, f"dataType: {', '.join(TYPES)}, not {wish.get('dataType')}.", "UserError")
    if not datasets.NAME.fullmatch(name):
        raise Refusal(400, f"'{name}' is no name for a data asset.", "UserError")
    if name in workspace.state.tables.datasets and not table.keys_where(name=name):
        raise Refusal(400, f"{name} is a dataset of the first generation.", "UserError")
    uri = in_full(workspace, str(wish.get("dataUri") or ""))
    known = table.get(key)
    if known and (known["properties"]["dataUri"], known["properties"]["dataType"]) != (uri, wish["dataType"]):
        raise Refusal(400, "Asset paths cannot be updated.", "UserError")
    if known is None:
        more = {name: wish[name] for name in ("referencedUris", "autoDeleteSetting") if wish.get(name)}
        properties = {"dataType": wish["dataType"], "dataUri": uri, "isAnonymous": bool(wish.get("isAnonymous"))} | more
        anonymous = "yes" if properties["isAnonymous"] else None  # what a job has made under no name is not listed
        known = {"name": name, "version": version, "createdTime": now(), "anonymous": anonymous}
        table[key] = known | {"properties": properties}


KIND = Kind("data", names, versions, keep)
add_routes(KIND)


@api.route("GET", "/data/v1.0{scope}/dataversion/{name}/versions/{version}")
def version(workspace: Workspace, request: Request) -> Any:
    """How the first generation's client reads a data asset: where it finds no dataset of that name."""
    name = request.names["name"]
    known, number = workspace.state.tables.data_assets.keys_where(name=name), request.names["version"]
    if not known:
        raise Refusal(404, f"{name} was not found.", "NotFound")
    _, asset = meant(workspace, KIND, f"azureml:{name}:{number}" if number != "None" else f"azureml:{name}@latest")
    kind, uri = asset["properties"]["dataType"], asset["properties"]["dataUri"]
    told = {"dataUri": uri, "dataType": TYPES[kind], "versionId": asset["version"], "mutable": False}
    return {"dataVersion": told, "entityMetadata": {}, "isLatest": True}


@api.route("POST", "/data/v1.0{scope}/dataversion/batchGetResolvedUris")
def resolved(workspace: Workspace, request: Request) -> Any:
    """Where the data lies that a run has made."""
    found = {}
    for wanted in request.json["values"]:
        match = ID.fullmatch(wanted)
        if match and (asset := workspace.state.tables.data_assets.get(f"{match['name']}:{match['version']}")):
            properties = asset["properties"]
            found[wanted] = {"uri": properties["dataUri"], "type": TYPES[properties["dataType"]]}
    return {"values": found}
