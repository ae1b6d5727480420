"""Public code that nobody here wrote, unchanged, against the workspace on loopback: docs/rehearsal-clients.md.

What each drive runs lies in clients/, as one would write it for Azure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from callers import GENERATIONS
from conftest import python_with

from aml_rehearsal import Rehearsal
from aml_rehearsal.addresses import free_port

CLIENTS = Path(__file__).parent / "clients"
CORE = "azureml-core==1.61.0.post4"
MLFLOW = ["azureml-mlflow==1.62.0.post6", "pandas==2.3.3", "scikit-learn==1.7.2"]
# Where pyenv keeps more Pythons than the one that is active, uv finds them; elsewhere it fetches what is missing.
PYTHONS = [str(folder) for folder in (Path.home() / ".pyenv" / "versions").glob("3.*/bin")]
# A busy machine takes longer than Prefect waits for the server that it starts.
PATIENT = {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120"}
Place = Callable[..., "Drive"]


class Drive:
    """A client's environment, the folder that it is called in, and a rehearsal of its own."""

    def __init__(self, python: Path, folder: Path, rehearsal: Rehearsal) -> None:
        self.python, self.folder, self.rehearsal = python, folder, rehearsal
        self.bin = python.parent
        names = rehearsal.workspace.names
        self.names = {
            "subscription_id": names.subscription_id,
            "resource_group": names.resource_group,
            "workspace_name": names.workspace_name,
        }
        (folder / "config.json").write_text(json.dumps(self.names))

    def run(self, *command: str, seconds: int = 300) -> str:
        """Run one of the environment's commands to its end."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=self.folder,
            env=self.rehearsal.environment() | PATIENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """The experiment's runs, as the workspace holds them."""
        state = self.rehearsal.state()
        (found,) = (each for each in state["experiments"].values() if each["name"] == experiment)
        return [run for run in state["runs"].values() if run["experimentId"] == found["experimentId"]]


