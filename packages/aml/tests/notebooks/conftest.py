"""A project as far as a conversion looks at it, and the conversion."""

import shutil
from pathlib import Path

import pytest

from notebooks.books import Convert
from tests.aml import Done, aml
from tests.support import TEMPLATE


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "repo" / "my-aml-project"
    model = folder / "models" / "model1"
    for inner in (model / "aml_config", model / "runtime", model / "tests", folder / "data"):
        inner.mkdir(parents=True)
    (model / "train.py").write_text("print('the outline')\n")
    (model / "evaluation.py").write_text('"""A helper of the outline."""\n')
    (model / "runtime" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text('[project]\nname = "my-aml-project"\n\n[tool.ruff]\nline-length = 120\n')
    shutil.copy(TEMPLATE / "templates" / "data" / "customers.csv", folder / "data")
    return folder


@pytest.fixture
def convert(project: Path) -> Convert:
    """The verb in this project."""

    def call(*args: str | Path) -> Done:
        return aml(project, "notebook", *args)

    return call
