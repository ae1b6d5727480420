"""The model that a pipeline has made here, as a run of the workspace: what registers takes that."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from aml_project.command_line import Failure
from aml_project.project import shown
from aml_project.search.trials import is_number
from aml_project.service import local_run

METRICS = "metrics.json"
ASSET = "outputs/model"  # where the run has the model, wherever it lay here


def bring(workspace: Any, model: str, step: str, asset: Path, metrics: Path | None) -> Any:
    """Have the run of a model that a step has made here, with its metrics (azureml.core.Run)."""
    files = local_run.files_below(asset, ASSET if asset.is_dir() else f"{ASSET}/{asset.name}")
    if not asset.exists():
        raise Failure(f"{shown(asset)}: not there any more: make pipeline")
    numbers: dict[str, float] = {}
    if metrics is not None:
        file = metrics if metrics.is_file() else metrics / METRICS
        numbers = read_metrics(file)
        files[f"outputs/{METRICS}"] = file
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    made = local_run.Made(f"{step} here", {"pipeline": f"{model}, step {step}, run here"}, numbers, files)
    return local_run.send(workspace, model, f"{model}_pipeline_{digest.hexdigest()[:12]}", made)


def read_metrics(file: Path) -> dict[str, float]:
    """The metrics that are numbers."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Failure(f"{shown(file)}: {getattr(error, 'strerror', None) or error}: no metrics in it") from None
    if not isinstance(content, dict):
        raise Failure(f"{shown(file)}: names no metrics")
    return {str(name): float(value) for name, value in content.items() if is_number(value)}
