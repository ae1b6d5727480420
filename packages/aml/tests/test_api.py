"""The Python API, in this process and in a notebook, against a workspace on loopback: what the verbs do, as objects."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aml_project import project as projects
from aml_rehearsal import Names, Rehearsal

REPO = Path(__file__).parents[3]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# It logs a metric to its run, writes a model and metrics.json; here, with the Python of these tests.
TRAIN = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--data-path", default="")
parser.add_argument("--accuracy", type=float, default=0.75)
parser.add_argument("--fail", action="store_true")
args = parser.parse_args()
print(f"Trained to {args.accuracy}", flush=True)
if args.fail:
    raise SystemExit("no way to go on")
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True, exist_ok=True)
(folder / "weights.txt").write_text("1 2 3")
(folder.parent / "metrics.json").write_text(json.dumps({"accuracy": args.accuracy}))
from azureml.core import Run
run = Run.get_context()
run.log("accuracy", args.accuracy)
getattr(run, "flush", int)()
"""
RUNCONFIG = """script: train.py
arguments: []
target: {target}
framework: Python
communicator: None
nodeCount: 1
environment:
  name: quick-{target}
  python:
    userManagedDependencies: {local}
    interpreterPath: python
    condaDependenciesFile: aml_config/train-conda.yml
  docker:
    enabled: {remote}
    baseImage: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1
docker:
  useDocker: {remote}
data:
  training:
    dataLocation:
      dataset:
        name: numbers
        version: "1"
    mechanism: download
    pathOnCompute: /tmp/numbers
    environmentVariableName: training
    createOutputDirectories: false
    overwrite: true
history:
  outputCollection: true
  snapshotProject: true
  directoriesToWatch: [logs]
"""


def make_project(root: Path) -> Path:
    """A project with one model, which trains in a second; attached."""
    model = root / "models" / "quick"
    (model / "aml_config").mkdir(parents=True)
    (model / "train.py").write_text(TRAIN)
    (model / ".amlignore").write_text("outputs/\nrun.json\n")
    (model / "aml_config" / "train-conda.yml").write_text(f"dependencies: [python={PYTHON}, pip, {{pip: []}}]\n")
    for config, target in {"train-local": "local", "train-amlcompute": "cpu-cluster"}.items():
        local = target == "local"
        text = RUNCONFIG.format(target=target, local=str(local).lower(), remote=str(not local).lower())
        (model / "aml_config" / f"{config}.runconfig").write_text(text)
    (root / "data").mkdir()
    (root / "data" / "numbers.csv").write_text("1\n2\n")
    projects.attach(root, vars(Names()))
    programs = root / ".venv" / "quick" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "pytest"):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (programs / name).chmod(0o755)
    return root


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with Rehearsal(tmp_path_factory.mktemp("rehearsal"), names=Names()) as started:
        yield started
