"""Execution: what is asked to run is checked as the service checks it, then handed to a node."""

from __future__ import annotations

import email.parser
import email.policy
import json
from typing import Any

from aml_rehearsal import dataset_outputs, nodes
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services import computes, environments
from aml_rehearsal.services.datasets import find, identifier
from aml_rehearsal.services.history import new_run, run_of
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import FINAL, Record
from aml_rehearsal.workspace import Workspace

EXPERIMENT = "/execution/v1.0{scope}/experiments/{experiment}"


@api.route("POST", EXPERIMENT + "/localrun")
def local_run(workspace: Workspace, request: Request) -> Any:
    """Answer with what starts the run on the caller's own computer."""
    if workspace.entrance.apart:
        message = "A run on your own computer needs a rehearsal there: aml-rehearsal shell. On a cluster it runs here."
        raise Refusal(501, message, "NotImplemented")
    definition = json.loads(parts(request)["definition.json"])
    names, parent = request.names, str(definition.get("ParentRunId") or "")
    job = accept(workspace, names["experiment"], request.query["runId"], definition["Configuration"], parent)
    return Reply(nodes.local_archive(job), headers={"Content-Type": "application/zip"})


@api.route("POST", EXPERIMENT + "/snapshotrun")
def snapshot_run(workspace: Workspace, request: Request) -> Any:
    definition = request.json
    snapshot = workspace.state.tables.snapshots.get(definition["SnapshotId"])
    if snapshot is None:
        raise Refusal(400, f"Snapshot {definition['SnapshotId']} was not found")
    names, parent = request.names, str(definition.get("ParentRunId") or "")
    job = accept(workspace, names["experiment"], request.query["runId"], definition["Configuration"], parent)
    nodes.start(workspace, job, snapshot)
    return {"runId": request.query["runId"]}


def accept(workspace: Workspace, experiment: str, run_id: str, configuration: Record, parent: str = "") -> Record:
    """Check what is to run; make the run, which may be another's child, and the node's job."""
    known = workspace.state.tables.runs.get(run_id)
    if known and known["runDefinition"]:
        raise Refusal(409, f"Run {run_id} was submitted already", "RunExists")
    if known and known["status"] in FINAL:
        raise Refusal(409, f"Run {run_id} has ended", "RunExists")
    target = configuration["target"]
    if target != "local":
        check_compute(workspace, target, int(configuration["nodeCount"]))
    datasets = {name: wanted_dataset(workspace, name, wish) for name, wish in (configuration["data"] or {}).items()}
    inputs = [lineage(name, configuration["data"][name], dataset) for name, dataset in datasets.items()]
    dataset_outputs.check(configuration)
    processes = nodes.processes(configuration)
    configuration["environment"] = environments.submitted(workspace, experiment, configuration["environment"])
    run = new_run(workspace, experiment, run_id)
    if parent:
        run |= {"parentRunId": parent, "rootRunId": run_of(workspace, parent)["rootRunId"]}
    run |= {
        "runType": run["runType"] or "azureml.scriptrun",
        "target": target,
        "status": "Queued" if target != "local" else "Preparing",
        "runDefinition": configuration,
        "scriptName": configuration["script"],
        "inputDatasets": inputs,
    }
    return nodes.job(workspace, run, experiment, datasets, processes)


def lineage(name: str, wish: Record, dataset: Record) -> Record:
    """How a run remembers a dataset that it reads."""
    details = {"inputName": name, "mechanism": wish["mechanism"].capitalize(), "pathOnCompute": wish["pathOnCompute"]}
    return {"identifier": identifier(dataset), "consumptionType": "RunInput", "inputDetails": details}


def check_compute(workspace: Workspace, target: str, nodes_wanted: int) -> None:
    compute = workspace.state.tables.computes.get(target)
    if compute is None:
        raise Refusal(400, f"Unknown compute target '{target}'.", "ComputeTargetNotFound")
    kind, state = compute["properties"]["computeType"], computes.progress(workspace, target)
    if kind != "AmlCompute":
        raise Refusal(400, f"Compute target '{target}' is a {kind}: the rehearsal runs on AmlCompute only.")
    if state != "Succeeded":
        raise Refusal(400, f"Compute target '{target}' is not ready: {state}.", "ComputeTargetNotReady")
    scale = compute["properties"]["properties"].get("scaleSettings") or {}
    most = scale.get("maxNodeCount")
    if most is not None and nodes_wanted > int(most):
        raise Refusal(400, f"The run wants {nodes_wanted} nodes; '{target}' has at most {most}.")


def wanted_dataset(workspace: Workspace, name: str, wish: Record) -> Record:
    location = (wish.get("dataLocation") or {}).get("dataset") or {}
    if not (location.get("id") or location.get("name")):
        raise Refusal(400, f"data: {name}: names no dataset")
    version = str(location.get("version") or "")
    try:
        if location.get("id"):
            return find(workspace, saved=location["id"])
        return find(workspace, name=location["name"], version=version)
    except Refusal as refusal:
        raise Refusal(400, f"data: {name}: {refusal}", "DatasetNotFound") from None


def parts(request: Request) -> dict[str, bytes]:
    """The files of a form."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.default).parsebytes(head + request.body)
    return {str(part.get_filename()): bytes(part.get_payload(decode=True)) for part in message.iter_parts()}
