"""Run history: experiments and their runs."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from typing import Any

from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services import run_filter
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, creator, now, set_status
from aml_rehearsal.tokens import LIFETIME
from aml_rehearsal.workspace import Workspace

BASE = "/history/v1.0{scope}"
# The client names a run's experiment in one of two ways.
RUN = (BASE + "/experiments/{experiment}/runs/{run}", BASE + "/experimentids/{experiment_id}/runs/{run}")
ANY = (*RUN, BASE + "/runs/{run}")  # or does without
LOGS = ("azureml-logs/", "user_logs/", "system_logs/", "logs/")
EVENTS = {
    "Start": "Running",
    "Completed": "Completed",
    "Failed": "Failed",
    "Canceled": "Canceled",
    "CancelRequested": "CancelRequested",
    "Finalizing": "Finalizing",
}
READ_ONLY = {"runId", "token", "runNumber", "experimentId", "createdUtc", "createdBy", "dataContainerId"}


def experiment_of(workspace: Workspace, name: str) -> Record:
    """The experiment; the first use makes it."""
    experiments = workspace.state.tables.experiments
    if name not in experiments:
        experiments[name] = {
            "experimentId": workspace.state.new_id(),
            "name": name,
            "description": None,
            "createdUtc": now(),
            "tags": {},
            "archivedTime": None,
            "retainForLifetimeOfWorkspace": False,
            "latestCreatedRunCreatedUtc": None,
            "artifactLocation": "",
        }
    return experiments[name]


def run_of(workspace: Workspace, run_id: str) -> Record:
    run = workspace.state.tables.runs.get(run_id)
    if run is None:
        raise Refusal(404, f"Run {run_id} was not found")
    return run


def new_run(workspace: Workspace, experiment: str, run_id: str, **known: Any) -> Record:
    """A new run, or the one that the client has already announced under this id."""
    runs = workspace.state.tables.runs
    if run_id not in runs:
        owner = experiment_of(workspace, experiment)
        owner["latestCreatedRunCreatedUtc"] = now()
        expires = datetime.now(timezone.utc) + timedelta(seconds=LIFETIME)
        runs[run_id] = {
            "runNumber": len(runs) + 1,
            "rootRunId": run_id,
            "runId": run_id,
            "parentRunId": None,
            "experimentId": owner["experimentId"],
            "createdUtc": now(),
            "createdBy": creator("rehearsal"),
            "userId": "rehearsal",
            "tokenExpiryTimeUtc": expires.isoformat(),
            "error": None,
            "warnings": None,
            "revision": 1,
            "status": "NotStarted",
            "startTimeUtc": None,
            "endTimeUtc": None,
            "heartbeatEnabled": False,
            "options": {"generateDataContainerIdIfNotSpecified": True},
            "name": None,
            "displayName": run_id,
            "dataContainerId": f"dcid.{run_id}",
            "description": None,
            "hidden": False,
            "runType": None,  # of one that is only logged
            "properties": {},
            "parameters": {},
            "scriptName": None,
            "target": "local",
            "tags": {},
            "inputDatasets": [],
            "outputDatasets": [],
            "runDefinition": None,
            "createdFrom": None,
            "uniqueChildRunComputeTargets": [],
        }
    runs[run_id].update(known)
    return runs[run_id]


def experiment_name(workspace: Workspace, request: Request) -> str:
    if "experiment" in request.names:
        return request.names["experiment"]
    for name, experiment in workspace.state.tables.experiments.items():
        if experiment["experimentId"] == request.names["experiment_id"]:
            return name
    raise Refusal(404, f"Experiment {request.names['experiment_id']} was not found")


def shown(workspace: Workspace, run: Record) -> Record:
    """A run as the client gets it: with a token of its own, that is never kept."""
    return run | {"token": workspace.tokens.issue(run["runId"], "run")}


@api.route("GET", BASE + "/experiments")
def experiments(workspace: Workspace, request: Request) -> Any:
    wish = request.json if request.method == "POST" else {key.strip("$"): text for key, text in request.query.items()}
    wanted, words = str(wish.get("viewType") or "ActiveOnly"), str(wish.get("filter") or "")
    found = [
        experiment
        for experiment in workspace.state.tables.experiments.values()
        if (wanted == "All" or (wanted == "ArchivedOnly") == bool(experiment["archivedTime"]))
        and (not words or run_filter.fits(experiment, words))
    ]
    return {"value": found, "continuationToken": None, "nextLink": None}


@api.route("POST", BASE + "/experiments:query")
def query_experiments(workspace: Workspace, request: Request) -> Any:
    return experiments(workspace, request)


@api.route("GET POST", BASE + "/experiments/{experiment}")
def experiment(workspace: Workspace, request: Request) -> Any:
    name = request.names["experiment"]
    if request.method == "GET" and name not in workspace.state.tables.experiments:
        raise Refusal(404, f"Experiment {name} was not found")
    return experiment_of(workspace, name)


@api.route("GET PATCH DELETE", BASE + "/experimentids/{experiment_id}")
def experiment_by_id(workspace: Workspace, request: Request) -> Any:
    name = experiment_name(workspace, request)
    record = workspace.state.tables.experiments[name]
    if request.method == "DELETE":
        if workspace.state.tables.runs.keys_where(experimentId=record["experimentId"]):
            raise Refusal(409, f"Experiment {name} has runs. Only empty experiments can be deleted.")
        del workspace.state.tables.experiments[name]
        return {}
    if request.method == "PATCH":
        changes = request.json
        if changes.get("archive") is not None:
            record["archivedTime"] = now() if changes["archive"] else None
        record["tags"] |= changes.get("tags") or {}
        record |= {key: changes[key] for key in ("name", "description") if changes.get(key) is not None}
    return record


@api.route("POST", BASE + "/experimentids/{experiment_id}/tags:delete")
def remove_tags(workspace: Workspace, request: Request) -> Any:
    record = workspace.state.tables.experiments[experiment_name(workspace, request)]
    record["tags"] = {name: text for name, text in record["tags"].items() if name not in request.json["tags"]}
    return {"errors": {}}


@api.route("POST", BASE + "/experiments/{experiment}/runs:query", BASE + "/experimentids/{experiment_id}/runs:query")
def query_runs(workspace: Workspace, request: Request) -> Any:
    owner = workspace.state.tables.experiments[experiment_name(workspace, request)]["experimentId"]
    wish = request.json if request.method == "POST" else {key.strip("$"): text for key, text in request.query.items()}
    runs, wanted, most = workspace.state.tables.runs, str(wish.get("filter") or ""), int(wish.get("top") or 0)
    sort, descending = run_filter.order(wish.get("orderby"))
    keys = runs.keys_where(sort, descending=descending, experimentId=owner)
    last = wish.get("continuationToken")  # the run that the page before ended with
    left = keys[keys.index(last) + 1 :] if last in keys else keys
    found = (shown(workspace, run) for run in runs.copies(left) if not wanted or run_filter.fits(run, wanted))
    page = list(itertools.islice(found, most or None))
    more = page[-1]["runId"] if most and len(page) == most and page[-1]["runId"] != left[-1] else None
    return {"value": page, "continuationToken": more, "nextLink": None}


@api.route("GET", BASE + "/experiments/{experiment}/runs", BASE + "/experimentids/{experiment_id}/runs")
def list_runs(workspace: Workspace, request: Request) -> Any:
    return query_runs(workspace, request)


@api.route("GET", BASE + "/runs/{run}")
def run_by_id(workspace: Workspace, request: Request) -> Any:
    return shown(workspace, run_of(workspace, request.names["run"]))


@api.route("GET POST", BASE + "/rundata")
def run_data(workspace: Workspace, request: Request) -> Any:
    run = run_of(workspace, request.json["runId"])
    return {
        "runMetadata": shown(workspace, run),
        "runDefinition": run["runDefinition"],
        "jobSpecification": None,
        "systemSettings": None,
    }


@api.route("GET PATCH POST PUT", *RUN)
def run(workspace: Workspace, request: Request) -> Any:
    run_id = request.names["run"]
    if request.method == "GET":
        return shown(workspace, run_of(workspace, run_id))
    record = new_run(workspace, experiment_name(workspace, request), run_id)
    merge(record, request.json)
    rooted(workspace, record)
    return shown(workspace, record)


@api.route("DELETE", *(path + "/tags" for path in RUN))
def remove_run_tags(workspace: Workspace, request: Request) -> Any:
    record = run_of(workspace, request.names["run"])
    record["tags"] = {name: text for name, text in record["tags"].items() if name not in request.json}
    return shown(workspace, record)


@api.route("GET", BASE + "/computes/{compute}/runs")
def runs_on_compute(workspace: Workspace, request: Request) -> Any:
    """The runs of all experiments that were sent to a compute target."""
    runs, wanted = workspace.state.tables.runs, request.query.get("$filter", "")
    on_it = (run for run in runs.copies(list(runs)) if run["target"] == request.names["compute"])
    found = [shown(workspace, run) for run in on_it if not wanted or run_filter.fits(run, wanted)]
    return {"value": found, "continuationToken": None, "nextLink": None}


@api.route("PATCH", BASE + "/experiments/{experiment}/batch/runs", BASE + "/experimentids/{experiment_id}/batch/runs")
def many_runs(workspace: Workspace, request: Request) -> Any:
    """Make or change several runs, as the children of one."""
    experiment, told = experiment_name(workspace, request), {}
    for wish in request.json["runs"]:
        record = new_run(workspace, experiment, wish["runId"])
        merge(record, wish)
        rooted(workspace, record)
        told[wish["runId"]] = shown(workspace, record)
    return {"runs": told, "errors": {}}


def rooted(workspace: Workspace, record: Record) -> None:
    """Let a child have its parent's root."""
    parent = workspace.state.tables.runs.get(record["parentRunId"] or "")
    if parent:
        record["rootRunId"] = parent["rootRunId"]


