"""A model whose pipeline runs on the cluster of a rehearsal: four steps of a second each, one of them parallel."""

import os
import subprocess
from pathlib import Path
from typing import Any

import requests
from service.quick_model import CONDA, RUNCONFIG

from aml_project import project
from aml_rehearsal import Rehearsal
from aml_rehearsal.azurite import DATA as DATA_CONTAINER
from tests.aml import Done
from tests.owner import Owner, set_up, wait_for
from tests.support import BIN, WORKSPACE

# Each notes what it was given; no package, so that their environment is there at once.
PREPARE = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--data-path", type=pathlib.Path)
parser.add_argument("--output-path", type=pathlib.Path)
args = parser.parse_args()
rows = sorted(line for file in args.data_path.rglob("*.csv") for line in file.read_text().split()[1:])
(args.output_path / "rows.csv").write_text("\\n".join(rows))
print(len(rows), "rows")
"""
TRAIN = """
import argparse, json, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--data-path", type=pathlib.Path)
parser.add_argument("--seed", type=int)
parser.add_argument("--max-iter", type=int, default=1)
parser.add_argument("--fast", action="store_true")
parser.add_argument("--how", default="fine")
args = parser.parse_args()
rows = (args.data_path / "rows.csv").read_text().split()
if args.how == "crash":
    print("this goes wrong")
    raise ValueError("no such data")
if args.how == "hang":
    time.sleep(600)
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True)
if args.how != "nothing":
    model = {"rows": len(rows), "seed": args.seed, "max-iter": args.max_iter, "fast": args.fast}
    (folder / "model.json").write_text(json.dumps(model))
"""
EVALUATE = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--model", type=pathlib.Path)
parser.add_argument("--output-path", type=pathlib.Path)
args = parser.parse_args()
model = json.loads((args.model / "model.json").read_text())
(args.output_path / "metrics.json").write_text(json.dumps({"accuracy": model["rows"] / 10}))
"""
SCORE = """
import argparse, json, pathlib
def init():
    global model
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path)
    args, _ = parser.parse_known_args()
    model = json.loads((args.model / "model.json").read_text())
def run(mini_batch):
    return [f"{pathlib.Path(file).name},{model['rows']}" for file in mini_batch]
"""
COUNT = """
import pathlib
def run(mini_batch):
    return [f"{pathlib.Path(file).name},{len(pathlib.Path(file).read_text().split()) - 1}" for file in mini_batch]
"""
PIPELINE = """
parameters: {seed: 42, fast: true}
steps:
  prepare:
    run: prepare.py
    in: {data-path: data}
    out: {output-path: folder}
  train:
    run: train.py
    in: {data-path: prepare.output-path}
    out: {model: outputs/model}
    arguments: {seed: parameters.seed, fast: parameters.fast, max-iter: 500}
  evaluate:
    run: evaluate.py
    in: {model: train.model}
    out: {output-path: folder}
  score:
    run: score_batch.py
    in: {model: train.model, input: data}
    out: {scores: file.csv}
    after: [evaluate]
    parallel: {over: input, nodes: 1, processes: 2, items: 1}
"""
REGISTER = """
  register:
    register: {model: train.model, metrics: evaluate.output-path, require: [accuracy>=0.2]}
"""
# What azml's parser takes: its parallel step reads nothing but the items.
FOR_AZML = """
parameters: {seed: 42, fast: true}
steps:
  prepare:
    run: prepare.py
    in: {data-path: data}
    out: {output-path: folder}
  count:
    run: count.py
    in: {input: data}
    out: {counts: file.csv}
    parallel: {over: input, nodes: 1, processes: 2, items: 1}
  train:
    run: train.py
    in: {data-path: prepare.output-path}
    out: {model: outputs/model}
    arguments: {seed: parameters.seed, fast: parameters.fast, max-iter: 500}
  evaluate:
    run: evaluate.py
    in: {model: train.model}
    out: {output-path: folder}
  register:
    register: {model: train.model, metrics: evaluate.output-path, require: [accuracy>=0.2]}
"""
# Two steps, for what happens around them.
TWO = """
steps:
  prepare:
    run: prepare.py
    in: {data-path: data}
    out: {output-path: folder}
  train:
    run: train.py
    in: {data-path: prepare.output-path}
    out: {model: outputs/model}
    arguments: {seed: 1, how: fine}
"""
SCRIPTS = {"prepare": PREPARE, "train": TRAIN, "evaluate": EVALUATE, "score_batch": SCORE, "count": COUNT}
ON = ("--on", "cpu-cluster", "--skip-check")
DATA = {"a.csv": "x\n1\n2\n", "b.csv": "x\n3\n"}


