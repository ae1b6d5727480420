"""Pipelines: what they are made of is kept, what is submitted is checked and run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from aml_rehearsal.addresses import API
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.routing import Handler
from aml_rehearsal.services import pipeline_runs
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.pipeline_runs import PipelineRun, find, kept
from aml_rehearsal.state import FINAL, Record, now, set_status
from aml_rehearsal.workspace import Workspace

BASE = "/pipelines/v1.0{scope}"
RUN = BASE + "/PipelineRuns/{run}"
FILES = (
    *("AnyFile", "AzureBlobReference", "AzureFilesReference", "AzureDataLakeReference", "AzureDataLakeGen2Reference"),
    *("AzureSqlDatabaseReference", "AzurePostgresDatabaseReference", "AzureMySqlDatabaseReference"),
    *("AzureMLDataset", "DBFSReference"),
)
ACTIVE = {"0", "Active"}
GIVEN = ("ParameterAssignments", "DataPathAssignments", "DataSetDefinitionValueAssignments")  # the values of parameters


def route(method: str, path: str) -> Callable[[Handler], Handler]:
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

        return api.route(method, path)(answer)

    return remember


def add(workspace: Workspace, kind: str, wish: Record, **known: Any) -> Record:
    """Keep something new."""
    record: Record = {"EntityStatus": "0", "CreatedDate": now(), "LastModifiedDate": now()}
    record |= wish | {"Id": workspace.state.new_id()} | known
    kept(workspace, kind)[record["Id"]] = record
    return record


def listed(workspace: Workspace, request: Request, kind: str, **wanted: str) -> list[Record]:
    """What there is of a kind, on request only what is active."""
    active = request.query.get("activeOnly", "").lower() == "true"
    return [
        record
        for record in kept(workspace, kind).values()
        if not (active and record["EntityStatus"] not in ACTIVE)
        and all(record.get(name) == text for name, text in wanted.items())
    ]


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
            return with_interface(record) if kind == "Modules" else record
    return Reply(b"null", headers={"Content-Type": "application/json"})


@route("POST", BASE + "/Modules")
def create_module(workspace: Workspace, request: Request) -> Any:
    return add(workspace, "Modules", request.json, UploadState="1")


@route("GET", BASE + "/Modules/{id}")
def module(workspace: Workspace, request: Request) -> Any:
    return with_interface(find(workspace, "Modules", request.names["id"]))


@route("PUT", BASE + "/Modules/{id}")
def update_module(workspace: Workspace, request: Request) -> Any:
    record = find(workspace, "Modules", request.names["id"])
    record |= {key: value for key, value in request.json.items() if value is not None and key != "Id"}
    return record


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


@route("POST", BASE + "/DataSources")
def create_data_source(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    place = {"RelativePath": wish.get("PathOnDataStore"), "AmlDataStoreName": wish.get("DataStoreName")}
    located = {"StorageType": "0", "DataReference": {"Type": "1", "AzureBlobReference": place}}
    return add(workspace, "DataSources", wish, DataLocation=located)


@route("GET", BASE + "/{kind:(DataSources|Schedules|PipelineDrafts|GraphDrafts)}/{id}")
def by_id(workspace: Workspace, request: Request) -> Any:
    return find(workspace, request.names["kind"], request.names["id"])


@route("PUT", BASE + "/{kind:(DataSources|Schedules|PipelineDrafts|GraphDrafts|PipelineEndpoints)}/{id}")
def update(workspace: Workspace, request: Request) -> Any:
    record = find(workspace, request.names["kind"], request.names["id"])
    record |= request.json | {"Id": record["Id"], "LastModifiedDate": now()}
    return record


@route("DELETE", BASE + "/{kind:(PipelineDrafts|GraphDrafts)}/{id}")
def delete(workspace: Workspace, request: Request) -> Any:
    find(workspace, request.names["kind"], request.names["id"])
    del kept(workspace, request.names["kind"])[request.names["id"]]
    return {}


@route("GET", BASE + "/Graphs/{id}")
def graph(workspace: Workspace, request: Request) -> Any:
    return find(workspace, "Graphs", request.names["id"])["Graph"]


@route("GET", BASE + "/Graphs/{id}/Interface")
def interface(workspace: Workspace, request: Request) -> Any:
    return find(workspace, "Graphs", request.names["id"])["GraphInterface"]


def new_graph(workspace: Workspace, sent: Record) -> Record:
    """Keep a graph; a dataset that it refers to by id gets its name, by which the client reads it."""
    for node in sent["Graph"].get("DatasetNodes") or []:
        reference = ((node.get("DataSetDefinition") or {}).get("Value") or {}).get("DataSetReference")
        if reference and not reference.get("Name"):
            reference["Name"] = pipeline_runs.referred(workspace, reference)["name"]
    return add(workspace, "Graphs", {"Graph": sent["Graph"], "GraphInterface": sent.get("GraphInterface") or {}})


# ---------------------------------------------------------------------------------------------------------- runs


@route("POST", BASE + "/PipelineRuns/Unsubmitted/CreationInfoWithGraph")
def prepare(workspace: Workspace, request: Request) -> Any:
    """Keep a run that is to be submitted."""
    sent = request.json
    known = new_graph(workspace, sent)
    wish = sent.get("CreationInfo") or {}
    return shown(workspace, new_run(workspace, known, wish, request.query["experimentName"]))


def new_run(workspace: Workspace, graph: Record, wish: Record, experiment: str, **known: Any) -> Record:
    """A run of a graph: its parameters have the values that were given, the others their own."""
    interface = graph["GraphInterface"]
    values = {name: dict(wish.get(name) or {}) for name in GIVEN}
    for one in interface.get("Parameters") or []:
        values["ParameterAssignments"].setdefault(one["Name"], str(one.get("DefaultValue")))
    for one in interface.get("DataPathParameters") or []:
        values["DataPathAssignments"].setdefault(one["Name"], one.get("DefaultValue"))
    unknown = set(values["ParameterAssignments"]) - {one["Name"] for one in interface.get("Parameters") or []}
    if unknown:
        raise Refusal(400, f"The pipeline has no parameter {min(unknown)}.")
    keep = {key: wish.get(key) for key in ("Description", "RunSource", "RunType", "ScheduleId")}
    goes_on = wish.get("ContinueExperimentOnNodeFailure") or wish.get("ContinueRunOnStepFailure")
    return add(
        workspace,
        "PipelineRuns",
        keep | values,
        GraphId=graph["Id"],
        RunHistoryExperimentName=experiment,
        ContinueRunOnStepFailure=bool(goes_on),
        TotalRunSteps=len(graph["Graph"].get("ModuleNodes") or []),
        **known,
    )


def start(workspace: Workspace, record: Record, parent: str = "") -> Record:
    """Run it."""
    PipelineRun(workspace, record).start(parent)
    return shown(workspace, record)


@route("POST", BASE + "/PipelineRuns/Submit/{run}")
def submit(workspace: Workspace, request: Request) -> Any:
    record = find(workspace, "PipelineRuns", request.names["run"])
    if record["Id"] in workspace.state.tables.runs:
        raise Refusal(409, f"Pipeline run {record['Id']} was submitted already.")
    return start(workspace, record, request.query.get("parentRunId", ""))


@route("GET", RUN)
def run(workspace: Workspace, request: Request) -> Any:
    return shown(workspace, find(workspace, "PipelineRuns", request.names["run"]))


def shown(workspace: Workspace, record: Record) -> Record:
    """A run as it is read: with its state, and no secret of ours."""
    history = workspace.state.tables.runs.get(record["Id"])
    code = {"Completed": "Finished", "CancelRequested": "Running"}
    status = code.get(history["status"], history["status"]) if history else "NotStarted"
    return record | {"Status": {"StatusCode": status, "StatusDetail": None}, "IsSubmitted": history is not None}


@route("DELETE", RUN + "/Execution")
def cancel(workspace: Workspace, request: Request) -> Any:
    record = find(workspace, "PipelineRuns", request.names["run"])
    history = workspace.state.tables.runs.get(record["Id"])
    if history is None or history["status"] in FINAL:
        raise Refusal(400, f"Pipeline run {record['Id']} does not run.")
    set_status(history, "CancelRequested")
    return {}


@route("GET", BASE + "/PipelineRuns/{kind:(Pipeline|Schedule)}/{id}")
def runs_of(workspace: Workspace, request: Request) -> Any:
    wanted = {f"{request.names['kind'].capitalize()}Id": request.names["id"]}
    return [shown(workspace, record) for record in listed(workspace, request, "PipelineRuns", **wanted)]


@route("GET", BASE + "/PipelineRuns/Schedule/{id}/Last")
def last_run_of_a_schedule(workspace: Workspace, request: Request) -> Any:
    return Reply(status=204)  # the rehearsal keeps schedules, and never starts one


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


@route("POST", BASE + "/Pipelines/Create")
def publish(workspace: Workspace, request: Request) -> Any:
    return published(workspace, request.json)


def published(workspace: Workspace, sent: Record) -> Record:
    known = new_graph(workspace, sent)
    defaults = {one["Name"]: str(one.get("DefaultValue")) for one in known["GraphInterface"].get("Parameters") or []}
    kept_words = {name: value for name, value in sent.items() if name not in {"Graph", "GraphInterface"}}
    record = add(
        workspace,
        "Pipelines",
        kept_words,
        GraphId=known["Id"],
        ParameterAssignments=defaults,
        TotalRunSteps=len(sent["Graph"].get("ModuleNodes") or []),
    )
    record["Url"] = f"{API}/pipelines/v1.0{workspace.names.scope}/PipelineRuns/PipelineSubmit/{record['Id']}"
    return record


@route("GET", BASE + "/Pipelines")
def pipelines(workspace: Workspace, request: Request) -> Any:
    return listed(workspace, request, "Pipelines")


@route("GET", BASE + "/Pipelines/{id}")
def pipeline(workspace: Workspace, request: Request) -> Any:
    return find(workspace, "Pipelines", request.names["id"])


@route("PUT", BASE + "/Pipelines/{id}/status")
def set_pipeline_status(workspace: Workspace, request: Request) -> Any:
    find(workspace, "Pipelines", request.names["id"])["EntityStatus"] = str(request.json)
    return {}


@route("POST", BASE + "/PipelineRuns/PipelineSubmit/{id}")
def submit_published(workspace: Workspace, request: Request) -> Any:
    return run_published(workspace, request, request.names["id"])


def run_published(workspace: Workspace, request: Request, pipeline_id: str) -> Record:
    """Run a published pipeline, with the parameters that are given."""
    known, wish = find(workspace, "Pipelines", pipeline_id), request.json
    if known["EntityStatus"] not in ACTIVE:
        raise Refusal(400, f"The pipeline {pipeline_id} is disabled.")
    if not wish.get("ExperimentName"):
        raise Refusal(400, "The submission names no experiment: ExperimentName.")
    goes_on = wish.get("ContinueRunOnStepFailure")
    wish["ContinueRunOnStepFailure"] = known.get("ContinueRunOnStepFailure") if goes_on is None else goes_on
    assigned = (known.get("DataSetDefinitionValueAssignments") or {}) | (wish.get(GIVEN[2]) or {})
    graph = find(workspace, "Graphs", known["GraphId"])
    record = new_run(workspace, graph, wish | {GIVEN[2]: assigned}, wish["ExperimentName"], PipelineId=pipeline_id)
    return start(workspace, record, request.query.get("parentRunId", ""))


@route("POST", BASE + "/PipelineEndpoints/Create")
def create_endpoint(workspace: Workspace, request: Request) -> Any:
    wish = request.json
    if any(known["Name"] == wish["Name"] for known in kept(workspace, "PipelineEndpoints").values()):
        raise Refusal(409, f"A pipeline endpoint {wish['Name']} exists.")
    find(workspace, "Pipelines", wish["PipelineId"])
    versions = [{"Version": "0", "PipelineId": wish["PipelineId"]}]
    record = add(workspace, "PipelineEndpoints", wish, DefaultVersion="0", PipelineVersionList=versions)
    record["Url"] = f"{API}/pipelines/v1.0{workspace.names.scope}/PipelineRuns/PipelineEndpointSubmit/Id/{record['Id']}"
    return record


@route("GET", BASE + "/PipelineEndpoints")
def endpoints(workspace: Workspace, request: Request) -> Any:
    return listed(workspace, request, "PipelineEndpoints")


@route("GET", BASE + "/PipelineEndpoints/Id/{id}")
def endpoint(workspace: Workspace, request: Request) -> Any:
    return find(workspace, "PipelineEndpoints", request.names["id"])


@route("GET", BASE + "/PipelineEndpoints/Name")
def endpoint_by_name(workspace: Workspace, request: Request) -> Any:
    name = request.query.get("Name", "")
    for record in kept(workspace, "PipelineEndpoints").values():
        if record["Name"] == name:
            return record
    raise Refusal(404, f"There is no pipeline endpoint {name}.")


@route("GET", BASE + "/PipelineEndpoints/{id}/pipelines")
def pipelines_of_an_endpoint(workspace: Workspace, request: Request) -> Any:
    versions = find(workspace, "PipelineEndpoints", request.names["id"])["PipelineVersionList"]
    own = {version["PipelineId"] for version in versions}
    return [record for record in listed(workspace, request, "Pipelines") if record["Id"] in own]


@route("POST", BASE + "/PipelineRuns/PipelineEndpointSubmit/Id/{id}")
def submit_endpoint(workspace: Workspace, request: Request) -> Any:
    record = find(workspace, "PipelineEndpoints", request.names["id"])
    version = request.query.get("pipelineVersion") or record["DefaultVersion"]
    for known in record["PipelineVersionList"]:
        if known["Version"] == version:
            return run_published(workspace, request, known["PipelineId"])
    raise Refusal(404, f"The pipeline endpoint {record['Name']} has no version {version}.")


# ----------------------------------------------------------------------------------------------- schedules, drafts


@route("POST", BASE + "/Schedules/Create")
def create_schedule(workspace: Workspace, request: Request) -> Any:
    """Keep a schedule; a rehearsal fires none."""
    wish = request.json
    for kind, key in (("Pipelines", "PipelineId"), ("PipelineEndpoints", "PipelineEndpointId")):
        if wish.get(key):
            find(workspace, kind, wish[key])
    return add(workspace, "Schedules", wish, ProvisioningStatus="1")


@route("GET", BASE + "/Schedules")
def schedules(workspace: Workspace, request: Request) -> Any:
    return listed(workspace, request, "Schedules")


@route("GET", BASE + "/Schedules/{kind:(Pipeline|PipelineEndpoint)}/{id}")
def schedules_of(workspace: Workspace, request: Request) -> Any:
    return listed(workspace, request, "Schedules", **{f"{request.names['kind']}Id": request.names["id"]})


@route("POST", BASE + "/{kind:(GraphDrafts|PipelineDrafts/Create)}")
def create_draft(workspace: Workspace, request: Request) -> Any:
    return add(workspace, request.names["kind"].partition("/")[0], request.json)


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
    told = start(
        workspace, new_run(workspace, known, info, info["ExperimentName"]), request.query.get("parentRunId", "")
    )
    draft["LastSubmittedPipelineRunId"] = told["Id"]
    return told


@route("POST", BASE + "/Pipelines/PipelineDraftCreate")
def publish_draft(workspace: Workspace, request: Request) -> Any:
    draft = find(workspace, "PipelineDrafts", request.json["Id"])
    words = {name: draft.get(name) for name in ("Name", "Description")}
    values = {GIVEN[2]: draft["PipelineSubmissionInfo"].get(GIVEN[2])}
    return published(workspace, graph_of_a_draft(workspace, draft) | words | values)