def merge(record: Record, changes: Record) -> None:
    """Change a run as the client says, as far as that is the client's to say."""
    for key, change in changes.items():
        if change is None or key in READ_ONLY:
            continue
        if key in {"properties", "tags"}:
            record[key].update({name: text for name, text in change.items() if text is not None})
        elif key == "status" and record["status"] != "NotStarted":
            continue  # only events end a run: the client's own first status may come late
        else:
            record[key] = change


@api.route("GET", *(path + "/details" for path in ANY))
def details(workspace: Workspace, request: Request) -> Any:
    record = run_of(workspace, request.names["run"])
    prefix = f"ExperimentRun/dcid.{record['runId']}/"
    logs = {
        key.removeprefix(prefix): workspace.blob_uri("azureml", key, "r")
        for key in workspace.state.tables.artifacts.below(prefix)
        if key.removeprefix(prefix).startswith(LOGS)
    }
    same = "runId target status startTimeUtc endTimeUtc error properties inputDatasets outputDatasets runDefinition"
    return {key: record[key] for key in same.split()} | {
        "warnings": record["warnings"] or [],
        "logFiles": logs,
        "submittedBy": record["createdBy"]["userName"],
    }


@api.route("POST", *(path + end for path in RUN for end in ("/events", "/events:batch", "/batch/events")))
def events(workspace: Workspace, request: Request) -> Any:
    record = run_of(workspace, request.names["run"])
    sent = request.json
    for event in sent if isinstance(sent, list) else sent.get("events", [sent]):
        happened(record, event)
    return {}


