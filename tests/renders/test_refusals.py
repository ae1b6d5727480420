"""Bad answers on the command line: told at once, nothing left on disk."""

from pathlib import Path

import pytest

from tests.support import cookiecutter, files_of, rendered

BAD = {
    "project_name": " ",
    "project_slug": "My Project",
    "model_name": "json",
    "subscription_id": "1234",
    "resource_group": "rg.",
    "workspace_name": "x",
    "compute_name": "x y",
    "vm_size": "D2",
    "node_count": "0",
    "gpu": "maybe",
    "processes_per_node": "0",
    "dataset_name": "-x",
}


def test_all_problems_at_once_and_nothing_left(tmp_path: Path) -> None:
    done = cookiecutter(tmp_path, **BAD)
    assert done.returncode == 1
    said = [line.split(": ")[1] for line in done.stderr.splitlines() if line.startswith("ERROR: ") and "(got " in line]
    assert sorted(said) == sorted(BAD)
    assert "aml_template" not in done.stderr, "a traceback of ours"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("question", ["framework", "python_version", "launcher", "data_access"])
def test_a_choice_that_is_none_is_refused_by_cookiecutter(tmp_path: Path, question: str) -> None:
    done = cookiecutter(tmp_path, **{question: "cobol"})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ValueError: cobol provided for choice variable {question}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slug", ["../outside", "UPPER"])
def test_a_bad_folder_name_touches_nothing(tmp_path: Path, slug: str) -> None:
    (tmp_path / "here").mkdir()
    assert cookiecutter(tmp_path / "here", project_slug=slug).returncode == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_a_refusal_keeps_the_project_that_is_there(tmp_path: Path) -> None:
    project = rendered(tmp_path)
    before = files_of(project)
    assert cookiecutter(tmp_path, "-f", compute_name="x y").returncode == 1
    assert files_of(project) == before


def test_an_unknown_question_is_ignored_and_shows_in_no_answer(tmp_path: Path) -> None:
    project = rendered(tmp_path, licence="MIT")
    assert "MIT" not in (project / ".cookiecutter.json").read_text()
