"""The template and the package agree on what the conda files hold."""

from pathlib import Path

import pytest
import yaml
from azureml.core.conda_dependencies import CondaDependencies
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from aml_project.requirements import azure_needs, python_choice
from aml_project.requirements.own_environment import OWN_PYTHON
from tests.aml import aml, told
from tests.conftest import Bake
from tests.support import FRAMEWORKS, PYTHONS, TEMPLATE, copy_of, files_of

PURPOSES = ("train", "inference")


def conda_file(project: Path, purpose: str) -> Path:
    return project / "models" / "model1" / "aml_config" / f"{purpose}-conda.yml"


def pip_of(project: Path, purpose: str) -> list[str]:
    config = yaml.safe_load(conda_file(project, purpose).read_text(encoding="utf-8"))
    return list(config["dependencies"][2]["pip"])


def test_the_pythons_are_those_that_the_template_offers() -> None:
    assert sorted(python_choice.SUPPORTED) == sorted(PYTHONS)


def test_the_delicate_packages_are_those_of_the_template() -> None:
    files = [TEMPLATE / "templates" / "environments" / f"{purpose}.txt" for purpose in PURPOSES]
    lines = [line for file in files for line in file.read_text().splitlines() if not line.startswith("#")]
    names = {canonicalize_name(Requirement(line).name) for line in lines}
    # Pinned for their speed: another release works as well, and score.py is served without them, too.
    quick = {"databricks-sdk", "uvloop", "httptools"}
    assert {name for name in names if not name.startswith("azureml-")} == azure_needs.DELICATE | quick


def test_what_our_frameworks_need_is_about_the_releases_that_they_have(bake: Bake) -> None:
    lines = {
        line for framework in FRAMEWORKS for purpose in PURPOSES for line in pip_of(bake(framework=framework), purpose)
    }
    assert set(azure_needs.OF_OURS) <= lines


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_client_reads_the_result(bake: Bake, tmp_path: Path, framework: str) -> None:
    project = copy_of(bake(framework=framework), tmp_path)
    lines = "pandas==2.2.2\nlightgbm[dask]>=4,<5; python_version >= '3.8'\n"
    lines += "b @ https://example.com/b-1-py3-none-any.whl#sha256=0\n"
    (project / "requirements.txt").write_text(lines)
    done = aml(project, "requirements", "requirements.txt", **{OWN_PYTHON: ""})
    assert done.code == 0
    told(done)
    for purpose in PURPOSES:
        conda = CondaDependencies(str(conda_file(project, purpose)))
        assert list(conda.pip_packages) == pip_of(project, purpose)
        assert "pandas==2.2.2" in conda.pip_packages


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_fresh_project_has_all_that_it_imports(bake: Bake, tmp_path: Path, framework: str) -> None:
    project = copy_of(bake(framework=framework), tmp_path)
    before = files_of(project)
    done = aml(project, "requirements", **{OWN_PYTHON: ""})
    assert done == (0, "Nothing to change: the conda files of model1 have all of it.\n", "")
    assert files_of(project) == before
