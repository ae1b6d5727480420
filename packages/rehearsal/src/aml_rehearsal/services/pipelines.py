"""Pipelines: what they are made of is kept, what is submitted is checked and run."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from aml_rehearsal.addresses import API
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.routing import Handler
from aml_rehearsal.services import pipeline_runs, schedules
from aml_rehearsal.services.history import run_of
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.pipeline_records import add, find, kept, listed, named
from aml_rehearsal.services.pipeline_runs import GIVEN, PipelineRun, new_graph, of_published, prepared
from aml_rehearsal.state import FINAL, Record, now, set_status
from aml_rehearsal.workspace import Workspace

BASE = "/pipelines/v1.0{scope}"
RUN = BASE + "/PipelineRuns/{run}"
FILES = (
    *("AnyFile", "AzureBlobReference", "AzureFilesReference", "AzureDataLakeReference", "AzureDataLakeGen2Reference"),
    *("AzureSqlDatabaseReference", "AzurePostgresDatabaseReference", "AzureMySqlDatabaseReference"),
    *("AzureMLDataset", "DBFSReference"),
)


def route(method: str, *paths: str) -> Callable[[Handler], Handler]:
    """A route whose refusals are written as this service's client reads them: its names begin with capitals."""

    def remember(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def answer(workspace: Workspace, request: Request) -> Any:
            try:
                return handler(workspace, request)
            except Refusal as refusal:
                error = refusal.reply.body["error"]
                capital = {"Code": error["code"], "Message": error["message"], "Details": []}
                raise refusal.as_body({"error": error, "Error": capital}) from None

        return api.route(method, *paths)(answer)

    return remember


# ------------------------------------------------------------------------------ what is made, read, changed by its kind


@route(
    "POST",
    BASE + "/{kind:(Modules|DataSources|GraphDrafts|AzureMLModules|AzureMLModuleVersions)}",
    BASE + "/{kind:(Pipelines|PipelineEndpoints|Schedules|PipelineDrafts)}/Create",
)
def create(workspace: Workspace, request: Request) -> Any:
    kind, wish = request.names["kind"], request.json
    make = MAKERS.get(kind)
    record = add(workspace, kind, wish, **(make(workspace, wish) if make else {}))
    return record if kind == "Modules" else shown(kind, record)


def uploaded(workspace: Workspace, wish: Record) -> Record:
    """A module: what its snapshot holds was sent before."""
    return {"UploadState": "1"}


def placed(workspace: Workspace, wish: Record) -> Record:
    """A data source: a place in a datastore."""
    place = {"RelativePath": wish.get("PathOnDataStore"), "AmlDataStoreName": wish.get("DataStoreName")}
    return {"DataLocation": {"StorageType": "0", "DataReference": {"Type": "1", "AzureBlobReference": place}}}


def unnamed(workspace: Workspace, kind: str, name: str) -> None:
    if named(workspace, kind, name):
        raise Refusal(409, f"{name} exists among the {kind}.")


def module_with_a_name(workspace: Workspace, wish: Record) -> Record:
    unnamed(workspace, "AzureMLModules", wish["Name"])
    return {"Versions": [], "DefaultVersion": None}


def version_of_a_module(workspace: Workspace, wish: Record) -> Record:
    """A version of a module that has a name; the first, or one that is to be it, is the default."""
    module, own = find(workspace, "AzureMLModules", wish["AmlModuleId"]), workspace.state.new_id()
    numbers = [version["Version"] for version in module["Versions"]]
    number = wish.get("Version") or str(1 + max((int(text) for text in numbers if text.isdigit()), default=0))
    if number in numbers:
        raise Refusal(409, f"Module {module['Name']} has a version {number} already.")
    module["Versions"] = [*module["Versions"], {"ModuleVersionId": own, "Version": number}]
    if wish.get("SetAsDefaultVersion") or not module["DefaultVersion"]:
        module["DefaultVersion"] = number
    return {"Id": own, "Version": number, "UploadState": "1"}


def first_version(workspace: Workspace, wish: Record) -> Record:
    """An endpoint, which begins with one pipeline."""
    unnamed(workspace, "PipelineEndpoints", wish["Name"])
    find(workspace, "Pipelines", wish["PipelineId"])
    own, versions = workspace.state.new_id(), [{"Version": "0", "PipelineId": wish["PipelineId"]}]
    place = f"{API}/pipelines/v1.0{workspace.names.scope}/PipelineRuns/PipelineEndpointSubmit/Id/{own}"
    return {"Id": own, "DefaultVersion": "0", "PipelineVersionList": versions, "Url": place}


def published(workspace: Workspace, wish: Record) -> Record:
    """A pipeline that stays: its graph is kept by itself."""
    known, own = new_graph(workspace, wish), workspace.state.new_id()
    interface = known["GraphInterface"]
    del wish["Graph"]
    wish.pop("GraphInterface", None)
    return {
        "Id": own,
        "GraphId": known["Id"],
        "ParameterAssignments": {
            one["Name"]: str(one.get("DefaultValue")) for one in interface.get("Parameters") or []
        },
        "TotalRunSteps": len(known["Graph"].get("ModuleNodes") or []),
        "Url": f"{API}/pipelines/v1.0{workspace.names.scope}/PipelineRuns/PipelineSubmit/{own}",
    }


MAKERS: dict[str, Callable[[Workspace, Record], Record]] = {
    "Modules": uploaded,
    "DataSources": placed,
    "AzureMLModules": module_with_a_name,
    "AzureMLModuleVersions": version_of_a_module,
    "Pipelines": published,
    "PipelineEndpoints": first_version,
    "Schedules": schedules.planned,
}


def shown(kind: str, record: Record) -> Record:
    """A record as the client reads it: a module has beside it what it takes and gives."""
    if kind in {"Modules", "AzureMLModuleVersions"}:
        return with_interface(record) | ({"ModuleId": record["AmlModuleId"]} if "AmlModuleId" in record else {})
    return record


@route("GET", BASE + "/{kind:(Pipelines|PipelineEndpoints|Schedules)}")
def listing(workspace: Workspace, request: Request) -> Any:
    active = request.query.get("activeOnly", "").lower() == "true"
    return listed(workspace, request.names["kind"], active=active)


@route(
    "GET",
    BASE + "/{kind:(Modules|DataSources|Schedules|Pipelines|PipelineDrafts|GraphDrafts|AzureMLModuleVersions)}/{id}",
    BASE + "/{kind:(PipelineEndpoints)}/Id/{id}",
)
def by_id(workspace: Workspace, request: Request) -> Any:
    return shown(request.names["kind"], find(workspace, request.names["kind"], request.names["id"]))


@route("GET", BASE + "/{kind:(PipelineEndpoints|AzureMLModules)}/Name")
def by_name(workspace: Workspace, request: Request) -> Any:
    kind, name = request.names["kind"], request.query.get("Name") or request.query.get("name") or ""
    record = named(workspace, kind, name)
    if record is None:
        raise Refusal(404, f"There is no {name} among the {kind}.")
    return record


@route("GET", BASE + "/AzureMLModules/{id}")
def module_by_id(workspace: Workspace, request: Request) -> Any:
    return find(workspace, "AzureMLModules", request.names["id"])


@route(
    "PUT",
    BASE + "/{kind:(Modules|DataSources|Schedules|PipelineDrafts|GraphDrafts|PipelineEndpoints)}/{id}",
    BASE + "/{kind:(AzureMLModules|AzureMLModuleVersions)}/{id}",
)
def update(workspace: Workspace, request: Request) -> Any:
    kind, wish = request.names["kind"], request.json
    record = find(workspace, kind, request.names["id"])
    changes = wish.get("Data") or wish
    if kind in {"Modules", "AzureMLModuleVersions"}:
        changes = {name: text for name, text in changes.items() if text is not None}
    if kind == "AzureMLModules":
        changes = {
            name: text for name, text in changes.items() if name != "Versions"
        }  # the client sends none of numbers
    record |= changes | {"Id": record["Id"], "LastModifiedDate": now()}
    if kind == "Schedules" and record.get("Recurrence"):
        schedules.go_on(workspace, record)
    return record if kind == "Modules" else shown(kind, record)


@route("DELETE", BASE + "/{kind:(PipelineDrafts|GraphDrafts)}/{id}")
def delete(workspace: Workspace, request: Request) -> Any:
    find(workspace, request.names["kind"], request.names["id"])
    del kept(workspace, request.names["kind"])[request.names["id"]]
    return {}


# ------------------------------------------------------------------------------------------- what graphs are made of


@route("GET", BASE + "/DataTypes")
def data_types(workspace: Workspace, request: Request) -> Any:
    known = [(name, False) for name in FILES] + [("AnyDirectory", True)]
    usual = [{"Id": name, "Name": name, "Description": name, "IsDirectory": folder} for name, folder in known]
    return [entry | {"ParentDataTypeIds": []} for entry in usual] + list(kept(workspace, "DataTypes").values())


@route("POST", BASE + "/DataTypes")
def create_data_type(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    if any(known["Id"] == wish["Id"] for known in data_types(workspace, request)):
        raise Refusal(409, f"DataType {wish['Id']} already exists.")
    kept(workspace, "DataTypes")[wish["Id"]] = wish
    return wish


@route("PUT", BASE + "/DataTypes/{id}")
def update_data_type(workspace: Workspace, request: Request) -> Any:
    find(workspace, "DataTypes", request.names["id"])
    kept(workspace, "DataTypes")[request.names["id"]] = request.json
    return request.json


@route("GET", BASE + "/{kind:(Modules|DataSources)}/Hash/{hash}")
def by_hash(workspace: Workspace, request: Request) -> Any:
    """The newest with the same content, so that the client need not send it again."""
    kind = request.names["kind"]
    for record in reversed(list(kept(workspace, kind).values())):
        if record.get("IdentifierHash") == request.names["hash"]:
            return shown(kind, record)
    return Reply(b"null", headers={"Content-Type": "application/json"})


def with_interface(record: Record) -> Record:
    """A module as it is read: beside it what it takes and gives."""
    own = record["StructuredInterface"]
    interface = {
        "Parameters": own.get("Parameters") or [],
        "MetadataParameters": own.get("MetadataParameters") or [],
        "DataPathParameters": [],
        "DataPathParameterList": [],
        "Ports": {
            "Inputs": [
                {"Name": port["Name"], "Label": port.get("Label"), "DataTypesIds": port["DataTypeIdsList"]}
                for port in own.get("Inputs") or []
            ],
            "Outputs": [
                {"Name": port["Name"], "Label": port.get("Label"), "DataTypeId": port["DataTypeId"]}
                for port in own.get("Outputs") or []
            ],
        },
    }
    return {"Data": record, "Interface": interface}


@route("GET", BASE + "/Graphs/{id}")
def graph(workspace: Workspace, request: Request) -> Any:
    return find(workspace, "Graphs", request.names["id"])["Graph"]


@route("GET", BASE + "/Graphs/{id}/Interface")
def interface(workspace: Workspace, request: Request) -> Any:
    return find(workspace, "Graphs", request.names["id"])["GraphInterface"]


# ---------------------------------------------------------------------------------------------------------- runs


@route("POST", BASE + "/PipelineRuns/Unsubmitted/CreationInfoWithGraph")
def prepare(workspace: Workspace, request: Request) -> Any:
    """Keep a run that is to be submitted."""
    sent = request.json
    wish = sent.get("CreationInfo") or {}
    return seen(workspace, prepared(workspace, new_graph(workspace, sent), wish, request.query["experimentName"]))


def started(workspace: Workspace, request: Request, record: Record) -> Record:
    """Run it."""
    PipelineRun(workspace, record).start(request.query.get("parentRunId", ""))
    return seen(workspace, record)


@route("POST", BASE + "/PipelineRuns/Submit/{run}")
def submit(workspace: Workspace, request: Request) -> Any:
    record = find(workspace, "PipelineRuns", request.names["run"])
    if record["Id"] in workspace.state.tables.runs:
        raise Refusal(409, f"Pipeline run {record['Id']} was submitted already.")
    return started(workspace, request, record)


@route("GET", RUN)
def run(workspace: Workspace, request: Request) -> Any:
    return seen(workspace, run_of_either(workspace, request.names["run"]))


def run_of_either(workspace: Workspace, name: str) -> Record:
    """A run of a pipeline; of a pipeline job, what this client's listings of runs need: it has no graph."""
    if name not in workspace.state.tables.jobs:
        return find(workspace, "PipelineRuns", name)
    history = run_of(workspace, name)
    experiments = workspace.state.tables.experiments.items()
    own = next(title for title, one in experiments if one["experimentId"] == history["experimentId"])
    given = json.loads(history["properties"].get("azureml.parameters") or "{}")
    times = {"CreatedDate": history["createdUtc"], "LastModifiedDate": history["createdUtc"], "EntityStatus": "0"}
    words = {"Description": history["description"], "RunSource": "MFE", "RunType": "HTTP"}
    return {"Id": name, "RunHistoryExperimentName": own, "ParameterAssignments": given} | words | times


def seen(workspace: Workspace, record: Record) -> Record:
    """A run as it is read: with its state, and no secret of ours."""
    history = workspace.state.tables.runs.get(record["Id"])
    code = {"Completed": "Finished", "CancelRequested": "Running"}
    status = code.get(history["status"], history["status"]) if history else "NotStarted"
    return record | {"Status": {"StatusCode": status, "StatusDetail": None}, "IsSubmitted": history is not None}


@route("DELETE", RUN + "/Execution")
def cancel(workspace: Workspace, request: Request) -> Any:
    record = run_of_either(workspace, request.names["run"])
    history = workspace.state.tables.runs.get(record["Id"])
    if history is None or history["status"] in FINAL:
        raise Refusal(400, f"Pipeline run {record['Id']} does not run.")
    set_status(history, "CancelRequested")
    return {}


@route("GET", BASE + "/PipelineRuns/{kind:(Pipeline|Schedule)}/{id}")
def runs_of(workspace: Workspace, request: Request) -> Any:
    wanted = {f"{request.names['kind'].capitalize()}Id": request.names["id"]}
    return [seen(workspace, record) for record in listed(workspace, "PipelineRuns", wanted)]


@route("GET", BASE + "/PipelineRuns/Schedule/{id}/Last")
def last_run_of_a_schedule(workspace: Workspace, request: Request) -> Any:
    runs = listed(workspace, "PipelineRuns", {"ScheduleId": request.names["id"]})
    return seen(workspace, runs[-1]) if runs else Reply(status=204)


# --------------------------------------------------------------------------------------------------- steps of a run


def asked_step(workspace: Workspace, request: Request) -> tuple[Record, str, Record | None]:
    """The run, the node, and the node's own run if it has one."""
    record = find(workspace, "PipelineRuns", request.names["run"])
    node = request.json[0]
    return record, node, pipeline_runs.step_run(workspace, record, node)


def status(run: Record | None) -> str:
    codes = {"Completed": "Finished", "Failed": "Failed", "Canceled": "Canceled", "Queued": "Queued"}
    return codes.get(run["status"], "Running") if run else "NotStarted"


def detailed(run: Record | None) -> Record:
    told = {"StatusCode": status(run), "StatusDetail": None, "RunId": run["runId"] if run else None}
    if run is None:
        return told
    if "azureml.reusedrunid" in run["properties"]:
        told["ReuseInfo"] = {
            "ExperimentId": run["properties"]["azureml.reusedpipeline"],
            "NodeId": run["properties"]["azureml.reusednodeid"],
        }
    times = {"CreationTime": "createdUtc", "StartTime": "startTimeUtc", "EndTime": "endTimeUtc"}
    return told | {name: run[key] for name, key in times.items()}


@route("POST", RUN + "/Graph/Node/StatusCode")
def node_status_code(workspace: Workspace, request: Request) -> Any:
    return status(asked_step(workspace, request)[2])


@route("POST", RUN + "/Graph/Node/Status")
def node_status(workspace: Workspace, request: Request) -> Any:
    return detailed(asked_step(workspace, request)[2])


@route("POST", RUN + "/Graph/AllNodes/{what:(StatusCode|Status)}")
def all_statuses(workspace: Workspace, request: Request) -> Any:
    record = find(workspace, "PipelineRuns", request.names["run"])
    nodes = find(workspace, "Graphs", record["GraphId"])["Graph"].get("ModuleNodes") or []
    told = status if request.names["what"].lower() == "statuscode" else detailed
    return {node["Id"]: told(pipeline_runs.step_run(workspace, record, node["Id"])) for node in nodes}


@route("POST", RUN + "/Outputs")
def outputs(workspace: Workspace, request: Request) -> Any:
    record, node, _ = asked_step(workspace, request)
    places = record.get("outputs", {}).get(node, {})
    return {name: located(place) for name, place in places.items()}


@route("GET", RUN + "/PipelineRunOutputs/{name}")
def pipeline_output(workspace: Workspace, request: Request) -> Any:
    record = find(workspace, "PipelineRuns", request.names["run"])
    for edge in find(workspace, "Graphs", record["GraphId"])["Graph"].get("Edges") or []:
        source = edge["SourceOutputPort"]
        place = record.get("outputs", {}).get(source["NodeId"], {}).get(source["PortName"])
        if place and edge["DestinationInputPort"].get("GraphPortName") == request.names["name"]:
            return located(place)
    raise Refusal(404, f"The pipeline run has no output {request.names['name']} yet.")


def located(place: Record) -> Record:
    reference = {"RelativePath": place["path"], "AmlDataStoreName": place["store"]}
    return {
        "DataTypeId": "AnyDirectory",
        "DataLocation": {"StorageType": "0", "DataReference": {"Type": "1", "AzureBlobReference": reference}},
    }


@route("POST", RUN + "/Graph/Shareable/{log:(STDOUT|STDERR|JobLog)}")
def step_log(workspace: Workspace, request: Request) -> Any:
    """Where a step's log is read; what it prints and its errors are one log here."""
    _, _, run = asked_step(workspace, request)
    key = f"ExperimentRun/{run['dataContainerId']}/user_logs/std_log.txt" if run else ""
    if request.names["log"] == "STDERR" or key not in workspace.state.tables.artifacts:
        key = "ExperimentRun/empty"
        workspace.blobs.write("azureml", key, b"")
    return Reply(workspace.blob_uri("azureml", key, "r").encode(), headers={"Content-Type": "text/plain"})


# ------------------------------------------------------------------------------- published pipelines and endpoints


@route("PUT", BASE + "/Pipelines/{id}/status")
def set_pipeline_status(workspace: Workspace, request: Request) -> Any:
    find(workspace, "Pipelines", request.names["id"])["EntityStatus"] = str(request.json)
    return {}


@route("POST", BASE + "/PipelineRuns/PipelineSubmit/{id}")
def submit_published(workspace: Workspace, request: Request) -> Any:
    return started(workspace, request, of_published(workspace, request.names["id"], request.json))


@route("GET", BASE + "/PipelineEndpoints/{id}/pipelines")
def pipelines_of_an_endpoint(workspace: Workspace, request: Request) -> Any:
    versions = find(workspace, "PipelineEndpoints", request.names["id"])["PipelineVersionList"]
    own = {version["PipelineId"] for version in versions}
    return [record for record in listed(workspace, "Pipelines") if record["Id"] in own]


@route("POST", BASE + "/PipelineRuns/PipelineEndpointSubmit/Id/{id}")
def submit_endpoint(workspace: Workspace, request: Request) -> Any:
    wanted = schedules.pipeline_of(workspace, request.names["id"], request.query.get("pipelineVersion"))
    return started(workspace, request, of_published(workspace, wanted, request.json))


# ----------------------------------------------------------------------------------------------- schedules, drafts


@route("GET", BASE + "/Schedules/{kind:(Pipeline|PipelineEndpoint)}/{id}")
def schedules_of(workspace: Workspace, request: Request) -> Any:
    return listed(workspace, "Schedules", {f"{request.names['kind']}Id": request.names["id"]})


@route("POST", BASE + "/PipelineDrafts")
def drafts(workspace: Workspace, request: Request) -> Any:
    """The drafts that have some tags."""
    wanted = (request.json or {}).items()
    return [one for one in kept(workspace, "PipelineDrafts").values() if wanted <= (one.get("tags") or {}).items()]


@route("GET", BASE + "/PipelineDrafts/{kind:(Clone|ClonePipelineRun|ClonePublished)}/{id}")
def clone(workspace: Workspace, request: Request) -> Any:
    """A draft of what another draft, a run or a published pipeline has."""
    kind, source = request.names["kind"].lower(), request.names["id"]
    if kind == "clone":
        old = find(workspace, "PipelineDrafts", source)
        graph = find(workspace, "GraphDrafts", old["GraphDraftId"])
        return add(
            workspace, "PipelineDrafts", old, GraphDraftId=drafted(workspace, graph), ParentPipelineDraftId=source
        )
    parent = "ParentPipelineRunId" if kind == "clonepipelinerun" else "ParentPipelineId"
    old = find(workspace, "PipelineRuns" if kind == "clonepipelinerun" else "Pipelines", source)
    known = find(workspace, "Graphs", old["GraphId"])
    graph = known["Graph"] | {"EntityInterface": known["GraphInterface"]}
    info = {name: old.get(name) for name in GIVEN} | {"ExperimentName": old.get("RunHistoryExperimentName")}
    words = {"Name": old.get("Name") or old.get("Description"), "Description": old.get("Description")}
    return add(
        workspace,
        "PipelineDrafts",
        words,
        PipelineSubmissionInfo=info,
        GraphDraftId=drafted(workspace, graph),
        **{parent: source},
    )


def drafted(workspace: Workspace, graph: Record) -> str:
    return str(add(workspace, "GraphDrafts", graph)["Id"])


def graph_of_a_draft(workspace: Workspace, draft: Record) -> Record:
    graph = find(workspace, "GraphDrafts", draft["GraphDraftId"])
    return {"Graph": graph, "GraphInterface": graph.get("EntityInterface") or {}}


@route("POST", BASE + "/PipelineRuns/PipelineDraftSubmit")
def submit_draft(workspace: Workspace, request: Request) -> Any:
    draft = find(workspace, "PipelineDrafts", request.json["Id"])
    known, info = new_graph(workspace, graph_of_a_draft(workspace, draft)), draft["PipelineSubmissionInfo"]
    told = started(workspace, request, prepared(workspace, known, info, info["ExperimentName"]))
    draft["LastSubmittedPipelineRunId"] = told["Id"]
    return told


@route("POST", BASE + "/Pipelines/PipelineDraftCreate")
def publish_draft(workspace: Workspace, request: Request) -> Any:
    draft = find(workspace, "PipelineDrafts", request.json["Id"])
    words = {name: draft.get(name) for name in ("Name", "Description")}
    values = {GIVEN[2]: draft["PipelineSubmissionInfo"].get(GIVEN[2])}
    wish = graph_of_a_draft(workspace, draft) | words | values
    return add(workspace, "Pipelines", wish, **published(workspace, wish))
