"""A model that trains in no time, and pages that are drawn here: a process of its own for each would import much."""

from pathlib import Path

import pytest

from aml_project.search import page
from aml_project.search.definition import Search
from aml_project.search.page_process import PageProcess
from aml_project.search.record import Trial
from search.quick_search import Quick


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
