"""Jobs of the second generation: each is submitted by its kind, and every run is told as a job."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from aml_rehearsal.addresses import API_HOST, ARM_HOST
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services import command_jobs, datastores, history, pipeline_jobs, sweep_jobs
from aml_rehearsal.services.command_jobs import NAME, not_played
from aml_rehearsal.services.hosts import arm
from aml_rehearsal.services.versioned_assets import resource, seen
from aml_rehearsal.state import FINAL, Record, set_status
from aml_rehearsal.workspace import Workspace

JOBS = "{scope}/jobs"
FIXED = (  # what can't be changed of a job
    *("jobType", "command", "codeId", "environmentId", "computeId", "experimentName", "distribution", "limits"),
    *("inputs", "environmentVariables", "resources"),
)
PAGE = 200
KINDS = {"Command": command_jobs.submit, "Sweep": sweep_jobs.submit, "Pipeline": pipeline_jobs.submit}


# --- what is asked to run


@arm.route("GET PUT DELETE", JOBS + "/{run}")
def job(workspace: Workspace, request: Request) -> Any:
    name, runs = request.names["run"], workspace.state.tables.runs
    if request.method == "DELETE":
        raise not_played("the deletion of jobs")
    if request.method == "PUT":
        wish = request.json.get("properties") or {}
        if name in runs:
            change(workspace, name, wish)
            return told(workspace, runs[name])
        kind = str(wish.get("jobType"))
        if kind not in KINDS:
            raise not_played(f"jobs of the type {kind}")
        if not NAME.fullmatch(name):
            raise Refusal(400, f"'{name}' is no name for a job: letters, digits, - and _, at most 255.", "UserError")
        KINDS[kind](workspace, name, wish)
        return Reply(told(workspace, runs[name]), 201)
    return told(workspace, history.run_of(workspace, name))


def change(workspace: Workspace, name: str, wish: Record) -> None:
    """Let words about a job be changed, and nothing else."""
    known = told(workspace, workspace.state.tables.runs[name])["properties"]
    sent = workspace.state.tables.jobs.get(name, {}).get("properties") or {}
    for key in FIXED:
        if wish.get(key) is not None and wish[key] not in (known.get(key), sent.get(key)):
            message = "A job with this name already exists. If you are trying to create a new job, use a different name"
            raise Refusal(400, f"{message}: {key} of {name} can't be changed.", "UserError")
    run = workspace.state.tables.runs[name]
    words = {key: wish[key] for key in ("displayName", "description", "tags", "properties") if wish.get(key)}
    history.merge(run, words | {"hidden": wish.get("isArchived")})


# --- what is told of jobs


@arm.route("GET", JOBS)
def jobs(workspace: Workspace, request: Request) -> Any:
    """The runs that are nobody's children, the newest first."""
    runs, skip = workspace.state.tables.runs, int(request.query.get("$skip") or 0)
    keys = runs.keys_where("createdUtc", descending=True, parentRunId=None)
    kind, tag = request.query.get("jobType"), request.query.get("tag")
    page: list[Record] = []
    for run in runs.copies(keys[skip:]):
        skip += 1
        if seen(request, bool(run["hidden"])) and (not tag or tagged(run, tag)):
            one = told(workspace, run)
            if not kind or one["properties"]["jobType"] == kind:
                page.append(one)
        if len(page) == PAGE:
            break
    more = urlencode({key: text for key, text in request.query.items() if key != "$skip"} | {"$skip": skip})
    left = f"https://{ARM_HOST}{quote(request.path)}?{more}" if skip < len(keys) else None
    return {"value": page, "nextLink": left}


def tagged(run: Record, wanted: str) -> bool:
    name, _, text = wanted.partition("=")
    return name in run["tags"] and (not text or run["tags"][name] == text)


def told(workspace: Workspace, run: Record) -> Record:
    """A run as a job."""
    name = run["runId"]
    parent = workspace.state.tables.runs.get(run["parentRunId"] or "")
    if parent and parent["runType"] == "azureml.PipelineRun":  # the client then asks the run history
        return resource(workspace, f"jobs/{name}", {}, run["createdUtc"]) | {"properties": None}
    sent = workspace.state.tables.jobs.get(name)
    properties = sent["properties"] if sent else of_first(workspace, run)
    artifacts = f"azureml://datastores/{datastores.ARTIFACT_STORE}/ExperimentRun/dcid.{name}"
    default = {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": artifacts}
    page = f"{workspace.entrance.url}/runs/{quote(name, safe='')}"
    services = {
        "Tracking": {
            "jobServiceType": "Tracking",
            "endpoint": f"azureml://{API_HOST}/mlflow/v1.0{workspace.names.scope}",
        },
        "Studio": {"jobServiceType": "Studio", "endpoint": f"{page}?wsid={workspace.names.scope}"},
    }
    held = {
        "status": run["status"],
        "displayName": run["displayName"],
        "description": run["description"],
        "tags": run["tags"],
        "properties": run["properties"],
        "isArchived": bool(run["hidden"]),
        "experimentName": experiment_of(workspace, run),
        "services": services,
        "outputs": (properties.get("outputs") or {}) | {"default": default},
    }
    return resource(workspace, f"jobs/{name}", properties | held, run["createdUtc"])


def experiment_of(workspace: Workspace, run: Record) -> str:
    experiments = workspace.state.tables.experiments
    return next(name for name, one in experiments.items() if one["experimentId"] == run["experimentId"])


def of_first(workspace: Workspace, run: Record) -> Record:
    """A run that was no job, in the words of one: a command, where it is not a search or a pipeline."""
    definition, scope = run["runDefinition"] or {}, workspace.names.scope
    arguments = " ".join(map(str, definition.get("arguments") or []))
    script = f"python {definition['script']} {arguments}".strip() if definition.get("script") else ""
    environment, target = definition.get("environment") or {}, run["target"]
    compute = f"{scope}/computes/{target}" if target in workspace.state.tables.computes else None
    known: Record = {"jobType": "Command", "command": definition.get("command") or script, "computeId": compute}
    if environment.get("name"):
        version = environment.get("version") or "1"
        known["environmentId"] = f"{scope}/environments/{environment['name']}/versions/{version}"
    known["environmentVariables"] = definition.get("environmentVariables") or {}
    if run["runType"] == "hyperdrive":
        trial = {"command": known["command"], "environmentId": known.get("environmentId", "")}
        sweep = {"jobType": "Sweep", "trial": trial, "searchSpace": {}, "computeId": compute}
        goal = {"goal": "Maximize", "primaryMetric": ""}
        return sweep | {"samplingAlgorithm": {"samplingAlgorithmType": "Random"}, "objective": goal}
    if run["runType"] == "azureml.PipelineRun":
        return {"jobType": "Pipeline", "jobs": {}, "settings": {}}
    return known


@arm.route("POST", JOBS + "/{run}/cancel")
def cancel(workspace: Workspace, request: Request) -> Any:
    run = history.run_of(workspace, request.names["run"])
    set_status(run, "CancelRequested")
    place = f"https://{ARM_HOST}{workspace.names.scope}/jobs/{quote(run['runId'])}/canceled"
    return Reply(None, 202, {"Location": place, "Retry-After": "1"})


@arm.route("GET", JOBS + "/{run}/canceled")
def canceled(workspace: Workspace, request: Request) -> Any:
    """Whether a job that was to stop has ended."""
    over = history.run_of(workspace, request.names["run"])["status"] in FINAL
    return (
        Reply(None, 200)
        if over
        else Reply(None, 202, {"Location": f"https://{ARM_HOST}{request.path}", "Retry-After": "1"})
    )
