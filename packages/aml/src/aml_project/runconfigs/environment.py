"""Which runconfigs use which environment: what is written there, and what its files give now."""

from __future__ import annotations

import os
import re
from collections import namedtuple

from aml_project.command_line import WRONG_USE, Failure
from aml_project.runconfigs import environment_version, reading

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from aml_project.runconfigs.editing import Key, Value

# A runconfig's environment: the file that it is written in, its name and version there; what its image is built from,
# the version of that, and what to set in the file; or else why nothing is built.
Use = namedtuple("Use", "runconfig file name written parts version changes nothing")
NAME = r"[a-zA-Z0-9_.-]{1,255}"
IMAGES = ("baseImage", "baseDockerfile", "buildContext")
RESERVED = ("azureml", "microsoft")  # how the names of Azure's own environments begin


def to_register(
    model: Path, config: str | None = None, *, dockerfile: Path | None = None, base_image: str | None = None
) -> list[Use]:
    """The environments of a model's folder that can be registered: of one runconfig, or of those that run in Azure."""
    if base_image is not None and not base_image.strip():
        raise Failure("--base-image: name an image, as in mcr.microsoft.com/azureml/NAME:TAG", WRONG_USE)
    uses = [read(file, dockerfile, base_image, config=said) for file, said in picked(model, config).items()]
    check(uses, model.name, config)
    return [use for use in uses if use.nothing is None]


def picked(model: Path, config: str | None) -> dict[Path, dict[str, Any]]:
    """Return the runconfigs that are meant, and what they say."""
    if config is not None:
        file = reading.find(model, config)
        return {file: reading.read(file)}
    files = [reading.find(model, name) for name in reading.names(model)]
    found = {file: said for file in files if (said := reading.read(file)).get("target", "local") != "local"}
    if not found:
        raise Failure(f"no runconfig of {model.name} runs in Azure; -c names another", WRONG_USE)
    return found


def check(uses: list[Use], model: str, config: str | None) -> None:
    """Refuse what nothing can be registered for."""
    for use in uses:
        shown = os.path.relpath(use.runconfig)
        if use.nothing is None and not re.fullmatch(NAME, use.name):
            raise Failure(f"{shown}: environment.name: 1 to 255 letters, digits, '-', '_' and '.', not {use.name!r}")
        if use.nothing and config:
            raise Failure(f"{shown}: its environment {use.nothing}: there is nothing to register")
    if all(use.nothing for use in uses):
        reasons = ", ".join(f"{os.path.relpath(use.runconfig)} {use.nothing}" for use in uses)
        raise Failure(f"nothing to register for {model}: {reasons}")


def write(use: Use, no_write: bool) -> None:
    """Write the version, and what goes with it, into the runconfig; or say what to write."""
    shown = os.path.relpath(use.file)
    line = f'{shown}: environment.version: "{use.version}"'
    if not no_write:
        from aml_project.runconfigs.editing import edit

        print(f"{line}: written" if edit(use.file, use.changes) else line)
        return
    print(line)
    for key, value in use.changes.items():
        if key[-1] != "version":
            import json

            name = ".".join(key if key[0] == "environment" else ("environment", *key))
            print(f"{shown}: {name}: {json.dumps(value, ensure_ascii=False)}")


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
    return reading.read_conda(model / name, name)


def camel(value: Any) -> Any:
    """A section with its keys as the client reads them."""
    return {key_of(key): camel(item) for key, item in value.items()} if isinstance(value, dict) else value


def key_of(key: str) -> str:
    if key[:1].islower() and "_" not in key:
        return key

    from aml_project.runconfigs.schema import camel_case

    return camel_case(key)
