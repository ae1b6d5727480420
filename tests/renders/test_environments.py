"""The conda files: what the real client makes of them, and what it would let pass."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from azureml.core.conda_dependencies import CondaDependencies
from packaging.requirements import Requirement

from tests.conftest import Bake
from tests.support import FRAMEWORKS


def conda_file(project: Path, purpose: str) -> Path:
    return project / "models" / "model1" / "aml_config" / f"{purpose}-conda.yml"


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("purpose", ["train", "inference"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_client_reads_every_package(bake: Bake, framework: str, purpose: str) -> None:
    path = conda_file(bake(framework=framework), purpose)
    python, pip, packages = read(path)["dependencies"]
    conda = CondaDependencies(str(path))
    assert list(conda.pip_packages) == packages["pip"]
    assert list(conda.conda_packages) == [python, pip]


@pytest.mark.parametrize("purpose", ["train", "inference"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_package_is_pinned_once(bake: Bake, framework: str, purpose: str) -> None:
    config = read(conda_file(bake(framework=framework), purpose))
    assert set(config) == {"name", "channels", "dependencies"}
    requirements = [Requirement(line) for line in config["dependencies"][2]["pip"]]
    assert all(str(requirement.specifier).startswith("==") for requirement in requirements)
    names = [requirement.name.lower().replace("_", "-") for requirement in requirements]
    assert len(names) == len(set(names))
    assert "azureml-defaults" in names
    assert ("azureml-mlflow" in names) == (purpose == "train")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_serves_is_what_trained(bake: Bake, framework: str) -> None:
    """A package in both files has the same version: a model is read by the code that wrote it."""
    pins = [
        {
            Requirement(line).name: line
            for line in read(conda_file(bake(framework=framework), purpose))["dependencies"][2]["pip"]
        }
        for purpose in ("train", "inference")
    ]
    both = set(pins[0]) & set(pins[1])
    assert both
    assert {name: pins[0][name] for name in both} == {name: pins[1][name] for name in both}
