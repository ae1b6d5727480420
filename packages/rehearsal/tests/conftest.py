"""A small project, a rehearsal of it, and two ways to talk to that: bare requests, and the real client."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from callers import GENERATIONS, ML_CLIENT_RELEASE, SERVER, Caller, Client

from aml_rehearsal import Rehearsal, azurite, interpreters
from aml_rehearsal.azurite import SECOND

logging.getLogger("azure").setLevel(logging.WARNING)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else the client is compiled at each start

CLIENT = [
    "azureml-core==1.61.0.post4",
    "azureml-mlflow==1.62.0.post6",
    "mlflow-skinny==3.15.0",
    "azureml-dataset-runtime[pandas]",
    *("azureml-train-core==1.61.0", "azureml-pipeline-core==1.61.0", "azureml-pipeline-steps==1.61.0"),
]
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
def client_python() -> Path:
    """A Python that has the real client."""
    return built(CLIENT)


@pytest.fixture(scope="session")
def python() -> Path:
    """A Python that has the inference server, as a deployment builds it."""
    return built([SERVER])


def built(packages: list[str]) -> Path:
    """A Python with packages, built once a machine where the rehearsal builds those of its runs; no test changes it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    cache = azurite.cache_folder()
    return interpreters.build([f"python={version}", {"pip": packages}], cache, dict(os.environ), lambda _: None)


def python_with(folder: Path, packages: list[str], version: str = sys.executable) -> Path:
    """A Python of its own, with packages."""
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", version, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True)
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

def refused(step):
    try:
        step()
    except Exception as error:
        return str(error)
