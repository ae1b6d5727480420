"""A model that trains in no time, and pages that are drawn here: a process of its own for each would import much."""

from pathlib import Path

import pytest

from aml_project.search import page
from aml_project.search.definition import Search
from aml_project.search.nni_environment import environment
from aml_project.search.page_process import PageProcess
from aml_project.search.record import Trial
from search.cloud_search import Searcher, project_of_search
from search.quick_search import Quick
from tests.conftest import Rehearse
from tests.environments import shared_folder


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    return Quick(tmp_path / "project")


@pytest.fixture(autouse=True)
def drawn_here(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "own_page" in request.fixturenames:
        return

    def text(_: PageProcess, folder: Path, title: str, trials: list[Trial], search: Search) -> str:
        return page.text(folder, title, trials, search)

    monkeypatch.setattr(PageProcess, "begin", lambda _: None)
    monkeypatch.setattr(PageProcess, "text", text)


@pytest.fixture
def own_page() -> None:
    """For a test of the process that draws the page."""


@pytest.fixture
def searcher(tmp_path: Path, rehearse: Rehearse) -> Searcher:
    folder = project_of_search(tmp_path / "project")
    return Searcher(folder, rehearse(folder))


@pytest.fixture(scope="session")
def nni_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a project's .venv/.nni is linked to: it is made once."""
    root = shared_folder(tmp_path_factory.getbasetemp()) / "nni"
    root.mkdir(exist_ok=True)
    return environment(root)


@pytest.fixture(scope="session")
def nni_client_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with what NNI's server needs to speak to Azure ML."""
    root = shared_folder(tmp_path_factory.getbasetemp()) / "nni-client"
    root.mkdir(exist_ok=True)
    return environment(root, with_client=True)
