"""A pipeline's run: its steps are ordinary runs, each started when those that it reads from have ended."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from aml_rehearsal import azurite
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services.history import new_run
from aml_rehearsal.services.pipeline_records import ACTIVE, add, find, kept, referred
from aml_rehearsal.services.pipeline_steps import SEARCH, Step
from aml_rehearsal.state import FINAL, Record, now, set_status
from aml_rehearsal.workspace import Workspace

BEAT = 0.1  # seconds between two looks at the steps
LOG = "logs/azureml/executionlogs.txt"
GIVEN = ("ParameterAssignments", "DataPathAssignments", "DataSetDefinitionValueAssignments")  # the values of parameters


def new_graph(workspace: Workspace, sent: Record) -> Record:
    """Keep a graph; a dataset that it refers to by id gets its name, by which the client reads it."""
    for node in sent["Graph"].get("DatasetNodes") or []:
        reference = ((node.get("DataSetDefinition") or {}).get("Value") or {}).get("DataSetReference")
        if reference and not reference.get("Name"):
            reference["Name"] = referred(workspace, reference)["name"]
    return add(workspace, "Graphs", {"Graph": sent["Graph"], "GraphInterface": sent.get("GraphInterface") or {}})


def prepared(workspace: Workspace, graph: Record, wish: Record, experiment: str, **known: Any) -> Record:
    """A run of a graph that is to be started: its parameters have the values that were given, the others their own."""
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


def of_published(workspace: Workspace, pipeline_id: str, wish: Record) -> Record:
    """A run of a published pipeline that is to be started, with the parameters that are given."""
    known = find(workspace, "Pipelines", pipeline_id)
    if known["EntityStatus"] not in ACTIVE:
        raise Refusal(400, f"The pipeline {pipeline_id} is disabled.")
    if not wish.get("ExperimentName"):
        raise Refusal(400, "The submission names no experiment: ExperimentName.")
    goes_on = wish.get("ContinueRunOnStepFailure")
    wish = wish | {"ContinueRunOnStepFailure": known.get("ContinueRunOnStepFailure") if goes_on is None else goes_on}
    wish[GIVEN[2]] = (known.get(GIVEN[2]) or {}) | (wish.get(GIVEN[2]) or {})
    graph = find(workspace, "Graphs", known["GraphId"])
    return prepared(workspace, graph, wish, wish["ExperimentName"], PipelineId=pipeline_id)


def step_run(workspace: Workspace, record: Record, node: str) -> Record | None:
    """The run of a node, once it was started."""
    return workspace.state.tables.runs.get(record.get("steps", {}).get(node, ""))


class PipelineRun:
    """One run of a pipeline, from its first step to its last."""

    def __init__(self, workspace: Workspace, record: Record) -> None:
        self.workspace = workspace
        self.run_id, self.experiment = record["Id"], record["RunHistoryExperimentName"]
        graph = find(workspace, "Graphs", record["GraphId"])["Graph"]
        nodes = graph.get("ModuleNodes") or []
        self.steps = {node["Id"]: Step(workspace, self.run_id, graph, node) for node in nodes}
        self.seen = -1  # of the changes to the workspace

    def start(self, parent_id: str = "") -> Record:
        """Check all steps, then let them run."""
        for step in self.steps.values():
            step.check()
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
        return run

    # -------------------------------------------------------------------------------------------------- progress

    @property
    def record(self) -> Record:
        return find(self.workspace, "PipelineRuns", self.run_id)

    @property
    def started(self) -> dict[str, str]:
        """The run of each step that was started."""
        found: dict[str, str] = self.record.setdefault("steps", {})
        return found

    @property
    def outputs(self) -> dict[str, Any]:
        """By step and name: where it lies."""
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
                for name in self.started.values():
                    set_status(self.workspace.state.tables.runs[name], "CancelRequested")
                reason = str(error) if isinstance(error, Refusal) else f"The pipeline failed: {error!r}"
                set_status(self.parent, "Failed", reason)

    def step(self) -> bool:
        """Look at the steps once; tell whether there is more to do."""
        with self.workspace.state.lock:
            if self.seen == self.workspace.state.lock.changes:
                return True
            self.seen = self.workspace.state.lock.changes
            runs = {node: self.workspace.state.tables.runs[run] for node, run in self.started.items()}
            for node, run in runs.items():
                if self.steps[node].kind == SEARCH and run["status"] not in FINAL:
                    self.steps[node].follow_search(run, self.outputs[node])
            self.keep_for_reuse(runs)
            running = [run for run in runs.values() if run["status"] not in FINAL]
            failed = [run for run in runs.values() if run["status"] in {"Failed", "Canceled"}]
            if self.parent["status"] == "CancelRequested":
                for run in running:
                    set_status(run, "CancelRequested")
                if not running:
                    set_status(self.parent, "Canceled")
                return bool(running)
            started = False
            if not failed or self.record["ContinueRunOnStepFailure"]:
                done = {node for node, run in runs.items() if run["status"] == "Completed"}
                for node, step in self.steps.items():
                    if node not in self.started and self.before(step) <= done:
                        self.start_step(step)
                        started = True
            if running or started:
                return True
            said = "Pipeline has some failed steps. See child run or execution logs for more details."
            self.say(f"The pipeline run is {'Failed' if failed else 'Completed'}.")
            set_status(self.parent, "Failed" if failed else "Completed", said if failed else "")
            return False

    def before(self, step: Step) -> set[str]:
        """The steps that are to end first."""
        return {source for source, _ in step.edges.values()} & self.steps.keys()

    def start_step(self, step: Step) -> None:
        run_id = self.workspace.state.new_id()
        self.started[step.id] = run_id
        references, data = step.inputs(self.outputs)
        key = step.key(references, data)
        if step.module.get("IsDeterministic") and not step.node.get("RegenerateOutput"):
            earlier = kept(self.workspace, "Reusable").get(key)
            if earlier:
                self.reuse(step, run_id, earlier)
                return
        outputs = step.outputs(run_id)
        places = {name: one["outputLocation"]["dataPath"] for name, one in outputs.items()}
        self.outputs[step.id] = {
            name: {"store": place["datastoreName"], "path": place["relativePath"]} for name, place in places.items()
        }
        step.start(self.experiment, run_id, references, data, outputs)
        self.describe(step, run_id)
        self.record.setdefault("keys", {})[step.id] = key
        self.say(f"Submitting 1 runs, first five are: {step.id}:{run_id}")

    def describe(self, step: Step, run_id: str) -> Record:
        """What a step's run says of its place in the pipeline."""
        module, run = step.module, self.workspace.state.tables.runs[run_id]
        run |= {"parentRunId": self.run_id, "rootRunId": self.parent["rootRunId"], "runType": "azureml.StepRun"}
        name = step.node.get("Name") or module["Name"]
        run |= {"name": name, "displayName": name}
        run["tags"] |= {"azureml.nodeid": step.id, "azureml.pipeline": self.run_id}
        run["properties"] |= {
            "azureml.runsource": "azureml.StepRun",
            "azureml.nodeid": step.id,
            "azureml.moduleid": module["Id"],
            "azureml.moduleName": module["Name"],
            "azureml.pipelinerunid": self.run_id,
            "ContentSnapshotId": module["StorageId"],
            "StepType": step.kind,
            "ComputeTargetType": "AmlCompute",
        }
        return run

    def reuse(self, step: Step, run_id: str, earlier: Record) -> None:
        """Let an earlier run of the same step stand for this one."""
        old = self.workspace.state.tables.runs[earlier["run"]]
        new_run(self.workspace, self.experiment, run_id, target=old["target"], scriptName=old["scriptName"])
        run = self.describe(step, run_id)
        known = {
            "azureml.isreused": "true",
            "azureml.reusedrunid": old["runId"],
            "azureml.reusednodeid": earlier["node"],
            "azureml.reusedpipeline": earlier["pipeline"],
            "azureml.reusedpipelinerunid": earlier["pipeline"],
        }
        run["properties"] |= known
        run["runDefinition"] = old["runDefinition"]
        self.outputs[step.id] = earlier["outputs"]
        set_status(run, "Completed")
        self.say(f"Reusing {old['runId']} for {step.id}:{run_id}")

    def keep_for_reuse(self, runs: dict[str, Record]) -> None:
        """Keep the steps that have ended well, each once."""
        for node, key in list(self.record.get("keys", {}).items()):
            if runs[node]["status"] not in FINAL:
                continue
            del self.record["keys"][node]
            if runs[node]["status"] == "Completed":
                kept(self.workspace, "Reusable")[key] = {
                    "run": runs[node]["runId"],
                    "node": node,
                    "pipeline": self.run_id,
                    "outputs": self.outputs[node],
                }

    def say(self, text: str) -> None:
        record = f"ExperimentRun/dcid.{self.run_id}/{LOG}"
        self.workspace.blobs.append(azurite.ARTIFACTS, record, f"[{now()}] {text}\n".encode())
        self.workspace.state.tables.artifacts.setdefault(record, {"createdTime": now()})
