"""Environments: those that are registered, each with its versions, Azure's own, and those that runs have brought."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timezone
from typing import Any

from aml_rehearsal import curated_environments
from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
RESERVED = ("azureml", "microsoft")
SAVED = "Autosave_"  # how the version of what a run has brought begins
ANONYMOUS = "CliV2AnonymousEnvironment"  # as the second generation's client calls what a job brings
BASE = "/environment/v1.0{scope}/environments"


@api.route("GET", BASE, BASE + "/")
def environments(workspace: Workspace, request: Request) -> Any:
    own = [versions[-1] for versions in workspace.state.tables.environments.values()]
    return {"value": [*own, *curated_environments.everything()], "continuationToken": None}


@api.route("GET", BASE + "/{name}/versions")
def all_versions(workspace: Workspace, request: Request) -> Any:
    return {"value": found(workspace, request.names["name"]), "continuationToken": None}


@api.route("GET", BASE + "/{name}/labels/{label}")
def labelled(workspace: Workspace, request: Request) -> Any:
    """The newest version, which has its label without anybody having set it, or the one that has another."""
    name, label = request.names["name"], request.names["label"]
    versions = found(workspace, name)
    if label.lower() == "latest":
        return versions[-1]
    for version in versions:
        if label in version.get("labels", []):
            return version
    raise Refusal(404, f"Environment {name} has no label {label}", "EnvironmentNotFound")


@api.route("PUT", BASE + "/{name}/versions/{version}/metadata")
def set_labels(workspace: Workspace, request: Request) -> Any:
    """Give a version labels, which others of its name lose."""
    name, version = request.names["name"], request.names["version"]
    wanted = [str(label) for label in request.json.get("Labels") or []]
    if curated_environments.find(name):
        raise Refusal(400, f"{name} is Azure's own: it can't be labelled.")
    found(workspace, name, version)
    for one in workspace.state.tables.environments[name]:
        left = [label for label in one.get("labels", []) if label not in wanted]
        one["labels"] = wanted if one["version"] == version else left
    return {}


@api.route("GET PUT", BASE + "/{name}", BASE + "/{name}/versions/{version}")
def environment(workspace: Workspace, request: Request) -> Any:
    name, version = request.names["name"], request.names.get("version", "")
    if request.method == "PUT":
        # The client writes some keys with a capital, and reads all without: the service does not mind the case.
        wish: Record = {key[:1].lower() + key[1:]: value for key, value in request.json.items()}
        return register(workspace, name, version or str(wish.get("version") or ""), wish)
    return found(workspace, name, version)[-1]


def found(workspace: Workspace, name: str, version: str = "") -> list[Record]:
    """The versions of an environment, or the one that is asked for."""
    tables = workspace.state.tables
    if curated := curated_environments.find(name, version):
        return [curated]
    brought = version.startswith(SAVED) or name == ANONYMOUS
    known = (tables.submitted_environments if brought else tables.environments).get(name, [])
    known = [environment for environment in known if version in {"", environment["version"]}]
    if not known:
        raise Refusal(404, f"Environment {name} {version} was not found".replace("  ", " "), "EnvironmentNotFound")
    return known


def register(workspace: Workspace, name: str, version: str, wish: Record) -> Record:
    """Keep a new version; what is there as it is wished is returned, under another content it is refused."""
    if not NAME.fullmatch(name) or not (version == "" or NAME.fullmatch(version)):
        message = "has letters, digits, dot, hyphen and underscore, at most 255"
        raise Refusal(400, f"The name of an environment and its version {message}: not {name} {version}.")
    if name.lower().startswith(RESERVED):
        raise Refusal(400, f"{name}: names that begin with AzureML or Microsoft are for Azure's own environments.")
    versions = workspace.state.tables.environments.setdefault(name, [])
    for known in versions if version else versions[-1:]:
        if version in {"", known["version"]} and contents(known) == contents(wish):
            return known
        if version == known["version"]:
            raise Refusal(409, f"Environment {name} version {version} exists and differs", "EnvironmentExists")
    taken = {known["version"] for known in versions}
    number = next(str(number) for number in range(len(versions) + 1, 2 * len(versions) + 2) if str(number) not in taken)
    versions.append(wish | {"name": name, "version": version or number})
    return versions[-1]


def submitted(workspace: Workspace, experiment: str, environment: Record) -> Record:
    """Keep what a run brings, unless it is registered as it is; return it with the version that it is found by."""
    name = environment.get("name") or f"Experiment {experiment} Environment"
    version, known = environment.get("version") or "", None
    if version:
        registered = [one for one in workspace.state.tables.environments.get(name, []) if one["version"] == version]
        known = curated_environments.find(name, version) or (registered[0] if registered else None)
    if known and essence(known) == essence(environment):
        return environment
    digest = hashlib.sha256(essence(environment).encode()).hexdigest()[:8]
    kept = workspace.state.tables.submitted_environments.setdefault(name, [])
    same = [one for one in kept if one["version"].endswith(digest)]
    if not same:
        number = f"{SAVED}{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}_{digest}"
        same.append(environment | {"name": name, "version": number})
        kept += same
    return environment | {"name": name, "version": same[0]["version"]}


def essence(environment: Record) -> str:
    """What of an environment makes a difference to a run."""
    docker = environment.get("docker") or {}
    image = [docker.get("baseImage"), docker.get("baseDockerfile")]
    python = environment.get("python") or {}
    parts = [python.get(key) for key in ("userManagedDependencies", "interpreterPath")]
    # An image that brings its own Python gets none.
    packages = [] if python.get("userManagedDependencies") else packages_of(python.get("condaDependencies"))
    return json.dumps([parts, packages, image, environment.get("environmentVariables") or {}], sort_keys=True)


def packages_of(conda: Any) -> list[list[str]]:
    """What a conda file asks of conda and of pip: its name, the order and an empty pip section make no difference."""
    listed = ((conda or {}).get("dependencies") or []) if isinstance(conda, dict) else []
    pip = [str(entry) for part in listed if isinstance(part, dict) for entry in part.get("pip") or []]
    return [sorted(part for part in listed if isinstance(part, str)), sorted(pip)]


def contents(environment: Record) -> str:
    return json.dumps(
        {key: value for key, value in environment.items() if key not in {"name", "version", "labels"}}, sort_keys=True
    )
