"""A search here as a run of the workspace, whose children are its trials, each with its values and metrics.

The ids are made of the search and of the trial, so that the same call again finds what was sent, and sends the rest.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from aml_project.command_line import Progress
from aml_project.search import folder_of, record
from aml_project.search.definition import Search
from aml_project.search.record import FAILED, Record, Trial
from aml_project.service import local_run, submission, trial_run
from aml_project.service.asking import ask
from aml_project.service.errors import is_no_refusal

OVER = ("Completed", "Failed")


def send(workspace: Any, model_folder: Path, search: Search) -> str:
    """Have the runs of all trials that are over in the workspace; return what to say about it."""
    from azureml.core import Experiment

    model, kept = model_folder.name, Record(folder_of(model_folder))
    trials = [trial for trial in kept.trials.values() if trial.is_over]
    experiment = Experiment(workspace, model)
    digest = hashlib.sha256(trials[0].started.encode()).hexdigest()[:8]
    parent = have(workspace, f"{model}_search_{digest}", lambda run_id: experiment.start_logging(
        run_id=run_id, display_name=f"search of {model}", snapshot_directory=None, outputs=False
    ))  # fmt: skip
    there = {child.id for child in ask(workspace, lambda: list(parent.get_children())) if child.get_status() in OVER}
    with Progress(f"Sending {len(trials)} trials"):
        for trial in trials:
            if trial_run.id_of(model, trial) not in there:
                send_trial(workspace, parent, model, trial, search)
        leading = record.best(kept.of(search), search)
        tags = {"trials": str(len(trials)), "goal": f"{search.goal} {search.metric}"}
        best = {"best_trial": str(leading.number)} if leading else {}
        local_run.describe(workspace, parent, tags | best, leading.metrics if leading else {})
        if parent.get_status() not in OVER:
            ask(workspace, parent.complete)
    return f"Run {parent.id} in experiment {model} has the {len(trials)} trials as children\n{parent.get_portal_url()}"


def send_trial(workspace: Any, parent: Any, model: str, trial: Trial, search: Search) -> None:
    name = f"trial {trial.number}"
    run = have(workspace, trial_run.id_of(model, trial), lambda run_id: parent.child_run(name=name, run_id=run_id))
    value = trial.value(search)
    reached = {} if value is None else {search.metric: value}
    local_run.describe(workspace, run, trial_run.tags_of(model, trial, search), reached | trial.metrics)
    if run.get_status() in OVER:
        return
    if trial.state == FAILED:
        ask(workspace, lambda: run.fail(error_details=trial.why))
    else:
        ask(workspace, run.complete)


def have(workspace: Any, run_id: str, make: Any) -> Any:
    """The run of that id, made if there is none."""

    def find() -> Any:
        return submission.find(workspace, run_id)

    return find() or ask(workspace, lambda: make(run_id), passes=is_no_refusal, find=find, makes="run")
