"""Whoever trains on an odd table gets a model whose answers agree, or a line that says why not."""

from pathlib import Path

import pytest

from tests.environments import Environments
from tests.support import BIN, PYTHON, TEMPLATE, log, rendered, run

OPENPYXL = "openpyxl==3.1.5"  # which the owner of a workbook adds to the requirements


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Path:
    project = rendered(tmp_path_factory.mktemp("odd"), python_version=PYTHON)
    environments.link_model(project, "model1")
    python = project / ".venv" / "model1" / "bin" / "python"
    added = project / ".venv" / "added"
    run(BIN / "uv", "pip", "install", "--quiet", "--python", python, "--target", added, OPENPYXL, cwd=project)
    return project


def deal_with(project: Path, *options: str) -> str:
    """All of them in one process, in the model's environment; return the counts."""
    python = project / ".venv" / "model1" / "bin" / "python"
    model = project / "models" / "model1"
    added = str(project / ".venv" / "added")
    said = run(python, "-m", "tests.odd_tables.corpus", "--model", model, *options, cwd=TEMPLATE, PYTHONPATH=added)
    counts = said.splitlines()[-1]
    log.info(counts)
    return counts


def test_the_small_ones(project: Path) -> None:
    assert deal_with(project, "--small").endswith(", 0 wrong")


@pytest.mark.full
def test_all(project: Path) -> None:
    """At least 150; the large ones have 200,000 rows, 5,000 columns or 1,000 classes."""
    counts = deal_with(project)
    assert int(counts.split()[0]) >= 150 and counts.endswith(", 0 wrong")
