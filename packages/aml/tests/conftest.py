"""What the engine's tests share: renders and rehearsals, as the template's tests have them, and a project to edit."""

from pathlib import Path

import pytest

from aml_project.checks import project_check
from aml_project.project import attach
from tests.aml import WORKSPACE
from tests.conftest import Bake, bake, cookiecutter_home, rehearse
from tests.runconfigs import Unasked, small_project
from tests.support import copy_of

__all__ = ["bake", "cookiecutter_home", "rehearse"]


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    """A project as it is rendered, attached to a workspace that nobody asks."""
    copy = copy_of(bake(**WORKSPACE), tmp_path)
    attach(copy, WORKSPACE)
    return copy


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project with one model, of which a check is done in no time."""
    return small_project(tmp_path / "small")


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a check do without the client, which is asked in a process of its own."""
    monkeypatch.setattr(project_check, "Client", Unasked)


@pytest.fixture(scope="session")
def no_client(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment for a process in which whoever imports azureml fails."""
    folder = tmp_path_factory.mktemp("no_client")
    (folder / "azureml").mkdir()
    (folder / "azureml" / "__init__.py").write_text("raise AssertionError('azureml was imported')\n")
    return {"PYTHONPATH": str(folder)}
