"""Environments as the second generation has them: the same ones, as an image and a conda file."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from aml_rehearsal import curated_environments
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import environments
from aml_rehearsal.services.environments import ANONYMOUS
from aml_rehearsal.services.versioned_assets import Kind, add_routes
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace


def names(workspace: Workspace) -> Iterable[str]:
    return [*workspace.state.tables.environments, *curated_environments.KNOWN]


def held(workspace: Workspace, name: str) -> list[Record]:
    """The versions of an environment, as they are kept."""
    tables = workspace.state.tables
    if curated := curated_environments.find(name):
        return [curated]
    return (tables.submitted_environments if name == ANONYMOUS else tables.environments).get(name, [])


def versions(workspace: Workspace, name: str) -> list[Record]:
    return [{"version": one["version"], "properties": shown(name, one)} for one in held(workspace, name)]


def shown(name: str, environment: Record) -> Record:
    """What an environment is in the words of the second generation."""
    python, docker = environment["python"], environment.get("docker") or {}
    conda = None if python.get("userManagedDependencies") else python.get("condaDependencies")
    context = docker.get("buildContext") or {}
    return {
        "image": docker.get("baseImage"),
        "condaFile": yaml.safe_dump(conda, sort_keys=False) if conda else None,
        "build": {"contextUri": context["location"], "dockerfilePath": context["dockerfilePath"]} if context else None,
        "inferenceConfig": environment.get("inferenceConfig"),
        "osType": "Linux",
        "environmentType": "Curated" if curated_environments.find(name) else "UserCreated",
        "isAnonymous": name == ANONYMOUS,
    }


def keep(workspace: Workspace, name: str, version: str, wish: Record) -> None:
    environment = as_kept(wish)
    if name == ANONYMOUS:
        kept = workspace.state.tables.submitted_environments.setdefault(name, [])
        if not any(one["version"] == version for one in kept):
            kept.append(environment | {"name": name, "version": version})
        return
    environments.register(workspace, name, version, environment)


def as_kept(wish: Record) -> Record:
    """An environment as the first generation writes it. Without a conda file the image brings the Python."""
    try:
        conda = yaml.safe_load(wish.get("condaFile") or "")
    except yaml.YAMLError as error:
        raise Refusal(400, f"The conda file can't be read: {error}", "UserError") from None
    if conda is not None and not isinstance(conda, dict):
        raise Refusal(400, "The conda file has no dependencies.", "UserError")
    build = wish.get("build") or {}
    if not (wish.get("image") or build):
        raise Refusal(400, "An environment has an image or a build context.", "UserError")
    docker: Record = {"baseImage": wish.get("image"), "baseDockerfile": None, "enabled": True, "arguments": []}
    if build:
        place, path = build.get("contextUri"), build.get("dockerfilePath") or "Dockerfile"
        docker["buildContext"] = {"locationType": "storageaccount", "location": place, "dockerfilePath": path}
    python: Record = {"userManagedDependencies": conda is None, "interpreterPath": "python"}
    python |= {"condaDependenciesFile": None, "baseCondaEnvironment": None, "condaDependencies": conda}
    more: Record = {"inferenceConfig": wish["inferenceConfig"]} if wish.get("inferenceConfig") else {}
    variables: Record = {"environmentVariables": {}, "inferencingStackVersion": None}
    return {"python": python, "docker": docker} | variables | more


KIND = Kind("environments", names, versions, keep)
add_routes(KIND)
