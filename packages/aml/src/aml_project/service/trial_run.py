"""A trial of a search as a run of the workspace: with that its model goes through the same gate as any other's.

One that ran here is sent (local_run.py); the run's id is made of the trial.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aml_project.command_line import Failure
from aml_project.files import write_whole
from aml_project.search import definition, engines, last_search, record
from aml_project.search.definition import Search
from aml_project.search.record import COMPLETE, Record, Trial
from aml_project.search.trials import place_of
from aml_project.service import local_run, run_log
from aml_project.service.asking import ask


@dataclass(frozen=True)
class Chosen:
    """A trial whose model is to be registered."""

    trial: Trial
    search: Search
    folder: Path  # where its search keeps everything


def chosen(model_folder: Path, number: int | None) -> Chosen:
    """The trial of that number in the last search, or the best one; a Failure says why it can't be registered."""
    folder, search = last_search(model_folder), definition.read(model_folder)
    kept = Record(folder)
    trial = kept.trials.get(number) if number is not None else record.best(kept.of(search), search)
    if trial is None:
        what = "none has gone to its end" if number is None else f"there is no trial {number}"
        raise Failure(f"--trial: {what}: make search MODEL={model_folder.name}, or ARGS=--list to see them")
    if trial.state != COMPLETE:
        raise Failure(f"--trial: trial {trial.number} is {trial.state}; take one that went to its end")
    return Chosen(trial, search, folder)


def id_of(model: str, trial: Trial) -> str:
    digest = hashlib.sha256(json.dumps([trial.values, trial.started], sort_keys=True).encode()).hexdigest()
    return f"{model}_trial_{trial.number}_{digest[:8]}"


def tags_of(model: str, trial: Trial, search: Search) -> dict[str, str]:
    """What its values were, and which search it is of."""
    values = {name: str(value) for name, value in trial.values.items()}
    about = {"hyperparameters": json.dumps(trial.values)}  # as HyperDrive and NNI have them on theirs
    return (
        values | about | {"search": f"{model}, trial {trial.number}: {search.goal} {search.metric}, {search.algorithm}"}
    )


def bring(workspace: Any, model_folder: Path, found: Chosen) -> Any:
    """Have the run of a trial in the workspace, with its parameters, metrics and outputs (azureml.core.Run)."""
    trial, search = found.trial, found.search
    if trial.run and (run := engines.whose(model_folder, found.folder).run_of(workspace, found.folder, trial)):
        return run
    model, outputs = model_folder.name, place_of(found.folder, trial.number) / "outputs"
    if not outputs.is_dir():
        raise Failure(f"{outputs}: not there any more: search again, or take another --trial")
    files = local_run.files_below(outputs, "outputs")
    made = local_run.Made(f"trial {trial.number}", tags_of(model, trial, search), trial.metrics, files)
    return local_run.send(workspace, model, id_of(model, trial), made)


def bring_log(workspace: Any, model_folder: Path, folder: Path, trial: Trial) -> None:
    """Have what a trial in the workspace has printed so far where one that ran here has it."""
    run = engines.whose(model_folder, folder).run_of(workspace, folder, trial)
    if run is not None and (printed := ask(workspace, lambda: run_log.all_of(run))):
        write_whole(place_of(folder, trial.number) / "log.txt", printed)
