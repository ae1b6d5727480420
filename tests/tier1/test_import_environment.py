"""A list of packages that a user has, in the conda files: what is read, what wins, what is said, what is left alone."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from azureml.core.conda_dependencies import CondaDependencies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from aml_project.command_line import Failure
from aml_project.requirements import (
    azure_needs,
    conda_editing,
    conda_environment,
    found,
    imports,
    merging,
    own_environment,
    pyproject_file,
    python_choice,
    requirements_file,
    texts,
)
from tests.conftest import Bake
from tests.support import FRAMEWORKS, PYTHONS, TEMPLATE, copy_of, files_of

PURPOSES = ("train", "inference")


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    return copy_of(bake(python_version="3.11"), tmp_path)


def call(project: Path, *args: str | Path, **env: str) -> tuple[int, str, str]:
    """Run the command; return its exit code and what it printed, on each channel."""
    done = subprocess.run(
        [sys.executable, "scripts/import_environment.py", *map(str, args)],
        cwd=project,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", own_environment.OWN_PYTHON: ""} | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr or "--debug" in args, done.stderr
    return done.returncode, done.stdout, done.stderr


def conda_file(project: Path, purpose: str = "train") -> Path:
    return project / "models" / "model1" / "aml_config" / f"{purpose}-conda.yml"


def pip_of(project: Path, purpose: str = "train") -> list[str]:
    config = yaml.safe_load(conda_file(project, purpose).read_text(encoding="utf-8"))
    return list(config["dependencies"][2]["pip"])


def versions(project: Path, purpose: str = "train") -> dict[str, str]:
    """The pip section by name; a name that is there twice fails."""
    lines = [Requirement(line) for line in pip_of(project, purpose)]
    names = [canonicalize_name(line.name) for line in lines]
    assert len(names) == len(set(names)), names
    return dict(zip(names, (str(line.specifier) for line in lines), strict=True))


def write(folder: Path, text: str, name: str = "requirements.txt") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def wanted(read: found.Found) -> list[str]:
    return [str(one) for one in read.wanted]


def told(read: found.Found) -> str:
    return "\n".join(read.notes.lines())


# What is read


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Pandas == 2.2.2", "pandas==2.2.2"),
        ("scikit_learn<2,>=1.2", "scikit-learn>=1.2,<2"),
        (
            "requests[security,socks]>=2 ; python_version >= '3.8'  # why",
            'requests[security,socks]>=2; python_version >= "3.8"',
        ),
        ("numpy==1.26.4 --hash=sha256:0123 --hash=sha256:4567", "numpy==1.26.4"),
        ("torch==2.1.0+cu118", "torch==2.1.0"),
        ("sklearn==0.0.post1", "scikit-learn"),
        ("tensorflow-macos==2.15.0", "tensorflow==2.15.0"),
        ("a @ https://example.com/a-1.0-py3-none-any.whl", "a @ https://example.com/a-1.0-py3-none-any.whl"),
        ("https://example.com/a_b-1.0-py3-none-any.whl", "a-b @ https://example.com/a_b-1.0-py3-none-any.whl"),
        (
            "git+https://example.com/x/y.git@v1#egg=y&subdirectory=z",
            "y @ git+https://example.com/x/y.git@v1#subdirectory=z",
        ),
        ("certifi @ file:///croot/certifi_1690232220950/recipe/certifi", "certifi"),
        ("six @ file:///opt/conda/feedstock_root/build_artifacts/six-1.16.0-py3-none-any.whl", "six==1.16.0"),
    ],
)
def test_a_line_is_carried_over(tmp_path: Path, line: str, expected: str) -> None:
    assert wanted(requirements_file.read(write(tmp_path, line))) == [expected]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-e .", "on this computer only"),
        ("-e git+https://example.com/x.git#egg=x", "on this computer only"),
        ("--editable=./x", "on this computer only"),
        ("./dist/x-1.0-py3-none-any.whl", "on this computer only"),
        ("x-1.0-py3-none-any.whl", "on this computer only"),
        ("C:\\wheels\\x.whl", "on this computer only"),
        ("file:///srv/me/x", "on this computer only"),
        ("x @ file:///srv/me/x", "on this computer only"),
        ("git+ssh://git@example.com/x/y.git#egg=y", "without a key"),
        ("y @ git+ssh://git@example.com/x/y.git", "without a key"),
        ("git@example.com:x/y.git", "without a key"),
        ("x @ http://example.com/x-1.0.tar.gz", "without https"),
        ("https://example.com/archive", "does not say which package"),
        ("--index-url https://example.com/simple", "private index"),
        ("-i https://example.com/simple", "private index"),
        ("--extra-index-url=https://example.com/simple", "private index"),
        ("--trusted-host example.com", "private index"),
        ("--find-links ./wheels", "public index alone"),
        ("--pre", "options of pip"),
        ("--no-binary :all:", "options of pip"),
        ("${PRIVATE_PACKAGE}", "variable"),
        ("x @ https://${TOKEN}@example.com/x.whl", "variable"),
        ("pip==24.0", "comes with the environment"),
    ],
)
def test_what_cannot_be_carried_over_is_listed(tmp_path: Path, line: str, why: str) -> None:
    read = requirements_file.read(write(tmp_path, f"{line}\n"))
    assert wanted(read) == []
    assert why in told(read)
    assert "requirements.txt:1" in told(read)


@pytest.mark.parametrize(
    "line",
    [
        "x @ https://me:Pa55word@example.com/x-1.0-py3-none-any.whl",
        "https://me:Pa55word@example.com/x-1.0-py3-none-any.whl",
        "git+https://Pa55word@example.com/x.git#egg=x",
        "x @ https://example.com/x-1.0-py3-none-any.whl?sv=1&sig=Pa55word",
        "--extra-index-url https://me:Pa55word@example.com/simple",
        "-i https://Pa55word@example.com/simple",
        "-e git+https://Pa55word@example.com/x.git#egg=x",
        "!!! https://me:Pa55word@example.com",
        "-r https://me:Pa55word@example.com/list.txt",
        "--password=Pa55word",
    ],
)
@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml", "pyproject.toml"])
def test_no_secret_is_written_or_shown(project: Path, line: str, name: str) -> None:
    text = {
        "requirements.txt": f"{line}\nsix==1.16.0\n",
        "environment.yml": f"dependencies:\n  - pip:\n    - {json.dumps(line)}\n    - six==1.16.0\n",
        "pyproject.toml": f"[project]\ndependencies = [{json.dumps(line)}, 'six==1.16.0']\n",
    }
    code, out, err = call(project, write(project, text[name], name), "--debug")
    assert "Pa55word" not in out + err
    assert "Pa55word" not in "".join(pip_of(project))
    assert code == 0 or err.splitlines()[-1].startswith("ERROR: ")


def test_lists_that_name_lists_and_constraints(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in", "-r deeper.txt\nb\\\n>=1\n")
    write(tmp_path / "in", "c==3", "deeper.txt")
    write(tmp_path, "a<2\nz<9\n", "limits.txt")
    read = requirements_file.read(write(tmp_path, "a>=1\n-r in/requirements.txt\n-c limits.txt\n", "all.txt"))
    assert wanted(read) == ["a>=1", "c==3", "b>=1"]
    assert [str(one) for one in read.constraints] == ["a<2", "z<9"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("six\n-r missing.txt\n", "requirements.txt:2: missing.txt: not there"),
        ("-r requirements.txt\n", "requirements.txt:1: requirements.txt leads back to itself"),
        ("six\n\nnot a requirement\n", "requirements.txt:3: no requirement: not a requirement"),
        ("numpy=1.0\n", "pip writes numpy==1.0"),
        ("--magic yes\n", "no option of a requirements file: --magic"),
        ("six==banana\n", "no requirement: six==banana"),
        ("six\0\n", "not a text file"),
    ],
)
def test_a_list_that_is_wrong_gets_one_line(project: Path, text: str, said: str) -> None:
    before = files_of(project / "models")
    code, out, err = call(project, write(project, text))
    assert (code, out) == (1, "")
    assert err.startswith("ERROR: ")
    assert err.count("\n") == 1
    assert said in err
    assert files_of(project / "models") == before


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_lists_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes("six==1.16.0\r\nattrs\r\n".encode(encoding))
    assert wanted(requirements_file.read(file)) == ["six==1.16.0", "attrs"]


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
    assert item.split("=", maxsplit=1)[0] in told(read)


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
    assert "channel" in told(read) and "TOKEN" in told(read)
    assert "Pa55word" not in told(read)


@pytest.mark.parametrize(
    "text",
    ["", "- a", "dependencies: x", "dependencies:\n - a: [b]", "dependencies:\n - '??'", "dependencies:\n - pip: x",
     "dependencies:\n - a=1=2=3=4", "a: [", "dependencies:\n - [a]", "[" * 3000, "dependencies:\n - pip: [[a]]"],
)  # fmt: skip
def test_a_conda_environment_that_is_wrong_gets_one_line(project: Path, text: str) -> None:
    code, _, err = call(project, write(project, text, "environment.yml"))
    assert code == 1
    assert err.startswith("ERROR: environment.yml") and err.count("\n") == 1


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
    assert "optional-dependencies.viz (2), dependency-groups.dev (1)" in told(read)
    assert "private index" in told(read)


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
    code, _, err = call(project, write(project / "in", text, "pyproject.toml"))
    assert code == 1
    assert err.startswith("ERROR: in/pyproject.toml") and err.count("\n") == 1
    assert said in err


# Which Python


def test_the_pythons_are_those_that_the_template_offers() -> None:
    assert sorted(python_choice.SUPPORTED) == sorted(PYTHONS)


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
    code, out, _ = call(project, write(project, text, "environment.yml"))
    assert code == 0 and out.count("+  - python=3.10") == 2
    assert "\n  - python=3.10\n" in conda_file(project, purpose).read_text()
    assert 'requires-python = ">=3.10"' in (project / "pyproject.toml").read_text()


def test_a_python_that_is_not_offered_is_refused(project: Path) -> None:
    file = write(project, "dependencies:\n  - python=3.7\n  - six=1.16.0\n", "environment.yml")
    before = files_of(project)
    code, out, err = call(project, file)
    assert (code, out) == (1, "")
    assert err.startswith("ERROR: environment.yml:2: Python 3.7 is not offered") and err.count("\n") == 1
    assert files_of(project) == before
    code, _, err = call(project, file, "--keep-python")
    assert code == 0 and "environment.yml:2 asks for Python 3.7: 3.11 stays" in err
    assert "six==1.16.0" in pip_of(project)


# What is merged


def test_the_users_pins_win_and_those_of_azure_ml_stay(project: Path) -> None:
    before = versions(project)
    lines = "Pandas==2.2.2\nscikit_learn==1.6.1\nazureml-core==1.40\nmlflow_skinny==3.1\nmlflow==3.1\nlightgbm\nnumpy\n"
    code, _, err = call(project, write(project, lines))
    assert code == 0
    after = versions(project)
    assert after == before | {"pandas": "==2.2.2", "scikit-learn": "==1.6.1", "lightgbm": ""}
    assert versions(project, "inference")["lightgbm"] == ""
    assert versions(project, "inference")["pandas"] == "==2.2.2"
    for kept in ("azureml-core==1.40", "mlflow-skinny==3.1", "mlflow==3.1"):
        assert kept in err
    assert "# from requirements.txt\n      - lightgbm\n" in conda_file(project).read_text()


def test_the_delicate_packages_are_those_of_the_template() -> None:
    files = [TEMPLATE / "templates" / "environments" / f"{purpose}.txt" for purpose in PURPOSES]
    lines = [line for file in files for line in file.read_text().splitlines() if not line.startswith("#")]
    names = {canonicalize_name(Requirement(line).name) for line in lines}
    assert {name for name in names if not name.startswith("azureml-")} == azure_needs.DELICATE


def test_what_our_frameworks_need_is_about_the_releases_that_they_have(bake: Bake) -> None:
    lines = {
        line for framework in FRAMEWORKS for purpose in PURPOSES for line in pip_of(bake(framework=framework), purpose)
    }
    assert set(azure_needs.OF_OURS) <= lines


def test_a_pin_that_contradicts_azure_ml_is_left_out(project: Path) -> None:
    lines = "flask==2.0.1\ncryptography==41.0.7\nnumpy==2.4.0\nurllib3==2.2.1\ntyping_extensions==4.5.0\npytest==7.0\n"
    code, _, err = call(project, write(project, lines))
    assert code == 0
    after = versions(project)
    assert after["urllib3"] == "==2.2.1" and after["numpy"] == "==2.2.6"
    assert not {"flask", "cryptography", "typing-extensions", "pytest"} & set(after)
    for left in ("flask==2.0.1", "cryptography==41.0.7", "numpy==2.4.0", "typing-extensions==4.5.0", "pytest==7.0"):
        assert left in err


def test_our_pins_give_way_to_what_the_user_has(project: Path) -> None:
    code, _, err = call(project, write(project, "tensorflow==2.15.0\nprotobuf==4.24.4\n"))
    assert code == 0
    after = versions(project)
    assert (after["numpy"], after["onnx"]) == ("<2", "")
    assert versions(project, "inference")["numpy"] == "<2"
    assert "tensorflow==2.15.0 (requirements.txt:1) was built for that" in err


def test_tools_are_for_training_only(project: Path) -> None:
    code, _, err = call(project, write(project, "jupyterlab==4.2.0\nseaborn\nblack\nlightgbm\n"))
    assert code == 0
    assert {"jupyterlab", "seaborn", "black", "lightgbm"} <= set(versions(project))
    assert {"jupyterlab", "seaborn", "black"}.isdisjoint(versions(project, "inference"))
    assert "for training only" in err and "seaborn" in err


def test_of_lines_for_several_systems_one_stays(project: Path) -> None:
    lines = (
        "xgboost==2.0.3; python_version < '3.11'\nxgboost==2.1.1; python_version >= '3.11'\n"
        "pywin32; sys_platform == 'win32'\nuvloop; sys_platform != 'win32'\ntorch; platform_machine == 'arm64'\n"
    )
    code, _, err = call(project, write(project, lines))
    assert code == 0
    assert 'xgboost==2.1.1; python_version >= "3.11"' in pip_of(project)
    assert "torch" not in versions(project) and "uvloop" in versions(project)
    assert "xgboost==2.0.3" in err and "pywin32" in err and "torch" in err


def test_two_lines_of_one_package_are_one(tmp_path: Path) -> None:
    text = "a>=1\nA<3\nb==1\nb==2\nc[x]\nc[y]==1\n"
    read = requirements_file.read(write(tmp_path, text))
    merged = merging.combined(read.wanted, read.notes)
    assert [str(one) for one in merged.values()] == ["a>=1,<3", "b==2", "c[x,y]==1"]
    assert "b==1 (requirements.txt:3): b==2 (requirements.txt:4) counts instead" in told(read)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("==1.0", "<2", True), ("==2.0", "<2", False), (">=2.4", "<2.3.3", False), (">2,<3", ">=2.5", True),
     ("<2", "<3", True),
     (">1", "<2", True), ("~=2.0", "<2.5", True), ("", "<1", True), ("<=1.0", ">=1.1", False),
     ("==1.26.*", "<2", True)],
)  # fmt: skip
def test_whether_two_specifiers_agree(one: str, other: str, expected: bool) -> None:
    assert found.agree(one, other) == expected


def test_the_same_again_changes_nothing(project: Path) -> None:
    file = write(
        project, "pandas==2.2.2\nlightgbm==4.5.0\ntensorflow==2.15.0\nb @ https://example.com/b-1-py3-none-any.whl\n"
    )
    assert call(project, file)[0] == 0
    before = files_of(project)
    code, out, _ = call(project, file)
    assert code == 0 and out == "Nothing to change: the conda files of model1 have all of it.\n"
    assert call(project, file, "--check")[0] == 0
    assert files_of(project) == before
    write(project, "pandas==2.2.3\nlightgbm==4.5.0\nsix\n")
    call(project, file)
    text = conda_file(project).read_text()
    assert text.count("# from requirements.txt") == 1
    assert text.endswith("b-1-py3-none-any.whl\n      - six\n")


def test_check_and_dry_run_write_nothing(project: Path) -> None:
    file = write(project, "six==1.16.0\n")
    before = files_of(project)
    for option, expected in (("--check", 1), ("--dry-run", 0)):
        code, out, _ = call(project, file, option)
        assert code == expected
        assert "+      - six==1.16.0" in out and out.endswith("Nothing was written.\n")
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
    code, out, err = call(project, *args)
    assert (code, out) == (2, "")
    assert err.startswith("ERROR: ") and err.count("\n") == 1
    assert said in err


# What is edited


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_client_reads_the_result(bake: Bake, tmp_path: Path, framework: str) -> None:
    project = copy_of(bake(framework=framework), tmp_path)
    lines = "pandas==2.2.2\nlightgbm[dask]>=4,<5; python_version >= '3.8'\n"
    lines += "b @ https://example.com/b-1-py3-none-any.whl#sha256=0\n"
    assert call(project, write(project, lines))[0] == 0
    for purpose in PURPOSES:
        conda = CondaDependencies(str(conda_file(project, purpose)))
        assert list(conda.pip_packages) == pip_of(project, purpose)
        assert "pandas==2.2.2" in conda.pip_packages


def test_all_other_characters_stay(project: Path) -> None:
    file = conda_file(project)
    text = file.read_text().replace("- pandas==2.3.3", "- 'pandas==2.3.3'  # mine").replace("\n", "\r\n")
    file.write_bytes(("\ufeff" + text + "\r\n# the end").encode())
    assert call(project, write(project, "pandas==2.2.2\nsix\n"))[0] == 0
    expected = text.replace("'pandas==2.3.3'", "pandas==2.2.2").replace(
        "onnxruntime==1.23.2\r\n", "onnxruntime==1.23.2\r\n      # from requirements.txt\r\n      - six\r\n"
    )
    assert file.read_bytes() == ("\ufeff" + expected + "\r\n# the end").encode()


def test_what_is_there_twice_becomes_one(project: Path) -> None:
    file = conda_file(project)
    file.write_text(file.read_text() + "      - Pandas==2.0\n      - pandas<3  # again\n      # last\n")
    assert call(project, write(project, "pandas==2.2.2\n"))[0] == 0
    assert versions(project)["pandas"] == "==2.2.2"
    assert file.read_text().endswith("onnxruntime==1.23.2\n      # last\n")


@pytest.mark.parametrize(
    "text",
    [
        "dependencies: [python=3.11, pip, {pip: [six]}]\n",
        "dependencies:\n  - python=3.11\n  - pip:\n      [six]\n",
        "dependencies:\n  - python=3.11\n  - pip\n",
        "dependencies:\n  - python=3.11\n  - pip:\n",
        "dependencies:\n  - pip:\n    - six\n",
        "dependencies:\n  - python=3.11\n  - pip:\n    - >\n      six\n",
        "dependencies:\n  - python=3.11\n  - pip:\n    - &a six\n    - *a\n",
        "dependencies:\n  - python=3.11\n  - pip:\n    - six\n  - pip:\n    - attrs\n",
        "dependencies: x\n",
        "x: [\n",
        "",
    ],
)
def test_a_conda_file_that_cannot_be_edited_is_left_alone(project: Path, text: str) -> None:
    conda_file(project, "inference").write_text(text)
    file = write(project, "lightgbm==4.5.0\n")
    before = files_of(project)
    code, out, err = call(project, file)
    assert (code, out) == (1, "")
    assert err.startswith("ERROR: models/model1/aml_config/inference-conda.yml: ") and err.count("\n") == 1
    assert files_of(project) == before


def test_both_files_or_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aml_project.requirements import writing

    train, inference = (conda_file(project, purpose) for purpose in PURPOSES)
    before, original = files_of(project), Path.replace

    def failing(self: Path, target: Path) -> Path:
        if Path(target) == inference.resolve():
            raise OSError(28, "No space left on device", str(target))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(Failure, match="nothing was written"):
        writing.replace_all({train: b"x", inference: b"y"})
    assert files_of(project) == before


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,3}([-_.]{1,2}[A-Za-z0-9]{1,3})?", fullmatch=True) | st.sampled_from(
    [
        "Pandas",
        "scikit_learn",
        "numpy",
        "mlflow",
        "azureml_core",
        "jupyter",
        "ONNX",
        "setuptools",
        "flask",
        "pywin32",
        "pip",
    ]
)
LINES = st.builds(
    lambda name, extras, specifier, marker: f"{name}{extras}{specifier}{marker}",
    NAMES,
    st.sampled_from(["", "[a]", "[B_c,a]"]),
    st.sampled_from(["", "==1.0", "==2.0+cpu", ">=1,<2", "~=1.4", "!=1.5", "==1.*", "<0.5", "===1.x",
                     " @ https://example.com/a#b=c"]),
    st.sampled_from(["", " ; python_version >= '3.11'", " ; sys_platform == 'win32'"]),
)  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=12))
def test_any_list_gives_one_entry_a_package_and_none_the_second_time(
    bake: Bake, tmp_path: Path, lines: list[str]
) -> None:
    file = write(tmp_path, "\n".join(lines))
    files = {purpose: conda_editing.read(conda_file(bake(), purpose)) for purpose in PURPOSES}
    for turn in range(2):
        read = requirements_file.read(file)
        read.wanted = [replace(one, origin="from requirements.txt") for one in read.wanted]
        merged = merging.merge(read, files, "3.11", {})
        for purpose, conda in files.items():
            text = conda_editing.changed(conda, merged.changes[purpose])
            assert turn == 0 or text == conda.text
            new = write(tmp_path, text, f"{purpose}.yml")
            files[purpose] = conda_editing.read(new)
            names = [entry.wanted.name for entry in files[purpose].entries if entry.wanted]
            assert len(names) == len(set(names)) == len(files[purpose].entries)
            assert "azureml-core" in names


@settings(deadline=None, max_examples=200)
@given(text=st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for take in (requirements_file.take, conda_environment.take_item):
        with suppress(Failure):
            take(text.strip(), "x:1", found.Found("x"))


# What the code imports


def code(project: Path, text: str, name: str = "train.py") -> None:
    file = project / "models" / "model1" / name
    file.write_text((file.read_text() if file.exists() else "") + text, encoding="utf-8")


def python_with(folder: Path, said: dict[str, Any]) -> Path:
    """A Python that answers as one with these packages does."""
    file = folder / "python3"
    file.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(said))})\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_fresh_project_has_all_that_it_imports(bake: Bake, tmp_path: Path, framework: str) -> None:
    project = copy_of(bake(framework=framework), tmp_path)
    before = files_of(project)
    assert call(project) == (0, "Nothing to change: the conda files of model1 have all of it.\n", "")
    assert files_of(project) == before


def test_what_the_code_imports_is_added(project: Path) -> None:
    code(
        project,
        "\nimport cv2, PIL.Image\nfrom yaml import safe_load\nimport lightgbm.sklearn\n"
        "import json, evaluation\nfrom runtime.data import read_table\n"
        "def f():\n    if True:\n        import skimage\n"
        "try:\n    import cupy\nexcept ImportError:\n    cupy = None\n"
        "import utils\nimport google.nothing\nfrom google.cloud import storage\n",
    )
    status, _, err = call(project)
    assert status == 0
    added = {"opencv-python-headless", "pillow", "pyyaml", "lightgbm", "scikit-image", "google-cloud-storage"}
    assert added <= set(versions(project)) and added <= set(versions(project, "inference"))
    assert {"cupy", "utils", "json", "runtime", "evaluation", "google"}.isdisjoint(versions(project))
    assert "taken without a version" in err and "opencv-python-headless (import cv2)" in err
    assert "cupy" in err and "utils (train.py)" in err and "import google.nothing" in err
    assert "# from the imports of train.py" in conda_file(project).read_text()
    assert call(project)[1].startswith("Nothing to change")


def test_versions_come_from_the_users_environment(project: Path, tmp_path: Path) -> None:
    code(project, "\nimport cv2, torch, mine, strange_name, attr\n")
    own = python_with(tmp_path, {
        "python": [3, 12],
        "modules": {"cv2": ["opencv-python"], "strange_name": ["Its.Package"], "mine": ["mine"], "torch": ["torch"]},
        "versions": {"opencv-python": "4.10.0.84", "torch": "2.4.0+cu121", "Its.Package": "1.5", "mine": "0.1"},
        "local": ["mine"],
    })  # fmt: skip
    status, _, err = call(project, "--python", own)
    assert status == 0, err
    after = versions(project)
    assert after["opencv-python-headless"] == "==4.10.0.84"
    assert (after["torch"], after["its-package"], after["attrs"]) == ("==2.4.0", "==1.5", "")
    assert "mine" not in after and "mine (import mine, train.py)" in err
    assert "\n  - python=3.12\n" in conda_file(project).read_text()


def test_a_python_that_is_not_offered_lends_its_versions_only(project: Path, tmp_path: Path) -> None:
    code(project, "\nimport torch\n")
    said = {"python": [3, 8], "modules": {"torch": ["torch"]}, "versions": {"torch": "2.4.0"}, "local": []}
    status, _, err = call(project, "--python", python_with(tmp_path, said))
    assert status == 0 and "your Python is 3.8, which is not offered: 3.11 stays" in err
    assert versions(project)["torch"] == "==2.4.0"


@pytest.mark.parametrize("answer", ["", "print('{}')", "raise SystemExit(3)", "print('[1]')"])
def test_a_python_that_cannot_be_asked_is_no_obstacle(project: Path, tmp_path: Path, answer: str) -> None:
    code(project, "\nimport lightgbm\n")
    own = tmp_path / "python3"
    own.write_text(f"#!{sys.executable}\n{answer}\n")
    own.chmod(0o755)
    status, _, err = call(project, "--python", own)
    assert status == 0 and "can't be asked" in err
    assert versions(project)["lightgbm"] == ""


def test_a_real_python_is_asked() -> None:
    own = own_environment.ask(sys.executable)
    assert own.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert own.modules["yaml"] == ["pyyaml"] and own.versions["pytest"]
    assert "aml-template-rehearsal" in own.local


def test_the_users_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "venv" / "bin" / "python", tmp_path / "path" / "python3"
    for file in (first, second):
        file.parent.mkdir(parents=True)
        file.symlink_to(sys.executable)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.prefix, "bin")), str(second.parent)]))
    assert own_environment.find() == str(first)
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setattr(own_environment, "is_of_tools_only", lambda: True)
    assert own_environment.find() == str(second)


def test_what_a_notebook_installed_counts(project: Path) -> None:
    code(
        project,
        "\n# %pip install -q lightgbm 'catboost>=1.2' && echo done\n# !pip install six==1.16.0 -U\n"
        "# !{sys.executable} -m pip install tqdm\n# %conda install -y -c conda-forge pytables=3.9\n"
        "# !pip install -e . -i https://me:Pa55word@example.com/simple {name} $X !!\n"
        "x = '# %pip install nothing'\nimport lightgbm\n",
    )
    file = write(project, "six==1.17.0\n")
    status, out, err = call(project, file)
    assert status == 0
    after = versions(project)
    assert after["six"] == "==1.17.0" and after["catboost"] == ">=1.2" and after["tables"] == "==3.9.*"
    assert {"lightgbm", "tqdm"} <= set(after) and "nothing" not in after
    assert "Pa55word" not in out + err
    assert "-e ." in err and "{name}" in err and "!!" in err
    assert call(project, file)[1].startswith("Nothing to change")


def test_a_file_and_an_import_that_it_lacks(project: Path) -> None:
    code(project, "\nimport lightgbm, catboost\n")
    status, _, err = call(project, write(project, "catboost==1.2.8\n"))
    assert status == 0 and "taken without a version: lightgbm" in err
    assert (versions(project)["catboost"], versions(project)["lightgbm"]) == ("==1.2.8", "")


def test_code_that_is_no_python_gets_one_line(project: Path) -> None:
    code(project, "\nx = = 1\n")
    status, _, err = call(project)
    assert status == 1 and err.startswith("ERROR: models/model1/train.py: line ") and err.count("\n") == 1


def test_a_module_that_is_gone_is_named(project: Path) -> None:
    code(project, "\nimport imp\n")
    status, _, err = call(project, write(project, "dependencies:\n  - python=3.12\n  - tqdm\n", "environment.yml"))
    assert status == 0 and "import imp: Python 3.12 and newer do not have it" in err


def test_deep_code_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import lightgbm\nx = " + "+".join(["1"] * 900) + "\n")
    assert list(imports.read(tmp_path).required) == ["lightgbm"]


# Where it runs


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
    status, _, err = call(project, file, PYTHONPATH=str(project))
    assert status == 0, err
    assert versions(project)["pandas"] == "==2.2.2" and 'six>=1,<2; python_version > "3.8"' in pip_of(project)


def test_what_is_shown_is_one_line() -> None:
    assert texts.show("a\nb\x1b[31m\u202e") == "a b [31m"
    assert len(texts.show("x" * 500)) == 120
