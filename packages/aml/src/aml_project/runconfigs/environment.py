"""Which runconfigs use which environment: what is written there, and what its files give now."""

from __future__ import annotations

import os
from collections import namedtuple

from aml_project.command_line import Failure
from aml_project.runconfigs import environment_version, reading
from aml_project.snapshot import preview

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from aml_project.runconfigs.editing import Key, Value

# A runconfig's environment: the file that it is written in, its name and version there; what its image is built from,
# the version of that, and what to set in the file; or else why nothing is built.
Use = namedtuple("Use", "runconfig file name written parts version changes nothing")
IMAGES = ("baseImage", "baseDockerfile", "buildContext")
RESERVED = ("azureml", "microsoft")  # how the names of Azure's own environments begin


def read(
    runconfig: Path,
    dockerfile: Path | None = None,
    base_image: str | None = None,
    *,
    config: dict[str, Any] | None = None,
) -> Use:
    """Return the environment of a runconfig; with a Dockerfile, or a base image again, it is what it would become.

    `config` is what the file says, where that has been read before.
    """
    try:
        config = camel(reading.read(runconfig) if config is None else config)
        file, environment = runconfig, config.get("environment")
        if isinstance(environment, str):  # a file of its own
            file = runconfig.parent.parent / environment
            config["environment"] = camel(reading.read(file))
        return resolve(runconfig, file, config, dockerfile, base_image)
    except Failure as failure:
        shown = os.path.relpath(runconfig)
        raise Failure(str(failure) if str(failure).startswith(shown) else f"{shown}: {failure}", failure.code) from None


def resolve(
    runconfig: Path,
    file: Path,
    config: dict[str, Any],
    dockerfile: Path | None = None,
    base_image: str | None = None,
) -> Use:
    """Complete what a runconfig says by what its files hold."""
    model = runconfig.parent.parent
    environment = dict(config.get("environment") or {})
    name, written = str(environment.get("name") or ""), str(environment.get("version") or "")
    docker = environment["docker"] = dict(environment.get("docker") or {})
    python = environment["python"] = dict(environment.get("python") or {})
    changes: dict[Key, Value] = {}
    nothing = builds_nothing(config, name, docker, python)
    if dockerfile is None and base_image is None:
        named = python.get("condaDependenciesFile") or any(docker.get(kind) for kind in IMAGES)
        nothing = nothing or (None if named or not written else "is known by its name alone")
        dockerfile = origin(model, docker)
    if nothing:
        return Use(runconfig, file, name, written, {}, "", {}, nothing)
    if dockerfile or base_image:
        text = None
        if dockerfile:
            from aml_project.runconfigs.dockerfile_text import standalone

            text = standalone(dockerfile, model)
        docker |= {"baseImage": base_image, "baseDockerfile": text}
        python["userManagedDependencies"] = bool(dockerfile)
        changes = {
            ("docker", "baseImage"): base_image,
            ("docker", "baseDockerfile"): text,
            ("python", "userManagedDependencies"): bool(dockerfile),
        }
    conda = None if python.get("userManagedDependencies") else read_conda(model, python)
    parts = environment_version.image_parts(environment, conda)
    version = environment_version.version_of(parts)
    changes[("version",)] = version
    section = ("environment",) if file == runconfig else ()
    return Use(
        runconfig, file, name, written, parts, version, {(*section, *key): changes[key] for key in changes}, None
    )


def origin(model: Path, docker: dict[str, Any]) -> Path | None:
    """Return the Dockerfile that a runconfig's text was made from by an earlier call."""
    if not docker.get("baseDockerfile"):
        return None

    from aml_project.runconfigs.dockerfile_text import origin_of

    name = origin_of(docker["baseDockerfile"])
    return model / name if name else None


def builds_nothing(config: dict[str, Any], name: str, docker: dict[str, Any], python: dict[str, Any]) -> str | None:
    """Say why no image is built for a runconfig, if that is so."""
    in_docker = docker.get("enabled") or (config.get("docker") or {}).get("useDocker")
    if config.get("target", "local") == "local" and python.get("userManagedDependencies") and not in_docker:
        return "runs in this computer's Python"
    if name.lower().startswith(RESERVED):
        return "has a name that Azure ML keeps for its own"
    return None


def read_conda(model: Path, python: dict[str, Any]) -> dict[str, Any]:
    """Read the conda file of an environment."""
    name = python.get("condaDependenciesFile")
    if not name:
        raise Failure("environment.python.condaDependenciesFile: missing: name a conda file of the model")
    conda = preview.read_conda(model / name)
    if conda is not None:
        return conda

    from aml_project.runconfigs.file import Unreadable, read_mapping

    try:
        return read_mapping(model / name)
    except Unreadable as error:
        raise Failure(f"{name}: {error}") from None


def camel(value: Any) -> Any:
    """A section with its keys as the client reads them."""
    return {key_of(key): camel(item) for key, item in value.items()} if isinstance(value, dict) else value


def key_of(key: str) -> str:
    if key[:1].islower() and "_" not in key:
        return key

    from aml_project.runconfigs.schema import camel_case

    return camel_case(key)
