"""One step of a pipeline's run: from the graph that the client sends to what somebody submits who has a script."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from typing import Any

from aml_rehearsal import dataset_outputs, nodes, vm_sizes
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services import datastores, execution, metrics, searches
from aml_rehearsal.services.history import new_run
from aml_rehearsal.services.pipeline_records import find, referred
from aml_rehearsal.state import FINAL, Record, set_status
from aml_rehearsal.workspace import Workspace

MODES = {"1": "mount", "2": "download", "3": "upload", "4": "direct", "5": "hdfs", "6": "link"}
SCRIPT, COMMAND, PARALLEL, SEARCH = "PythonScriptStep", "CommandStep", "ParallelRunStep", "HyperDriveStep"
MODULE = "ModuleStep"  # that of a script; others have the execution of another step
PLAYED = (SCRIPT, COMMAND, PARALLEL, SEARCH, MODULE)
NOT_PARALLEL = ("--rank_mini_batch_count",)  # how else a ParallelRunStep can be told to divide
STRUCTURED, VARIABLE = "USE_STRUCTURED_ARGUMENTS", "AZUREML_DATAREFERENCE_"
DIFFERENT = "HyperDriveRunConfig"  # each time that it is submitted, though the step is the same


class Step:
    """What a node of a graph stands for in one run of a pipeline."""

    def __init__(self, workspace: Workspace, pipeline_run: str, graph: Record, node: Record) -> None:
        self.workspace, self.pipeline_run, self.node, self.id = workspace, pipeline_run, node, str(node["Id"])
        self.module = of_module(workspace, node["ModuleId"])
        self.sources = {one["Id"]: one for one in graph.get("DatasetNodes") or []}
        self.interface = self.module["StructuredInterface"]
        self.kind = str(self.module.get("StepType"))
        # What is connected to each input: a node, and the port of it.
        self.edges: dict[str, tuple[str, str]] = {
            edge["DestinationInputPort"]["PortName"]: (
                edge["SourceOutputPort"]["NodeId"],
                edge["SourceOutputPort"].get("PortName"),
            )
            for edge in graph.get("Edges") or []
            if edge["DestinationInputPort"].get("NodeId") == self.id
        }

    @property
    def record(self) -> Record:
        return find(self.workspace, "PipelineRuns", self.pipeline_run)

    @property
    def name(self) -> str:
        return str(self.node.get("Name") or self.module["Name"])

    @property
    def settings(self) -> dict[str, Record]:
        """What the graph says of the step's outputs, by their names."""
        return {one["Name"]: one for one in self.node.get("ModuleOutputSettings") or []}

    def check(self) -> None:
        """Refuse a step that could not run."""
        name, parameters = self.module["Name"], self.parameters()
        execution_type = self.module.get("ModuleExecutionType")
        if self.kind not in PLAYED or (self.kind == MODULE and execution_type != "escloud"):
            what = f"{self.kind} of {execution_type}" if self.kind == MODULE else self.kind
            raise Refusal(501, f"{name}: the rehearsal does not play the step {what}.", "NotImplemented")
        for one in self.interface.get("Arguments") or [] if self.kind == PARALLEL else ():
            if one["Value"] in NOT_PARALLEL:
                said = f"{name}: the rehearsal does not play {one['Value']} of a {PARALLEL}"
                raise Refusal(501, f"{said}: it divides by mini_batch_size or partition_keys.", "NotImplemented")
        if self.kind == SEARCH:
            searches.check(self.workspace, self.search_wish({}, {}, {}))
        else:
            count = int(parameters.get("NodeCount") or 1)
            execution.check_compute(self.workspace, str(parameters.get("Target")), count)
        if self.module.get("StorageId") not in self.workspace.state.tables.snapshots:
            raise Refusal(400, f"{name}: snapshot {self.module.get('StorageId')} was not found")

    def parameters(self) -> dict[str, Any]:
        """The values of the step's parameters, those of the pipeline put in."""
        declared = [*(self.interface.get("Parameters") or []), *(self.interface.get("MetadataParameters") or [])]
        values = {one["Name"]: one.get("DefaultValue") for one in declared}
        for one in [*(self.node.get("ModuleParameters") or []), *(self.node.get("ModuleMetadataParameters") or [])]:
            given = one.get("Value")
            if str(one.get("ValueType")) in {"1", "GraphParameterName"}:
                given = self.record["ParameterAssignments"].get(given)
            values[one["Name"]] = given
        return values

    # ------------------------------------------------------------------------------------ what it reads and writes

    def inputs(self, outputs: dict[str, Any]) -> tuple[dict[str, Record], dict[str, Record]]:
        """The places in datastores and the datasets that the step reads; outputs are those of the steps before."""
        references, data = {}, {}
        settings = {one["Name"]: one for one in self.node.get("ModuleInputSettings") or []}
        ports = {one["Name"]: one for one in self.interface.get("Inputs") or []}
        for name, (source, port) in self.edges.items():
            if ports[name].get("SkipProcessing"):
                continue
            told = ports[name] | {key: value for key, value in settings.get(name, {}).items() if value is not None}
            mode = MODES.get(str(told.get("DataStoreMode")), str(told.get("DataStoreMode") or "mount").lower())
            place = self.source(self.sources[source]) if source in self.sources else outputs[source][port]
            if "dataset" in place:
                data[name] = {
                    "dataLocation": {"dataset": {"id": place["dataset"]}},
                    "mechanism": mode,
                    "pathOnCompute": told.get("PathOnCompute"),
                    "environmentVariableName": name,
                    "overwrite": bool(told.get("Overwrite")),
                }
            else:
                references[told.get("DataReferenceName") or name] = {
                    "dataStoreName": place["store"],
                    "mode": mode,
                    "pathOnDataStore": place["path"],
                    "pathOnCompute": told.get("PathOnCompute"),
                    "overwrite": bool(told.get("Overwrite")),
                }
        return references, data

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

    def outputs(self, run_id: str) -> dict[str, Record]:
        """Where the step's outputs are to lie, by their names, as a run's outputData says it."""
        found = {}
        for port in self.interface.get("Outputs") or []:
            if port.get("SkipProcessing"):
                continue
            name, told = port["Name"], self.settings.get(port["Name"], {})
            options, registration = told.get("DatasetOutputOptions"), told.get("DatasetRegistration") or {}
            wanted = (options or {}).get("PathOnDatastore") or "azureml/{run-id}/{output-name}"
            path = wanted.replace("{run-id}", run_id).replace("{output-name}", name).strip("/")
            store = told.get("DataStoreName") or port.get("DataStoreName")
            store = store or self.workspace.state.tables.default_datastore
            datastores.find(self.workspace, store)
            mode = str(told.get("DataStoreMode") or port.get("DataStoreMode") or "mount")
            patterns = ((options or {}).get("SourceGlobs") or {}).get("GlobPatterns")
            found[name] = {
                "outputLocation": {"dataPath": {"datastoreName": store, "relativePath": path}},
                "mechanism": MODES.get(mode, mode.lower()),
                "reference": options is None,
                "additionalOptions": {
                    "pathOnCompute": told.get("PathOnCompute") or port.get("PathOnCompute"),
                    "registrationOptions": {
                        "name": registration.get("Name"),
                        "description": registration.get("Description"),
                        "tags": registration.get("Tags"),
                        "datasetRegistrationOptions": {
                            "additionalTransformation": registration.get("AdditionalTransformations")
                        },
                    },
                    "uploadOptions": {"overwrite": True, "sourceGlobs": {"patterns": patterns}},
                },
            }
        return found

    def arguments(self, parameters: dict[str, Any], data: dict[str, Record]) -> list[str]:
        """What the script is called with, the names of what it reads and writes put in."""
        ports = {one["Name"]: one for one in self.interface.get("Inputs") or []}
        given = str(parameters.get("Arguments") or STRUCTURED)
        if given != STRUCTURED:  # those of a step that uses a module; it names a place as the place is called
            for name, (source, _) in self.edges.items():
                place = self.sources.get(source, {}).get("DatasetId")
                called = find(self.workspace, "DataSources", place)["Name"] if place else name
                own = ports[name].get("DataReferenceName") or name
                given = given.replace(f"${VARIABLE}{called}", f"${VARIABLE}{own}")
            return given.split(",")
        found = []
        for one in self.interface.get("Arguments") or []:
            kind, text = one["ValueType"], one["Value"]
            if kind == "Parameter":
                text = str(parameters[text])
            elif kind == "Input" and text in data:
                text = f"DatasetConsumptionConfig:{text}"
            elif kind in {"Input", "Output"}:
                text = f"${VARIABLE}{ports.get(text, {}).get('DataReferenceName') or text}"
            found.append(text)
        return found

    # ------------------------------------------------------------------------------------------------- how it runs

    def configuration(self, references: Record, data: Record, outputs: Record) -> Record:
        """What is to run, as one that submits a script says it."""
        parameters = self.parameters()
        configuration: Record = json.loads(self.node.get("Runconfig") or self.module["Runconfig"])
        variables = {
            one.get("EnvironmentVariableOverride") or one["Name"]: str(parameters[one["Name"]])
            for one in self.interface.get("Parameters") or []
            if one.get("SetEnvironmentVariable")
        }
        arguments = self.arguments(parameters, data)
        configuration |= {
            "script": parameters.get("Script"),
            "arguments": arguments,
            "target": parameters["Target"],
            "nodeCount": int(parameters.get("NodeCount") or configuration.get("nodeCount") or 1),
            "data": data,
            "dataReferences": references,
            "outputData": outputs,
            "environmentVariables": (configuration.get("environmentVariables") or {}) | variables,
        }
        if self.kind == COMMAND:
            line = " ".join([parameters["Command"], *(quoted(argument) for argument in arguments)])
            configuration |= {"script": None, "arguments": [], "command": line}
        return configuration

    def key(self, references: Record, data: Record) -> str:
        """By what an earlier run is known as one of the same step."""
        parameters = sorted((k, str(v)) for k, v in self.parameters().items() if k != DIFFERENT)
        wish = [self.module.get("IdentifierHash"), parameters, references, data]
        wish += [self.node.get("Runconfig"), self.node.get("ModuleOutputSettings")]
        return hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()

    def start(self, experiment: str, run_id: str, references: Record, data: Record, outputs: Record) -> None:
        """Let it run, on a node or as a search of its own."""
        if self.kind == SEARCH:
            run = new_run(self.workspace, experiment, run_id)
            set_status(run, "Running")
            wish = self.search_wish(references, data, outputs)
            searches.begin(self.workspace, experiment, wish, parent=run, name=run_id)
            return
        configuration = self.configuration(references, data, outputs)
        job = execution.accept(self.workspace, experiment, run_id, configuration)
        if self.kind == PARALLEL:
            job |= {"driver": True, "processes": [{}]}  # which starts the others
            job["environment"] |= parallel(self.workspace, configuration)
        nodes.start(self.workspace, job, self.workspace.state.tables.snapshots[self.module["StorageId"]])

    # --------------------------------------------------------------------------------------------- a step that searches

    def search_wish(self, references: Record, data: Record, outputs: Record) -> Record:
        """The search, as one that submits it says it; its runs read and write what the step does."""
        parameters = self.parameters()
        wish: Record = json.loads(parameters[DIFFERENT])
        definition = wish["platform_config"]["Definition"]
        arguments = self.arguments(parameters, data) or definition["Overrides"].get("arguments")
        written = {name: one for name, one in outputs.items() if name not in self.training_outputs()}
        definition["Overrides"] |= {"arguments": arguments, "data": data, "outputData": written}
        definition["Overrides"]["dataReferences"] = references
        return wish

    def training_outputs(self) -> dict[str, Record]:
        """Those outputs that the search fills: its metrics, and a file of its best run."""
        ports = self.interface.get("Outputs") or []
        return {port["Name"]: port["TrainingOutput"] for port in ports if port.get("TrainingOutput")}

    def follow_search(self, run: Record, outputs: dict[str, Record]) -> None:
        """Let the step's run be as far as the search is that it has started."""
        runs = self.workspace.state.tables.runs
        search = next(runs[name] for name in runs.keys_where(parentRunId=run["runId"]))
        if run["status"] == "CancelRequested":
            set_status(search, "CancelRequested")
        if search["status"] not in FINAL or run["status"] in FINAL:
            return
        error = ((search["error"] or {}).get("error") or {}).get("message", "")
        try:
            if search["status"] == "Completed":
                self.write_training_outputs(search, outputs)
            set_status(run, search["status"], error)
        except Refusal as refusal:
            set_status(run, "Failed", str(refusal))

    def write_training_outputs(self, search: Record, outputs: dict[str, Record]) -> None:
        runs = self.workspace.state.tables.runs
        for name, wish in self.training_outputs().items():
            if wish["TrainingOutputType"] == "Metrics":
                logged = {
                    child: {metric: metrics.numbers(self.workspace, child, metric) for metric in known}
                    for child in runs.keys_where(parentRunId=search["runId"])
                    if (known := metrics.of_run(self.workspace, child))
                }
                content = json.dumps(logged).encode()
            else:
                best = search["properties"].get("best_child_run_id")
                artifact = f"ExperimentRun/dcid.{best}/{wish['ModelFile']}"
                if artifact not in self.workspace.state.tables.artifacts:
                    said = f"the best run, {best}, has no file {wish['ModelFile']}" if best else "no run is the best"
                    raise Refusal(400, f"{self.module['Name']}: {name}: {said}")
                content = self.workspace.blobs.read("azureml", artifact)
            store, path = outputs[name]["store"], outputs[name]["path"]
            place = dataset_outputs.Output(name, store, path, "mount", True, {}, reference=True)
            dataset_outputs.write(self.workspace, place, "", content)


def of_module(workspace: Workspace, module_id: str) -> Record:
    """What a node runs: a module of its own, or a version of a module that has a name."""
    if version := workspace.state.tables.pipelines["AzureMLModuleVersions"].get(module_id):
        return version
    return find(workspace, "Modules", module_id)


def quoted(argument: str) -> str:
    """An argument for a shell, which is to see its own signs: the client has taken the quotes away."""
    return shlex.quote(argument) if re.search(r"[\s'\"()\\]", argument) or not argument else argument


def parallel(workspace: Workspace, configuration: Record) -> dict[str, str]:
    """How many processes there are by default: one for each core, or one for a machine that has a GPU."""
    compute = workspace.state.tables.computes[configuration["target"]]["properties"]["properties"]
    size = vm_sizes.find(str(compute.get("vmSize"))) or vm_sizes.Size(1, 1)
    count = 1 if size.gpus else size.cores
    return {"AZUREML_NODE_COUNT": str(configuration["nodeCount"]), "AML_CORES_PER_NODE": str(count)}
