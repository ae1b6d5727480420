"""One file of steps, pipeline.yml, and the engines that carry it out: here, and in Azure ML."""

from __future__ import annotations

from aml_project import search

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from pathlib import Path

MADE = "model.json"  # which result of a pipeline here is the model, as old as that result


def folder_of(model_folder: Path) -> Path:
    """Where a model's pipeline keeps everything."""
    return model_folder / "outputs" / "pipeline"


def made_since(model_folder: Path) -> bool:
    """Whether a pipeline has made a model here after the last run and the last search."""
    others = (model_folder / "run.json", search.last_search(model_folder) / search.RECORD)
    return search.changed(folder_of(model_folder) / MADE) > max(map(search.changed, others))


def maker(model_folder: Path) -> tuple[str, Path]:
    """The step that has made the model here, and the folder that it ran in."""
    import json

    said = json.loads((folder_of(model_folder) / MADE).read_text(encoding="utf-8"))
    return said["step"], folder_of(model_folder) / said["folder"]
