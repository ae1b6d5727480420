"""A small project, a rehearsal of it, and two ways to talk to that: bare requests, and the real client."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from callers import Caller, Client

from aml_rehearsal import Rehearsal, azurite
from aml_rehearsal.azurite import SECOND

logging.getLogger("azure").setLevel(logging.WARNING)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else the client is compiled at each start

CLIENT = ["azureml-core==1.61.0.post4", "azureml-mlflow", "azureml-dataset-runtime[pandas]"]
RUNCONFIG = """
script: train.py
target: cpu-cluster
nodeCount: 2
data:
  numbers:
    dataLocation: {dataset: {name: numbers, version: 1}}
    mechanism: mount
    pathOnCompute: /data
"""


@pytest.fixture(scope="session", autouse=True)
def azurite_is_here() -> None:
    """A command that installs it first says so, which is not what these tests expect of one."""
    azurite.installed()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the rehearsal looks for in a project: a runconfig, and data."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in {
        "models/one/aml_config/train.runconfig": RUNCONFIG,
        "data/a.csv": "x\n1\n",
        "data/deep/b.csv": "x\n2\n",
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


@pytest.fixture(scope="session")
def rehearsal(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """One rehearsal for all tests: each uses names of its own."""
    with Rehearsal(tmp_path_factory.mktemp("rehearsal"), project=project) as started:
        yield started


@pytest.fixture
def caller(rehearsal: Rehearsal) -> Caller:
    return Caller(rehearsal)


@pytest.fixture(scope="session")
def client_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the real client, built once a session."""
    folder = tmp_path_factory.mktemp("client")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), *CLIENT], check=True)
    return python


PROLOGUE = """
import json, os, sys
from pathlib import Path
from azureml.core import (ComputeTarget, Dataset, Datastore, Environment, Experiment, Model, Run,
                          RunConfiguration, ScriptRunConfig, Workspace)
from azureml.core.authentication import ServicePrincipalAuthentication
own = {name: os.environ[f"AZUREML_SERVICE_PRINCIPAL_{name.upper()}"] for name in ("id", "password", "tenant_id")}
login = ServicePrincipalAuthentication(own["tenant_id"], own["id"], own["password"])
ws = Workspace(*json.loads(os.environ["NAMES"]), auth=login, _disable_service_check=True)
answer = {}
"""


@pytest.fixture(scope="session")
def client(rehearsal: Rehearsal, client_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Run code in the real client; it puts what it finds into answer."""

    def run(code: str, role: str = "contributor") -> Any:
        folder = tmp_path_factory.mktemp("code")
        names = rehearsal.workspace.names
        (folder / "code.py").write_text(f"{PROLOGUE}{code}\nPath('answer.json').write_text(json.dumps(answer))\n")
        listed = json.dumps([names.subscription_id, names.resource_group, names.workspace_name])
        done = subprocess.run(
            [client_python, "code.py"],
            cwd=folder,
            env=rehearsal.environment(role)
            | {"NAMES": listed, "STORAGE_KEY": rehearsal.workspace.blobs.keys[SECOND], "PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        return json.loads((folder / "answer.json").read_text())

    return run
