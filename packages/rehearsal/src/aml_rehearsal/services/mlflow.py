"""MLflow's tracking protocol, as far as azureml-mlflow speaks it from inside a run and to read one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aml_rehearsal.addresses import API_HOST
from aml_rehearsal.admission import admit_run
from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services import metrics
from aml_rehearsal.services.history import experiment_of, new_run, run_of
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, set_status
from aml_rehearsal.workspace import Workspace

VERSION = "/mlflow/v2.0{scope}"
BASE = VERSION + "/api/2.0/mlflow"
PREVIEW = VERSION + "/api/2.0/preview/mlflow"
STATUS = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED", "NotStarted": "SCHEDULED"}


def milliseconds(moment: str | None) -> int | None:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000) if moment else None


def run_json(workspace: Workspace, run: Record) -> Record:
    name = next(
        name
        for name, experiment in workspace.state.tables.experiments.items()
        if experiment["experimentId"] == run["experimentId"]
    )
    place = f"azureml://{API_HOST}{VERSION}/experiments/{name}/runs/{run['runId']}/artifacts"
    points = [
        {"key": key, "value": value, "timestamp": milliseconds(run["createdUtc"]), "step": 0}
        for key, value in metrics.last_numbers(workspace, run["runId"]).items()
    ]
    return {
        "info": {
            "run_id": run["runId"],
            "run_uuid": run["runId"],
            "run_name": run["displayName"],
            "experiment_id": run["experimentId"],
            "user_id": "rehearsal",
            "status": STATUS.get(run["status"], "RUNNING"),
            "start_time": milliseconds(run["startTimeUtc"] or run["createdUtc"]),
            "end_time": milliseconds(run["endTimeUtc"]),
            "artifact_uri": place.replace("{scope}", workspace.names.scope),
            "lifecycle_stage": "active",
        },
        "data": {
            "metrics": points,
            "params": [{"key": key, "value": text} for key, text in run["parameters"].items()],
            "tags": [{"key": key, "value": text} for key, text in run["tags"].items()],
        },
    }


def asked_run(workspace: Workspace, request: Request) -> Record:
    wish = request.query if request.method == "GET" else request.json
    run = run_of(workspace, wish.get("run_id") or wish.get("run_uuid") or "")
    if request.method != "GET" and request.identity:
        admit_run(workspace, request.identity, run["runId"])
    return run


def set_parameter(run: Record, key: str, text: str) -> None:
    if run["parameters"].setdefault(key, text) != text:
        raise Refusal(400, f"Parameter {key} is already '{run['parameters'][key]}'", "INVALID_PARAMETER_VALUE")


@api.route("GET", BASE + "/runs/get")
def get_run(workspace: Workspace, request: Request) -> Any:
    return {"run": run_json(workspace, asked_run(workspace, request))}


@api.route("POST", BASE + "/runs/create")
def create_run(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    name = experiment_name(workspace, wish["experiment_id"])
    tags = {tag["key"]: tag["value"] for tag in wish.get("tags", [])}
    parent = workspace.state.tables.runs.get(tags.get("mlflow.parentRunId", ""))
    run = new_run(workspace, name, workspace.state.new_id(), tags=tags, runType="mlflow")
    if parent:
        run |= {"parentRunId": parent["runId"], "rootRunId": parent["rootRunId"]}
    run["displayName"] = wish.get("run_name") or run["runId"]
    set_status(run, "Running")
    return {"run": run_json(workspace, run)}


@api.route("POST", BASE + "/runs/update")
def update_run(workspace: Workspace, request: Request) -> Any:
    run, status = asked_run(workspace, request), request.json.get("status")
    ended = {text: name for name, text in STATUS.items()}.get(status)
    if ended:
        set_status(run, ended)
    return {"run_info": run_json(workspace, run)["info"]}


@api.route("POST", BASE + "/runs/log-batch", PREVIEW + "/runs/log-batch-async")
def log_batch(workspace: Workspace, request: Request) -> Any:
    run, sent = asked_run(workspace, request), request.json
    for metric in sent.get("metrics", []):
        metrics.log_number(workspace, run["runId"], metric["key"], float(metric["value"]), int(metric.get("step", 0)))
    for parameter in sent.get("params", []):
        set_parameter(run, parameter["key"], parameter["value"])
    run["tags"].update({tag["key"]: tag["value"] for tag in sent.get("tags", [])})
    return {}


@api.route("POST", BASE + "/runs/log-metric")
def log_metric(workspace: Workspace, request: Request) -> Any:
    run, sent = asked_run(workspace, request), request.json
    metrics.log_number(workspace, run["runId"], sent["key"], float(sent["value"]), int(sent.get("step", 0)))
    return {}


@api.route("POST", BASE + "/runs/log-parameter")
def log_parameter(workspace: Workspace, request: Request) -> Any:
    sent = request.json
    set_parameter(asked_run(workspace, request), sent["key"], sent["value"])
    return {}


@api.route("POST", BASE + "/runs/set-tag")
def set_tag(workspace: Workspace, request: Request) -> Any:
    sent = request.json
    asked_run(workspace, request)["tags"][sent["key"]] = sent["value"]
    return {}


@api.route("GET", BASE + "/metrics/get-history")
def metric_history(workspace: Workspace, request: Request) -> Any:
    run, key = asked_run(workspace, request), request.query.get("metric_key", "")
    metric = metrics.of_run(workspace, run["runId"]).get(key, {"value": []})
    points = [
        {
            "key": key,
            "value": point["data"][key],
            "timestamp": milliseconds(point["createdUtc"]),
            "step": point.get("step") or 0,
        }
        for point in metric["value"]
        if key in point["data"]
    ]
    return {"metrics": points}


def experiment_name(workspace: Workspace, experiment_id: str) -> str:
    for name, experiment in workspace.state.tables.experiments.items():
        if experiment["experimentId"] == experiment_id:
            return name
    raise Refusal(404, f"Experiment {experiment_id} was not found", "RESOURCE_DOES_NOT_EXIST")


def experiment_json(experiment: Record) -> Record:
    return {
        "experiment": {
            "experiment_id": experiment["experimentId"],
            "name": experiment["name"],
            "artifact_location": "",
            "lifecycle_stage": "active",
        }
    }


@api.route("GET", BASE + "/experiments/get")
def get_experiment(workspace: Workspace, request: Request) -> Any:
    name = experiment_name(workspace, request.query.get("experiment_id", ""))
    return experiment_json(workspace.state.tables.experiments[name])


@api.route("GET", BASE + "/experiments/get-by-name")
def get_experiment_by_name(workspace: Workspace, request: Request) -> Any:
    experiment = workspace.state.tables.experiments.get(request.query.get("experiment_name", ""))
    if experiment is None:
        raise Refusal(404, "No such experiment", "RESOURCE_DOES_NOT_EXIST")
    return experiment_json(experiment)


@api.route("POST", BASE + "/experiments/create")
def create_experiment(workspace: Workspace, request: Request) -> Any:
    return {"experiment_id": experiment_of(workspace, request.json["name"])["experimentId"]}