@api.route(
    "POST", BASE + "/experiments/{experiment}/batch/events", BASE + "/experimentids/{experiment_id}/batch/events"
)
def events_of_many(workspace: Workspace, request: Request) -> Any:
    for event in request.json["events"]:
        happened(run_of(workspace, event["data"]["RunId"]), event)
    return {"errors": []}


def happened(record: Record, event: Record) -> None:
    name = str(event.get("name", "")).rpartition(".")[2]
    data = {key.lower(): value for key, value in (event.get("data") or {}).items()}
    status = EVENTS.get(name)
    if status:
        set_status(record, status)
    if name in {"Failed", "Error"}:  # the client tells first what is wrong, then that the run has failed
        record["error"] = data.get("errorresponse") or record["error"]
    if name == "Warning":
        warning = {"source": data.get("source"), "message": data.get("message")}
        record["warnings"] = [*(record["warnings"] or []), warning]


@api.route(
    "POST", *(path + "/cancel" for path in RUN), "/execution/v1.0{scope}/experiments/{experiment}/runId/{run}/cancel"
)
def cancel(workspace: Workspace, request: Request) -> Any:
    record = run_of(workspace, request.names["run"])
    set_status(record, "CancelRequested")
    return {}


@api.route("GET", BASE + "/runs/{run}/serviceinstances/{node}")
def service_instances(workspace: Workspace, request: Request) -> Any:
    """What a run serves on its nodes: nothing."""
    run_of(workspace, request.names["run"])
    return {"instances": {}}


@api.route("GET", *(path + "/children" for path in ANY))
def children(workspace: Workspace, request: Request) -> Any:
    parent = run_of(workspace, request.names["run"])["runId"]
    runs = workspace.state.tables.runs
    own = runs.copies(runs.keys_where(parentRunId=parent))
    return {"value": [shown(workspace, run) for run in own], "continuationToken": None}
