"""A model that trains in no time."""

from pathlib import Path

import pytest

from search.cloud_search import Searcher, project_of_search
from search.quick_search import Quick
from tests.conftest import Rehearse


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    return Quick(tmp_path / "project")


@pytest.fixture
def searcher(tmp_path: Path, rehearse: Rehearse) -> Searcher:
    folder = project_of_search(tmp_path / "project")
    return Searcher(folder, rehearse(folder))