"""
EPILOGUE = """
Path("answer.part").write_text(json.dumps(answer))
Path("answer.part").rename("answer.json")
"""


@pytest.fixture(scope="session")
def client(rehearsal: Rehearsal, client_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Run code in the real client; it puts what it finds into answer."""

    def run(code: str, role: str = "contributor", python: Path = client_python, seconds: int = 100) -> Any:
        folder = tmp_path_factory.mktemp("code")
        names = rehearsal.workspace.names
        (folder / "code.py").write_text(f"{PROLOGUE}{code}\n{EPILOGUE}")
        listed = json.dumps([names.subscription_id, names.resource_group, names.workspace_name])
        done = subprocess.run(
            [python, "code.py"],
            cwd=folder,
            env=rehearsal.environment(role)
            | {"NAMES": listed, "STORAGE_KEY": rehearsal.workspace.blobs.keys[SECOND], "PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        # The client's native part may crash as Python ends, seldom and on a busy machine; the answer is whole by then.
        answered = (folder / "answer.json").exists()
        assert done.returncode == 0 or (done.returncode == -signal.SIGSEGV and answered), (
            f"code {done.returncode}, {'answered' if answered else 'no answer'}\n{done.stdout[-3000:]}"
        )
        return json.loads((folder / "answer.json").read_text())

    return run


# --- MLflow

DRAWS = ["pandas==2.3.3", "pillow==12.0.0", "matplotlib==3.10.7"]  # what some of its methods take
# One process for all tests of a generation: it takes seconds to import the client.
PROCESS = """
import logging, warnings, mlflow, traceback
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
logging.disable(logging.WARNING); warnings.simplefilter("ignore")
mlflow.set_tracking_uri(ws.get_mlflow_tracking_uri())
made = MlflowClient()
own = "of-" + mlflow.__version__.replace(".", "-")  # both generations talk to one workspace

def refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except MlflowException as error:
        return [error.error_code, str(error)]
    raise AssertionError("it was done")

def anew():
    pass
"""


@pytest.fixture(scope="session")
def pythons(client_python: Path) -> dict[str, Path]:
    """The Pythons with each generation of MLflow."""
    older = [*CLIENT[:2], f"mlflow-skinny=={GENERATIONS[0]}"]
    return {GENERATIONS[0]: built(older), GENERATIONS[1]: client_python}


@pytest.fixture(scope="session")
def draws(pythons: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what both generations draw with."""
    folder = tmp_path_factory.mktemp("draws")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(pythons[GENERATIONS[0]])]
    subprocess.run([*command, "--target", str(folder), *DRAWS], check=True)
    return folder


# What the process of a client does from then on: `anew` prepares it for each piece of code.
ONE_BY_ONE = """
for line in sys.stdin:
    folder = json.loads(line)
    anew()
    names = dict(globals(), answer={})
    os.chdir(folder)
    try:
        exec(compile(Path("code.py").read_text(), "code.py", "exec"), names)
        told = names["answer"]
    except BaseException:
        told = {"error": traceback.format_exc()}
    Path("answer.json").write_text(json.dumps(told))
    print("answered", file=sys.__stderr__, flush=True)
"""


def kept_running(
    python: Path, code: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """Run code again and again in one process of a client; it puts what it finds into answer."""
    with subprocess.Popen(
        [python, "-c", code + ONE_BY_ONE],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stderr
        sent, told = process.stdin, process.stderr

        def run(code: str) -> Any:
            folder = tmp_path_factory.mktemp("code")
            (folder / "code.py").write_text(code)
            print(json.dumps(str(folder)), file=sent, flush=True)
            said = ""
            for line in told:
                if line == "answered\n":
                    break
                said += line
            else:
                raise AssertionError(said[-3000:])
            answer = json.loads((folder / "answer.json").read_text())
            assert "error" not in answer, answer["error"][-3000:]
            return answer

        yield run
        sent.close()


@pytest.fixture(scope="session", params=GENERATIONS)
def outside(
    request: pytest.FixtureRequest,
    rehearsal: Rehearsal,
    pythons: dict[str, Path],
    draws: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Client]:
    """Run code from outside of a run, with MLflow led to the workspace."""
    names = rehearsal.workspace.names
    listed = json.dumps([names.subscription_id, names.resource_group, names.workspace_name])
    environment = rehearsal.environment() | {"NAMES": listed, "PYTHONPATH": str(draws)}
    yield from kept_running(pythons[request.param], PROLOGUE + PROCESS, environment, tmp_path_factory)


# --- the second generation's client

ML_CLIENT = """
import contextlib, io, json, logging, os, sys, traceback, warnings
from pathlib import Path
from azure.ai.ml import (
    Input, MLClient, MpiDistribution, Output, PyTorchDistribution, TensorFlowDistribution, command, load_component,
    load_job)
from azure.ai.ml.entities import (
    AccountKeyConfiguration, AmlCompute, AzureBlobDatastore, BuildContext, CommandJobLimits, Data, Environment, Model)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
logging.disable(logging.WARNING); warnings.simplefilter("ignore")

def anew():  # another test may have let all tokens expire
    global ml
    names = json.loads(os.environ["NAMES"])
    ml = MLClient(DefaultAzureCredential(), *names, enable_telemetry=False, show_progress=False)

def refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except HttpResponseError as error:
        return [error.status_code, error.error.code if error.error else None, str(error)]
    raise AssertionError("it was done")

def refused_by_client(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except Exception as error:
        return error
    raise AssertionError("it was done")

def streamed(name):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        ml.jobs.stream(name)
    return said.getvalue()

def wait(name):
    try:
        streamed(name)
    except Exception:
        pass
    return ml.jobs.get(name)

"""


@pytest.fixture(scope="session")
def ml_client(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Run code with an MLClient, from outside of a run."""
    python = built([f"azure-ai-ml=={ML_CLIENT_RELEASE}"])
    names = rehearsal.workspace.names
    listed = json.dumps([names.subscription_id, names.resource_group, names.workspace_name])
    environment = rehearsal.environment() | {"NAMES": listed, "AZUREML_RUN_POLLING_INTERVAL_MIN": "0"}
    yield from kept_running(python, ML_CLIENT, environment, tmp_path_factory)
