"""One search for hyperparameters, search.yml, and the engines that carry it out."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from pathlib import Path

RECORD = "trials.jsonl"


def folder_of(model_folder: Path) -> Path:
    """Where a model's search keeps everything."""
    return model_folder / "outputs" / "search"


def last_search(model_folder: Path) -> Path:
    """Where the search that has found something last keeps everything: each engine but the local one in its folder."""
    here = folder_of(model_folder)
    return max((here, here / "nni", here / "hyperdrive"), key=lambda folder: changed(folder / RECORD))


def searched_since(model_folder: Path) -> bool:
    """Whether a search has found something after the last run of the model was noted."""
    return changed(last_search(model_folder) / RECORD) > changed(model_folder / "run.json")


def changed(file: Path) -> float:
    return file.stat().st_mtime if file.is_file() else 0.0
