"""Fill a workspace: with what every one has, and with the clusters and datasets that a project's runconfigs name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aml_rehearsal.addresses import SCOPE, Names
from aml_rehearsal.azurite import ACCOUNT, ARTIFACTS, DATA, SECOND
from aml_rehearsal.services import computes, datasets, datastores, resources, storage
from aml_rehearsal.workspace import Workspace


@dataclass
class Wishes:
    """What the runconfigs of a project name."""

    names: Names
    clusters: dict[str, tuple[str, int]] = field(default_factory=dict)  # by name: VM size and nodes
    datasets: dict[str, int] = field(default_factory=dict)  # by name: the newest version
    folders: dict[str, Path] = field(default_factory=dict)  # by name of the dataset: where its files lie
    nameless: list[Path] = field(default_factory=list)  # files that ought to name the workspace, and don't


def read(project: Path) -> Wishes:
    """Read a project's answers, its attached workspace and its runconfigs; what can't be read is left out."""
    answers = read_json(project / ".cookiecutter.json")
    places = [project / folder / "config.json" for folder in (".azureml", "aml_config", "")]  # where the client looks
    told = {place: named(read_json(place)) for place in places if place.is_file()}
    attached = next(filter(None, told.values()), None)
    wishes = Wishes(attached or named(answers) or Names(), nameless=[place for place in told if not told[place]])
    for file in sorted(project.glob("models/*/aml_config/*.runconfig")):
        try:
            run = yaml.safe_load(file.read_text(encoding="utf-8"))
            add(
                wishes,
                run,
                str(answers.get("vm_size") or "Standard_DS3_v2"),
                data_folder(project, file.parents[1].name),
            )
        except (OSError, yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError):
            continue  # the project's own check names it
    return wishes


def named(config: dict[str, Any]) -> Names | None:
    """The workspace that a file names: in one line, as the client writes it, or in three fields."""
    if match := re.fullmatch(SCOPE + "(/projects/.*)?", str(config.get("Scope")), re.IGNORECASE):
        return Names(match["subscription"], match["group"], match["workspace"])
    known = {field: str(config.get(field) or "") for field in Names.__dataclass_fields__}
    return Names(**known) if all(known.values()) else None


def data_folder(project: Path, model: str) -> Path:
    """Where a model's data lies: data/NAME, or data/ itself in a project whose models share it."""
    own = project / "data" / model
    return own if own.is_dir() else project / "data"


def add(wishes: Wishes, run: dict[str, Any], vm_size: str, data: Path) -> None:
    target, nodes = run.get("target"), int(run.get("nodeCount") or 1)
    if target and target != "local":
        size, known = wishes.clusters.get(target, (vm_size, 1))
        wishes.clusters[target] = (size, max(known, nodes))
    for wish in (run.get("data") or {}).values():
        dataset = wish["dataLocation"]["dataset"]
        if dataset.get("name"):
            version = int(dataset.get("version") or 1)
            wishes.datasets[dataset["name"]] = max(version, wishes.datasets.get(dataset["name"], 1))
            wishes.folders.setdefault(dataset["name"], data)


def furnish(workspace: Workspace) -> None:
    """Make what is there from the start: the resource group, two storage accounts, the workspace's own datastores."""
    group = workspace.names.resource_group
    with workspace.state.lock:
        resources.add_group(workspace, group)
        for account in (ACCOUNT, SECOND):
            storage.add_account(workspace, group, account)
        datastores.add_datastore(workspace, "workspaceblobstore", DATA)
        datastores.add_datastore(workspace, datastores.ARTIFACT_STORE, ARTIFACTS)


def sow(workspace: Workspace, project: Path, wishes: Wishes) -> list[str]:
    """Make what is missing; return a line for each thing made."""
    made, tables = [], workspace.state.tables
    with workspace.state.lock:
        for name, (vm_size, nodes) in wishes.clusters.items():
            if name not in tables.computes:
                computes.created(workspace, name, vm_size, max(nodes, 4))
                made.append(f"cluster {name} ({vm_size}, at most {max(nodes, 4)} nodes)")
        for name, newest in wishes.datasets.items():
            missing = range(len(tables.datasets.get(name, [])) + 1, newest + 1)
            folder = wishes.folders[name]
            files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
            place = f"{name}/{newest}"  # the files lie there once, also where several versions are missing
            for file in files if missing else []:
                with file.open("rb") as content:
                    workspace.blobs.write(DATA, f"{place}/{file.relative_to(folder).as_posix()}", content)
            for version in missing:
                datasets.created(workspace, name, "workspaceblobstore", place)
                where = folder.relative_to(project).as_posix()
                made.append(f"dataset {name} version {version}: the files of {where}/ ({len(files)})")
    return made


def read_json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return {}
