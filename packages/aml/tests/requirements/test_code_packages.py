"""What a model's code imports, and what its notebook installed, with the versions of the user's own Python."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aml_project.requirements import imports
from requirements.lists import code, conda_file, take, versions, write
from tests.aml import told


def python_with(folder: Path, said: dict[str, Any]) -> Path:
    """A Python that answers as one with these packages does."""
    file = folder / "python3"
    file.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(said))})\n")
    file.chmod(0o755)
    return file


def test_what_the_code_imports_is_added(project: Path) -> None:
    code(
        project,
        "\nimport cv2, PIL.Image\nfrom yaml import safe_load\nimport lightgbm.sklearn\n"
        "import json, evaluation\nfrom runtime.data import read_table\n"
        "def f():\n    if True:\n        import skimage\n"
        "try:\n    import cupy\nexcept ImportError:\n    cupy = None\n"
        "import utils\nimport google.nothing\nfrom google.cloud import storage\n",
    )
    done = take(project)
    assert done.code == 0
    added = {"opencv-python-headless", "pillow", "pyyaml", "lightgbm", "scikit-image", "google-cloud-storage"}
    assert added <= set(versions(project)) and added <= set(versions(project, "inference"))
    assert {"cupy", "utils", "json", "runtime", "evaluation", "google"}.isdisjoint(versions(project))
    left = (
        "NOTE: left out, the name alone does not tell the package: …: import google.nothing (train.py)",
        "NOTE: left out, it looks like a module of your own: copy it beside train.py: import utils (train.py)",
    )
    optional = "NOTE: imported where it may be missing, so not required: cupy"
    without = (
        "pillow (import PIL), opencv-python-headless (import cv2), google-cloud-storage, lightgbm, "
        "scikit-image (import skimage), pyyaml (import yaml)"
    )
    asked = "there is no Python of yours to ask; --python names one"
    told(done, *left, f"NOTE: taken without a version ({asked}): {without}", optional)
    assert "# from the imports of train.py" in conda_file(project).read_text()
    again = take(project)
    assert again.out.startswith("Nothing to change")
    told(again, *left, optional)


def test_versions_come_from_the_users_environment(project: Path, tmp_path: Path) -> None:
    code(project, "\nimport cv2, torch, mine, strange_name, attr\n")
    own = python_with(tmp_path, {
        "python": [3, 12],
        "modules": {"cv2": ["opencv-python"], "strange_name": ["Its.Package"], "mine": ["mine"], "torch": ["torch"]},
        "versions": {"opencv-python": "4.10.0.84", "torch": "2.4.0+cu121", "Its.Package": "1.5", "mine": "0.1"},
        "local": ["mine"],
    })  # fmt: skip
    done = take(project, "--python", own)
    assert done.code == 0
    after = versions(project)
    assert after["opencv-python-headless"] == "==4.10.0.84"
    assert (after["torch"], after["its-package"], after["attrs"]) == ("==2.4.0", "==1.5", "")
    assert "mine" not in after
    told(
        done,
        "NOTE: left out, it is on this computer only: …: mine (import mine, train.py)",
        "NOTE: taken without a version: attrs (import attr)",
    )
    assert "\n  - python=3.12\n" in conda_file(project).read_text()


def test_a_python_that_is_not_offered_lends_its_versions_only(project: Path, tmp_path: Path) -> None:
    code(project, "\nimport torch\n")
    said = {"python": [3, 8], "modules": {"torch": ["torch"]}, "versions": {"torch": "2.4.0"}, "local": []}
    done = take(project, "--python", python_with(tmp_path, said))
    assert done.code == 0
    told(done, "NOTE: your Python is 3.8, which is not offered: 3.11 stays, and may lack a version from there")
    assert versions(project)["torch"] == "==2.4.0"


@pytest.mark.parametrize("answer", ["", "print('{}')", "raise SystemExit(3)", "print('[1]')"])
def test_a_python_that_cannot_be_asked_is_no_obstacle(project: Path, tmp_path: Path, answer: str) -> None:
    code(project, "\nimport lightgbm\n")
    own = tmp_path / "python3"
    own.write_text(f"#!{sys.executable}\n{answer}\n")
    own.chmod(0o755)
    done = take(project, "--python", own)
    assert done.code == 0
    told(done, f"NOTE: taken without a version ({own} can't be asked; --python names another one): lightgbm")
    assert versions(project)["lightgbm"] == ""


def test_what_a_notebook_installed_counts(project: Path) -> None:
    code(
        project,
        "\n# %pip install -q lightgbm 'catboost>=1.2' && echo done\n# !pip install six==1.16.0 -U\n"
        "# !{sys.executable} -m pip install tqdm\n# %conda install -y -c conda-forge pytables=3.9\n"
        "# !pip install -e . -i https://me:Pa55word@example.com/simple {name} $X !!\n"
        "x = '# %pip install nothing'\nimport lightgbm\n",
    )
    file = write(project, "six==1.17.0\n")
    done = take(project, file)
    assert done.code == 0
    after = versions(project)
    assert after["six"] == "==1.17.0" and after["catboost"] == ">=1.2" and after["tables"] == "==3.9.*"
    assert {"lightgbm", "tqdm"} <= set(after) and "nothing" not in after
    assert "Pa55word" not in done.out + done.err
    left = (
        "NOTE: left out, it is on this computer only: …: -e . (train.py:9)",
        "NOTE: left out, a private index is not carried over, …: -i https://***@example.com/simple (train.py:9)",
        "NOTE: left out, its value is a variable of the notebook: {name} (train.py:9), $X (train.py:9)",
        "NOTE: left out, no requirement: !! (train.py:9)",
    )
    told(done, *left, "NOTE: taken without a version: lightgbm, tqdm")
    again = take(project, file)
    assert again.out.startswith("Nothing to change")
    told(again, *left)


def test_a_file_and_an_import_that_it_lacks(project: Path) -> None:
    code(project, "\nimport lightgbm, catboost\n")
    done = take(project, write(project, "catboost==1.2.8\n"))
    assert done.code == 0
    told(done, "NOTE: taken without a version: lightgbm")
    assert (versions(project)["catboost"], versions(project)["lightgbm"]) == ("==1.2.8", "")


def test_code_that_is_no_python_gets_one_line(project: Path) -> None:
    code(project, "\nx = = 1\n")
    done = take(project)
    assert done.code == 1
    told(done, "ERROR: models/model1/train.py: line 5: no Python: invalid syntax")


def test_a_module_that_is_gone_is_named(project: Path) -> None:
    code(project, "\nimport imp\n")
    done = take(project, write(project, "dependencies:\n  - python=3.12\n  - tqdm\n", "environment.yml"))
    assert done.code == 0
    told(done, "NOTE: import imp: Python 3.12 and newer do not have it; the environment has 3.12")


def test_deep_code_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import lightgbm\nx = " + "+".join(["1"] * 900) + "\n")
    assert list(imports.read(tmp_path).required) == ["lightgbm"]
