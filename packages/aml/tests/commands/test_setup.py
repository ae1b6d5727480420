"""What `aml setup` reads of the two conda files, before anything is installed."""

from pathlib import Path

import pytest

from aml_project.model_environment import read_conda_file
from tests.aml import aml

AS_RENDERED = """\
name: model1
channels:
  - conda-forge
dependencies:
  - python=3.11
  - libgomp
  - pip
  - pip:
      - pandas==2.2.2
      - scikit-learn==1.7.2
"""
OTHERWISE = "dependencies: [python==3.11.*, libgomp, pip, {pip: [pandas==2.2.2, scikit-learn==1.7.2]}]  # in one line\n"


@pytest.mark.parametrize("text", [AS_RENDERED, OTHERWISE])
def test_packages_are_read_however_they_are_written(tmp_path: Path, text: str) -> None:
    file = tmp_path / "train-conda.yml"
    file.write_text(text)
    assert read_conda_file(file) == ("3.11", ["pandas==2.2.2", "scikit-learn==1.7.2"], ["libgomp"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dependencies: [", "train-conda.yml: line 1: "),
        ("- python=3.11\n", "train-conda.yml: not a mapping"),
        ("name: model1\n", "train-conda.yml and inference-conda.yml must name the same python="),
        (None, "train-conda.yml: missing"),
    ],
)
def test_what_is_no_conda_file_is_one_line(small: Path, text: str | None, said: str) -> None:
    config = small / "models" / "model1" / "aml_config"
    (config / "inference-conda.yml").write_text(AS_RENDERED)
    file = config / "train-conda.yml"
    file.unlink(missing_ok=True)
    if text is not None:
        file.write_text(text)
    code, _, err = aml(small, "setup", "--dry-run")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"ERROR: {said}")
