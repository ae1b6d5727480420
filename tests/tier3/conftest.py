"""Projects that are attached and installed, for the tests that work with the workspace on loopback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import rendered, run

WORKSPACE = {
    "subscription_id": "12345678-1234-1234-1234-123456789abc",
    "resource_group": "my-group",
    "workspace_name": "my-workspace",
}
Installed = Callable[[str], Path]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A project on a Python, rendered with the names of its workspace and installed; once a session for each Python."""
    made: dict[str, Path] = {}

    def install(python_version: str) -> Path:
        if python_version not in made:
            folder = tmp_path_factory.mktemp("journey")
            project = rendered(folder, python_version=python_version, **WORKSPACE)
            run("make", "setup", cwd=project)
            made[python_version] = project
        return made[python_version]

    return install
