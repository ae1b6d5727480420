"""What follows a render: a notebook, packages, the commands that come next.

The template here is a small one whose hook does what the real one does; cookiecutter and cruft are the real ones.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import aml_project
from tests.aml import Done, told
from tests.support import BIN, TEMPLATE, files_of

SOURCES = Path(aml_project.__file__).parents[1]
ANSWERS = {
    "project_slug": "my-aml-project",
    "model_name": "model1",
    "subscription_id": "",
    "resource_group": "",
    "workspace_name": "",
    "notebook": "",
    "environment_file": "",
}
HOOK = """
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, {sources!r})
from aml_project.hook import after_render

after_render(dict({{{{cookiecutter.items() | selectattr(1, "string") | list}}}}), {{"root": {root!r}}})
"""
CONDA = """\
dependencies:
  - python=3.11
  - pip
  - pip:
      - azureml-core==1.61.0.post4
      - pandas==2.3.3
"""
TRAIN = "print('the outline')\n"


def of_model(name: str) -> str:
    return f"models/model1/{name}"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("of a template")
    project = folder / "{{cookiecutter.project_slug}}"
    model = project / "models" / "{{cookiecutter.model_name}}"
    for inner in (model / "aml_config", model / "tests", project / "data", folder / "hooks"):
        inner.mkdir(parents=True)
    (folder / "cookiecutter.json").write_text(json.dumps(ANSWERS))
    (folder / "hooks" / "post_gen_project.py").write_text(HOOK.format(sources=str(SOURCES), root=str(folder)))
    (project / "pyproject.toml").write_text('[project]\nname = "x"\nrequires-python = ">=3.11"\n')
    shutil.copy(TEMPLATE / "templates" / "data" / "customers.csv", project / "data")
    (model / "train.py").write_text(TRAIN)
    (model / ".amlignore").write_text("outputs/\n")
    (model / "tests" / "test_train.py").write_text("")
    for purpose in ("train", "inference"):
        (model / "aml_config" / f"{purpose}-conda.yml").write_text(CONDA)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def git(folder: Path, *args: str) -> None:
    subprocess.run(["git", *args], cwd=folder, check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=A Tester", "-c", "user.email=tester@example.com", "commit", "--quiet", "-m", "all")


def render(template: Path, cwd: Path, *args: str, python: Path = BIN, path: str = "", **answers: str) -> Done:
    """Render with cookiecutter as from a shell that stands in `cwd`."""
    env = os.environ | {"PWD": str(cwd), "PATH": path or os.environ["PATH"]}
    command = [str(python / "cookiecutter"), "--no-input", *args, str(template)]
    command += [f"{question}={text}" for question, text in answers.items()]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module", autouse=True)
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what cookiecutter remembers out of the tests, and the tests out of that."""
    folder = tmp_path_factory.mktemp("settings")
    file = folder / "config.yml"
    file.write_text(f"cookiecutters_dir: {folder / 'templates'}\nreplay_dir: {folder / 'replay'}\n")
    with mock.patch.dict(os.environ, COOKIECUTTER_CONFIG=str(file)):
        yield


