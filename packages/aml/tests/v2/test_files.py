"""The files of azure_ml/: written from the runconfigs, taken by the client's loaders, held against their twins."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from aml_project.v2 import files, keys
from tests.aml import aml
from tests.conftest import Bake
from tests.owner import PythonWith
from tests.runconfigs import change, edited, put, runconfig, said
from tests.support import FRAMEWORKS, TEMPLATE, copy_of, files_of

CLIENT = "azure-ai-ml==1.35.2"  # as tools/v2_keys.py has walked it
HERE = Path(__file__).parent
KINDS = {
    "job": "commandJob", "data": "data", "model": "model", "compute": "amlCompute", "environment-train": "environment",
    "environment-inference": "environment",
    "endpoint": "managedOnlineEndpoint", "deployment": "managedOnlineDeployment",
    "batch-endpoint": "batchEndpoint", "batch-deployment": "modelBatchDeployment",
}  # fmt: skip
HOSTILE = {"compute_name": "no", "dataset_name": "2024.10", "model_name": "on_line", "project_slug": "x"}


@pytest.fixture
def project(small: Path) -> Path:
    """A project with next to no code, whose model has azure_ml/."""
    (small / "data" / "model1").mkdir(parents=True)
    for name in ("score.py", "score_batch.py"):
        (small / "models" / "model1" / name).touch()
    (small / "models" / "model1" / "aml_config" / "inference-conda.yml").write_text("dependencies: [python=3.11]\n")
    done = aml(small, "add", "v2")
    assert done.code == 0, done.err
    return small


def loaded(project: Path, name: str) -> dict[str, object]:
    return dict(yaml.safe_load((project / "models" / "model1" / "azure_ml" / name).read_text()))


def test_the_clients_loaders_take_all_of_them(bake: Bake, tmp_path: Path, python_with: PythonWith) -> None:
    """Those of every framework, of names that YAML would take for something else, and what the checks leave alone."""
    renders = [bake(framework=framework, generation="both") for framework in FRAMEWORKS]
    renders.append(bake(**HOSTILE, generation="v2"))
    several = {"framework": "pytorch", "node_count": "2", "processes_per_node": "4", "launcher": "pytorch"}
    renders += [bake(**several, generation="v2"), bake(framework="tensorflow", node_count="3", generation="v2")]
    folders = [*(folder for render in renders for folder in (render / "models").iterdir()), HERE / "valid"]
    read = [file for folder in folders for file in map(files.read, files.there(folder)) if file.kind]
    assert len(read) == 8 * len(KINDS) + 35
    python = python_with(CLIENT)
    given = json.dumps([(str(file.path), file.kind) for file in read])
    done = subprocess.run([python, HERE / "load.py"], input=given, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["refused"] == {}
    launchers = [launcher for path, launcher in told["sent"].items() if path.endswith("/azure_ml/job.yml")]
    assert launchers == [None, None, None, None, None, None, "PyTorch", "TensorFlow"]
    kept = subprocess.run([python, TEMPLATE / "tools" / "v2_keys.py", "--check"], capture_output=True, check=False)
    assert kept.returncode == 0, f"keys.json is not what {CLIENT} has: python tools/v2_keys.py"


def test_a_render_has_what_is_added_later(bake: Bake, tmp_path: Path) -> None:
    """And a render of the first generation has nothing of it."""
    both, first = bake(generation="both"), copy_of(bake(), tmp_path)
    done = aml(first, "add", "v2")
    assert (done.code, done.err) == (0, "")
    assert "az ml job create -f models/model1/azure_ml/job.yml" in done.out
    later, rendered = files_of(first), files_of(both)
    new = set(rendered) - set(files_of(bake()))
    assert new == {f"models/model1/azure_ml/{name}.yml" for name in KINDS}
    assert {name: later[name] for name in new} == {name: rendered[name] for name in new}
    assert {name for name in later if later[name] != rendered[name]} == {".cookiecutter.json", "README.md"}
    assert aml(first, "add", "v2").out == "models/model1/azure_ml/job.yml: is there already\n"


@pytest.mark.parametrize("generation", ["v1", "v2", "both"])
def test_the_readme_has_the_commands_of_its_generation(bake: Bake, generation: str) -> None:
    text = (bake(generation=generation) / "README.md").read_text()
    assert ("az ml job create -f models/model1/azure_ml/job.yml" in text) == (generation != "v1")
    assert ("az ml run submit-script" in text) == ("az ml model deploy -n" in text) == (generation != "v2")
    assert "\n\n\n" not in text


def test_what_is_written_is_right(project: Path) -> None:
    assert said(project) == []
    assert {file.path.stem: file.kind for file in map(files.read, files.there(project / "models" / "model1"))} == KINDS


def test_names_come_from_the_runconfig(small: Path) -> None:
    edited(small, put("big-cluster", "target"))
    edited(small, put(6, "nodeCount"))
    edited(small, put("rows", "data", "training", "dataLocation", "dataset", "name"))
    edited(small, put("download", "data", "training", "mechanism"))
    edited(small, put(["--data-path", "/data", "--seed", "7", "--name", "a b"], "arguments"))
    assert aml(small, "add", "v2").code == 0
    job, compute = loaded(small, "job.yml"), loaded(small, "compute.yml")
    assert (job["compute"], compute["name"], compute["max_instances"]) == ("azureml:big-cluster", "big-cluster", 6)
    assert job["resources"] == {"instance_count": 6, "shm_size": "2g"}
    assert job["inputs"] == {"training": {"type": "uri_folder", "path": "azureml:rows:1", "mode": "download"}}
    assert job["command"] == "python train.py --data-path ${{inputs.training}} --seed 7 --name 'a b'"
    assert loaded(small, "data.yml")["name"] == "rows"


def test_direct_data_is_downloaded_by_the_service(small: Path) -> None:
    edited(small, put("direct", "data", "training", "mechanism"))
    edited(small, put(["--data-path", "/tmp/rows", "--dataset", "training", "--seed", "1"], "arguments"))
    assert aml(small, "add", "v2").code == 0
    job = loaded(small, "job.yml")
    assert job["command"] == "python train.py --data-path ${{inputs.training}} --seed 1"
    assert job["inputs"] == {"training": {"type": "uri_folder", "path": "azureml:model1-data:1", "mode": "download"}}


# What is changed in a file, and what is said of it.
RUNCONFIG = "train-amlcompute.runconfig has"
DATA_TOO = (
    f"job.yml:16: inputs.training.path: is azureml:model1-data:2, and {RUNCONFIG} data.training: azureml:model1-data:1"
)
TWO_EACH = "distribution:\n  type: mpi\n  process_count_per_instance: 2\nlimits:"
TWINS = [
    ("job.yml", "azureml:cpu-cluster", "azureml:gpu",
     f"job.yml:20: compute: is azureml:gpu, and {RUNCONFIG} target: azureml:cpu-cluster"),
    ("job.yml", "model1-data:1", "model1-data:2", DATA_TOO),
    ("job.yml", "ro_mount", "download", "job.yml:17: inputs.training.mode: is download, and "),
    ("job.yml", "shm_size", "instance_count: 3\n  shm_size",
     f"job.yml:22: resources.instance_count: is 3, and {RUNCONFIG} nodeCount: 1"),
    ("job.yml", "limits:", TWO_EACH, "distribution: is type mpi, process_count_per_instance 2, and "),
    ("job.yml", "python train.py", "python other.py", "command: is python other.py --data-path"),
    ("compute.yml", "name: cpu-cluster", "name: other",
     f"compute.yml:5: name: is other, and {RUNCONFIG} target: cpu-cluster"),
    ("environment-train.yml", "name: model1-train", "name: train",
     f"name: is train, and {RUNCONFIG} environment.name: model1-train"),
    ("environment-train.yml", "ubuntu22.04:", "ubuntu20.04:",
     "image: is mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04:"),
    ("environment-train.yml", "train-conda.yml", "inference-conda.yml",
     f"is aml_config/inference-conda.yml, and {RUNCONFIG} condaDependenciesFile: aml_config/train-conda.yml"),
    ("data.yml", 'version: "1"', 'version: "4"', "version: is 4, and job.yml reads training by azureml:model1-data:1"),
    ("deployment.yml", "endpoint_name: model1", "endpoint_name: other", "endpoint_name: is other"),
    ("batch-deployment.yml", "endpoint_name: model1", "endpoint_name: other", "endpoint_name: is other"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "told"), TWINS, ids=[f"{row[0]}-{row[2][:20]}" for row in TWINS])
def test_twins_that_differ_are_told(project: Path, name: str, old: str, new: str, told: str) -> None:
    change(project / "models" / "model1" / "azure_ml" / name, old, new)
    line, *more = said(project)
    assert line.startswith(f"models/model1/azure_ml/{name}:") and told in line
    assert len(more) == (told == DATA_TOO)  # data.yml is another twin of what a job reads
    assert line.endswith("write the same in both")


def test_a_runconfig_that_changes_is_told_where_its_twin_is(project: Path) -> None:
    edited(project, put(6, "nodeCount"))
    found = [line.partition(": ")[2] for line in said(project) if "azure_ml" in line]
    assert [line.partition(":")[0] for line in found] == ["resources.instance_count", "max_instances"]


def test_a_model_without_runconfigs_of_its_own_is_not_compared(project: Path) -> None:
    runconfig(project).unlink()
    assert not [line for line in said(project) if "azure_ml" in line]


@pytest.mark.parametrize(
    ("text", "said_of_it"),
    [
        ("", "is no section of `key: value` lines"),
        ("- a\n", "is no section of `key: value` lines"),
        ("name: x\n", "$schema: missing, and nothing else says what the file is"),
        ("$schema: https://example.org/nothing.json\n", "$schema: no kind of file is called nothing"),
        ("a: [\n", ": mend it"),
    ],
)
def test_what_is_no_file_of_azure_mls_is_told(project: Path, text: str, said_of_it: str) -> None:
    (project / "models" / "model1" / "azure_ml" / "own.yml").write_text(text)
    [line] = said(project)
    assert line.startswith("models/model1/azure_ml/own.yml:") and said_of_it in line


def test_a_model_that_is_renamed_takes_them_along(project: Path) -> None:
    assert aml(project, "model", "rename", "model1", "churn").code == 0
    text = "".join(path.read_text() for path in files.there(project / "models" / "churn"))
    left = {line for line in text.splitlines() if "model1" in line and "endpoint" not in line}
    assert left == {
        "name: model1-data",
        "    path: azureml:model1-data:1",
        *(line for line in left if "name: model1-" in line),
    }
    assert said(project, "churn") == []


def test_every_kind_of_file_is_known() -> None:
    assert {*files.BY_NAME.values(), *files.BY_TYPE.values()} <= {*keys.kinds()}
