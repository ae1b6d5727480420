"""The files of Azure ML's first generation in any folder, known by what they say and not by what they are called."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aml_project.runconfigs.schema import camel_case

RUNCONFIG, PIPELINE, PARALLEL, HYPERDRIVE = "runconfig", "pipeline", "parallel run", "search"
INFERENCE, DEPLOYMENT, DATASET, ENVIRONMENT = "inference config", "deployment config", "dataset", "environment"
WORKSPACE = "workspace"
# What no code of an owner's lies in.
PASSED = {".git", ".venv", "venv", "env", "node_modules", "__pycache__", "azure_ml", "outputs", "logs", "site-packages"}
ENDS = (".runconfig", ".yml", ".yaml", ".json")
LARGEST = 1_000_000  # bytes: more than any file that somebody wrote for a client
CONFIG_FOLDERS = {"aml_config", ".azureml", "config", "configs", "deployment", "inference-config", "train-config"}
# Their keys are their owner's words.
OWN_KEYS = {"environmentVariables", "data", "outputData", "dataReferences", "condaDependencies", "tags"}


@dataclass(frozen=True)
class Found:
    """A file of the first generation; what can't be read says why instead."""

    file: Path
    kind: str
    content: dict[str, Any]
    unreadable: str = ""


def files(root: Path) -> Iterator[Path]:
    """The files of a folder that somebody wrote, in the same order each time."""
    for place, folders, names in os.walk(root):
        hidden = [name for name in folders if name.startswith(".") and name not in (".azureml", ".github")]
        folders[:] = sorted(set(folders) - PASSED - set(hidden))
        for name in sorted(names):
            file = Path(place, name)
            if not file.is_symlink() and file.is_file() and file.stat().st_size <= LARGEST:
                yield file


def find(root: Path) -> list[Found]:
    return [found for file in files(root) if file.suffix in ENDS and (found := read(file))]


def read(file: Path) -> Found | None:
    """What a file is of the first generation; None if it is something else."""
    import yaml

    try:
        text = file.read_text(encoding="utf-8-sig")
        said = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        if file.suffix != ".runconfig":
            return None  # a file of many others
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f" (line {line + 1})" if line is not None else ""
        return Found(file, RUNCONFIG, {}, f"no YAML{where}")
    kind = kind_of(file, said)
    if kind is None:
        if file.suffix != ".runconfig":
            return None
        return Found(file, RUNCONFIG, {}, "no environment: a runconfig of before 2019 or none at all")
    return Found(file, kind, camel(said) if kind in (RUNCONFIG, INFERENCE, ENVIRONMENT) else said)


def kind_of(file: Path, said: Any) -> str | None:
    if not isinstance(said, dict):
        return None
    environment = said.get("environment")
    if file.name == "config.json" and {"subscription_id", "workspace_name"} <= said.keys():
        return WORKSPACE
    if "$schema" in said and "azureml" in str(said["$schema"]):
        return None  # of the second generation
    if isinstance(said.get("pipeline"), dict) and isinstance(said["pipeline"].get("steps"), dict):
        return PIPELINE
    if isinstance(said.get("parallel_run_config"), dict):
        return PARALLEL
    if isinstance(said.get("sampling"), dict) and "primary_metric_name" in said:
        return HYPERDRIVE
    if "entryScript" in said or "entry_script" in said:
        return INFERENCE
    if str(said.get("computeType")).lower() in ("local", "aci", "aks"):
        return DEPLOYMENT
    if isinstance(said.get("parameters"), dict) and isinstance(said.get("registration"), dict):
        return DATASET
    if isinstance(environment, dict) and (
        file.suffix == ".runconfig" or {"target", "script", "framework"} & said.keys()
    ):
        return RUNCONFIG
    if isinstance(said.get("python"), dict) and isinstance(said.get("docker"), dict):
        return ENVIRONMENT
    return None


def camel(said: Any, own: bool = False) -> Any:
    """The keys as the client writes them; it reads those with underscores as well."""
    if isinstance(said, list):
        return [camel(item) for item in said]
    if not isinstance(said, dict):
        return said
    return {
        (str(key) if own else camel_case(str(key))): value
        if camel_case(str(key)) in ("environmentVariables", "condaDependencies", "tags")
        else camel(value, camel_case(str(key)) in OWN_KEYS and not own)
        for key, value in said.items()
    }


def home(root: Path, file: Path, script: str | None = None) -> Path:
    """The folder that a file speaks of: that of its script, or the one that its folder of settings lies in."""
    near = file.parent.parent if file.parent.name in CONFIG_FOLDERS and file.parent != root else file.parent
    folders = [near, file.parent, *([file.parent.parent] if file.parent != root else [])]
    return next((folder for folder in folders if script and (folder / script).is_file()), near)


def section(holder: dict[str, Any], *keys: str) -> dict[str, Any]:
    """What lies below some keys; nothing where there is nothing."""
    for key in keys:
        holder = holder.get(key) or {}
        if not isinstance(holder, dict):
            return {}
    return holder
