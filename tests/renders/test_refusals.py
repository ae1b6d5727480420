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


@pytest.mark.parametrize(
    "slug", ["a/b", "a/b/c", "../outside", "/{}/absolute", "a\\b", ".", "..", "", "UPPER", "blank ", " ", "con", "lpt1"]
)
def test_a_bad_folder_name_leaves_nothing(tmp_path: Path, slug: str) -> None:
    (tmp_path / "here").mkdir()
    done = cookiecutter(tmp_path / "here", project_slug=slug.format(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("ERROR: project_slug: ") or not slug.strip()
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


FILES = {
    "broken.ipynb": "{",
    "text.ipynb": "{}",
    "two/a.ipynb": "{}",
    "nothing/notes.txt": "",
    "setup.py": "",
    "wrong.yml": "a: b\n",
    "wrong.txt": "pandas=>2\n",
    "wrong.toml": "[project\n",
}


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("notebook", "none.ipynb", "{}/none.ipynb: no such notebook"),
        ("notebook", "broken.ipynb", "{}/broken.ipynb: not a notebook: it is not JSON"),
        ("notebook", "text.ipynb", "{}/text.ipynb: not a notebook: its JSON has no nbformat"),
        ("notebook", "two", "{}/two/a.ipynb: not a notebook: its JSON has no nbformat"),
        ("notebook", "nothing", "{}/nothing: no notebook (*.ipynb) in this folder"),
        ("environment_file", "none.yml", "{}/none.yml: not there"),
        ("environment_file", "two", "{}/two: give a requirements.txt, an environment.yml or a pyproject.toml"),
        ("environment_file", "setup.py", "{}/setup.py: give a requirements.txt"),
        ("environment_file", "wrong.yml", "wrong.yml: no list of dependencies in it"),
        ("environment_file", "wrong.txt", "wrong.txt:1: no requirement: pandas=>2"),
        ("environment_file", "wrong.toml", "wrong.toml: "),
    ],
)
def test_a_file_that_can_t_be_read_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str, answer: str, said: str
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = files_of(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    done = cookiecutter(tmp_path, **{question: answer})
    assert done.returncode == 1
    first, *others = done.stderr.splitlines()
    assert first.startswith(f"ERROR: {question}: ")
    assert said.format(tmp_path) in first
    assert not [line for line in others if not line.startswith(("ERROR: Stopping", "Stopping", "Hook script failed"))]
    assert files_of(tmp_path) == before
    assert not (tmp_path / "my-aml-project").exists()


def test_files_are_told_of_with_the_other_problems(tmp_path: Path) -> None:
    done = cookiecutter(tmp_path, notebook="no.ipynb", environment_file="no.txt", compute_name="x y")
    said = [line.split(": ")[1] for line in done.stderr.splitlines() if line.startswith("ERROR: ")][:3]
    assert said == ["compute_name", "notebook", "environment_file"]


def test_a_notebook_that_is_refused_keeps_the_project_that_is_there(tmp_path: Path) -> None:
    project = rendered(tmp_path)
    before = files_of(project)
    done = cookiecutter(tmp_path, "-f", "-s", model_name="churn", notebook="none.ipynb")
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: notebook: ")
    assert files_of(project) == before


def test_a_refusal_keeps_the_project_that_is_there(tmp_path: Path) -> None:
    project = rendered(tmp_path)
    before = files_of(project)
    assert cookiecutter(tmp_path, "-f", compute_name="x y").returncode == 1
    assert files_of(project) == before


def test_an_unknown_question_is_ignored_and_shows_in_no_answer(tmp_path: Path) -> None:
    project = rendered(tmp_path, licence="MIT")
    assert "MIT" not in (project / ".cookiecutter.json").read_text()