class Piper(Owner):
    """Whoever runs pipelines on the cluster."""

    def __init__(self, folder: Path, rehearsal: Rehearsal, *, model: str = "quick") -> None:
        super().__init__(folder, rehearsal)
        self.folder = folder / "models" / model

    def says(self, *changes: tuple[str, str], text: str = PIPELINE, more: str = "") -> None:
        text += more
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (self.folder / "pipeline.yml").write_text(text)

    def pipeline(self, *args: str | Path, **variables: str) -> Done:
        return self.call("pipeline", *ON, *args, **variables)

    def started(self, *args: str | Path, **variables: str) -> "subprocess.Popen[str]":
        return self.start("pipeline", *ON, *args, **variables)

    def ask(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post something to the service as anybody does who has a login and knows an address."""
        own = self.rehearsal.variables(self.role)
        options: Any = {"proxies": {"https": own["HTTPS_PROXY"]}, "verify": own["REQUESTS_CA_BUNDLE"], "timeout": 60}
        form = {
            "grant_type": "client_credentials",
            "client_id": own["AZUREML_SERVICE_PRINCIPAL_ID"],
            "client_secret": own["AZUREML_SERVICE_PRINCIPAL_PASSWORD"],
        }
        tenant = own["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"]
        token = requests.post(f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", form, **options).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = requests.post(url, json=body, headers=headers, **options)
        assert answer.ok, answer.text
        return dict(answer.json())

    @property
    def runs(self) -> dict[str, dict[str, Any]]:
        return dict(self.rehearsal.state()["runs"])

    @property
    def parents(self) -> list[dict[str, Any]]:
        return [run for run in self.runs.values() if run["runType"] == "azureml.PipelineRun"]

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The steps of the last run, by their names."""
        last = self.parents[-1]["runId"]
        return {run["name"]: run for run in self.runs.values() if run["parentRunId"] == last}

    def wait_for_end(self) -> None:
        wait_for(lambda: self.parents and self.parents[-1]["status"] in ("Completed", "Failed", "Canceled"))

    def handed_on(self, step: str, output: str, port: str = "") -> dict[str, bytes]:
        """What a step of the last run has put where one of its outputs leads."""
        with self.tables() as tables:
            outputs = tables.pipelines["PipelineRuns"][self.parents[-1]["runId"]]["outputs"]
            place = outputs[self.steps[step]["properties"]["azureml.nodeid"]][
                port or f"{step}_{output}".replace("-", "_")
            ]
        blobs, below = self.rehearsal.workspace.blobs, f"{place['path']}/"
        return {name.removeprefix(below): blobs.read(DATA_CONTAINER, name)
                for name in blobs.names(DATA_CONTAINER, below)}  # fmt: skip


def azml(piper: Piper, *command: str) -> str:
    done = subprocess.run(
        [BIN / "azml", *command], cwd=piper.project, env=os.environ | piper.rehearsal.variables(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def project_of_pipeline(folder: Path) -> Path:
    model = folder / "models" / "quick"
    (model / "aml_config").mkdir(parents=True)
    (folder / "data" / "quick").mkdir(parents=True)
    for name, text in DATA.items():
        (folder / "data" / "quick" / name).write_text(text)
    for name, text in SCRIPTS.items():
        (model / f"{name}.py").write_text(text)
    (model / "pipeline.yml").write_text(PIPELINE)
    (model / ".amlignore").write_text("outputs/\nrun.json\n")
    (model / "aml_config" / "train-conda.yml").write_text(CONDA)
    text = RUNCONFIG.replace("TARGET", "cpu-cluster").replace("LOCAL", "false").replace("REMOTE", "true")
    data = "{rows: {dataLocation: {dataset: {name: quick-rows, version: '1'}}, mechanism: mount, pathOnCompute: /data}}"
    (model / "aml_config" / "train-amlcompute.runconfig").write_text(f"{text}data: {data}\n")
    project.attach(folder, WORKSPACE)
    set_up(folder, "quick")
    return folder
