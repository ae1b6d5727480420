"""One file of steps, pipeline.yml, and the engines that carry it out: here, and in Azure ML."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from pathlib import Path


def folder_of(model_folder: Path) -> Path:
    """Where a model's pipeline keeps everything."""
    return model_folder / "outputs" / "pipeline"
