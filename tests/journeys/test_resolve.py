"""The pip sections of the conda files, resolved today by the real resolver on the Pythons that we offer.

`make test` has the default Python of each framework, and with scikit-learn the oldest and the newest, `make test-full`
all of them. Only wheels count, because a source package "resolves" on a Python that can't build it; fusepy alone has no
wheel.
"""

import itertools
import re
from pathlib import Path

import pytest
import tomli as tomllib
import yaml

from tests.conftest import Bake
from tests.support import BIN, FRAMEWORKS, PYTHONS, TEMPLATE, run

COMPILE: list[str | Path] = [
    BIN / "uv",
    "pip",
    "compile",
    "--quiet",
    "--no-header",
    "--no-annotate",
    "--python-platform=linux",
]
COMPILE += ["--only-binary=:all:", "--no-binary=fusepy"]
AZURE = {"azureml-core": "1.61.0.post4", "azureml-defaults": "1.62.0"}
INFERENCE = {"azureml-inference-server-http": "1.5.1"}
TRAIN = {"azureml-mlflow": "1.62.0.post6", "mlflow-skinny": "2.22.5"}
IN_ORDER = sorted(PYTHONS, key=lambda python: int(python.split(".")[1]))


def cell(framework: str, python: str) -> object:
    """A pair to try, in the full run only if others tell as much."""
    is_core = python == PYTHONS[0] or (framework == "sklearn" and python in (IN_ORDER[0], IN_ORDER[-1]))
    return pytest.param(framework, python, marks=[] if is_core else pytest.mark.full)


MATRIX = pytest.mark.parametrize(
    ("framework", "python"), [cell(framework, python) for framework in FRAMEWORKS for python in PYTHONS]
)


def packages(project: Path, *purposes: str) -> list[str]:
    config = project / "models" / "model1" / "aml_config"
    files = [yaml.safe_load((config / f"{purpose}-conda.yml").read_text(encoding="utf-8")) for purpose in purposes]
    return [line for file in files for line in file["dependencies"][2]["pip"]]


def resolve(folder: Path, lines: list[str], python: str, expect: int = 0) -> dict[str, str]:
    requirements = folder / "requirements.in"
    requirements.write_text("\n".join(lines) + "\n")
    said = run(*COMPILE, f"--python-version={python}", requirements, cwd=folder, expect=expect)
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", said, flags=re.MULTILINE))


@MATRIX
def test_training(bake: Bake, tmp_path: Path, framework: str, python: str) -> None:
    versions = resolve(tmp_path, packages(bake(framework=framework), "train"), python)
    assert (AZURE | TRAIN).items() <= versions.items()
    assert ("standard-imghdr" in versions) == (python == "3.13"), "azureml-core fails on 3.13 without it"
    assert "setuptools" in versions or python in {"3.10", "3.11"}, "a stored login is not found without its distutils"


@pytest.mark.parametrize(("framework", "python"), [cell("tensorflow", python) for python in PYTHONS])
def test_training_with_cuda(bake: Bake, tmp_path: Path, framework: str, python: str) -> None:
    """TensorFlow's packages for GPUs are others; PyTorch's are those that it has everywhere."""
    project = bake(framework=framework, vm_size="Standard_NC6s_v3")
    versions = resolve(tmp_path, packages(project, "train"), python)
    assert (AZURE | TRAIN).items() <= versions.items()
    assert "tensorflow" in versions and "nvidia-cudnn-cu12" in versions
    assert "tensorflow-cpu" not in versions


@MATRIX
def test_inference(bake: Bake, tmp_path: Path, framework: str, python: str) -> None:
    versions = resolve(tmp_path, packages(bake(framework=framework), "inference"), python)
    assert (AZURE | INFERENCE).items() <= versions.items()
    assert "mlflow-skinny" not in versions


@pytest.mark.parametrize("python", PYTHONS)
def test_the_tools(tmp_path: Path, python: str) -> None:
    """What make installs into .venv/.tools, what each kind of command adds, and what trains by MONAI's page."""
    project = tomllib.loads((TEMPLATE / "packages" / "aml" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert set(extras) == {"auto3dseg", "azure", "hyperdrive", "notebooks", "pipeline", "search", "sdk"}
    alone = resolve(tmp_path, [*project["dependencies"], *extras["azure"], *extras.pop("auto3dseg")], python)
    assert {"monai", "torch", "azureml-core"} <= alone.keys()
    versions = resolve(tmp_path, [*project["dependencies"], *itertools.chain(*extras.values())], python)
    assert versions["azureml-core"] == AZURE["azureml-core"]
    assert ("azureml-sdk" in versions) == (python in {"3.10", "3.11"})
    assert "azureml-dataset-runtime" in versions and "azure-storage-blob" in versions
    assert {"azureml-pipeline-steps", "optuna", "plotly", "scikit-learn"} <= versions.keys()
    assert ("standard-imghdr" in versions) == (python == "3.13"), "azureml-core fails on 3.13 without it"
    assert "setuptools" in versions or python in {"3.10", "3.11"}, "a stored login is not found without its distutils"
