"""A pipeline's run: its steps are ordinary runs, each started when those that it reads from have ended."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import Any

from aml_rehearsal import azurite, nodes
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import datasets, datastores, execution
from aml_rehearsal.services.history import new_run
from aml_rehearsal.state import FINAL, Record, now, set_status
from aml_rehearsal.store import Table
from aml_rehearsal.workspace import Workspace

BEAT = 0.1  # seconds between two looks at the steps
LOG = "logs/azureml/executionlogs.txt"
MODES = {"1": "mount", "2": "download", "3": "upload", "4": "direct", "5": "hdfs", "6": "link"}
PLAYED = ("PythonScriptStep",)


def kept(workspace: Workspace, kind: str) -> Table[Record]:
    table = workspace.state.tables.pipelines.get(kind)
    if table is None:
        raise Refusal(404, f"There are no {kind}.")
    return table


def find(workspace: Workspace, kind: str, name: str) -> Record:
    record = kept(workspace, kind).get(name)
    if record is None:
        raise Refusal(404, f"There is no {name} among the {kind}.")
    return record


def step_run(workspace: Workspace, record: Record, node: str) -> Record | None:
    """The run of a node, once it was started."""
    return workspace.state.tables.runs.get(record.get("steps", {}).get(node, ""))


def referred(workspace: Workspace, reference: Record) -> Record:
    """The version of a dataset that a graph refers to, by id or by name."""
    for versions in workspace.state.tables.datasets.values():
        for one in reversed(versions):
            named = {one["datasetId"], one["name"]} & {reference.get("Id"), reference.get("Name")}
            if named and reference.get("Version") in {None, "latest", one["latest"]["versionId"]}:
                return one
    raise Refusal(404, f"Dataset {reference.get('Name') or reference.get('Id')} was not found", "DatasetNotFound")


class PipelineRun:
    """One run of a pipeline, from its first step to its last."""

    def __init__(self, workspace: Workspace, record: Record) -> None:
        self.workspace = workspace
        self.run_id, self.experiment = record["Id"], record["RunHistoryExperimentName"]
        self.graph = find(workspace, "Graphs", record["GraphId"])["Graph"]
        self.nodes = {node["Id"]: node for node in self.graph.get("ModuleNodes") or []}
        self.sources = {node["Id"]: node for node in self.graph.get("DatasetNodes") or []}
        self.modules = {name: find(workspace, "Modules", node["ModuleId"]) for name, node in self.nodes.items()}
        self.seen = -1  # of the changes to the workspace

    def start(self, parent_id: str) -> None:
        """Check all steps, then let them run."""
        for name in self.nodes:
            self.check(name)
        run = new_run(self.workspace, self.experiment, self.run_id, runType="azureml.PipelineRun")
        parent = self.workspace.state.tables.runs.get(parent_id)
        if parent:
            run |= {"parentRunId": parent["runId"], "rootRunId": parent["rootRunId"]}
        run["description"] = self.record.get("Description")
        run["properties"] |= {
            "azureml.runsource": "azureml.PipelineRun",
            "runSource": self.record.get("RunSource") or "Unavailable",
            "runType": self.record.get("RunType") or "HTTP",
            "azureml.parameters": json.dumps(self.record["ParameterAssignments"]),
            "azureml.continue_on_step_failure": str(self.record["ContinueRunOnStepFailure"]),
        }
        if self.record.get("PipelineId"):
            run["properties"]["azureml.pipelineid"] = self.record["PipelineId"]
        set_status(run, "Running")
        thread = threading.Thread(target=self.run, daemon=True)
        self.workspace.nodes.append(thread)
        thread.start()

    def check(self, name: str) -> None:
        """Refuse a step that could not run."""
        module, kind = self.modules[name], self.modules[name].get("StepType")
        if kind not in PLAYED:
            raise Refusal(501, f"{module['Name']}: the rehearsal does not play a {kind}.", "NotImplemented")
        parameters = self.parameters(name)
        if parameters.get("Command"):
            raise Refusal(501, f"{module['Name']}: the rehearsal does not play a CommandStep.", "NotImplemented")
        execution.check_compute(self.workspace, str(parameters.get("Target")), int(parameters.get("NodeCount") or 1))
        if module.get("StorageId") not in self.workspace.state.tables.snapshots:
            raise Refusal(400, f"{module['Name']}: snapshot {module.get('StorageId')} was not found")

    # -------------------------------------------------------------------------------------------------- progress

    @property
    def record(self) -> Record:
        return find(self.workspace, "PipelineRuns", self.run_id)

    @property
    def steps(self) -> dict[str, str]:
        """The run of each node that was started."""
        found: dict[str, str] = self.record.setdefault("steps", {})
        return found

    @property
    def outputs(self) -> dict[str, Any]:
        """By node and port: where it lies."""
        found: dict[str, Any] = self.record.setdefault("outputs", {})
        return found

    @property
    def parent(self) -> Record:
        return self.workspace.state.tables.runs[self.run_id]

    def run(self) -> None:
        try:
            while self.step():
                time.sleep(BEAT)
        except Exception as error:
            with self.workspace.state.lock:
                for name in self.steps.values():
                    set_status(self.workspace.state.tables.runs[name], "CancelRequested")
                reason = str(error) if isinstance(error, Refusal) else f"The pipeline failed: {error!r}"
                set_status(self.parent, "Failed", reason)

    def step(self) -> bool:
        """Look at the steps once; tell whether there is more to do."""
        with self.workspace.state.lock:
            if self.seen == self.workspace.state.lock.changes:
                return True
            self.seen = self.workspace.state.lock.changes
            runs = {node: self.workspace.state.tables.runs[run] for node, run in self.steps.items()}
            self.keep_outputs(runs)
            running = [run for run in runs.values() if run["status"] not in FINAL]
            failed = [run for run in runs.values() if run["status"] in {"Failed", "Canceled"}]
            if self.parent["status"] == "CancelRequested":
                for run in running:
                    set_status(run, "CancelRequested")
                if not running:
                    set_status(self.parent, "Canceled")
                return bool(running)
            started = 0
            if not failed or self.record["ContinueRunOnStepFailure"]:
                done = {node for node, run in runs.items() if run["status"] == "Completed"}
                for node in self.nodes:
                    if node not in self.steps and self.before(node) <= done:
                        self.start_step(node)
                        started += 1
            if running or started:
                return True
            said = "Pipeline has some failed steps. See child run or execution logs for more details."
            self.say(f"The pipeline run is {'Failed' if failed else 'Completed'}.")
            set_status(self.parent, "Failed" if failed else "Completed", said if failed else "")
            return False

    def before(self, node: str) -> set[str]:
        """The steps that are to end first."""
        return {source for source, _ in self.edges(node).values()} & self.nodes.keys()

    def edges(self, node: str) -> dict[str, tuple[str, str]]:
        """What is connected to each input of a step: a node, and the port of it."""
        return {
            edge["DestinationInputPort"]["PortName"]: (
                edge["SourceOutputPort"]["NodeId"],
                edge["SourceOutputPort"].get("PortName"),
            )
            for edge in self.graph.get("Edges") or []
            if edge["DestinationInputPort"].get("NodeId") == node
        }

    # ----------------------------------------------------------------------------------------------------- a step

    def parameters(self, node: str) -> dict[str, Any]:
        """The values of a step's parameters, those of the pipeline put in."""
        interface = self.modules[node]["StructuredInterface"]
        declared = [*(interface.get("Parameters") or []), *(interface.get("MetadataParameters") or [])]
        values = {one["Name"]: one.get("DefaultValue") for one in declared}
        own = self.nodes[node]
        for one in [*(own.get("ModuleParameters") or []), *(own.get("ModuleMetadataParameters") or [])]:
            given = one.get("Value")
            if str(one.get("ValueType")) in {"1", "GraphParameterName"}:
                given = self.record["ParameterAssignments"].get(given)
            values[one["Name"]] = given
        return values

    def start_step(self, node: str) -> None:
        module, parameters = self.modules[node], self.parameters(node)
        inputs, data = self.inputs(node)
        wish = [module.get("IdentifierHash"), sorted((k, str(v)) for k, v in parameters.items()), inputs, data]
        wish += [self.nodes[node].get("Runconfig"), self.nodes[node].get("ModuleOutputSettings")]
        key = hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()
        run_id = self.workspace.state.new_id()
        self.steps[node] = run_id
        if module.get("IsDeterministic") and not self.nodes[node].get("RegenerateOutput"):
            earlier = kept(self.workspace, "Reusable").get(key)
            if earlier:
                self.reuse(node, run_id, earlier)
                return
        places = self.places(node, run_id)
        self.outputs[node] = {name: {"store": one["store"], "path": one["path"]} for name, one in places.items()}
        configuration = self.configuration(node, parameters, data)
        job = execution.accept(self.workspace, self.experiment, run_id, configuration)
        job["folders"] = [*inputs, *places.values()]
        self.describe(node, run_id, "azureml.StepRun")
        self.record.setdefault("keys", {})[node] = key
        nodes.start(self.workspace, job, self.workspace.state.tables.snapshots[module["StorageId"]])
        self.say(f"Submitting 1 runs, first five are: {node}:{run_id}")

    def describe(self, node: str, run_id: str, source: str) -> Record:
        """What a step's run says of its place in the pipeline."""
        module, run = self.modules[node], self.workspace.state.tables.runs[run_id]
        run |= {"parentRunId": self.run_id, "rootRunId": self.parent["rootRunId"], "runType": "azureml.StepRun"}
        run |= {"name": module["Name"], "displayName": module["Name"]}
        run["tags"] |= {"azureml.nodeid": node, "azureml.pipeline": self.run_id}
        run["properties"] |= {
            "azureml.runsource": source,
            "azureml.nodeid": node,
            "azureml.moduleid": module["Id"],
            "azureml.moduleName": module["Name"],
            "azureml.pipelinerunid": self.run_id,
            "ContentSnapshotId": module["StorageId"],
            "StepType": module["StepType"],
            "ComputeTargetType": "AmlCompute",
        }
        return run

    def reuse(self, node: str, run_id: str, earlier: Record) -> None:
        """Let an earlier run of the same step stand for this one."""
        old = self.workspace.state.tables.runs[earlier["run"]]
        new_run(self.workspace, self.experiment, run_id, target=old["target"], scriptName=old["scriptName"])
        run = self.describe(node, run_id, "azureml.StepRun")
        known = {
            "azureml.isreused": "true",
            "azureml.reusedrunid": old["runId"],
            "azureml.reusednodeid": earlier["node"],
            "azureml.reusedpipeline": earlier["pipeline"],
            "azureml.reusedpipelinerunid": earlier["pipeline"],
        }
        run["properties"] |= known
        run["runDefinition"] = old["runDefinition"]
        self.outputs[node] = earlier["outputs"]
        set_status(run, "Completed")
        self.say(f"Reusing {old['runId']} for {node}:{run_id}")

    def keep_outputs(self, runs: dict[str, Record]) -> None:
        """When a step has ended well, register its outputs and keep it for reuse; each once."""
        for node, key in list(self.record.get("keys", {}).items()):
            if runs[node]["status"] not in FINAL:
                continue
            del self.record["keys"][node]
            if runs[node]["status"] != "Completed":
                continue
            kept(self.workspace, "Reusable")[key] = {
                "run": runs[node]["runId"],
                "node": node,
                "pipeline": self.run_id,
                "outputs": self.outputs[node],
            }
            for setting in self.nodes[node].get("ModuleOutputSettings") or []:
                name = (setting.get("DatasetRegistration") or {}).get("Name")
                if name:
                    place = self.outputs[node][setting["Name"]]
                    datasets.created(self.workspace, name, place["store"], place["path"])

    # ------------------------------------------------------------------------------------ what a step reads and writes

    def inputs(self, node: str) -> tuple[list[Record], dict[str, Record]]:
        """The folders that a step reads, and the datasets, by the names of its inputs."""
        folders, data = [], {}
        settings = {one["Name"]: one for one in self.nodes[node].get("ModuleInputSettings") or []}
        ports = {one["Name"]: one for one in self.modules[node]["StructuredInterface"].get("Inputs") or []}
        for name, (source, port) in self.edges(node).items():
            if ports[name].get("SkipProcessing"):
                continue
            told = ports[name] | {key: value for key, value in settings.get(name, {}).items() if value is not None}
            mode = MODES.get(str(told.get("DataStoreMode")), str(told.get("DataStoreMode") or "mount").lower())
            place = self.outputs[source][port] if source in self.nodes else self.source(self.sources[source])
            if "dataset" in place:
                data[name] = {
                    "dataLocation": {"dataset": {"id": place["dataset"]}},
                    "mechanism": mode,
                    "pathOnCompute": told.get("PathOnCompute"),
                    "environmentVariableName": name,
                    "overwrite": bool(told.get("Overwrite")),
                }
            else:
                variable = told.get("DataReferenceName") or name
                at = told.get("PathOnCompute")
                folders.append({"name": variable, "port": name, **place, "output": False, "at": at})
        return folders, data

    def source(self, node: Record) -> Record:
        """What a node that is no step stands for: a dataset, or a place in a datastore."""
        if node.get("DataPathParameterName"):
            path = self.record["DataPathAssignments"][node["DataPathParameterName"]]
            return {"store": path["DataStoreName"], "path": (path.get("RelativePath") or "").strip("/")}
        if node.get("DatasetId"):
            known = find(self.workspace, "DataSources", node["DatasetId"])
            return {"store": known["DataStoreName"], "path": (known.get("PathOnDataStore") or "").strip("/")}
        definition = node["DataSetDefinition"]
        value = definition.get("Value") or {}
        if definition.get("ParameterName"):
            value = self.record["DataSetDefinitionValueAssignments"][definition["ParameterName"]]
        if value.get("SavedDataSetReference"):
            return {"dataset": value["SavedDataSetReference"]["Id"]}
        return {"dataset": referred(self.workspace, value["DataSetReference"])["latest"]["savedDatasetId"]}

    def places(self, node: str, run_id: str) -> dict[str, Record]:
        """Where a step's outputs are to lie, by their names."""
        found = {}
        settings = {one["Name"]: one for one in self.nodes[node].get("ModuleOutputSettings") or []}
        for port in self.modules[node]["StructuredInterface"].get("Outputs") or []:
            if port.get("SkipProcessing"):
                continue
            name, told = port["Name"], settings.get(port["Name"], {})
            wanted = (told.get("DatasetOutputOptions") or {}).get("PathOnDatastore") or "azureml/{run-id}/{output-name}"
            path = wanted.replace("{run-id}", run_id).replace("{output-name}", name).strip("/")
            store = told.get("DataStoreName") or port.get("DataStoreName")
            store = store or self.workspace.state.tables.default_datastore
            datastores.find(self.workspace, store)
            at = told.get("PathOnCompute") or port.get("PathOnCompute")
            found[name] = {"name": name, "port": name, "store": store, "path": path, "output": True, "at": at}
        return found

    def configuration(self, node: str, parameters: dict[str, Any], data: dict[str, Record]) -> Record:
        """What is to run, as one that submits a script says it."""
        configuration = dict(json.loads(self.nodes[node]["Runconfig"]))
        interface = self.modules[node]["StructuredInterface"]
        ports = {one["Name"]: one for one in interface.get("Inputs") or []}
        arguments = []
        for one in interface.get("Arguments") or []:
            kind, text = one["ValueType"], one["Value"]
            if kind == "Parameter":
                text = str(parameters[text])
            elif kind == "Input" and text in data:
                text = f"DatasetConsumptionConfig:{text}"
            elif kind in {"Input", "Output"}:
                text = f"$AZUREML_DATAREFERENCE_{ports.get(text, {}).get('DataReferenceName') or text}"
            arguments.append(text)
        variables = {
            one.get("EnvironmentVariableOverride") or one["Name"]: str(parameters[one["Name"]])
            for one in interface.get("Parameters") or []
            if one.get("SetEnvironmentVariable")
        }
        return configuration | {
            "script": parameters["Script"],
            "arguments": arguments,
            "target": parameters["Target"],
            "nodeCount": int(parameters.get("NodeCount") or configuration.get("nodeCount") or 1),
            "data": data,
            "environmentVariables": (configuration.get("environmentVariables") or {}) | variables,
        }

    def say(self, text: str) -> None:
        record = f"ExperimentRun/dcid.{self.run_id}/{LOG}"
        self.workspace.blobs.append(azurite.ARTIFACTS, record, f"[{now()}] {text}\n".encode())
        self.workspace.state.tables.artifacts.setdefault(record, {"createdTime": now()})
