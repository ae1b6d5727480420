"""What a user's list makes of the conda files, resolved today by the real resolver on the Pythons that we offer.

And what the packages of Azure ML say about themselves, which is why a pin of the user's may be left out.
"""

import subprocess
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from aml_project.requirements import azure_needs, python_choice
from aml_project.requirements.own_environment import OWN_PYTHON
from aml_project.requirements.packaging_library import SpecifierSet
from tests.aml import aml
from tests.conftest import Bake
from tests.journeys.test_resolve import AZURE, INFERENCE, MATRIX, TRAIN, packages, resolve
from tests.support import BIN, FRAMEWORKS, PYTHON, copy_of

# Each names the Python that it is for in its own way, and something that contradicts Azure ML's packages.
REQUIREMENTS = """# what a data scientist writes, and freezes
pandas==2.2.3
Scikit_Learn>=1.5,<1.7
lightgbm==4.5.0 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000
xgboost==2.0.3; python_version < "3.12"
xgboost==2.1.3; python_version >= "3.12"
matplotlib~=3.9
jupyterlab==4.2.5
requests[socks]==2.32.3
flask==2.2.5
cryptography==41.0.7
typing_extensions==4.12.2
urllib3==2.2.3
mlflow==2.16.0
azureml-core==1.57.0
pytest==8.3.3
pywin32==306; sys_platform == "win32"
-e .
"""
ENVIRONMENT = """name: ds
channels: [conda-forge, defaults]
dependencies:
  - _libgcc_mutex=0.1=conda_forge
  - python={python}.4=h955ad1f_0
  - openssl=3.2.1=hd590300_0
  - numpy=2.1.3=py3h64a7726_0
  - pandas=2.2.3=py3h320fe9a_0
  - scikit-learn=1.5.2=py3hc009520_0
  - matplotlib-base=3.9.2=py3h54ef318_0
  - opencv=4.10.0=py3h
  - importlib_metadata=8.5.0=hd8ed1ab_0
  - pyarrow=19.0.1=py3h
  - pip:
      - catboost==1.2.8
      - protobuf==5.28.3
prefix: /srv/me/ds
"""
PYPROJECT = """[project]
name = "ds"
requires-python = ">={python}"
dependencies = ["pandas>=2.2,<3", "statsmodels>=0.14.4", "pillow>=10", "httpx[http2]~=0.27", "click<8.2", "tqdm"]
[dependency-groups]
dev = ["ruff"]
"""
OTHERS = [framework for framework in FRAMEWORKS if framework != "sklearn"]
LISTS = {"requirements.txt": REQUIREMENTS, "environment.yml": ENVIRONMENT, "pyproject.toml": PYPROJECT}
# pip freeze of a fresh environment with pandas, scikit-learn, matplotlib and jupyter on Python 3.11.
FREEZE = Path(__file__).parent / "freeze-3.11.txt"


