"""Projects that are attached and installed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aml_rehearsal import azurite
from tests.environments import Environments
from tests.support import WORKSPACE, rendered

Installed = Callable[[str], Path]


@pytest.fixture(scope="session", autouse=True)
def azurite_is_here() -> None:
    """A command that installs it first says so, and is silent for long: which is not what these tests expect of one."""
    azurite.installed()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Installed:
    """A project on a Python, its tools too, with the names of its workspace; once a session for each Python."""
    made: dict[str, Path] = {}

    def install(python_version: str) -> Path:
        if python_version not in made:
            folder = tmp_path_factory.mktemp("journey")
            project = rendered(folder, python_version=python_version, **WORKSPACE)
            made[python_version] = environments.set_up(project, python=python_version)
        return made[python_version]

    return install
