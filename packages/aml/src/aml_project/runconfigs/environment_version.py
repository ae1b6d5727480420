"""The version of an environment is a hash of what its image is built from: the same is never built twice.

What changes no image has no say: comments, the order of the conda packages, the name in the conda file, variables of
the run, shared memory. The order of channels and of pip's packages does change what is installed. What is registered
under a version is made of nothing but what the hash was made of, so two people register the same.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from typing import Any

# Twelve digits of the hash with a letter among them: a date that somebody took for a version is none of ours.
VERSION = re.compile(r"(?=\d{0,11}[a-f])[0-9a-f]{12}")
IMAGE = ("baseImage", "baseDockerfile", "baseImageRegistry")
PLATFORM = {"os": "Linux", "architecture": "amd64"}  # as the client completes it
CONTEXT = {"dockerfilePath": "Dockerfile"}


def is_ours(version: object) -> bool:
    return isinstance(version, str) and bool(VERSION.fullmatch(version))


def version_of(parts: dict[str, Any]) -> str:
    """Return the version of what an image is built from."""
    import hashlib

    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    found = VERSION.search(digest)
    return found[0] if found else digest[:12]


def image_parts(environment: dict[str, Any], conda: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the image of an environment is built from, in the client's words; no more than that."""
    docker, python = environment.get("docker") or {}, environment.get("python") or {}
    spark = environment.get("spark") or {}
    built = {key: docker.get(key) for key in IMAGE}
    built["platform"] = PLATFORM | filled(docker.get("platform") or {})
    if context := filled(docker.get("buildContext") or {}):
        built["buildContext"] = CONTEXT | context
    own = bool(python.get("userManagedDependencies"))
    packages = {"repositories": spark.get("repositories"), "packages": spark.get("packages")}
    return {
        "docker": filled(built),
        "python": {
            "userManagedDependencies": own,
            "interpreterPath": str(python.get("interpreterPath") or "python") if own else "python",
            "baseCondaEnvironment": None if own else python.get("baseCondaEnvironment"),
            "condaDependencies": None if own else conda_parts(conda or {}),
        },
        "spark": filled(packages),
        "r": {key: value for key, value in filled(environment.get("r") or {}).items() if value is not False} or None,
        "inferencingStackVersion": environment.get("inferencingStackVersion"),
    }


def conda_parts(conda: dict[str, Any]) -> dict[str, Any]:
    """Return what a conda file installs."""
    packages, pip = [], []
    for item in conda.get("dependencies") or []:
        if isinstance(item, dict):
            pip += [str(package).strip() for package in item.get("pip") or []]
        else:
            packages.append(str(item).strip())
    parts = {
        "name": "project_environment",  # as the client calls one that has no file
        "channels": [str(channel) for channel in conda.get("channels") or []],
        "dependencies": [*sorted(packages), *([{"pip": pip}] if pip else [])],
    }
    variables = {str(name): str(value) for name, value in (conda.get("variables") or {}).items()}
    return parts | ({"variables": variables} if variables else {})


def filled(section: dict[str, Any]) -> dict[str, Any]:
    """Leave out what says nothing."""
    values = {key: inner(value) for key, value in section.items()}
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}


def inner(value: Any) -> Any:
    if isinstance(value, list):
        return [inner(item) for item in value]
    return filled(value) if isinstance(value, dict) else value