def imported(project: Path, folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    done = aml(project, "requirements", file, **{OWN_PYTHON: ""})
    assert done.code == 0, done.err


# What a list asks for and is there after it is imported.
EXPECTED = {
    "requirements.txt": {"pandas": "2.2.3", "lightgbm": "4.5.0"},
    "environment.yml": {"pandas": "2.2.3", "numpy": "2.1.3", "scikit-learn": "1.5.2", "pyarrow": "19.0.1"},
    "pyproject.toml": {"numpy": "2.1.3", "catboost": "1.2.8"},
}


@MATRIX
def test_three_lists_one_after_the_other(bake: Bake, tmp_path: Path, framework: str, python: str) -> None:
    """The second and the third are merged into what the first has left, and that resolves for `make setup`."""
    project = copy_of(bake(framework=framework, python_version=python), tmp_path)
    for name, text in LISTS.items():
        imported(project, tmp_path, name, text.replace("{python}", python))
    check(project, tmp_path, python, "pyproject.toml")


@pytest.mark.parametrize("framework", ["sklearn", *(pytest.param(name, marks=pytest.mark.full) for name in OTHERS)])
def test_so_do_the_states_between(bake: Bake, tmp_path: Path, framework: str) -> None:
    project = copy_of(bake(framework=framework, python_version=PYTHON), tmp_path)
    for name in ("requirements.txt", "environment.yml"):
        imported(project, tmp_path, name, LISTS[name].replace("{python}", PYTHON))
        check(project, tmp_path, PYTHON, name)


def check(project: Path, folder: Path, python: str, last: str) -> None:
    """What `make setup` is to install can be, and has what the last list asked for."""
    tools = (project / "requirements-dev.txt").read_text().splitlines()
    found = resolve(folder, [*packages(project, "train", "inference"), *tools], python)
    assert (AZURE | INFERENCE | TRAIN | EXPECTED[last]).items() <= found.items()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_freeze(bake: Bake, tmp_path: Path, framework: str) -> None:
    """What resolves together, as `make setup` wants it, resolves for each of the two files."""
    project = copy_of(bake(framework=framework, python_version="3.11"), tmp_path)
    imported(project, tmp_path, "freeze.txt", FREEZE.read_text(encoding="utf-8"))
    for purpose in ("train", "inference"):
        assert "pandas==3.1.1" in packages(project, purpose)
    found = resolve(tmp_path, packages(project, "train", "inference"), "3.11.9")
    assert (AZURE | TRAIN | INFERENCE).items() <= found.items()
    assert found["pandas"] == "3.1.1"


@pytest.mark.parametrize(
    "lines", ["tensorflow==2.15.0\nprotobuf==4.24.4", "numba==0.59.1\npandas==2.1.4\nnumpy", "mlflow==2.22.5"]
)
def test_our_pins_give_way(bake: Bake, tmp_path: Path, lines: str) -> None:
    project = copy_of(bake(framework="sklearn", python_version="3.11"), tmp_path)
    imported(project, tmp_path, "old.txt", lines)
    found = resolve(tmp_path, packages(project, "train", "inference"), "3.11")
    assert (AZURE | INFERENCE | TRAIN).items() <= found.items()
    assert all(found[line.split("==")[0]] == line.split("==")[1] for line in lines.splitlines() if "==" in line)


def test_what_azure_ml_needs_is_what_its_packages_say(tmp_path: Path) -> None:
    pins = [f"{name}=={version}" for name, version in (AZURE | INFERENCE | TRAIN).items() if name != "azureml-defaults"]
    command = [str(BIN / "uv"), "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path / "azure"), *pins]
    subprocess.run(command, check=True)
    needs: dict[str, set[str]] = {}
    for distribution in distributions(path=[str(tmp_path / "azure")]):
        for line in distribution.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(python_choice.environment("3.11")):
                needs.setdefault(canonicalize_name(requirement.name), set()).update(map(str, requirement.specifier))
    said = {str(name): SpecifierSet(",".join(parts)) for name, parts in needs.items() if parts}
    assert said == {name: SpecifierSet(text) for name, text in azure_needs.DIRECT.items()}  # <3 and <3.0.0 are one


@pytest.mark.parametrize(
    "pin",
    ["cryptography==45.0.6", "typing-extensions==4.14.0", "numpy==2.3.3", "pyarrow==21.0.0", "joblib==1.6.0"],
)
def test_what_follows_from_that_is_true(bake: Bake, tmp_path: Path, pin: str) -> None:
    """A pin just outside of what the table allows does not resolve; the day this fails, the table is too narrow."""
    ours = packages(bake(framework="none"), "train", "inference")
    lines = [line for line in ours if not line.startswith(("numpy==", "pandas==", "matplotlib==", "scikit-learn=="))]
    assert resolve(tmp_path, [*lines, pin], "3.11", expect=1) == {}
    name, _, version = pin.partition("==")
    assert not SpecifierSet(azure_needs.THROUGH[name]).contains(version)
