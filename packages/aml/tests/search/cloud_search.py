"""A model whose trials run on the cluster of a rehearsal, start at once and log what the test wants."""

import json
import subprocess
from pathlib import Path
from typing import Any

from service.quick_model import CONDA, RUNCONFIG

from aml_project import project
from search.quick_search import rows_in, write_search
from tests.aml import Done
from tests.owner import Owner, set_up
from tests.support import WORKSPACE

# No azureml in the script: it tells by MLflow's protocol what it has, as mlflow itself does in a run.
TRAIN = """
import argparse, json, os, pathlib, time, urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=0.5)
parser.add_argument("--n", type=int, default=1)
parser.add_argument("--how", default="fine")
args = parser.parse_args()
score = 1 - (args.x - 0.3) ** 2
address = os.environ["MLFLOW_TRACKING_URI"].replace("azureml://", "https://") + "/api/2.0/mlflow/runs/log-metric"
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
print("x is", args.x, flush=True)
if args.how == "crash":
    raise ValueError("no such data")
if args.how != "nothing":
    body = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": "score", "value": score, "timestamp": 1, "step": 0}
    urllib.request.urlopen(urllib.request.Request(address, json.dumps(body).encode(), headers))
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True, exist_ok=True)
(folder / "x.txt").write_text(str(args.x))
if args.how == "hang":
    time.sleep(600)
"""
SEARCH = """
metric: score
goal: maximize
trials: 4
parallel: 2
algorithm: random
parameters:
  x: {low: 0.1, high: 1.0, log: true}
  n: {low: 3, high: 9, step: 2}
"""
ON = ("--on", "cpu-cluster", "--skip-check")


class Searcher(Owner):
    """Whoever searches on the cluster."""

    @property
    def folder(self) -> Path:
        return self.project / "models" / "quick"

    @property
    def results(self) -> Path:
        return self.folder / "outputs" / "search" / "hyperdrive"

    def says(self, *changes: tuple[str, str]) -> None:
        write_search(self.folder, SEARCH, *changes)

    def search(self, *args: str | Path, **variables: str) -> Done:
        return self.call("search", *ON, *args, **variables)

    def started(self, *args: str | Path, **variables: str) -> "subprocess.Popen[str]":
        return self.start("search", *ON, *args, **variables)

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        return dict(self.rehearsal.state()["runs"])

    @property
    def parents(self) -> list[dict[str, Any]]:
        return [run for run in self.runs.values() if not run["parentRunId"]]

    @property
    def children(self) -> list[dict[str, Any]]:
        return [run for run in self.runs.values() if run["parentRunId"]]

    def rows(self) -> list[dict[str, str]]:
        return rows_in(self.results)

    def best_run(self) -> str:
        return str(json.loads((self.folder / "run.json").read_text())["run_id"])


def project_of_search(folder: Path) -> Path:
    model = folder / "models" / "quick"
    (model / "aml_config").mkdir(parents=True)
    (model / "train.py").write_text(TRAIN, encoding="utf-8")
    (model / "search.yml").write_text(SEARCH)
    (model / ".amlignore").write_text("outputs/\nrun.json\n")
    (model / "aml_config" / "train-conda.yml").write_text(CONDA)
    text = RUNCONFIG.replace("TARGET", "cpu-cluster").replace("LOCAL", "false").replace("REMOTE", "true")
    (model / "aml_config" / "train-amlcompute.runconfig").write_text(text)
    project.attach(folder, WORKSPACE)
    set_up(folder, "quick")
    return folder
