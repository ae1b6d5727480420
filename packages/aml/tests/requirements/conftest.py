"""A project as far as the verb looks at it."""

from pathlib import Path

import pytest

TRAIN = """\
# The packages of a training run.
name: model1-train
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
      # Azure ML: these versions work together.
      - azureml-defaults==1.62.0
      - azureml-core==1.61.0.post4
      - azureml-mlflow==1.62.0.post6
      - mlflow-skinny==2.22.5
      - standard-imghdr==3.13.0; python_version >= "3.13"
      - setuptools==80.9.0; python_version >= "3.12"
      - scikit-learn==1.7.2
      - pandas==2.3.3
      - numpy==2.2.6
      - matplotlib==3.10.9
      - skl2onnx==1.20.0
      - onnx==1.20.1
      - onnxruntime==1.23.2
"""
INFERENCE = """\
# The packages of score.py where it serves.
name: model1-inference
channels:
  - conda-forge
dependencies:
  - python=3.11
  - pip
  - pip:
      - azureml-defaults==1.62.0
      - azureml-core==1.61.0.post4
      - azureml-inference-server-http==1.5.1
      - onnxruntime==1.23.2
      - numpy==2.2.6
      - scikit-learn==1.7.2
      - pandas==2.3.3
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "my-aml-project"
    model = folder / "models" / "model1"
    (model / "aml_config").mkdir(parents=True)
    (model / "aml_config" / "train-conda.yml").write_text(TRAIN)
    (model / "aml_config" / "inference-conda.yml").write_text(INFERENCE)
    (model / "train.py").write_text("import evaluation\nimport pandas\nimport sklearn\n")
    (model / "evaluation.py").touch()
    (model / "runtime").mkdir()
    (model / "runtime" / "data.py").touch()
    (folder / "Makefile").touch()
    (folder / "requirements-dev.txt").write_text("pytest==9.2.0\nruff==0.17.5\n")
    (folder / "pyproject.toml").write_text('[project]\nname = "my-aml-project"\nrequires-python = ">=3.11"\n')
    return folder
