"""A notebook and a requirements.txt go in, and `make train` trains from them with no edit."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.environments import Environments
from tests.support import PYTHON, TEMPLATE, cookiecutter, files_of, run

NOTEBOOKS = TEMPLATE / "tests" / "notebooks"
REQUIREMENTS = "Pandas==2.2.3\nscikit_learn==1.6.1  # the version that the notebook was written with\njoblib>=1.4\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Path:
    """A project made from both, in a folder with a space in its name; installed and trained."""
    folder = tmp_path_factory.mktemp("owner") / "my work"
    (folder / "data").mkdir(parents=True)
    shutil.copy(NOTEBOOKS / "flowers_classifier.ipynb", folder / "which flower.ipynb")
    shutil.copy(NOTEBOOKS / "data" / "flowers.csv", folder / "data")
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    answers = {"notebook": "which flower.ipynb", "environment_file": "requirements.txt", "python_version": PYTHON}
    done = cookiecutter(folder, project_slug="flowers", **answers)
    assert done.returncode == 0, done.stderr
    assert "which flower.ipynb is models/model1/train.py now" in done.stdout
    assert "train as the notebook does" in done.stdout
    project = folder / "flowers"
    run("make", "setup", cwd=project)
    environments.lend(project / ".venv" / "model1")
    said = run("make", "train", cwd=project)
    assert re.search(r"^accuracy 0\.9\d+$", said, flags=re.MULTILINE), said
    return project


def test_the_model_is_the_notebooks(project: Path) -> None:
    python = project / ".venv" / "model1" / "bin" / "python"
    ask = "import joblib, sklearn; print(type(joblib.load('flowers.joblib')).__name__, sklearn.__version__)"
    said = run(python, "-c", ask, cwd=project / "models" / "model1" / "outputs")
    assert said.split() == ["RandomForestClassifier", "1.6.1"]


def test_the_pins_are_the_users_and_azure_ml_stays(project: Path) -> None:
    for purpose in ("train", "inference"):
        conda = yaml.safe_load((project / f"models/model1/aml_config/{purpose}-conda.yml").read_text())
        lines = conda["dependencies"][2]["pip"]
        assert {"scikit-learn==1.6.1", "joblib>=1.4"} <= set(lines)
        assert any(line.lower() == "pandas==2.2.3" for line in lines)
        assert sum("pandas" in line.lower() for line in lines) == 1
        assert "azureml-core==1.61.0.post4" in lines


def test_the_original_and_its_data_are_kept_and_the_sample_is_gone(project: Path) -> None:
    assert (project / "notebooks" / "which flower.ipynb").read_bytes() == (
        NOTEBOOKS / "flowers_classifier.ipynb"
    ).read_bytes()
    assert set(files_of(project / "data" / "model1")) == {"flowers.csv"}


def test_its_tests_and_the_check_of_azure_ml_pass(project: Path) -> None:
    assert re.search(r"=+ 2 passed in", run("make", "test", cwd=project))
    assert "2 runconfigs fine" in run("make", "check", cwd=project)


def test_linting_leaves_the_original_alone(project: Path) -> None:
    """It may find something in the notebook's code, which is the owner's; the script is formatted already."""
    before = files_of(project / "notebooks")
    run("sh", "-c", "make lint; true", cwd=project)
    assert files_of(project / "notebooks") == before
    run(project / ".venv" / "model1" / "bin" / "ruff", "format", "--check", "models/model1/train.py", cwd=project)


def test_serving_says_what_is_missing(project: Path) -> None:
    said = run("make", "serve", cwd=project, expect=2)
    assert "ERROR: models/model1/outputs/model: not there" in said
    assert "not trained yet" not in said


def test_the_conversion_again_changes_nothing(project: Path) -> None:
    before = files_of(project / "models" / "model1" / "aml_config")
    said = run("make", "notebook", "NB=notebooks/which flower.ipynb", cwd=project)
    assert "models/model1/train.py: as it was, nothing to change" in said
    run("make", "requirements", "FROM=../requirements.txt", "ARGS=--check", cwd=project)
    assert files_of(project / "models" / "model1" / "aml_config") == before
