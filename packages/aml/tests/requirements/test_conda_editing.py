"""Packages are changed line by line, and every other character of a conda file stays."""

from pathlib import Path

import pytest

from requirements.lists import conda_file, take, versions, write
from tests.aml import told
from tests.support import files_of


def test_all_other_characters_stay(project: Path) -> None:
    file = conda_file(project)
    text = file.read_text().replace("- pandas==2.3.3", "- 'pandas==2.3.3'  # mine").replace("\n", "\r\n")
    file.write_bytes(("\ufeff" + text + "\r\n# the end").encode())
    done = take(project, write(project, "pandas==2.2.2\nsix\n"))
    assert done.code == 0
    told(done)
    expected = text.replace("'pandas==2.3.3'", "pandas==2.2.2").replace(
        "onnxruntime==1.23.2\r\n", "onnxruntime==1.23.2\r\n      # from requirements.txt\r\n      - six\r\n"
    )
    assert file.read_bytes() == ("\ufeff" + expected + "\r\n# the end").encode()


def test_what_is_there_twice_becomes_one(project: Path) -> None:
    file = conda_file(project)
    file.write_text(file.read_text() + "      - Pandas==2.0\n      - pandas<3  # again\n      # last\n")
    assert take(project, write(project, "pandas==2.2.2\n"))[0] == 0
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
    done = take(project, file)
    assert (done.code, done.out) == (1, "")
    told(done, "ERROR: models/model1/aml_config/inference-conda.yml: ")
    assert files_of(project) == before
