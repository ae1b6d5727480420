"""An environment.yml, also as conda exports it: its packages under their names on the index."""

from pathlib import Path

import pytest
import yaml

from aml_project.requirements import conda_environment
from requirements.lists import take, wanted, write
from tests.aml import told


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("numpy=1.26.4=py311h64a7726_0", "numpy==1.26.4"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy>=1.2,<2", "numpy>=1.2,<2"),
        ("conda-forge::xgboost=2.0.3", "xgboost==2.0.3"),
        ("numpy[version='>=1.20,<2']", "numpy>=1.20,<2"),
        ("numpy 1.26.*", "numpy==1.26.*"),
        ("numpy 1.26.4 py311h64a7726_0", "numpy==1.26.4"),
        ("numpy", "numpy"),
        ("pytorch=2.2.1=cpu_py311", "torch==2.2.1"),
        ("opencv=4.9.0=py311", "opencv-python-headless==4.9.0.*"),
        ("matplotlib-base=3.8.3", "matplotlib==3.8.3"),
        ("pytables", "tables"),
        ("importlib_metadata=7.0.2=hd8ed1ab_0", "importlib-metadata==7.0.2"),
        ("dask-core=2024.2.1", "dask==2024.2.1"),
        ("scikit-learn=1.4.1.post1=py311hc009520_0", "scikit-learn==1.4.1.post1"),
    ],
)
def test_a_package_of_conda_has_its_name_on_the_index(tmp_path: Path, item: str, expected: str) -> None:
    text = yaml.safe_dump({"dependencies": [item]})
    assert wanted(conda_environment.read(write(tmp_path, text, "environment.yml"))) == [expected]


@pytest.mark.parametrize(
    "item",
    [
        "_libgcc_mutex=0.1=conda_forge", "libgcc-ng=13.2.0=h807b86a_5", "openssl=3.2.1=hd590300_0", "openssl=1.1.1w",
        "mkl-service=2.4.0=py311h5eee18b_1", "vc=14.3=h64f974e_17", "ucrt", "ca-certificates", "cudatoolkit=11.8",
        "pytorch-cuda=11.8=h7e8668a_5", "tzdata=2024a", "python_abi=3.11=4_cp311", "r-base=4.3", "unknown=1=h123_0",
        "pywin32=306=py311", "appnope",
    ],
)  # fmt: skip
def test_what_is_no_package_of_python_is_listed(tmp_path: Path, item: str) -> None:
    read = conda_environment.read(write(tmp_path, yaml.safe_dump({"dependencies": [item]}), "environment.yml"))
    assert wanted(read) == []
    (note,) = read.notes.lines()
    assert item.split("=", maxsplit=1)[0] in note


def test_an_exported_environment(tmp_path: Path) -> None:
    write(tmp_path, "attrs==23.2.0\n", "more.txt")
    text = """name: x
channels: [conda-forge, https://me:Pa55word@example.com/channel, defaults]
dependencies:
  - python=3.11.8=hab00c5b_0_cpython
  - pip
  - pip:
      - six==1.16.0
      - -r more.txt
  - pip: [tqdm]
variables:
  TOKEN: Pa55word
prefix: /srv/me/x
"""
    read = conda_environment.read(write(tmp_path, text, "environment.yml"))
    assert wanted(read) == ["six==1.16.0", "attrs==23.2.0", "tqdm"]
    assert read.python == "==3.11.8"
    channel, variable = read.notes.lines()
    assert channel.startswith("left out, a channel of conda is not carried over: ")
    assert channel.endswith(": https://***@example.com/channel (environment.yml:2)")
    assert variable.startswith("left out, a variable belongs into environmentVariables of the runconfig, ")
    assert variable.endswith(": TOKEN (environment.yml:11)")


@pytest.mark.parametrize(
    "text",
    ["", "- a", "dependencies: x", "dependencies:\n - a: [b]", "dependencies:\n - '??'", "dependencies:\n - pip: x",
     "dependencies:\n - a=1=2=3=4", "a: [", "dependencies:\n - [a]", "[" * 3000, "dependencies:\n - pip: [[a]]"],
)  # fmt: skip
def test_a_conda_environment_that_is_wrong_gets_one_line(project: Path, text: str) -> None:
    done = take(project, write(project, text, "environment.yml"))
    assert (done.code, done.out) == (1, "")
    told(done, "ERROR: environment.yml")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- '# a comment'\n      - not a requirement", "environment.yml:5: no requirement: not a requirement"),
        ("- -r missing.txt", "environment.yml:4: missing.txt: not there; it is looked for beside environment.yml"),
        ("- -r environment.yml", "environment.yml:4: environment.yml leads back to itself"),
        ("- -r more.txt", "more.txt:2: no requirement: neither is this"),
    ],
)
@pytest.mark.parametrize("folder", ["", "deep/"])
def test_a_line_of_pip_that_is_wrong_is_named(project: Path, folder: str, line: str, said: str) -> None:
    place = project / folder
    place.mkdir(exist_ok=True)
    write(place, "six\nneither is this\n", "more.txt")
    file = write(place, f"dependencies:\n  - python=3.11\n  - pip:\n      {line}\n", "environment.yml")
    told(take(project, file), f"ERROR: {folder}{said}")
