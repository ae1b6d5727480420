"""Artifacts: the files of a run, and uploads that are to become models."""

from __future__ import annotations

import posixpath
from typing import Any

from aml_rehearsal.azurite import ARTIFACTS
from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.history import RUN
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

BASE = "/artifact/v2.0{scope}/artifacts"
OF_RUN = tuple(path + "/artifacts" for path in RUN)  # as MLflow's plug-in asks


def key_of(request: Request, path: str | None = None) -> str:
    """The id of an artifact: origin, container and path."""
    names = request.names
    if "run" in names:
        origin, container = "ExperimentRun", f"dcid.{names['run']}"
    else:
        origin, container = names["origin"], names["container"]
    asked = path if path is not None else names.get("path") or request.query.get("path", "")
    return f"{origin}/{container}/{plain(asked) if asked else ''}"


def plain(path: str) -> str:
    """A path without detours; it must not lead out of its container."""
    found = posixpath.normpath(path)
    if found.startswith(("/", "../")) or found == "..":
        raise Refusal(400, f"A path leads out of the run: {path}")
    return found + "/" * path.endswith("/")


def described(key: str) -> Record:
    origin, container, path = key.split("/", 2)
    return {
        "artifactId": key,
        "origin": origin,
        "container": container,
        "path": path,
        "etag": "0",
        "createdTime": now(),
        "dataPath": None,
    }


def located(workspace: Workspace, key: str, permission: str = "r") -> Record:
    origin, container, path = key.split("/", 2)
    uri = workspace.blob_uri(ARTIFACTS, key, permission)
    return {"contentUri": uri, "origin": origin, "container": container, "path": path, "tags": {}}


def existing(workspace: Workspace, request: Request) -> str:
    key = key_of(request)
    if key not in workspace.state.tables.artifacts:
        raise Refusal(404, f"Artifact {key} was not found", "ArtifactNotFound")
    return key


def below(workspace: Workspace, request: Request) -> list[str]:
    return workspace.state.tables.artifacts.below(key_of(request))


@api.route(
    "POST",
    BASE + "/batch/metadata/{origin}/{container}",
    BASE + "/{origin}/{container}/batch/metadata",  # as MLflow asks
    *(path + "/batch/metadata" for path in OF_RUN),
)
def announce(workspace: Workspace, request: Request) -> Any:
    """Make empty artifacts, and say where their content is to be put; what is there already stays as it is."""
    known: Record = {"artifacts": {}, "artifactContentInformation": {}, "errors": {}}
    for wish in request.json["paths"]:
        key = key_of(request, wish["path"])
        if key in workspace.state.tables.artifacts:
            said = f"Resource Conflict: ArtifactId {key} already exists."
            known["errors"][wish["path"]] = {"error": {"code": "UserError", "message": said}}
            continue
        workspace.state.tables.artifacts[key] = {"createdTime": now()}
        known["artifacts"][wish["path"]] = described(key)
        known["artifactContentInformation"][wish["path"]] = located(workspace, key, "racw")
    return known


@api.route(
    "GET",
    BASE + "/prefix/contentinfo/{origin}/{container}/{path:rest}",
    BASE + "/prefix/contentinfo/{origin}/{container}",
    *(path + "/prefix/contentinfo" for path in OF_RUN),
)
def locate_all(workspace: Workspace, request: Request) -> Any:
    found = below(workspace, request)
    if (
        not found and key_of(request).rstrip("/") in workspace.state.tables.artifacts
    ):  # the client takes it for a folder
        found = [key_of(request).rstrip("/")]
    return {"value": [located(workspace, key) for key in found], "continuationToken": None}


@api.route(
    "GET",
    BASE + "/contentinfo/{origin}/{container}/{path:rest}",
    BASE + "/contentinfo/{origin}/{container}",
    BASE + "/{origin}/{container}/contentinfo",
    *(path + "/contentinfo" for path in OF_RUN),
)
def locate(workspace: Workspace, request: Request) -> Any:
    return located(workspace, existing(workspace, request))


@api.route(
    "GET",
    BASE + "/metadata/{origin}/{container}/{path:rest}",
    BASE + "/metadata/{origin}/{container}",
    *(path + "/metadata" for path in OF_RUN),
)
def describe(workspace: Workspace, request: Request) -> Any:
    return described(existing(workspace, request))


@api.route("GET", *(path + "/artifacturi" for path in OF_RUN))
def uri(workspace: Workspace, request: Request) -> Any:
    return located(workspace, existing(workspace, request))["contentUri"]


@api.route(
    "GET",
    BASE + "/{origin}/{container}",
    BASE + "/path/{origin}/{container}/{path:rest}",
    BASE + "/path/{origin}/{container}",
    *OF_RUN,
    *(path + "/path" for path in OF_RUN),
)
def describe_all(workspace: Workspace, request: Request) -> Any:
    return {"value": [described(key) for key in below(workspace, request)], "continuationToken": None}
