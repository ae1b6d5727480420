"""Read a dataset_spec.json, the file by which `az ml dataset register` names files that lie in a datastore."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aml_project.command_line import Failure
from aml_project.names import RULES

EXAMPLE = '{"datastoreName": "workspaceblobstore", "relativePath": "folder/**"}'


@dataclass(frozen=True)
class Spec:
    file: Path
    datastore: str
    path: str  # of the files in the datastore; a folder, or a pattern
    name: str
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


def read(file: Path) -> Spec:
    """Return what a spec says; a Failure names the field that is wrong."""
    try:
        said = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise Failure(f"{file}: no JSON: {error}") from None
    spec = section(file, said, "the file")
    kind, version = spec.get("datasetType", "File"), spec.get("schemaVersion", 1)
    if kind != "File":
        raise Failure(f"{file}: datasetType: is {kind!r}; only File datasets are registered here")
    if version != 1:
        raise Failure(f"{file}: schemaVersion: is {version!r}; only 1 is known")
    where = section(file, section(file, spec.get("parameters"), "parameters").get("path"), "parameters.path")
    said = section(file, spec.get("registration"), "registration")
    tags = section(file, said.get("tags") or {}, "registration.tags")
    return Spec(
        file=file,
        datastore=name(file, where, "parameters.path.datastoreName", "datastore"),
        path=text(file, where, "parameters.path.relativePath").lstrip("/"),
        name=name(file, said, "registration.name", "dataset_name"),
        description=text(file, said, "registration.description") if said.get("description") else None,
        tags={str(key): str(value) for key, value in tags.items()},
    )


def section(file: Path, value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        hint = f": write {EXAMPLE}" if field == "parameters.path" else ""
        raise Failure(f"{file}: {field}: {'missing' if value is None else 'no object'}{hint}")
    return value


def text(file: Path, holder: dict[str, Any], field: str) -> str:
    value = holder.get(field.rpartition(".")[2])
    if not isinstance(value, str) or not value:
        raise Failure(f"{file}: {field}: {'missing' if value is None else f'a text, not {value!r}'}")
    return value


def name(file: Path, holder: dict[str, Any], field: str, kind: str) -> str:
    pattern, rule = RULES[kind]
    value = text(file, holder, field)
    if not re.fullmatch(pattern, value):
        raise Failure(f"{file}: {field}: {rule}, not {value!r}")
    return value
