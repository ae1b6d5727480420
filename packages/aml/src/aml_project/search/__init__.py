"""One search for hyperparameters, search.yml, and the engines that carry it out."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from pathlib import Path

RECORD = "trials.jsonl"


def folder_of(model_folder: Path) -> Path:
    """Where a model's search keeps everything."""
    return model_folder / "outputs" / "search"


def searched_since(model_folder: Path) -> bool:
    """Whether the search has found something after the last run of the model was submitted."""
    file, run_file = folder_of(model_folder) / RECORD, model_folder / "run.json"
    return file.is_file() and (not run_file.is_file() or file.stat().st_mtime > run_file.stat().st_mtime)
