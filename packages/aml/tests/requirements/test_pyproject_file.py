"""The packages of a pyproject.toml: those of [project], or of Poetry's table."""

from pathlib import Path

import pytest

from aml_project.requirements import pyproject_file
from requirements.lists import take, wanted, write
from tests.aml import told


def test_the_project_table_and_uvs_sources(tmp_path: Path) -> None:
    text = """[project]
requires-python = ">=3.9"
dependencies = ["pandas>=2", "a", "b", "c", "d; sys_platform == 'linux'"]
[project.optional-dependencies]
viz = ["seaborn", "plotly"]
[dependency-groups]
dev = ["pytest"]
[tool.uv.sources]
a = { path = "../a" }
b = { workspace = true }
c = { index = "private" }
d = { git = "https://example.com/d.git", rev = "v1" }
"""
    read = pyproject_file.read(write(tmp_path, text, "pyproject.toml"))
    assert wanted(read) == ["pandas>=2", 'd @ git+https://example.com/d.git@v1 ; sys_platform == "linux"']
    assert read.python == ">=3.9"
    groups, local, private = read.notes.lines()
    assert groups.startswith("left out, packages of a group, which the model may not need: ")
    assert groups.endswith(": optional-dependencies.viz (2), dependency-groups.dev (1)")
    assert local.startswith("left out, it is on this computer only: ")
    assert local.endswith(": a (pyproject.toml, dependency 2), b (pyproject.toml, dependency 3)")
    assert private.startswith("left out, a private index is not carried over")
    assert private.endswith(": c (pyproject.toml, dependency 4)")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"^1.2.3"', "a>=1.2.3,<2"), ('"^0.2.3"', "a>=0.2.3,<0.3"), ('"^1"', "a>=1,<2"),
        ('"^0.0.3"', "a>=0.0.3,<0.0.4"),
        ('"~1.2.3"', "a>=1.2.3,<1.3"), ('"~1"', "a>=1,<2"), ('"1.2.*"', "a==1.2.*"),
        ('"*"', "a"), ('"1.2.3"', "a==1.2.3"),
        ('">=1,<2"', "a>=1,<2"), ('{version = "^1", extras = ["x"]}', "a[x]>=1,<2"),
        ('{git = "https://example.com/a.git", tag = "v1"}', "a @ git+https://example.com/a.git@v1"),
        ('{version = "1.0", markers = "python_version > \'3.8\'"}', 'a==1.0; python_version > "3.8"'),
        ('{version = "1.0", python = ">=3.9"}', 'a==1.0; python_version >= "3.9"'),
    ],
)  # fmt: skip
def test_poetrys_table(tmp_path: Path, value: str, expected: str) -> None:
    text = f'[tool.poetry.dependencies]\npython = "^3.10"\na = {value}\n'
    read = pyproject_file.read(write(tmp_path, text, "pyproject.toml"))
    assert wanted(read) == [expected]
    assert read.python == ">=3.10,<4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no dependencies in [project] or [tool.poetry]"),
        ("[build-system]\nrequires = []\n", "no dependencies"),
        ('[project]\ndynamic = ["dependencies"]\n', "dynamic"),
        ("[project]\ndependencies = 3\n", "no list of texts"),
        ("project = 3\n", "project is no table"),
        ("[project\n", "pyproject.toml: "),
        ('[project]\ndependencies = ["a b"]\n', "dependency 1: no requirement: a b"),
        ('[project]\nrequires-python = "x"\ndependencies = []\n', "no version: x"),
        ('[tool.poetry.dependencies]\na = "?"\n', "a: no version: ?"),
        ("[tool.poetry.dependencies]\na = 3\n", "neither a version nor a table"),
    ],
)
def test_a_pyproject_that_is_wrong_gets_one_line(project: Path, text: str, said: str) -> None:
    (project / "in").mkdir()
    done = take(project, write(project / "in", text, "pyproject.toml"))
    assert (done.code, done.out) == (1, "")
    told(done, f"ERROR: in/pyproject.toml…{said}" if said != "pyproject.toml: " else "ERROR: in/pyproject.toml: ")
