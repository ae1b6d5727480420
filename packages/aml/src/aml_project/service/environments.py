"""Registered environments: whether a version is there, and how it gets there once.

A version never changes, and what is registered under it is made of what its hash was made of: whoever has registered
it, it is the same. So both requests may be sent again after any trouble.
"""

from __future__ import annotations

import os

from aml_project.command_line import Failure
from aml_project.service.asking import ask
from aml_project.service.errors import status_in

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

CONFLICT = 409


def is_registered(workspace: Any, name: str, version: str) -> bool:
    from azureml.core import Environment

    try:
        ask(workspace, lambda: Environment.get(workspace, name, version))
    except Exception as error:
        if status_in(error) == 404:
            return False
        raise
    return True


def agree(runconfig: Path, parts: dict[str, Any]) -> None:
    """Make sure that the client reads of a runconfig and its conda file what was read here."""
    from azureml.core import Environment, RunConfiguration

    from aml_project.runconfigs.environment_version import image_parts

    loaded = RunConfiguration.load(str(runconfig.parent.parent), runconfig.stem)
    section = Environment._serialize_to_dict(loaded.environment)
    if image_parts(section, section["python"].get("condaDependencies")) != parts:
        raise Failure(f"{os.path.relpath(runconfig)}: the client reads another environment from it: make check")


def register(workspace: Any, name: str, version: str, parts: dict[str, Any]) -> bool:
    """Register a version unless it is there; return whether it was not."""
    if is_registered(workspace, name, version):
        return False
    environment = built_from(name, version, parts)
    try:
        ask(workspace, lambda: environment.register(workspace), makes="environment")
    except Exception as error:
        # Somebody else was quicker, and lists the same packages in another order.
        if status_in(error) == CONFLICT and is_registered(workspace, name, version):
            return False
        raise
    return True


def built_from(name: str, version: str, parts: dict[str, Any]) -> Any:
    """Return the environment of these parts (azureml.core.Environment)."""
    from azureml.core import Environment

    return Environment._deserialize_and_add_to_object({"name": name, "version": version, **parts})
