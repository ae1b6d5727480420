"""Where the runs of trials go in MLflow: to the model's own mlruns/, as children of one run of the search."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from aml_project import local_imports
from aml_project.command_line import note
from aml_project.files import write_whole
from aml_project.search.trials import Script

PARENT = Path(__file__).with_name("parent_run.py")
URI, CONTEXT = "MLFLOW_TRACKING_URI", "MLFLOW_RUN_CONTEXT"


class Tracking:
    """The run of a search, once there is one."""

    def __init__(self, script: Script, search_folder: Path) -> None:
        self.script, self.noted = script, search_folder / "mlflow-run.txt"
        self.variables = {URI: os.environ.get(URI) or (script.folder / "mlruns").as_uri()}
        self.run_id = ""
        code = list(local_imports.closure(script.folder / "train.py", []))
        self.is_used = local_imports.mentions(code, "mlflow")

    def begin(self) -> None:
        """Have the search's run: the one of an earlier call, or a new one."""
        if not self.is_used:
            return
        if self.noted.is_file():
            self.run_id = self.noted.read_text(encoding="utf-8").strip()
            return
        said = self.call("begin", f"search of {self.script.model}")
        self.run_id = said.rpartition("\nrun ")[2].strip()
        if self.run_id:
            write_whole(self.noted, self.run_id)

    def of_trial(self, number: int) -> dict[str, str]:
        """The variables by which a trial's run is a child of the search's."""
        if not self.is_used:
            return {}
        tags = {"mlflow.runName": f"trial {number}", "aml.trial": str(number)}
        parent = {"mlflow.parentRunId": self.run_id} if self.run_id else {}
        return self.variables | {CONTEXT: json.dumps(tags | parent)}

    def end(self, tags: dict[str, str], metrics: dict[str, float], files: list[Path]) -> None:
        """Note in the search's run what has come of it."""
        if self.run_id:
            there = [str(file) for file in files if file.is_file()]
            self.call("end", self.run_id, {"tags": tags, "metrics": metrics, "files": there})

    def call(self, what: str, whom: str, result: dict[str, Any] | None = None) -> str:
        done = subprocess.run(
            [self.script.python, PARENT, what, whom], cwd=self.script.folder, input=json.dumps(result or {}),
            env=self.script.variables | self.variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            why = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
            note(f"MLflow: the search has no run of its own there: {why.strip()[:200]}")
            return ""
        return done.stdout
