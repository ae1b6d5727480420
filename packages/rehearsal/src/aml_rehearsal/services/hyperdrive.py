"""HyperDrive: a search for hyperparameters is checked, then started."""

from __future__ import annotations

import json
from typing import Any

from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.sampling import Point
from aml_rehearsal.services import execution, pipeline_records, pipeline_runs, searches
from aml_rehearsal.services.history import run_of
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.searches import SYSTEM
from aml_rehearsal.state import Record, now, set_status
from aml_rehearsal.workspace import Workspace

BASE = "/hyperdrive/v1.0{scope}/experiments/{experiment}"


@api.route("POST", BASE + "/runs", BASE + "/hdruns/{run}", BASE + "/runs/{parent}")
def create(workspace: Workspace, request: Request) -> Any:
    """Start a search, by an id of the service's own or of the caller's, or as a child of another run."""
    wish = json.loads(next(iter(execution.parts(request).values())))
    try:
        run_id = begun(workspace, request, wish)["runId"]
    except Refusal as refusal:  # this service's errors have a shape of their own
        raise refusal.as_body({"code": refusal.reply.status, "message": str(refusal)}) from None
    kept = wish | {"platform_config": wish["platform_config"] | {"ParentRunId": run_id}}
    kept |= {"all_jobs_generated": False, "cancellation_requested": False, "created": now(), "modified": now()}
    kept |= {"created_by_user_id": 1, "study_id": 1, "experiment_id": 1}
    kept |= {"hyperdrive_run_id": run_id, "status": "RUNNING"}
    return Reply({"code": 201, "result": kept}, 201)


def begun(workspace: Workspace, request: Request, wish: Record) -> Record:
    """The run of a search over a script, a command or a pipeline."""
    experiment = request.names["experiment"]
    parent = workspace.state.tables.runs.get(request.names.get("parent", ""))
    trial, sent = None, wish["platform_config"].get("CreationInfoWithGraph")
    if sent:
        graph = pipeline_runs.new_graph(workspace, sent)["Id"]

        def trial(run_id: str, point: Point, earlier: Record | None) -> None:
            """Start a run of the pipeline, whose parameters the hyperparameters are."""
            values = {name: str(value) for name, value in point.items()}
            info = dict(sent.get("CreationInfo") or {})
            info["ParameterAssignments"] = (info.get("ParameterAssignments") or {}) | values
            known = pipeline_records.find(workspace, "Graphs", graph)
            pipeline_runs.PipelineRun(
                workspace, pipeline_runs.prepared(workspace, known, info, experiment, Id=run_id)
            ).start()

    run_id = request.names.get("run", "")
    run = searches.begin(workspace, experiment, wish, run_id, parent=parent, trial=trial)
    run["properties"]["user_agent"] = request.headers.get("user-agent", "")
    return run


@api.route("POST", BASE + "/runs/{run}/cancel")
def cancel(workspace: Workspace, request: Request) -> Any:
    run = run_of(workspace, request.names["run"])
    set_status(run, "CancelRequested")
    run["tags"] |= {SYSTEM + "cancellation_requested": "true", "cancellation_requested": "true"}
    return {"code": 200, "result": "ok"}