def write(path: Path, *cells: str) -> Path:
    """A notebook of these cells of code."""
    listed: list[dict[str, Any]] = [
        {"cell_type": "code", "metadata": {}, "source": cell, "outputs": [], "execution_count": None} for cell in cells
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": listed}), encoding="utf-8")
    return path


def start(script: Path, *args: str) -> str:
    """Run a script as `make train` does; return what it prints."""
    done = subprocess.run([sys.executable, "-S", script.name, *args], cwd=script.parent, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\n{script.read_text()}"
    return done.stdout


def test_a_notebook_is_taken_from_where_the_user_stands(template: Path, tmp_path: Path) -> None:
    here, out = tmp_path / "here", tmp_path / "out"
    given = write(here / "sub" / "my nb.ipynb", "A = 1", "print(A, open('x.csv').read())")
    (given.parent / "x.csv").write_text("x")
    for number, said in enumerate(("sub/my nb.ipynb", str(given))):
        done = render(template, here, "-o", str(out), notebook=said, project_slug=f"p{number}")
        assert done.code == 0
        told(done)
        project = out / f"p{number}"
        assert (project / "notebooks" / given.name).read_bytes() == given.read_bytes()
        assert start(project / of_model("train.py"), "--a", "2") == "2 x\n"
        assert not (project / "data" / "customers.csv").exists()
        assert "as the notebook does" in done.out
        assert "Before that" not in done.out
        assert {of_model("tests/test_notebook.py"), "data/x.csv"} <= set(files_of(project))
        assert not [name for name in files_of(project) if "__pycache__" in name or ".uv" in name]


def test_a_notebook_that_is_not_there_or_broken_costs_no_render(template: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.ipynb").write_text("{")
    for slug, notebook, said, kept in (
        ("missing", "none.ipynb", f"ERROR: {tmp_path / 'none.ipynb'}: no such notebook", {}),
        ("broken", "broken.ipynb", "ERROR: broken.ipynb: not a notebook: it is not JSON", {"broken.ipynb": b"{"}),
    ):
        done = render(template, tmp_path, notebook=notebook, project_slug=slug)
        assert done.code == 0
        told(done, said)
        project = tmp_path / slug
        assert f"  make notebook NB={tmp_path / notebook} MODEL=model1 ARGS=--force\n" in done.out
        assert (project / of_model("train.py")).read_text() == TRAIN
        assert files_of(project / "notebooks") == kept
        assert not (project / of_model("tests/test_notebook.py")).exists()
        assert (project / "data" / "customers.csv").exists()


def test_rendered_again_and_a_second_model(template: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "first.ipynb", "print('first')")
    write(tmp_path / "second.ipynb", "print('second', open('new.csv').read())")
    (tmp_path / "new.csv").write_text("new")
    assert render(template, tmp_path, notebook="first.ipynb").code == 0
    project = tmp_path / "my-aml-project"
    assert start(project / of_model("train.py")) == "first\n"
    for path in (project / of_model("train.py"), project / "data" / "customers.csv"):
        path.write_text("print('edited')\n")
    old = time.time() - 3600
    for path in project.rglob("*"):
        os.utime(path, (old, old))
    before = files_of(project)

    write(first, "print('changed')")
    done = render(template, tmp_path, "-f", "-s", notebook="first.ipynb")
    assert done.code == 0
    assert files_of(project) == before, "an owner's model was changed"
    told(done, "ERROR: notebooks/first.ipynb: another notebook of this name is there; --force replaces it")

    done = render(template, tmp_path, "-f", "-s", notebook="second.ipynb", model_name="model2")
    assert done.code == 0
    told(done)
    after = files_of(project)
    changed = {name for name, content in before.items() if after[name] != content}
    assert changed == {"pyproject.toml"}
    assert start(project / "models" / "model2" / "train.py") == "second new\n"
    new = {name for name in after if name not in before and not name.startswith("models/model2/")}
    assert new == {"data/new.csv", "notebooks/second.ipynb"}
    assert "make setup train test MODEL=model2" in done.out


# --- cruft -----------------------------------------------------------------------------------------------------------


def cruft(cwd: Path, *args: str | Path) -> None:
    """Run cruft as from a shell that stands in `cwd`."""
    env = os.environ | {"PWD": str(cwd)}
    done = subprocess.run([BIN / "cruft", *args], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_update_leaves_alone_what_was_made_of_a_notebook(template: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(template, tmp_path / "template"))
    given = write(tmp_path / "nbs" / "train.ipynb", "%run other.ipynb\nprint(TEXT)")
    write(tmp_path / "nbs" / "other.ipynb", "TEXT = 'mine'")
    answers = json.dumps({"notebook": str(given.parent)})
    cruft(tmp_path, "create", "--no-input", "--extra-context", answers, own)
    project = tmp_path / "my-aml-project"
    git(project, "init", "--quiet")
    commit(project)
    before = files_of(project / "models")
    # The template goes on: its train.py, a module of the same name as the user's, and something else.
    model = own / "{{cookiecutter.project_slug}}" / "models" / "{{cookiecutter.model_name}}"
    (model / "train.py").write_text("print('a newer outline')\n")
    (model / "other.py").write_text("print('of the template')\n")
    (model / "tests" / "test_notebook.py").write_text("print('of the template')\n")
    (model / "new.py").write_text("print('new')\n")
    commit(own)
    write(tmp_path / "nbs" / "train.ipynb", "print('never converted')")

    cruft(project / "data", "update", "--skip-apply-ask", "--project-dir", project)

    after = files_of(project / "models")
    assert after == before | {"model1/new.py": b"print('new')\n"}
    assert start(project / of_model("train.py")) == "mine\n"
    assert not list(project.rglob("*.rej"))
    cruft(project, "check")


# --- a Python that has cookiecutter alone ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has cookiecutter, and none of what converts."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    own = Path(next(path for path in sys.path if path.endswith("site-packages")))
    needed = [
        *("cookiecutter", "jinja2", "markupsafe", "click", "binaryornot", "chardet", "requests", "urllib3", "idna"),
        *("certifi", "charset_normalizer", "slugify", "text_unidecode", "yaml", "arrow", "dateutil", "six", "rich"),
        *("markdown_it", "mdurl", "pygments", "tzdata"),
    ]
    for name in needed:
        for place in (own / name, own / f"{name}.py", *own.glob(f"{name}-*.dist-info")):
            if place.exists():
                (site / place.name).symlink_to(place)
    command = folder / "venv" / "bin" / "cookiecutter"
    command.write_text(f"#!{folder / 'venv' / 'bin' / 'python'}\nfrom cookiecutter.__main__ import main\nmain()\n")
    command.chmod(0o755)
    return command.parent


@pytest.fixture
def tools(bare: Path, tmp_path: Path) -> Path:
    """A PATH with next to nothing on it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python3").symlink_to(bare / "python3")
    (folder / "git").symlink_to(str(shutil.which("git")))
    return folder


@pytest.mark.parametrize("uv", [False, True], ids=["no uv", "uv offline"])
def test_without_what_converts_everything_is_kept_for_later(
    bare: Path, tools: Path, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, uv: bool
) -> None:
    reason = "there is no uv to bring what is missing"
    if uv:
        (tools / "uv").symlink_to(BIN / "uv")
        monkeypatch.setenv("UV_OFFLINE", "1")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        reason = "uv could not bring what is missing"
    write(tmp_path / "nbs" / "train.ipynb", "print(1)")
    write(tmp_path / "nbs" / "b.ipynb", "print(2)")
    write(tmp_path / "one.ipynb", "print(1)")
    for slug, notebook, kept in (
        ("single", "one.ipynb", ["one.ipynb"]),
        ("several", "nbs", ["b.ipynb", "train.ipynb"]),
    ):
        done = render(template, tmp_path, path=str(tools), python=bare, notebook=notebook, project_slug=slug)
        assert done.code == 0
        place = "notebooks/one.ipynb" if slug == "single" else "notebooks"
        lacks = f"nbconvert and IPython are not in this Python, and {reason}"
        told(done, f'ERROR: {lacks}: make notebook NB="{place}" where there is a network')
        assert done.out.count(f"make notebook NB={tmp_path / notebook} MODEL=model1 ARGS=--force\n") == 1, done.out
        project = tmp_path / slug
        assert (project / of_model("train.py")).read_text() == TRAIN
        assert not [name for name in files_of(project) if "__pycache__" in name]
        assert sorted(path.name for path in (project / "notebooks").iterdir()) == kept


def test_without_what_reads_a_list_it_is_kept_for_later(
    bare: Path, tools: Path, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("pandas==2.2.2\n")
    done = render(template, tmp_path, path=str(tools), python=bare, environment_file=file.name)
    assert done.code == 0
    lacks = "packaging is not in this Python, and there is no uv to bring what is missing"
    told(done, f'ERROR: {lacks}: make requirements FROM="{file}" MODEL=model1 where there is a network')
    assert f"  make requirements FROM={file} MODEL=model1\n" in done.out
    assert (tmp_path / "my-aml-project" / of_model("aml_config/train-conda.yml")).read_text() == CONDA


def test_uv_brings_what_converts_and_reads(bare: Path, tools: Path, template: Path, tmp_path: Path) -> None:
    (tools / "uv").symlink_to(BIN / "uv")
    write(tmp_path / "one.ipynb", "%time print(1)")
    (tmp_path / "requirements.txt").write_text("pandas==2.2.2\n")
    answers = {"notebook": "one.ipynb", "environment_file": "requirements.txt"}
    done = render(template, tmp_path, path=str(tools), python=bare, **answers)
    assert done.code == 0
    told(done)
    assert "nbconvert and IPython are not in this Python: uv brings what is missing\n" in done.out
    assert "packaging is not in this Python: uv brings what is missing\n" in done.out
    project = tmp_path / "my-aml-project"
    assert start(project / of_model("train.py")) == "1\n"
    assert "pandas==2.2.2" in (project / of_model("aml_config/train-conda.yml")).read_text()
    assert not [name for name in files_of(project) if "__pycache__" in name or ".uv" in name]
