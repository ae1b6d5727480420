"""A run of a pipeline of the first generation: its steps are ordinary runs."""

from __future__ import annotations

import json
from typing import Any

from aml_rehearsal.messages import Refusal
from aml_rehearsal.services.history import new_run
from aml_rehearsal.services.pipeline_progress import Progress
from aml_rehearsal.services.pipeline_records import ACTIVE, add, find, referred
from aml_rehearsal.services.pipeline_steps import SEARCH, Step
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

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


class PipelineRun(Progress):
    """One run of a graph, which the first generation's client sends."""

    def __init__(self, workspace: Workspace, record: Record) -> None:
        graph = find(workspace, "Graphs", record["GraphId"])["Graph"]
        nodes = graph.get("ModuleNodes") or []
        self.steps = {node["Id"]: Step(workspace, record["Id"], graph, node) for node in nodes}
        sources = {node: {source for source, _ in step.edges.values()} for node, step in self.steps.items()}
        before = {node: found & self.steps.keys() for node, found in sources.items()}
        super().__init__(workspace, record["Id"], record["RunHistoryExperimentName"], before)

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
            "azureml.continue_on_step_failure": str(self.goes_on),
        }
        if self.record.get("PipelineId"):
            run["properties"]["azureml.pipelineid"] = self.record["PipelineId"]
        self.let_run()
        return run

    @property
    def record(self) -> Record:
        return find(self.workspace, "PipelineRuns", self.run_id)

    @property
    def goes_on(self) -> bool:
        return bool(self.record["ContinueRunOnStepFailure"])

    def look(self, node: str, run: Record) -> None:
        if self.steps[node].kind == SEARCH:
            self.steps[node].follow_search(run, self.outputs[node])

    def start_step(self, node: str, run_id: str) -> None:
        step = self.steps[node]
        references, data = step.inputs(self.outputs)
        key = step.key(references, data)
        if step.module.get("IsDeterministic") and not step.node.get("RegenerateOutput"):
            earlier = self.earlier(key)
            if earlier:
                self.reuse(node, run_id, earlier, step.name)
                self.describe(step, run_id)
                return
        outputs = step.outputs(run_id)
        places = {name: one["outputLocation"]["dataPath"] for name, one in outputs.items()}
        self.outputs[step.id] = {
            name: {"store": place["datastoreName"], "path": place["relativePath"]} for name, place in places.items()
        }
        step.start(self.experiment, run_id, references, data, outputs)
        self.place(node, run_id, step.name)
        self.describe(step, run_id)
        self.submitted(node, run_id, key)

    def describe(self, step: Step, run_id: str) -> None:
        """What a step's run says of its module."""
        module, run = step.module, self.workspace.state.tables.runs[run_id]
        run["runType"] = "azureml.StepRun"
        run["properties"] |= {
            "azureml.moduleid": module["Id"],
            "azureml.moduleName": module["Name"],
            "ContentSnapshotId": module["StorageId"],
            "StepType": step.kind,
            "ComputeTargetType": "AmlCompute",
        }
