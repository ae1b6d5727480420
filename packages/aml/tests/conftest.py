"""Renders and workspaces for the engine's tests, and the client out of their way."""

import os
import sys
from pathlib import Path

import pytest

from aml_project import command_line, patience
from aml_project.checks import project_check
from aml_rehearsal import azurite, interpreters
from tests.conftest import Bake, bake, cookiecutter_home, environments, idle_storages, rehearse
from tests.owner import Hurry, PythonWith, attached
from tests.runconfigs import Unasked, small_project
from tests.support import PYTHON, WORKSPACE

__all__ = ["bake", "cookiecutter_home", "environments", "idle_storages", "rehearse"]
# A command has the rehearsal's home for its own, also in this process: what rehearsals share is not looked for there.
os.environ["AML_REHEARSAL_CACHE"] = str(azurite.cache_folder())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what talks to a workspace on loopback: make test-fast does without."""
    for item in items:
        if {"rehearse", "rehearsal"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("workspace")


@pytest.fixture(autouse=True)
def no_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come where a machine is slow, and a test of something else looks for lines."""
    monkeypatch.setattr(command_line, "FIRST_BEAT", 3600.0)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project with one model, of which a check is done in no time."""
    return small_project(tmp_path / "small")


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a check do without the client, which is asked in a process of its own."""
    monkeypatch.setattr(project_check, "Client", Unasked)


@pytest.fixture(scope="session")
def without_client(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment for a process in which whoever imports azureml fails."""
    folder = tmp_path_factory.mktemp("without_client")
    (folder / "azureml").mkdir()
    (folder / "azureml" / "__init__.py").write_text("raise AssertionError('azureml was imported')\n")
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
def no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever imports azureml fail."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "azureml"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "azureml", None)


@pytest.fixture(scope="session")
def python_with() -> PythonWith:
    """A Python with some packages, built once a machine: where the rehearsal builds those of its runs."""

    def build(*packages: str) -> Path:
        cache = azurite.cache_folder()
        return interpreters.build(
            [f"python={PYTHON}", {"pip": list(packages)}], cache, dict(os.environ), lambda _: None
        )

    return build


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    """A project of its own for a test, attached to its workspace."""
    return attached(bake(**WORKSPACE), tmp_path)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Hurry:
    """Let the engine's patience pass in no time; what it would have waited is noted."""
    clock = Hurry()
    monkeypatch.setattr(patience, "clock", clock)
    return clock
