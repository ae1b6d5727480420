"""aml model: a second model, another name, one less; and each killed on its way."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from aml_project import files
from aml_project import project as projects
from aml_project.commands import model
from tests.aml import aml
from tests.conftest import Bake, bake, cookiecutter_home
from tests.support import FRAMEWORKS, TEMPLATE, copy_of, files_of, run

pytestmark = pytest.mark.slow  # each renders and updates whole repos

__all__ = ["bake", "cookiecutter_home"]
HERE = {"AML_TEMPLATE": str(TEMPLATE)}


class Killed(BaseException):
    """What no code expects."""


def committed(project: Path) -> Path:
    run("git", "init", "--quiet", cwd=project)
    run("git", "add", "--all", cwd=project)
    run("git", "commit", "--quiet", "--message=state", cwd=project)
    return project


def status(project: Path) -> str:
    return subprocess.check_output(["git", "status", "--porcelain"], cwd=project, text=True)


def own_files(project: Path) -> dict[str, bytes]:
    return {name: text for name, text in files_of(project).items() if not name.startswith(".git/")}


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    return committed(copy_of(bake(), tmp_path))


def test_an_added_model_is_what_a_render_has(project: Path, bake: Bake) -> None:
    before = own_files(project)
    done = aml(project, "model", "add", "churn", "framework=none", "python_version=3.12", **HERE)
    added = "Added models/churn and data/churn: framework=none, python_version=3.12"
    assert done == (0, f"{added}\nNext: make setup train test MODEL=churn\n", "")
    after = own_files(project)
    assert {name: after[name] for name in before} == before
    fresh = files_of(bake(model_name="churn", framework="none", python_version="3.12"))
    own = ("models/churn/", "data/churn/")
    assert {name: text for name, text in after.items() if name not in before} == {
        name: text for name, text in fresh.items() if name.startswith(own)
    }
    assert not (project / ".venv").exists() or not list((project / ".venv").iterdir())
    assert aml(project, "model", "add", "churn", **HERE) == (1, "", "ERROR: models/churn: is there already\n")


def test_it_takes_over_the_repo_s_answers_but_not_the_model_s_own(bake: Bake, tmp_path: Path) -> None:
    answers = {"framework": "pytorch", "vm_size": "Standard_NC6s_v3", "compute_name": "ours", "dataset_name": "shared"}
    project = copy_of(bake(**answers), tmp_path)
    assert aml(project, "model", "add", "churn", **HERE).code == 0
    mine = projects.model_answers(project, "churn")
    assert (mine["framework"], mine["gpu"], mine["compute_name"]) == ("pytorch", "yes", "ours")
    assert mine["dataset_name"] == "churn-data"
    assert aml(project, "model", "add", "small", "vm_size=Standard_DS3_v2", **HERE).code == 0
    assert projects.model_answers(project, "small")["gpu"] == "no"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ["Churn"],
            2,
            "ERROR: the model's name: 1 to 30 characters: a-z, 0-9 and '_', starting with a letter, not 'Churn'",
        ),
        (["json"], 2, "ERROR: the model's name: no keyword and no module of Python's own, not 'json'"),
        (["churn", "framework"], 2, "ERROR: framework: an answer is QUESTION=ANSWER, as in framework=pytorch"),
        (["churn", "framwork=none"], 2, "ERROR: framwork: no such question; there are author, "),
        (["churn", "node_count=2"], 1, "ERROR: node_count: 1 for sklearn, which trains in one process"),
        (["churn", "framework=keras"], 1, "ERROR: the template could not be rendered: "),
    ],
)
def test_what_can_not_be_added_changes_nothing(project: Path, words: list[str], code: int, said: str) -> None:
    before = own_files(project)
    done = aml(project, "model", "add", *words, **HERE)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(said), done.err
    assert done.err.count("\n") == 1
    assert own_files(project) == before


def test_a_template_that_can_not_be_reached_is_one_line(project: Path) -> None:
    (project / "local.mk").unlink()
    names = (project / "requirements-tools.txt").read_text()
    commit = names.rpartition("@")[2].partition("#")[0]
    line = f"aml-project @ git+file:///not/there@{commit}#subdirectory=packages/aml\n"
    (project / "requirements-tools.txt").write_text(line)
    before = own_files(project)
    done = aml(project, "model", "add", "churn")
    assert done.code == 3
    assert done.err.startswith("ERROR: file:///not/there: the template can't be reached from here; AML_TEMPLATE=")
    assert done.err.count("\n") == 1
    assert own_files(project) == before
    wrong = aml(project, "model", "add", "churn", AML_TEMPLATE="/tmp")
    assert wrong.err == "ERROR: AML_TEMPLATE: /tmp: no checkout of the template: it has no cookiecutter.json\n"


def test_without_a_checkout_the_repo_s_own_commit_is_taken(project: Path, bake: Bake, tmp_path: Path) -> None:
    clone = tmp_path / "template"
    run("git", "clone", "--quiet", TEMPLATE, clone, cwd=tmp_path)
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=clone, text=True).strip()
    (clone / "templates" / "frameworks" / "none" / "train.py").write_text("# of later\n")
    run("git", "commit", "--quiet", "--all", "--message=later", cwd=clone)
    (project / "local.mk").unlink()
    line = f"aml-project @ git+{clone.as_uri()}@{commit}#subdirectory=packages/aml\n"
    (project / "requirements-tools.txt").write_text(line)
    assert aml(project, "model", "add", "churn", "framework=none").code == 0
    assert (project / "models" / "churn" / "train.py").read_text() != "# of later\n"
    assert projects.model_answers(project, "churn")["_commit"] == commit


def test_a_notebook_becomes_the_new_model_s_train_py(project: Path, tmp_path: Path) -> None:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": "print(1)",
    }
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (project / "mine.ipynb").write_text(json.dumps(notebook))
    before = (project / "models" / "model1" / "train.py").read_text()
    done = aml(project, "model", "add", "churn", "notebook=mine.ipynb", **HERE)
    assert done.code == 0, done.err
    script = (project / "models" / "churn" / "train.py").read_text()
    assert script.startswith('"""Made from the notebook mine.ipynb.') and '"../../data/churn"' in script
    assert (project / "models" / "model1" / "train.py").read_text() == before
    assert projects.model_answers(project, "churn")["notebook"] == "mine.ipynb"
    assert '"models/churn/train.py",' in (project / "pyproject.toml").read_text()


