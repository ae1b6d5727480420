"""The template rendered again over its repo: a new model's folder, and not a byte of change elsewhere."""

from pathlib import Path

import pytest

from tests.conftest import Bake
from tests.support import FRAMEWORKS, cookiecutter, copy_of, files_of


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_second_model_changes_nothing_else(bake: Bake, tmp_path: Path, framework: str) -> None:
    project = copy_of(bake(), tmp_path)
    edited = ["README.md", "data/model1/customers.csv", "models/model1/train.py", "pyproject.toml", "Makefile"]
    for name in edited:
        (project / name).write_text(f"edited by the user: {name}\n")
    (project / "models" / "model1" / "notes.txt").write_text("mine")
    (project / "models" / "model1" / "runtime" / "tracking.py").unlink()
    before = files_of(project)

    done = cookiecutter(tmp_path, "-f", "-s", model_name="churn", framework=framework)
    assert done.returncode == 0, done.stderr
    assert "make setup train test MODEL=churn" in done.stdout
    after = files_of(project)
    new = {name: after[name] for name in after if name not in before}
    assert {name: after[name] for name in before} == before
    # Rendering fills gaps: a file of the first model that the user removed comes back only with its own name.
    fresh = files_of(bake(model_name="churn", framework=framework))
    own = {name: content for name, content in fresh.items() if name.startswith(("models/churn/", "data/churn/"))}
    assert new == own


def test_the_second_model_again_changes_nothing(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(), tmp_path)
    assert cookiecutter(tmp_path, "-f", "-s", model_name="churn").returncode == 0
    (project / "models" / "churn" / "train.py").write_text("edited\n")
    before = files_of(project)
    assert cookiecutter(tmp_path, "-f", "-s", model_name="churn").returncode == 0
    assert files_of(project) == before


def test_a_second_workspace_does_not_replace_the_first(bake: Bake, tmp_path: Path) -> None:
    workspace = {"subscription_id": "12345678-1234-1234-1234-123456789abc", "resource_group": "rg"}
    project = copy_of(bake(**workspace, workspace_name="one"), tmp_path)
    before = files_of(project)
    done = cookiecutter(tmp_path, "-f", "-s", model_name="churn", **workspace, workspace_name="two")
    assert done.returncode == 0
    assert {name: content for name, content in files_of(project).items() if name in before} == before
