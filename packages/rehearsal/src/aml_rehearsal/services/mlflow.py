"""MLflow's tracking protocol: its experiments and runs are those of the history, seen through other words."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Any

from aml_rehearsal import mlflow_search
from aml_rehearsal.addresses import API_HOST
from aml_rehearsal.admission import admit_run
from aml_rehearsal.azurite import ARTIFACTS
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.mlflow_search import Name, wrong
from aml_rehearsal.services import metrics
from aml_rehearsal.services.artifacts import plain
from aml_rehearsal.services.history import experiment_of, new_run
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import FINAL, Record, now, set_status
from aml_rehearsal.workspace import Workspace

VERSION = "/mlflow/v2.0{scope}"
BASE = VERSION + "/api/2.0/mlflow"
PREVIEW = VERSION + "/api/2.0/preview/mlflow"
STATUS = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"} | dict.fromkeys(
    ("NotStarted", "Queued", "Preparing", "Provisioning", "Starting"), "SCHEDULED"
)
OWN_STATUS = {"FINISHED": "Completed", "FAILED": "Failed", "KILLED": "Canceled"}
DEFAULT, DEFAULT_ID = "Default", "0"  # where a run without an experiment of its own belongs
STATES = {"ACTIVE_ONLY": ("active",), "DELETED_ONLY": ("deleted",), "ALL": ("active", "deleted")}
OF_MODELS = "mlflow.log-model.history"


def milliseconds(moment: str | None) -> int | None:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000) if moment else None


def moment_of(sent: Any) -> str:
    """The moment that a client names in milliseconds; none where it names none."""
    if not sent:
        return ""
    return datetime.fromtimestamp(int(sent) / 1000, timezone.utc).isoformat().replace("+00:00", "Z")


def number(value: float) -> Any:
    """A number as MLflow writes it in JSON, which has no word for some."""
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def wished(sent: Any, name: str) -> Any:
    """What a request must say."""
    if not sent.get(name):
        raise wrong(f"Missing value for required parameter '{name}'.")
    return sent[name]


def in_azure(request: Request, refused: str) -> None:
    """Refuse what Azure does not do; MLflow's own page, where nobody has logged in to Azure, does it."""
    if request.identity:
        raise wrong(f"{refused} is not supported by Azure Machine Learning.")


def points(metric: Record) -> list[Record]:
    """The values of a metric that are numbers. What azureml logs without a step is counted."""
    name = metric["name"]
    return [
        {
            "key": name,
            "value": float(point["data"][name]),
            "timestamp": milliseconds(point["createdUtc"]) or 0,
            "step": index if point.get("step") is None else point["step"],
        }
        for index, point in enumerate(metric["value"])
        if isinstance(point["data"].get(name), (int, float))
    ]


def written(found: list[Record]) -> list[Record]:
    return [point | {"value": number(point["value"])} for point in found]


def latest(workspace: Workspace, run_id: str) -> Record:
    """The values that MLflow shows of a run's metrics."""
    found = {}
    for key, metric in metrics.of_run(workspace, run_id).items():
        if values := points(metric):
            found[key] = max(values, key=lambda point: (point["step"], point["timestamp"]))
    return found


def run_facts(workspace: Workspace, run: Record, experiment: str, *, metrics: bool = True) -> dict[str, Any]:
    """What MLflow knows of a run, by the kinds of names in its searches; on request without its metrics."""
    place = f"azureml://{API_HOST}{VERSION}/experiments/{experiment}/runs/{run['runId']}/artifacts"
    tags = {"mlflow.rootRunId": run["rootRunId"], "mlflow.runName": run["displayName"], "mlflow.user": run["userId"]}
    if run["parentRunId"]:
        tags["mlflow.parentRunId"] = run["parentRunId"]
    return {
        "metric": latest(workspace, run["runId"]) if metrics else {},
        "param": {key: str(text) for key, text in run["parameters"].items()},
        "tag": tags | {key: str(text) for key, text in run["tags"].items()},
        "attribute": {
            "run_id": run["runId"],
            "run_uuid": run["runId"],
            "run_name": run["displayName"],
            "experiment_id": run["experimentId"],
            "user_id": run["userId"],
            "status": STATUS.get(run["status"], "RUNNING"),
            "start_time": milliseconds(run["startTimeUtc"] or run["createdUtc"]),
            "end_time": milliseconds(run["endTimeUtc"]),
            "artifact_uri": place.replace("{scope}", workspace.names.scope),
            "lifecycle_stage": "deleted" if run["hidden"] else "active",
        },
    }