def test_killed_while_it_is_added_it_is_not_there_and_comes_with_the_next_call(project: Path) -> None:
    before = own_files(project)
    rename = Path.rename
    moved: list[Any] = []

    def killed(path: Path, target: Path) -> Path:
        if moved:
            raise Killed
        moved.append(target)
        return rename(path, target)

    with mock.patch.object(Path, "rename", killed), pytest.raises(Killed):
        aml(project, "model", "add", "churn", **HERE)
    assert projects.models(project) == ["model1"]
    assert {name for name in own_files(project) if name not in before} == {"data/churn/customers.csv"}
    (project / ".venv" / ".aml-add-churn").mkdir(parents=True)  # of a call that had no time to clear up
    assert aml(project, "model", "add", "churn", **HERE).code == 0
    assert projects.models(project) == ["churn", "model1"]
    assert list((project / ".venv").iterdir()) == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("old", "new"), [("zqxj", "other"), ("model", "data1"), ("data", "e"), ("e", "readme")])
def test_renamed_it_is_what_a_render_with_that_name_has(
    bake: Bake, tmp_path: Path, framework: str, old: str, new: str
) -> None:
    answers = {"framework": framework, "dataset_name": "the-data"}
    project = copy_of(bake(model_name=old, **answers), tmp_path)
    (project / ".venv" / old / "bin").mkdir(parents=True)
    done = aml(project, "model", "rename", old, new)
    assert done.code == 0, done.err
    assert done.out == f"Renamed models/{old} and data/{old} to {new}.\nNext: make setup MODEL={new}\n"
    assert done.err == (
        f"NOTE: Azure ML keeps {old} for what it has: the registered models, the experiment; "
        "the dataset is read as before\n"
    )
    assert not (project / ".venv" / old).exists()
    assert files_of(project) == files_of(bake(model_name=new, **answers))


def test_a_rename_keeps_what_is_the_owner_s(project: Path) -> None:
    folder = project / "models" / "model1"
    with (project / "README.md").open("a") as readme:
        readme.write("\nOur model1 is good. See models/model1/notes.md and models/model10.\n")
    with (project / "Makefile").open("a") as makefile:
        makefile.write("\nnightly: ; $(MAKE) train MODEL=model1\n")
    (folder / "outputs").mkdir()
    (folder / "outputs" / "metrics.json").write_text("{}")
    (project / ".cruft.json").write_text(
        '{\n  "commit": "abc",\n  "context": {"cookiecutter": {"model_name": "model1"}}\n}\n'
    )
    with (project / "pyproject.toml").open("a") as pyproject:
        pyproject.write('\n[tool.cruft]\nskip = ["models/model1/train.py", "docs"]\n')
    committed(project)
    assert aml(project, "model", "rename", "model1", "churn").code == 0
    assert "Our model1 is good. See models/churn/notes.md and models/model10." in (project / "README.md").read_text()
    assert "MODEL=churn" in (project / "Makefile").read_text()
    assert (project / "models" / "churn" / "outputs" / "metrics.json").read_text() == "{}"
    assert json.loads((project / ".cruft.json").read_text())["context"]["cookiecutter"]["model_name"] == "churn"
    assert projects.answers(project)["dataset_name"] == "model1-data"
    assert 'skip = ["models/churn/train.py", "docs"]' in (project / "pyproject.toml").read_text()
    assert "R  data/model1/customers.csv -> data/churn/customers.csv" in status(project)
    assert aml(project, "check").code == 0


