"""What was made here as a run of the workspace: with that its model goes through the same gate as any other's.

Whoever sends makes the run's id of what is sent, so that the same call again finds what an interrupted one has sent and
adds the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aml_project.service import submission
from aml_project.service.asking import ask
from aml_project.service.errors import is_no_refusal

COMPLETED = "Completed"


@dataclass(frozen=True)
class Made:
    """What was made, as the run is to have it."""

    title: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Mapping[str, Path]  # by their names in the run


def files_below(path: Path, name: str) -> dict[str, Path]:
    """A file under a name, or all files of a folder below it."""
    if path.is_file():
        return {name: path}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {f"{name}/{file.relative_to(path).as_posix()}": file for file in files}


def send(workspace: Any, experiment: str, run_id: str, made: Made) -> Any:
    """Have it as a run of an experiment, that has completed (azureml.core.Run)."""
    from azureml.core import Experiment

    place = Experiment(workspace, experiment)

    def find() -> Any:
        return submission.find(workspace, run_id)

    def make() -> Any:
        return place.start_logging(run_id=run_id, display_name=made.title, snapshot_directory=None, outputs=False)

    run = find() or ask(workspace, make, passes=is_no_refusal, find=find, makes="run")
    is_over = run.get_status() == COMPLETED  # of aml search --track, which sends no files
    if not is_over:
        describe(workspace, run, made.tags, made.metrics)
    there = set(ask(workspace, run.get_file_names))
    for name, file in made.files.items():
        if name not in there:
            ask(workspace, partial(run.upload_file, name, str(file)))
    if not is_over:
        ask(workspace, run.complete)
    return run


def describe(workspace: Any, run: Any, tags: Mapping[str, str], metrics: Mapping[str, float]) -> None:
    """Have these tags and metrics in a run that is open, each once."""
    ask(workspace, lambda: run.set_tags(dict(tags)))
    logged = ask(workspace, run.get_metrics)
    for name, value in metrics.items():
        if name not in logged:
            run.log(name, value)
    run.flush()
