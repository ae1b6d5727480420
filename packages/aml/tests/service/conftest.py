"""Whoever has a model that trains in a second."""

from pathlib import Path

import pytest

from service.quick_model import Trainer, project_of_quick_model
from tests.conftest import Rehearse


@pytest.fixture
def trainer(tmp_path: Path, rehearse: Rehearse) -> Trainer:
    folder = project_of_quick_model(tmp_path / "project")
    return Trainer(folder, rehearse(folder))