@pytest.fixture
def drive(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Start a rehearsal for a client of clients/, installed from the package index."""

    @contextmanager
    def started(client: str, packages: list[str], python: str) -> Iterator[Drive]:
        monkeypatch.setenv("PATH", os.pathsep.join([os.environ["PATH"], *PYTHONS]))
        installed = python_with(tmp_path / "installed", [each for each in packages if " " not in each], python)
        for line in (each for each in packages if " " in each):  # what has pins that nobody can have any more
            uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(installed)]
            subprocess.run([*uv, *line.split()], check=True)
        # What runs where the user has the packages takes them from the PATH of who started the rehearsal.
        monkeypatch.setenv("PATH", os.pathsep.join([str(installed.parent), os.environ["PATH"]]))
        folder = tmp_path / "work"
        shutil.copytree(CLIENTS / client, folder)
        with Rehearsal(tmp_path / "rehearsal", project=project) as rehearsal:
            yield Drive(installed, folder, rehearsal)

    with ExitStack() as stack:
        yield lambda client, packages, python=sys.executable: stack.enter_context(started(client, packages, python))


# --- NNI

ENDED = ("SUCCEEDED", "FAILED", "USER_CANCELED", "SYS_CANCELED", "EARLY_STOPPED")


@pytest.mark.full
@pytest.mark.parametrize("version", ["2.10.1", "3.0"])
def test_nni_searches_on_a_cluster(drive: Place, version: str) -> None:
    own = drive("nni", [f"nni=={version}", "setuptools<81", CORE])
    config = f"config-{version[0]}.yml"
    text = (own.folder / config).read_text()
    for word, name in zip(("SUBSCRIPTION", "GROUP", "WORKSPACE"), own.names.values(), strict=True):
        text = text.replace(word, name)
    (own.folder / config).write_text(text)
    port = str(free_port())
    for last in (False, False, True):  # its own tuner has ten seconds to start, which a busy machine may need
        try:
            own.run("nnictl", "create", "--config", config, "--port", port)
            break
        except AssertionError as error:
            if last or "did not connect" not in str(error):
                raise
    trials: list[dict[str, Any]] = []
    try:
        over = time.monotonic() + 500
        while len(trials) < 3 or any(trial["status"] not in ENDED for trial in trials):
            assert time.monotonic() < over, trials
            time.sleep(2)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/nni/trial-jobs") as answer:
                trials = json.load(answer)
    finally:
        own.run("nnictl", "stop", "--all")
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 3
    for trial in trials:
        asked = json.loads(trial["hyperParameters"][0])["parameters"]["x"]
        found = float(json.loads(trial["finalMetricData"][0]["data"]))
        assert abs(found - (asked - 1) ** 2) < 1e-9


# --- hi-ml-azure


@pytest.mark.full
def test_hi_ml_submits_what_it_is_called_in(drive: Place) -> None:
    own = drive("hi_ml", ["hi-ml-azure==0.5.4", "azure-ai-ml==1.35.2", CORE])
    assert "AzureML completed" in own.run("python", "train.py", "--azureml")
    (run,) = own.runs("numbers")
    assert run["status"] == "Completed"
    assert own.rehearsal.artifact(run["runId"], "outputs/said.txt") == b"done"
    written = own.rehearsal.workspace.blobs.names("azureml-blobstore", "")
    assert [name for name in written if name.endswith("total.txt")]


# --- arcus-azureml


@pytest.mark.full
def test_arcus_trains_evaluates_and_finds_the_best(drive: Place) -> None:
    more = ["tqdm", "matplotlib<3.9", "numpy<1.24", "pandas<2.1", "scikit-learn<1.4", "setuptools<81"]
    sdk = ["azureml-dataset-runtime==1.62.0.post1", "azureml-train-core==1.62.0"]
    own = drive("arcus", ["arcus-azureml==1.1.2.2.2022030301", CORE, *more, *sdk])
    own.run("python", "-W", "ignore", "drive.py", seconds=900)
    told = json.loads((own.folder / "told.json").read_text())
    failed = {name: said for name, said in told.items() if str(said).startswith("failed")}
    assert set(failed) == {"capture_filedataset_layout"}, failed
    assert "no longer supported" in failed["capture_filedataset_layout"]  # by azureml-dataprep, for anybody
    assert told["get_secret"] == "open sesame" and told["load_tabular_partition"] == [40, 3]
    trained = {name.partition(", ")[2]: said for name, said in told.items() if name.startswith("start_training")}
    assert trained["mounted"] == {"files": 1, "epochs done": 2, "epochs": 2}
    assert trained["downloaded"] == {"files": 1, "epochs done": 1}
    assert all(trained[name] == {"files": 0, "epochs done": 1} for name in ("local", "sklearn", "an estimator"))


# --- MLflow


@pytest.mark.full
@pytest.mark.parametrize("version", GENERATIONS)
def test_mlflow_tracks_and_registers_from_outside(drive: Place, version: str) -> None:
    own = drive("mlflow", [f"mlflow=={version}", CORE, *MLFLOW])
    assert "all of it" in own.run("python", "train.py")
    (run,) = own.runs("irises")
    assert run["status"] == "Completed"


# --- what others have written on the client


@pytest.mark.full
def test_azure_mlops_helper_trains_in_an_environment_with_a_wheel(drive: Place) -> None:
    own = drive("azure_mlops_helper", ["azure-mlops-helper==0.6.6", "azureml-sdk==1.62.0", CORE])
    (own.folder / "dist").mkdir()
    with zipfile.ZipFile(own.folder / "dist" / "flowers-1.0.0-py3-none-any.whl", "w") as wheel:
        info = "flowers-1.0.0.dist-info"
        wheel.writestr("flowers.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: flowers\nVersion: 1.0.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    own.run("python", "drive.py", seconds=600)
    (run,) = own.runs("flowers")
    state = own.rehearsal.state()
    assert run["status"] == "Completed"
    assert [model["name"] for model in state["models"].values()] == ["flowers"]
    assert "helpers" not in state["computes"]  # its own end: it deletes the cluster


@pytest.mark.full
def test_azuremlconstructor_publishes_and_runs_a_pipeline(drive: Place) -> None:
    sdk = ["azureml-pipeline==1.62.0", "setuptools<81", CORE]
    own = drive("azuremlconstructor", ["azuremlconstructor==0.0.4", *sdk], "3.10")
    own.run("python", "-W", "ignore", "drive.py")
    assert [run["status"] for run in own.runs("built")] == ["Completed"] * 2


@pytest.mark.full
def test_aml_pipeline_answers_at_an_endpoint(drive: Place) -> None:
    own = drive("aml_pipeline", ["azureml-sdk==1.62.0", "setuptools<81", CORE, "--no-deps aml-pipeline==0.0.1"])
    own.run("python", "-W", "ignore", "drive.py")
    assert [run["status"] for run in own.runs("rates")] == ["Completed"] * 2


@pytest.mark.full
def test_fedml_trains_registers_and_serves(drive: Place) -> None:
    more = ["pandas==2.3.3", "scikit-learn==1.7.2", "setuptools<81"]
    own = drive("fedml_azure", ["fedml-azure==2.0.1", CORE, *more])
    own.run("python", "-W", "ignore", "drive.py", seconds=600)
    assert [service["state"] for service in own.rehearsal.state()["services"].values()] == ["Healthy"]


@pytest.mark.full
def test_prefect_fills_datastores(drive: Place) -> None:
    own = drive("prefect_azure", ["prefect-azure[blob-storage]==0.4.13", CORE])
    own.run("python", "-W", "ignore", "flow.py")
    blobs = own.rehearsal.workspace.blobs
    listed = [blob.name for blob in blobs.client.get_container_client("flows").list_blobs()]
    assert listed == ["single/a.csv", "there/a.csv"]
