"""HyperDrive: a search for hyperparameters is checked, then started."""

from __future__ import annotations

import json
from typing import Any

from aml_rehearsal import sampling
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services import execution
from aml_rehearsal.services.history import new_run, run_of
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.searches import SYSTEM, Search
from aml_rehearsal.state import Record, now, set_status
from aml_rehearsal.workspace import Workspace

BASE = "/hyperdrive/v1.0{scope}/experiments/{experiment}"
KEPT = (  # of the wish, where the client finds it again
    *("max_concurrent_jobs", "max_total_jobs", "max_duration_minutes"),
    *("policy_config", "generator_config", "primary_metric_config", "platform_config"),
)
LIMITS = {"max_total_jobs": 1000, "max_concurrent_jobs": 100, "max_duration_minutes": 43200}


@api.route("POST", BASE + "/runs", BASE + "/hdruns/{run}", BASE + "/runs/{parent}")
def create(workspace: Workspace, request: Request) -> Any:
    """Start a search, by an id of the service's own or of the caller's, or as a child of another run."""
    wish = json.loads(next(iter(execution.parts(request).values())))
    try:
        search = accepted(workspace, request, wish)
    except Refusal as refusal:  # this service's errors have a shape of their own
        raise refusal.as_body({"code": refusal.reply.status, "message": str(refusal)}) from None
    search.start()
    kept = wish | {"platform_config": wish["platform_config"] | {"ParentRunId": search.run_id}}
    kept |= {"all_jobs_generated": False, "cancellation_requested": False, "created": now(), "modified": now()}
    kept |= {"created_by_user_id": 1, "study_id": 1, "experiment_id": 1}
    kept |= {"hyperdrive_run_id": search.run_id, "status": "RUNNING"}
    return Reply({"code": 201, "result": kept}, 201)


def accepted(workspace: Workspace, request: Request, wish: Record) -> Search:
    """Check a search and make its run."""
    runs, names = workspace.state.tables.runs, request.names
    run_id = names.get("run") or f"HD_{workspace.state.new_id()}"
    if run_id in runs:
        raise Refusal(409, f"Run {run_id} exists", "RunExists")
    for name, most in LIMITS.items():
        if not 1 <= int(wish.get(name) or 0) <= most:
            raise Refusal(400, f"{name} is from 1 to {most}, not {wish.get(name)}.")
    metric = wish["primary_metric_config"]
    if not metric.get("name") or str(metric.get("goal")).lower() not in {"maximize", "minimize"}:
        raise Refusal(400, f"The primary metric has a name and a goal, maximize or minimize, not {json.dumps(metric)}.")
    definition = wish["platform_config"]["Definition"]
    for absent, what in (
        ("CreationInfoWithGraph" in wish["platform_config"], "a search over a pipeline"),
        (wish.get("resume_from") or wish.get("resume_child_runs"), "a search that goes on from an earlier one"),
    ):
        if absent:
            raise Refusal(501, f"The rehearsal does not play {what}.", "NotImplemented")
    configuration = definition["Overrides"]
    if not configuration.get("script"):
        raise Refusal(501, "The rehearsal does not play a search over a command.", "NotImplemented")
    if definition.get("SnapshotId") not in workspace.state.tables.snapshots:
        raise Refusal(400, f"Snapshot {definition.get('SnapshotId')} was not found")
    if configuration["target"] == "local":
        raise Refusal(400, "Automated hyperparameter tuning is not supported on this computer.")
    execution.check_compute(workspace, configuration["target"], int(configuration["nodeCount"]))
    search = Search(workspace, names["experiment"], run_id, wish)
    run = new_run(workspace, names["experiment"], run_id, runType="hyperdrive", target=configuration["target"])
    parent = runs.get(names.get("parent", ""))
    if parent:
        run |= {"parentRunId": parent["runId"], "rootRunId": parent["rootRunId"]}
    run["tags"] |= tags(wish)
    run["properties"] |= {
        "primary_metric_config": compact(metric),
        "resume_from": "null",
        "runTemplate": "HyperDrive",
        "azureml.runsource": "hyperdrive",
        "platform": wish["platform"],
        "ContentSnapshotId": definition["SnapshotId"],
        "user_agent": request.headers.get("user-agent", ""),
        "space_size": sampling.size(wish["generator_config"]["parameter_space"]),
    }
    set_status(run, "Running")
    return search


def tags(wish: Record) -> dict[str, str]:
    """What the client makes its configuration of again; older clients ask without the prefix."""
    texts = {name: text if isinstance(text := wish[name], str) else compact(text) for name in KEPT}
    texts |= {"all_jobs_generated": "false", "cancellation_requested": "false"}
    return texts | {SYSTEM + name: text for name, text in texts.items()}


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


@api.route("POST", BASE + "/runs/{run}/cancel")
def cancel(workspace: Workspace, request: Request) -> Any:
    run = run_of(workspace, request.names["run"])
    set_status(run, "CancelRequested")
    run["tags"] |= {SYSTEM + "cancellation_requested": "true", "cancellation_requested": "true"}
    return {"code": 200, "result": "ok"}
