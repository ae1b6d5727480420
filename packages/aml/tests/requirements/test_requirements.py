"""The verb `requirements`: how it is called, what it writes."""

from pathlib import Path

import pytest

from aml_project.requirements.own_environment import OWN_PYTHON
from requirements.lists import pip_of, take, versions, write
from tests.aml import call, told
from tests.support import files_of


def test_check_and_dry_run_write_nothing(project: Path) -> None:
    file = write(project, "six==1.16.0\n")
    before = files_of(project)
    for option, expected in (("--check", 1), ("--dry-run", 0)):
        done = take(project, file, option)
        assert done.code == expected
        assert "+      - six==1.16.0" in done.out and done.out.endswith("Nothing was written.\n")
        told(done)
    assert files_of(project) == before


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["missing.txt"], "missing.txt: not there"),
        (["Makefile"], "Makefile: give a requirements.txt, an environment.yml or a pyproject.toml"),
        (["requirements-dev.txt", "--model", "x"], "--model: no such model: x; models here: model1"),
        (["--python", "nowhere"], "--python: nowhere: not there"),
        (["--chek"], "unrecognized arguments: --chek"),
    ],
)
def test_wrong_use_gets_one_line(project: Path, args: list[str], said: str) -> None:
    done = take(project, *args)
    assert (done.code, done.out) == (2, "")
    told(done, f"ERROR: {said}")


def test_pip_brings_packaging_where_there_is_none(project: Path) -> None:
    hide = project / "sitecustomize.py"
    hide.write_text(
        "import sys\nclass Hide:\n    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('packaging', 'tomli', 'tomllib'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    text = '[project]\ndependencies = ["pandas==2.2.2", "six>=1,<2; python_version > \'3.8\'"]\n'
    (project / "in").mkdir()
    file = write(project / "in", text, "pyproject.toml")
    done = call(project, "requirements", file, PYTHONPATH=str(project), **{OWN_PYTHON: ""})
    assert done.code == 0, done.err
    told(done)
    assert versions(project)["pandas"] == "==2.2.2" and 'six>=1,<2; python_version > "3.8"' in pip_of(project)
