"""Which Python the environments get."""

from pathlib import Path

import pytest

from aml_project.requirements import python_choice
from requirements.lists import PURPOSES, conda_file, pip_of, take, write
from tests.aml import told
from tests.support import files_of


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [("", "3.11"), ("==3.12.*", "3.12"), ("==3.10.14", "3.10"), (">=3.9", "3.11"), (">=3.12", "3.13"),
     ("<3.11,>=3.8", "3.10"),
     (">=3.10.5,<3.12", "3.11")],
)  # fmt: skip
def test_the_python_that_is_chosen(asked: str, chosen: str) -> None:
    assert python_choice.choose(asked, "x", "3.11") == chosen


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_python_is_taken_over(project: Path, purpose: str) -> None:
    text = "dependencies:\n  - python=3.10.14=h0_cpython\n  - six=1.16.0\n"
    done = take(project, write(project, text, "environment.yml"))
    assert done.code == 0 and done.out.count("+  - python=3.10") == 2
    told(done)
    assert "\n  - python=3.10\n" in conda_file(project, purpose).read_text()
    assert 'requires-python = ">=3.10"' in (project / "pyproject.toml").read_text()


def test_a_python_that_is_not_offered_is_refused(project: Path) -> None:
    file = write(project, "dependencies:\n  - python=3.7\n  - six=1.16.0\n", "environment.yml")
    before = files_of(project)
    done = take(project, file)
    assert (done.code, done.out) == (1, "")
    told(
        done,
        "ERROR: environment.yml:2: Python 3.7 is not offered: …; --keep-python takes the packages and stays at 3.11",
    )
    assert files_of(project) == before
    done = take(project, file, "--keep-python")
    assert done.code == 0
    told(done, "NOTE: environment.yml:2 asks for Python 3.7: 3.11 stays")
    assert "six==1.16.0" in pip_of(project)