def test_killed_while_it_is_renamed_the_same_command_goes_on(project: Path, bake: Bake, tmp_path: Path) -> None:
    """Killed before each file that it writes, and before each folder that it moves."""
    whole = copy_of(project, tmp_path / "whole")
    assert aml(whole, "model", "rename", "model1", "churn").code == 0
    steps = 0
    while True:
        torn = copy_of(project, tmp_path / f"torn{steps}")
        left = [steps]

        def step(act: object, left: list[int] = left) -> object:
            def killed(*args: object, **named: object) -> object:
                if not left[0]:
                    raise Killed
                left[0] -= 1
                return act(*args, **named)  # type: ignore[operator]

            return killed

        with (
            mock.patch.object(model, "write_whole", step(files.write_whole)),
            mock.patch.object(model, "move", step(model.move)),
        ):
            try:
                assert aml(torn, "model", "rename", "model1", "churn").code == 0
                break
            except Killed:
                steps += 1
        assert aml(torn, "model", "rename", "model1", "churn").code == 0
        assert own_files(torn) == own_files(whole)
        shutil.rmtree(torn)
    assert steps > 5


def test_what_can_not_be_renamed_stays(project: Path) -> None:
    before = own_files(project)
    for words, code, said in [
        (["none", "churn"], 2, "--model: no such model: none; models here: model1"),
        (["model1"], 2, "say its new name: aml model rename model1 NEW"),
        (["model1", "model1"], 1, "models/model1: is there already"),
        (["model1", "Churn"], 2, "the model's name: 1 to 30 characters"),
    ]:
        done = aml(project, "model", "rename", *words)
        assert done.code == code
        assert done.err.startswith(f"ERROR: {said}"), done.err
    (project / "data" / "churn").mkdir()
    assert aml(project, "model", "rename", "model1", "churn").err == "ERROR: data/churn: is there already\n"
    assert own_files(project) == before


def test_dry_runs_say_what_would_be_done(project: Path) -> None:
    assert aml(project, "model", "add", "churn", **HERE).code == 0
    committed(project)
    before = own_files(project)
    assert aml(project, "model", "add", "third", "framework=none", "--dry-run") == (
        0,
        "Would add models/third and data/third: framework=none, python_version=3.11\n",
        "",
    )
    said = aml(project, "model", "rename", "model1", "x1", "--dry-run").out
    assert said.startswith("Would rename models/model1 and data/model1 to x1, and the name in:\n  README.md\n")
    assert "  models/model1/aml_config/train-conda.yml\n" in said
    assert aml(project, "model", "remove", "churn", "--dry-run").out == "Would remove data/churn, models/churn\n"
    assert own_files(project) == before


def test_a_removed_model_is_gone_and_all_else_there(project: Path) -> None:
    before = own_files(project)
    assert aml(project, "model", "remove", "model1").err == "ERROR: models/model1: the only model of this repo\n"
    assert aml(project, "model", "add", "churn", **HERE).code == 0
    refused = aml(project, "model", "remove", "churn")
    assert refused.code == 1
    assert refused.err.startswith("ERROR: data/churn/customers.csv and ")
    assert refused.err.endswith(" more: git does not hold it as it is: commit it, or --force removes it for good\n")
    committed(project)
    (project / ".venv" / "churn").mkdir(parents=True)
    done = aml(project, "model", "remove", "churn")
    assert done.out == "Removed data/churn, models/churn, .venv/churn.\n"
    assert done.err == (
        "NOTE: Azure ML keeps what it has of churn: registered models, the experiment, the dataset churn-data\n"
    )
    assert own_files(project) == before
    assert {line[:2] for line in status(project).splitlines()} == {"D "}


def test_data_that_git_ignores_are_not_removed_without_force(project: Path) -> None:
    assert aml(project, "model", "add", "churn", **HERE).code == 0
    with (project / ".gitignore").open("a") as ignored:
        ignored.write("data/churn/large.csv\n")
    committed(project)
    (project / "data" / "churn" / "large.csv").write_text("a\n")
    refused = aml(project, "model", "remove", "churn")
    assert refused.err.startswith("ERROR: data/churn/large.csv: git does not hold it as it is")
    assert aml(project, "model", "remove", "churn", "--force").code == 0


def test_killed_while_it_is_removed_the_same_command_goes_on(project: Path) -> None:
    assert aml(project, "model", "add", "churn", **HERE).code == 0
    committed(project)
    with mock.patch("shutil.rmtree", side_effect=[None, Killed]), pytest.raises(Killed):
        aml(project, "model", "remove", "churn")
    assert projects.models(project) == ["churn", "model1"]
    assert not (project / "data" / "churn").exists()
    assert aml(project, "model", "remove", "churn").code == 0
    assert projects.models(project) == ["model1"]
    assert list((project / ".venv").iterdir()) == []
