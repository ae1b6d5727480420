"""A job's own command, run here: what is put in for its inputs and outputs, and that a value stays a value."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aml_project.command_line import Failure
from aml_project.v2 import job
from tests.aml import aml, call
from tests.owner import set_up
from tests.support import files_of

TRAIN = """
import json, os, pathlib, sys

pathlib.Path("outputs").mkdir(exist_ok=True)
said = {"arguments": sys.argv[1:], "threads": os.environ.get("OMP_NUM_THREADS")}
pathlib.Path("outputs", "said.json").write_text(json.dumps(said))
sys.exit(3 if "--fail" in sys.argv else 0)
"""
JOB = """\
$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json
type: command
code: ..
command: >-
  python train.py --data-path ${{inputs.rows}} --name ${{inputs.name}} --out ${{outputs.model}}
inputs:
  rows:
    type: uri_folder
    path: azureml:quick-rows:1
  name: plain
outputs:
  model:
    type: uri_folder
environment: azureml:train@latest
environment_variables:
  OMP_NUM_THREADS: "1"
"""
DATA = """$schema: https://azuremlschemas.azureedge.net/latest/data.schema.json
name: quick-rows
path: ../../../data/quick
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose model notes what it was told, and has the Python of the tests."""
    folder = tmp_path / "project"
    model = folder / "models" / "quick"
    for part in (model / "aml_config", model / "azure_ml", folder / "data" / "quick"):
        part.mkdir(parents=True)
    (model / "train.py").write_text(TRAIN)
    (model / "azure_ml" / "job.yml").write_text(JOB)
    (model / "azure_ml" / "data.yml").write_text(DATA)
    set_up(folder, "quick")
    return folder


def told(project: Path) -> dict[str, object]:
    return dict(json.loads((project / "models" / "quick" / "outputs" / "said.json").read_text()))


@pytest.mark.parametrize("words", [("job", "run", "models/quick/azure_ml/job.yml"), ("train", "--job")])
def test_its_command_runs_with_folders_of_here(project: Path, words: tuple[str, ...]) -> None:
    done = aml(project, *words)
    assert (done.code, done.err) == (0, "")
    model = project / "models" / "quick"
    rows, made = project / "data" / "quick", model / "outputs" / "model"
    assert told(project) == {
        "arguments": ["--data-path", str(rows), "--name", "plain", "--out", str(made)], "threads": "1",
    }  # fmt: skip
    assert made.is_dir()


def test_the_code_of_the_command_is_the_code_of_the_verb(project: Path) -> None:
    file = project / "models" / "quick" / "azure_ml" / "job.yml"
    file.write_text(JOB.replace("--name", "--fail --name"))
    assert call(project, "job", "run", str(file)).code == 3


@pytest.mark.parametrize("quotes", ["", '"', "'"])
@settings(max_examples=40, deadline=None)
@given(value=st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"])))
def test_a_value_is_one_word_whatever_it_holds(quotes: str, value: str) -> None:
    made: dict[str, str] = {}
    text = f"printf %s {quotes}${{{{inputs.name}}}}{quotes}"
    command = job.substituted(text, {"inputs.name": value}, made)
    said = subprocess.run(["sh", "-c", command], env=made, capture_output=True, check=True).stdout
    assert said.decode() == value


def test_no_value_is_a_command(project: Path) -> None:
    before = set(files_of(project))
    done = aml(
        project, "job", "run", "models/quick/azure_ml/job.yml", "--input", "name=a; touch ../pwned `id` $(id) '\""
    )
    assert done.code == 0
    assert told(project)["arguments"][3] == "a; touch ../pwned `id` $(id) '\""  # type: ignore[index]
    assert set(files_of(project)) - before == {"models/quick/outputs/said.json"}


@pytest.mark.parametrize(
    ("edit", "options", "code", "error"),
    [
        (
            ("quick-rows:1", "others:1"),
            [],
            1,
            "inputs.rows: azureml:others:1 is not on this computer: --input rows=FOLDER",
        ),
        (("type: command", "type: sweep"), [], 1, "models/quick/azure_ml/job.yml:2: type: is 'sweep': write command"),
        (("commandJob", "pipelineJob"), [], 1, "is no command job: aml pipeline runs such here"),
        (("inputs.name", "inputs.nam"), [], 1, "command: ${{inputs.nam}}: no such input: write ${{inputs.name"),
        (("", ""), ["--input", "x=1"], 2, "models/quick/azure_ml/job.yml has no input x; there are: rows, name"),
        (("", ""), ["--input", "x"], 2, "--input: NAME=VALUE, not 'x'"),
        (("", ""), ["--input", "rows=nowhere"], 2, "--input: nowhere: no such file or folder"),
        (("code: ..", "code: ../../../data"), [], 1, "code: is no model's folder"),
    ],
)  # fmt: skip
def test_what_cannot_run_here_is_told(
    project: Path, edit: tuple[str, str], options: list[str], code: int, error: str
) -> None:
    file = project / "models" / "quick" / "azure_ml" / "job.yml"
    file.write_text(JOB.replace(*edit))
    done = aml(project, "job", "run", "models/quick/azure_ml/job.yml", *options)
    assert done.code == code and error in done.err, done.err
    assert not (project / "models" / "quick" / "outputs" / "said.json").exists()


def test_a_training_by_the_job_takes_no_more_arguments(project: Path) -> None:
    done = aml(project, "train", "--job", "--seed", "1")
    assert (done.code, done.err) == (2, "ERROR: --seed: the command of job.yml takes nothing more: write it there\n")
    (project / "models" / "quick" / "azure_ml" / "job.yml").unlink()
    done = aml(project, "train", "--job")
    assert (done.code, done.err.count("make add ARGS=v2 writes it")) == (1, 1)


def test_a_file_that_is_not_there(project: Path) -> None:
    assert aml(project, "job", "run", "none.yml") == (2, "", "ERROR: none.yml: no such file\n")
    with pytest.raises(Failure, match="no such file"):
        job.value_path("nowhere")
