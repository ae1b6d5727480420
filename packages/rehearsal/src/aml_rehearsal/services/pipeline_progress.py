"""How a pipeline goes on, of either generation: each step is started when those that it reads from have ended."""

from __future__ import annotations

import threading
import time
from typing import Any

from aml_rehearsal import azurite
from aml_rehearsal.messages import Refusal
from aml_rehearsal.services.history import new_run
from aml_rehearsal.services.pipeline_records import kept
from aml_rehearsal.state import FINAL, Record, now, set_status
from aml_rehearsal.workspace import Workspace

BEAT = 0.1  # seconds between two looks at the steps
LOG = "logs/azureml/executionlogs.txt"


class Progress:
    """One run of a pipeline of either generation, from its first step to its last."""

    def __init__(self, workspace: Workspace, run_id: str, experiment: str, before: dict[str, set[str]]) -> None:
        self.workspace, self.run_id, self.experiment = workspace, run_id, experiment
        self.before = before  # by step: those that are to end first
        self.seen = -1  # of the changes to the workspace

    # What each generation has of its own.

    @property
    def record(self) -> Record:
        """Where it is kept how far the run is."""
        raise NotImplementedError

    @property
    def goes_on(self) -> bool:
        """Whether steps are started after another has failed."""
        raise NotImplementedError

    def start_step(self, node: str, run_id: str) -> None:
        raise NotImplementedError

    def look(self, node: str, run: Record) -> None:
        """Look at a step that goes on."""

    def end(self) -> None:
        """Note what the pipeline has made, before it is said that it has completed."""

    # What they share.

    def let_run(self) -> None:
        set_status(self.parent, "Running")
        thread = threading.Thread(target=self.run, daemon=True)
        self.workspace.nodes.append(thread)
        thread.start()

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
                if run["status"] not in FINAL:
                    self.look(node, run)
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
            if not failed or self.goes_on:
                done = {node for node, run in runs.items() if run["status"] == "Completed"}
                for node, earlier in self.before.items():
                    if node not in self.started and earlier <= done:
                        run_id = self.workspace.state.new_id()
                        self.started[node] = run_id
                        self.start_step(node, run_id)
                        started = True
            if running or started:
                return True
            said = "Pipeline has some failed steps. See child run or execution logs for more details."
            if not failed:
                self.end()
            self.say(f"The pipeline run is {'Failed' if failed else 'Completed'}.")
            set_status(self.parent, "Failed" if failed else "Completed", said if failed else "")
            return False

    def place(self, node: str, run_id: str, name: str) -> Record:
        """A step's run, at its place in the pipeline."""
        run = self.workspace.state.tables.runs[run_id]
        run |= {"parentRunId": self.run_id, "rootRunId": self.parent["rootRunId"], "name": name, "displayName": name}
        run["tags"] |= {"azureml.nodeid": node, "azureml.pipeline": self.run_id}
        run["properties"] |= {
            "azureml.runsource": "azureml.StepRun",
            "azureml.nodeid": node,
            "azureml.pipelinerunid": self.run_id,
        }
        return run

    def earlier(self, key: str) -> Record | None:
        """An earlier run of the same step, which can stand for a new one."""
        return kept(self.workspace, "Reusable").get(key)

    def reuse(self, node: str, run_id: str, earlier: Record, name: str) -> Record:
        """Let an earlier run of the same step stand for this one."""
        old = self.workspace.state.tables.runs[earlier["run"]]
        new_run(self.workspace, self.experiment, run_id, target=old["target"], scriptName=old["scriptName"])
        run = self.place(node, run_id, name)
        run |= {"runDefinition": old["runDefinition"], "runType": "azureml.StepRun"}
        run["properties"] |= {
            "azureml.isreused": "true",
            "azureml.reusedrunid": old["runId"],
            "azureml.reusednodeid": earlier["node"],
            "azureml.reusedpipeline": earlier["pipeline"],
            "azureml.reusedpipelinerunid": earlier["pipeline"],
        }
        self.outputs[node] = earlier["outputs"]
        set_status(run, "Completed")
        self.say(f"Reusing {old['runId']} for {node}:{run_id}")
        return run

    def submitted(self, node: str, run_id: str, key: str) -> None:
        self.record.setdefault("keys", {})[node] = key
        self.say(f"Submitting 1 runs, first five are: {node}:{run_id}")

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
