"""A model that trains in no time."""

from pathlib import Path

import pytest

from aml_project.search.engines import nni
from search.cloud_search import Searcher, project_of_search
from search.quick_search import Quick
from tests.conftest import Rehearse
from tests.environments import shared_folder


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    return Quick(tmp_path / "project")


@pytest.fixture
def searcher(tmp_path: Path, rehearse: Rehearse) -> Searcher:
    folder = project_of_search(tmp_path / "project")
    return Searcher(folder, rehearse(folder))


@pytest.fixture(scope="session")
def nni_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a project's .venv/.nni is linked to: it is made once."""
    root = shared_folder(tmp_path_factory.getbasetemp()) / "nni"
    root.mkdir(exist_ok=True)
    return nni.environment(root)


@pytest.fixture(scope="session")
def nni_client_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with what NNI's server needs to speak to Azure ML."""
    root = shared_folder(tmp_path_factory.getbasetemp()) / "nni-client"
    root.mkdir(exist_ok=True)
    return nni.environment(root, with_client=True)