def run_json(workspace: Workspace, run: Record, facts: dict[str, Any] | None = None) -> Record:
    if facts is None:
        facts = run_facts(workspace, run, experiment_by_id(workspace, run["experimentId"])["name"])
    return {
        "info": facts["attribute"],
        "data": {
            "metrics": written(list(facts["metric"].values())),
            "params": [{"key": key, "value": text} for key, text in facts["param"].items()],
            "tags": [{"key": key, "value": text} for key, text in facts["tag"].items()],
        },
        "inputs": {"dataset_inputs": run.get("mlflowInputs", [])},
    }


def run_of(workspace: Workspace, run_id: str) -> Record:
    run = workspace.state.tables.runs.get(run_id)
    if run is None:
        raise Refusal(404, f"Run with id={run_id} not found", "RESOURCE_DOES_NOT_EXIST")
    return run


def asked_run(workspace: Workspace, request: Request) -> Record:
    """The run that is read, or written to; a deleted one can be read only."""
    wish = request.query if request.method == "GET" else request.json
    run = run_of(workspace, str(wish.get("run_id") or wish.get("run_uuid") or ""))
    if request.method != "GET":
        if request.identity:
            admit_run(workspace, request.identity, run["runId"])
        if run["hidden"]:
            raise wrong(f"The run {run['runId']} must be in the 'active' state. Current state is deleted.")
    return run


def set_parameters(run: Record, sent: list[Record]) -> None:
    """Keep parameters; none where one of them is there with another value."""
    known = dict(run["parameters"])
    for parameter in sent:
        key, text = wished(parameter, "key"), str(parameter.get("value", ""))
        if str(known.setdefault(key, text)) != text:
            raise wrong(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                f"value='{known[key]}' for run ID='{run['runId']}'. Attempted logging new value '{text}'."
            )
    run["parameters"] = known


def log(workspace: Workspace, run: Record, metric: Record) -> None:
    key = wished(metric, "key")
    try:
        value, step = float(metric["value"]), int(metric.get("step") or 0)
    except (KeyError, TypeError, ValueError):
        raise wrong(f"Got invalid value {metric.get('value')} for metric '{key}'.") from None
    metrics.log_number(workspace, run["runId"], key, value, step, moment=moment_of(metric.get("timestamp")))


@api.route("GET", BASE + "/runs/get")
def get_run(workspace: Workspace, request: Request) -> Any:
    return {"run": run_json(workspace, asked_run(workspace, request))}


