"""The files of a deployment: inference-config.yml says what is served, deployment-config-TARGET.yml where and how.

The client ignores a key that it does not know; here it is a line.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from aml_project.command_line import Failure
from aml_project.runconfigs.file import Unreadable, read_mapping
from aml_project.runconfigs.schema import SCHEMA, Reading, camel_case

SCHEMAS: dict[str, Any] = json.loads(Path(__file__).with_name("deployment.schema.json").read_text(encoding="utf-8"))
TARGETS = ("local", "aci", "aks")
INFERENCE = "aml_config/inference-config.yml"
HIGHEST_PORT = 65535


def deployment_file(target: str) -> str:
    return f"deployment/deployment-config-{target}.yml"


def read_inference(folder: Path) -> dict[str, Any]:
    """Return what inference-config.yml says, its packages read from the conda file that it names."""
    config, findings = _inference(folder)
    _refuse(folder, INFERENCE, findings)
    python = config["environment"].setdefault("python", {})
    if name := python.pop("condaDependenciesFile", None):
        # The client has the service look for a file of that name, and sends no packages.
        python["condaDependencies"] = read_mapping(folder / name)
    return config


def read_deployment(folder: Path, target: str) -> dict[str, Any]:
    """Return what the file of a target says."""
    config, findings = _deployment(folder, target)
    _refuse(folder, deployment_file(target), findings)
    return config


def findings(folder: Path) -> list[str]:
    """Say what is wrong with the files that a model has, one line each; a model need not have any."""
    found = [f"{INFERENCE}: {line}" for line in _inference(folder)[1]] if (folder / INFERENCE).exists() else []
    for target in TARGETS:
        name = deployment_file(target)
        if (folder / name).exists():
            found += [f"{name}: {line}" for line in _deployment(folder, target)[1]]
    return found


def _refuse(folder: Path, name: str, findings: list[str]) -> None:
    if findings:
        raise Failure("\nERROR: ".join(f"models/{folder.name}/{name}: {line}" for line in findings))


def _inference(folder: Path) -> tuple[dict[str, Any], list[str]]:
    schema = copy.deepcopy(SCHEMAS["inference"])
    environment = copy.deepcopy(SCHEMA["$defs"]["environment"])
    # Unlike a runconfig, this file may hold the packages themselves.
    environment["properties"]["python"]["properties"]["condaDependencies"] = {"type": ["object", "null"]}
    schema["properties"]["environment"] = environment
    config, found = _read(folder / INFERENCE, schema)
    return config, found or _disagreements(folder, config)


def _deployment(folder: Path, target: str) -> tuple[dict[str, Any], list[str]]:
    config, found = _read(folder / deployment_file(target), SCHEMAS[target])
    if not found and config.get("port", 1) > HIGHEST_PORT:
        found = [f"port: is {config['port']}: write {HIGHEST_PORT} or less"]
    return config, found


def _read(file: Path, schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    try:
        raw = read_mapping(file)
    except Unreadable as error:
        return {}, [f"{error}: mend the file, or take it from a fresh render"]
    reading = Reading(raw, schema)
    return reading.config, reading.findings or list(_misspelt(raw, schema, ""))


def _misspelt(raw: dict[str, Any], schema: dict[str, Any], place: str) -> list[str]:
    """Keys in snake_case: the client reads them in a runconfig, and nowhere else."""
    found = []
    for key, value in raw.items():
        known = schema.get("properties", {})
        if known and key not in known:
            found.append(f"{place}{key}: the client ignores this key: write {camel_case(key)}")
        elif isinstance(value, dict):
            found += _misspelt(value, known.get(key, {}), f"{place}{key}.")
    return found


def _disagreements(folder: Path, config: dict[str, Any]) -> list[str]:
    """What each line allows and together makes no service."""
    found = []
    source = (folder / config.get("sourceDirectory", ".")).resolve()
    if not source.is_relative_to(folder.resolve()):
        found.append("sourceDirectory: not in the model's folder: write a folder of it, or .")
    elif not (source / config["entryScript"]).is_file():
        found.append(f"entryScript: {config['entryScript']}: no such file: write its path from sourceDirectory")
    environment = config["environment"]
    variables, python = environment.get("environmentVariables", {}), environment.get("python", {})
    if "WORKER_COUNT" in variables and "OMP_NUM_THREADS" not in variables:
        found.append("environment.environmentVariables: WORKER_COUNT without OMP_NUM_THREADS: write both")
    name = python.get("condaDependenciesFile")
    if name and python.get("condaDependencies"):
        found.append("environment.python: packages in condaDependencies and in a file: remove one of them")
    elif name:
        try:
            read_mapping(folder / name)
        except Unreadable as error:
            found.append(f"environment.python.condaDependenciesFile: {name}: {error}: name a conda file of the model")
    elif not python.get("condaDependencies") and not python.get("userManagedDependencies"):
        found.append("environment.python: no packages: write condaDependenciesFile: aml_config/inference-conda.yml")
    return found
