"""A model that trains in no time."""

from pathlib import Path

import pytest

from search.quick_search import Quick


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    return Quick(tmp_path / "project")