@api.route("POST", BASE + "/runs/create")
def create_run(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    experiment = experiment_by_id(workspace, str(wish.get("experiment_id") or DEFAULT_ID))
    if experiment["archivedTime"]:
        said = f"The experiment {experiment['experimentId']} must be in the 'active' state."
        raise wrong(f"{said} Current state is deleted.")
    tags = {tag["key"]: tag["value"] for tag in wish.get("tags", [])}
    parent = workspace.state.tables.runs.get(tags.get("mlflow.parentRunId", ""))
    run = new_run(workspace, experiment["name"], workspace.state.new_id(), tags=tags, runType="mlflow")
    if parent:
        run |= {"parentRunId": parent["runId"], "rootRunId": parent["rootRunId"]}
    run["displayName"] = wish.get("run_name") or tags.get("mlflow.runName") or run["runId"]
    run["userId"] = wish.get("user_id") or tags.get("mlflow.user") or run["userId"]
    run["startTimeUtc"] = moment_of(wish.get("start_time")) or None
    set_status(run, "Running")
    return {"run": run_json(workspace, run)}


@api.route("POST", BASE + "/runs/update")
def update_run(workspace: Workspace, request: Request) -> Any:
    run, sent = asked_run(workspace, request), request.json
    status = sent.get("status")
    if status in OWN_STATUS:
        set_status(run, OWN_STATUS[status])
    elif status and run["runType"] == "mlflow" and run["status"] in FINAL:
        run |= {"status": "Running", "endTimeUtc": None, "revision": run["revision"] + 1}  # start_run(run_id=…)
    elif status == "RUNNING":
        set_status(run, "Running")
    if sent.get("end_time") and run["status"] in FINAL:
        run["endTimeUtc"] = moment_of(sent["end_time"])
    if sent.get("run_name"):
        run["displayName"] = sent["run_name"]
        run["tags"] = run["tags"] | {"mlflow.runName": sent["run_name"]}
    return {"run_info": run_json(workspace, run)["info"]}


@api.route("POST", BASE + "/runs/delete", BASE + "/runs/restore")
def hide_run(workspace: Workspace, request: Request) -> Any:
    run = run_of(workspace, str(request.json.get("run_id") or ""))
    if request.identity:
        admit_run(workspace, request.identity, run["runId"])
    run["hidden"] = request.path.endswith("/delete")
    return {}


@api.route("POST", BASE + "/runs/search")
def search_runs(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    wanted, order = mlflow_search.clauses(wish.get("filter")), mlflow_search.orders(wish.get("order_by"))
    for name, _ in order:
        if name.kind != "attribute":
            in_azure(request, f"Ordering runs by {name.kind}s")
    if any(clause.name.kind == "tag" and clause.comparator == "!=" for clause in wanted):
        in_azure(request, "The comparator != for tags")
    states = STATES[wish.get("run_view_type") or "ACTIVE_ONLY"]
    experiments = {
        known["experimentId"]: name
        for name, known in workspace.state.tables.experiments.items()
        if known["experimentId"] in (wish.get("experiment_ids") or [])
    }
    runs = workspace.state.tables.runs
    # Of many runs no more is read and kept than is asked for: the metrics are most of it.
    judged = any(name.kind == "metric" for name in [*(clause.name for clause in wanted), *(name for name, _ in order)])
    found = [
        ({"runId": run["runId"], "runNumber": run["runNumber"]}, run_facts(workspace, run, name, metrics=judged))
        for experiment_id, name in experiments.items()
        for run in runs.copies(runs.keys_where(experimentId=experiment_id))
        if ("deleted" if run["hidden"] else "active") in states
    ]
    found = [each for each in found if all(clause.holds(fact(each, clause.name)) for clause in wanted)]
    found.sort(key=lambda each: (-(each[1]["attribute"]["start_time"] or 0), -each[0]["runNumber"]))
    found, following = mlflow_search.page(
        mlflow_search.ordered(found, order, fact), wish.get("max_results"), wish.get("page_token")
    )
    for run, facts in found if not judged else []:
        facts["metric"] = latest(workspace, run["runId"])
    shown = [run_json(workspace, runs[run["runId"]], facts) for run, facts in found]
    return {"runs": shown, "next_page_token": following}


def fact(found: tuple[Record, dict[str, Any]], name: Name) -> Any:
    """What a search compares: of a metric, its latest value."""
    facts = found[1]
    if name == Name("attribute", "duration"):
        first, last = facts["attribute"]["start_time"], facts["attribute"]["end_time"]
        return last - first if last else None
    value = facts[name.kind].get(name.key)
    return value["value"] if name.kind == "metric" and value else value


@api.route("POST", BASE + "/runs/log-batch", PREVIEW + "/runs/log-batch-async")
def log_batch(workspace: Workspace, request: Request) -> Any:
    run, sent = asked_run(workspace, request), request.json
    set_parameters(run, sent.get("params", []))
    for metric in sent.get("metrics", []):
        log(workspace, run, metric)
    run["tags"] = run["tags"] | {tag["key"]: tag["value"] for tag in sent.get("tags", [])}
    return {}


@api.route("POST", BASE + "/runs/log-metric")
def log_metric(workspace: Workspace, request: Request) -> Any:
    log(workspace, asked_run(workspace, request), request.json)
    return {}


@api.route("POST", BASE + "/runs/log-parameter")
def log_parameter(workspace: Workspace, request: Request) -> Any:
    set_parameters(asked_run(workspace, request), [request.json])
    return {}


@api.route("POST", BASE + "/runs/log-inputs")
def log_inputs(workspace: Workspace, request: Request) -> Any:
    run = asked_run(workspace, request)
    run["mlflowInputs"] = [*run.get("mlflowInputs", []), *request.json.get("datasets", [])]
    return {}


@api.route("POST", BASE + "/runs/log-model")
def log_model(workspace: Workspace, request: Request) -> Any:
    run = asked_run(workspace, request)
    known = json.loads(run["tags"].get(OF_MODELS, "[]"))
    run["tags"] = run["tags"] | {OF_MODELS: json.dumps([*known, json.loads(request.json["model_json"])])}
    return {}


@api.route("POST", BASE + "/runs/set-tag")
def set_tag(workspace: Workspace, request: Request) -> Any:
    run, sent = asked_run(workspace, request), request.json
    run["tags"] = run["tags"] | {wished(sent, "key"): str(sent.get("value", ""))}
    return {}


@api.route("POST", BASE + "/runs/delete-tag")
def delete_tag(workspace: Workspace, request: Request) -> Any:
    run, key = asked_run(workspace, request), request.json.get("key")
    if key not in run["tags"]:
        said = f"No tag with name: {key} in run with id {run['runId']}"
        raise Refusal(404, said, "RESOURCE_DOES_NOT_EXIST")
    run["tags"] = {name: text for name, text in run["tags"].items() if name != key}
    return {}


def history_of(workspace: Workspace, run_id: str, key: str) -> list[Record]:
    metric = metrics.named(workspace, run_id, key)
    return sorted(points(metric), key=lambda point: (point["step"], point["timestamp"])) if metric else []


@api.route("GET", BASE + "/metrics/get-history")
def metric_history(workspace: Workspace, request: Request) -> Any:
    run = asked_run(workspace, request)
    found = history_of(workspace, run["runId"], request.query.get("metric_key", ""))
    found, following = mlflow_search.page(
        found, request.query.get("max_results") or 25000, request.query.get("page_token")
    )
    return {"metrics": written(found), "next_page_token": following}


@api.route("GET", BASE + "/metrics/get-history-bulk", BASE + "/metrics/get-history-bulk-interval")
def metric_histories(workspace: Workspace, request: Request) -> Any:
    """The histories of several runs, for a chart: of long ones every n-th point, and the last."""
    most, key = int(request.query.get("max_results") or 2500), request.query.get("metric_key", "")
    found: list[Record] = []
    for run_id in [*request.every("run_ids"), *request.every("run_id")]:
        history = history_of(workspace, run_id, key)
        step = -(-len(history) // max(1, most)) or 1
        found += [point | {"run_id": run_id} for point in [*history[:-1:step], *history[-1:]]]
    return {"metrics": written(found)}


@api.route("GET", BASE + "/artifacts/list")
def list_artifacts(workspace: Workspace, request: Request) -> Any:
    run = asked_run(workspace, request)
    root = f"ExperimentRun/{run['dataContainerId']}/"
    folder = plain(request.query["path"]).rstrip("/") + "/" if request.query.get("path") else ""
    sizes = {
        blob.name: blob.size
        for blob in workspace.blobs.containers[ARTIFACTS].list_blobs(name_starts_with=root + folder)
    }
    files: dict[str, Record] = {}
    for key in workspace.state.tables.artifacts.below(root + folder):
        name, below, _ = key[len(root + folder) :].partition("/")
        size = {} if below else {"file_size": sizes.get(key, 0)}
        files[name] = {"path": folder + name, "is_dir": bool(below), **size}
    return {"root_uri": run_json(workspace, run)["info"]["artifact_uri"], "files": list(files.values())}


def experiment_by_id(workspace: Workspace, experiment_id: str) -> Record:
    for experiment in workspace.state.tables.experiments.values():
        if experiment["experimentId"] == experiment_id:
            return experiment
    if experiment_id == DEFAULT_ID:
        return default_experiment(workspace)
    raise Refusal(404, f"Could not find experiment with ID {experiment_id}", "RESOURCE_DOES_NOT_EXIST")


def default_experiment(workspace: Workspace) -> Record:
    """The experiment of runs that name none; who first asks for it finds it."""
    experiment = experiment_of(workspace, DEFAULT)
    if not workspace.state.tables.runs.keys_where(experimentId=experiment["experimentId"]):
        experiment["experimentId"] = DEFAULT_ID
    return experiment


def experiment_json(experiment: Record) -> Record:
    deleted = experiment["archivedTime"]
    return {
        "experiment_id": experiment["experimentId"],
        "name": experiment["name"],
        "artifact_location": "",
        "lifecycle_stage": "deleted" if deleted else "active",
        "creation_time": milliseconds(experiment["createdUtc"]),
        "last_update_time": milliseconds(deleted or experiment["createdUtc"]),
        "tags": [{"key": key, "value": str(text)} for key, text in (experiment["tags"] or {}).items()],
    }


def asked_experiment(workspace: Workspace, request: Request) -> Record:
    wish = request.query if request.method == "GET" else request.json
    return experiment_by_id(workspace, str(wish.get("experiment_id") or ""))


@api.route("GET", BASE + "/experiments/get")
def get_experiment(workspace: Workspace, request: Request) -> Any:
    return {"experiment": experiment_json(asked_experiment(workspace, request))}


@api.route("GET", BASE + "/experiments/get-by-name")
def get_experiment_by_name(workspace: Workspace, request: Request) -> Any:
    name = request.query.get("experiment_name", "")
    experiment = workspace.state.tables.experiments.get(name)
    if name == DEFAULT:
        experiment = default_experiment(workspace)
    if experiment is None:
        raise Refusal(404, f"Could not find experiment with name '{name}'", "RESOURCE_DOES_NOT_EXIST")
    return {"experiment": experiment_json(experiment)}


@api.route("POST", BASE + "/experiments/create")
def create_experiment(workspace: Workspace, request: Request) -> Any:
    name = wished(request.json, "name")
    if name in workspace.state.tables.experiments:
        raise Refusal(400, f"Experiment(name={name}) already exists.", "RESOURCE_ALREADY_EXISTS")
    experiment = default_experiment(workspace) if name == DEFAULT else experiment_of(workspace, name)
    experiment["tags"] = {tag["key"]: tag["value"] for tag in request.json.get("tags", [])}
    return {"experiment_id": experiment["experimentId"]}


@api.route("GET POST", BASE + "/experiments/search", PREVIEW + "/experiments/search")
def search_experiments(workspace: Workspace, request: Request) -> Any:
    wish = request.query if request.method == "GET" else request.json
    order_by = request.every("order_by") if request.method == "GET" else wish.get("order_by")
    wanted, order = mlflow_search.clauses(wish.get("filter")), mlflow_search.orders(order_by)
    states = STATES[wish.get("view_type") or "ACTIVE_ONLY"]
    found = [experiment_json(experiment) for experiment in workspace.state.tables.experiments.values()]
    found = [each for each in found if each["lifecycle_stage"] in states]
    found = [each for each in found if all(clause.holds(entry(each, clause.name)) for clause in wanted)]
    found.sort(key=lambda each: -(each["creation_time"] or 0))
    found, following = mlflow_search.page(
        mlflow_search.ordered(found, order, entry), wish.get("max_results"), wish.get("page_token")
    )
    return {"experiments": found, "next_page_token": following}


def entry(found: Record, name: Name) -> Any:
    """What a search of experiments or models compares."""
    if name.kind == "tag":
        return {tag["key"]: tag["value"] for tag in found["tags"]}.get(name.key)
    if name.kind != "attribute" or name.key not in found:
        raise wrong(f"Invalid attribute key '{name.key}' specified.")
    return found[name.key]


@api.route("POST", BASE + "/experiments/delete", BASE + "/experiments/restore")
def archive_experiment(workspace: Workspace, request: Request) -> Any:
    experiment = asked_experiment(workspace, request)
    experiment["archivedTime"] = now() if request.path.endswith("/delete") else None
    return {}


@api.route("POST", BASE + "/experiments/update")
def rename_experiment(workspace: Workspace, request: Request) -> Any:
    asked_experiment(workspace, request)
    raise wrong("Renaming experiments is not supported by Azure Machine Learning.")


@api.route("POST", BASE + "/experiments/set-experiment-tag")
def set_experiment_tag(workspace: Workspace, request: Request) -> Any:
    experiment, sent = asked_experiment(workspace, request), request.json
    experiment["tags"] = (experiment["tags"] or {}) | {wished(sent, "key"): str(sent.get("value", ""))}
    return {}


# What only later servers of MLflow have: Azure has no such routes, and answers with an empty body.
LATER = (
    *("logged-models", "traces", "assessments", "datasets", "scorers", "webhooks", "mcp-servers", "gateway"),
    *("workspaces", "issues", "label-schemas", "review-queues", "prompts", "promptlab", "server-info"),
)


@api.route(
    "GET POST PUT PATCH DELETE",
    *(BASE + f"/{name}{end}" for name in LATER for end in ("", "/{rest:rest}")),
    VERSION + "/api/3.0/{rest:rest}",
    VERSION + "/ajax-api/{rest:rest}",
    VERSION + "/version",
    VERSION + "/health",
    BASE + "/registered-models/alias",
    BASE + "/runs/outputs",
    BASE + "/experiments/delete-experiment-tag",
)
def not_there(workspace: Workspace, request: Request) -> Any:
    return Reply(b"", 404)
