"""Whoever runs pipelines, with a workspace on loopback."""

from pathlib import Path

import pytest

from pipeline.cloud_pipeline import Piper, project_of_pipeline
from tests.conftest import Rehearse


@pytest.fixture
def piper(tmp_path: Path, rehearse: Rehearse) -> Piper:
    folder = project_of_pipeline(tmp_path / "project")
    return Piper(folder, rehearse(folder))
