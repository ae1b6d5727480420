"""aml auto3dseg, from an empty directory with the three files of MONAI's page, to a workspace on loopback.

What runs is not MONAI here, which has a journey of its own, but a script that says what it was given.
"""

import gzip
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from service.quick_model import project_of_quick_model

from aml_project.auto3dseg import job, running
from aml_project.auto3dseg import volumes as volume_check
from tests.aml import Done, aml
from tests.conftest import Rehearse
from tests.owner import Owner
from tests.support import PYTHON, TEMPLATE, WORKSPACE

TRAIN = """
import json, pathlib, sys
data = pathlib.Path(sys.argv[sys.argv.index("--data-path") + 1])
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True)
told = {"data": sorted(str(file.relative_to(data)) for file in data.rglob("*.nii.gz")),
        "files": sorted(str(file) for file in pathlib.Path().rglob("*") if file.suffix in (".py", ".yaml", ".json"))}
(folder / "told.json").write_text(json.dumps(told))
print("trained")
"""
CONDA = f"dependencies: [python={PYTHON}, pip, {{pip: []}}]\n"


def nifti(shape: tuple[int, int, int] = (2, 2, 2), *labels: int, place: float = 1.0) -> bytes:
    """A volume of bytes, as NIfTI has them."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 2, 8)
    struct.pack_into("<f", header, 108, 352)
    struct.pack_into("<h", header, 254, 1)
    struct.pack_into("<12f", header, 280, place, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    count = shape[0] * shape[1] * shape[2]
    return bytes(header) + bytes([*labels, *[0] * count][:count])


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of eight volumes and their masks."""
    folder = tmp_path / "scans"
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
        for number in range(8):
            (folder / kind / f"v{number}.nii.gz").write_bytes(gzip.compress(nifti((2, 2, 2), 0, 1)))
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The page's empty directory, with its three files."""
    folder = tmp_path / "azure_work_dir"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(WORKSPACE))
    pairs = [{"image": f"images/v{n}.nii.gz", "label": f"labels/v{n}.nii.gz", "fold": n % 2} for n in range(6)]
    write(folder / "datalist.json", {"training": pairs, "testing": [{"image": "images/v6.nii.gz"}]})
    (folder / "something else.txt").write_text("nobody's business")
    (folder / "conda.yml").write_text(CONDA)
    azure = {
        "compute_cluster_name": "cpu-cluster",
        "input_datasets": ["scans"],
        "default_datastore": "workspaceblobstore",
    }
    task = {
        "name": "my task",
        "task": "segmentation",
        "modality": "MRI",
        "datalist": "datalist.json",
        "multigpu": False,
    }
    write(folder / "task.yaml", {**task, "azureml_config": azure})
    return folder


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1))  # which is YAML as well


def change(folder: Path, azure: dict[str, Any] | None = None, **keys: Any) -> None:
    task = yaml.safe_load((folder / "task.yaml").read_text())
    write(folder / "task.yaml", {**task, **keys, "azureml_config": {**task["azureml_config"], **(azure or {})}})


@pytest.fixture
def owner(page: Path, scans: Path, tmp_path: Path, rehearse: Rehearse, monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Whoever stands in that directory, with a workspace that has the cluster and the data asset."""
    project = project_of_quick_model(tmp_path / "project")
    runconfig = project / "models" / "quick" / "aml_config" / "train-amlcompute.runconfig"
    data = {"x": {"dataLocation": {"dataset": {"name": "scans", "version": "1"}}, "mechanism": "mount"}}
    runconfig.write_text(runconfig.read_text() + f"data: {json.dumps(data)}\n")
    (project / "data").mkdir()
    scans.rename(project / "data" / "quick")
    train = tmp_path / "train.py"
    train.write_text(TRAIN)
    found = job.sources()
    monkeypatch.setattr(job, "sources", lambda: {**found, "train.py": train})
    return Owner(page, rehearse(project))


def test_the_page_s_directory_is_submitted_and_nothing_else_of_it(owner: Owner, page: Path) -> None:
    azure = {
        "conda_environment_file": "conda.yml", "wait_for_completion": True, "experiment_name": "my new experiment",
        "display_name": "The_name_of_the_new_run", "tags": {"stage": "test"}, "max_run_duration": "3.5h",
    }  # fmt: skip
    (page / "algorithms" / "tiny" / "scripts").mkdir(parents=True)
    (page / "algorithms" / "tiny" / "scripts" / "algo.py").touch()
    (page / "algorithms" / "tiny" / "weights.bin").touch()
    change(page, azure, templates_path_or_url="algorithms")
    out = owner.out("auto3dseg", "run", "--input=./task.yaml")
    assert re.match(r"URL to job: https://[\w.]+/runs/my-new-experiment_\w+\?wsid=/subscriptions/", out)
    assert "trained" in out

    ((run_id, run),) = owner.rehearsal.state()["runs"].items()
    assert run["status"] == "Completed"
    assert (run["displayName"], run["tags"]["stage"]) == ("The_name_of_the_new_run", "test")
    assert json.loads((page / "run.json").read_text())["run_id"] == run_id
    sent = set(owner.rehearsal.snapshot(run_id))
    assert sent >= {
        "task.yaml",
        "datalist.json",
        "train.py",
        "algorithms/tiny/scripts/algo.py",
        "runtime/autorunner.py",
        "runtime/cache.py",
    }
    assert not [name for name in sent if "something" in name or "weights" in name or "config.json" in name]
    told = json.loads(owner.rehearsal.artifact(run_id, "outputs/model/told.json"))
    assert len(told["data"]) == 16 and "images/v0.nii.gz" in told["data"]
    own = yaml.safe_load(owner.rehearsal.snapshot(run_id)["task.yaml"])
    assert (own["dataroot"], own["templates_path_or_url"], own["name"]) == ("/data", "algorithms", "my task")
    runconfig = yaml.safe_load(owner.rehearsal.snapshot(run_id)["aml_config/train-amlcompute.runconfig"])
    assert runconfig["maxRunDurationSeconds"] == 12_600
    assert runconfig["environment"]["docker"]["baseImage"] == job.CPU


@pytest.mark.parametrize(("gpu", "backend"), [(True, "Nccl"), (False, "Gloo")])
def test_several_nodes_are_started_by_the_launcher_for_pytorch(tmp_path: Path, gpu: bool, backend: str) -> None:
    """One train.py on each node: AutoRunner starts the processes of its GPUs itself."""
    job.configure(tmp_path, tmp_path, {"compute_cluster_name": "c", "num_nodes": 3}, [("scans", "1")], gpu=gpu)
    runconfig = yaml.safe_load((tmp_path / "aml_config" / f"{job.CONFIG}.runconfig").read_text())
    assert (runconfig["framework"], runconfig["communicator"], runconfig["nodeCount"]) == ("PyTorch", backend, 3)
    assert runconfig["pytorch"] == {"communicationBackend": backend, "processCount": 3, "nodeCount": 3}


@pytest.mark.parametrize(
    ("azure", "keys", "line"),
    [
        ({"compute_cluster_name": "gpu"}, {}, "azureml_config.compute_cluster_name: gpu: no such cluster"),
        ({"input_datasets": ["heads"]}, {}, "azureml_config.input_datasets: heads: no data asset, and no folder of"),
        ({}, {"multigpu": True}, "multigpu: true, and cpu-cluster has no GPU (Standard_DS3_v2)"),
    ],
)  # fmt: skip
def test_what_the_workspace_lacks_is_told_before_anything_is_sent(
    owner: Owner, page: Path, azure: dict[str, Any], keys: dict[str, Any], line: str
) -> None:
    change(page, azure, **keys)
    assert line in owner.error("auto3dseg", "run", code=1)
    assert owner.rehearsal.state()["runs"] == {}


def test_a_file_that_the_dataset_lacks_is_told_by_its_listing(owner: Owner, page: Path) -> None:
    lists = json.loads((page / "datalist.json").read_text())
    lists["training"][3]["label"] = "labels/v33.nii.gz"
    write(page / "datalist.json", lists)
    line = owner.error("auto3dseg", "run", code=1)
    assert line == "ERROR: training[3].label: 'labels/v33.nii.gz' is not in the dataset scans"


def call(page: Path, *args: str) -> Done:
    return aml(page, "auto3dseg", *args)


def test_all_that_is_wrong_is_told_at_once(page: Path) -> None:
    change(page, {"displayname": "x"}, modalty="CT")
    lists = json.loads((page / "datalist.json").read_text())
    write(page / "datalist.json", {**lists, "imageTesting": []})
    code, out, err = call(page, "run")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "ERROR: task.yaml: modalty: is no key; do you mean modality?",
        "ERROR: task.yaml: azureml_config.displayname: is no key; do you mean display_name?",
        "ERROR: datalist.json: imageTesting: is no key; do you mean testing?",
    ]


def test_a_datalist_that_is_not_there_hides_nothing_of_the_task(page: Path) -> None:
    change(page, modalty="CT", algos=["segresnt"], datalist="datalst.json")
    err = call(page, "run")[2]
    assert [line.partition(" is n")[0] for line in err.splitlines()] == [
        "ERROR: task.yaml: modalty:",
        "ERROR: task.yaml: algos: 'segresnt'",
        "ERROR: datalst.json: not there; datalist of the task names it, seen from the task's folder",
    ]


def edited(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda scans: (scans / file).write_bytes(content)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (edited("labels/v1.nii.gz", nifti((2, 2, 3))), "v1.nii.gz has 2 x 2 x 3 voxels, v1.nii.gz has 2 x 2 x 2"),
        (edited("labels/v1.nii.gz", nifti(place=2)), "lie elsewhere in space: their affines differ"),
        (edited("labels/v1.nii.gz", nifti((2, 2, 2), 0, 3, 1)), "holds the labels 0, 1, 3, and class_names names 2"),
        (edited("images/v1.nii.gz", b"no volume"), "training[1]: v1.nii.gz: no NIfTI file"),
        (edited("images/v1.nii.gz", gzip.compress(nifti())[:40]), "training[1]: v1.nii.gz: can't be read"),
        (lambda scans: (scans / "labels/v2.nii.gz").unlink(), "training[2].label: 'labels/v2.nii.gz' is not"),
    ],
)  # fmt: skip
def test_a_look_at_a_few_volumes(page: Path, scans: Path, edit: Callable[[Path], object], line: str) -> None:
    change(page, dataroot="../scans", class_names=["a", "b"])
    assert call(page, "check", "--local") == (0, "task.yaml: nothing wrong; 6 volumes to learn from\n", "")
    edit(scans)
    code, _, err = call(page, "check", "--local")
    assert code == 1 and err.startswith("ERROR: datalist.json: ") and err.count("\n") == 1
    assert line in err


def test_what_is_not_where_the_task_says_is_told_of_the_task(page: Path) -> None:
    change(page, dataroot="../data", algos=["tiny"])
    err = call(page, "check", "--local")[2]
    assert [line.partition(" is none")[0] for line in err.splitlines()] == [
        "ERROR: task.yaml: algos: 'tiny'",
        "ERROR: task.yaml: dataroot: ../data: no such folder, seen from the folder of this file",
    ]


def test_a_dry_run_lists_what_would_be_sent(page: Path) -> None:
    code, out, _ = call(page, "run", "--dry-run")
    assert code == 0
    assert out.startswith(
        "Would submit to cpu-cluster, in my-workspace, with these files:\n  .amlignore\n  datalist.json"
    )
    assert "something" not in out and "config.json" not in out


def test_without_its_files_it_is_one_line(tmp_path: Path, page: Path) -> None:
    assert call(tmp_path, "run") == (1, "", "ERROR: task.yaml: not there; --input names it\n")
    (page / "config.json").write_text("{}")
    assert "ERROR: config.json: names no workspace" in call(page, "run")[2]
    write(page / "config.json", {**WORKSPACE, "workspace_name": "<workspace_name>"})
    assert "ERROR: config.json: workspace_name: is still the placeholder '<workspace_name>'" in call(page, "run")[2]
    (page / "config.json").unlink()
    assert "ERROR: config.json: not there; Download config.json" in call(page, "run")[2]


def test_to_run_here_needs_monai(page: Path, scans: Path) -> None:
    change(page, dataroot="../scans")
    assert "ERROR: MONAI is not in this Python: pip install 'aml-project[auto3dseg]'" in call(page, "run", "--local")[2]


def test_what_stands_behind_two_dashes_is_for_the_script(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    def here(_keys: Any, _folder: Path, args: Any) -> int:
        given.append(args.arguments)
        return 0

    monkeypatch.setattr(running, "here", here)
    change(page, dataroot=".")
    monkeypatch.setattr(running, "of_files", lambda *_, **__: [])
    assert call(page, "run", "--local", "--", "--epochs", "2").code == 0
    assert call(page, "run", "--local").code == 0
    assert given == [["--epochs", "2"], []]
    assert call(page, "run", "twice").code == 2


def test_what_is_said_twice_is_the_same() -> None:
    """The images and packages of a render, which this package can't read where it is installed."""
    from aml_template import answers

    assert answers.base_image({"gpu": "no"}) == job.CPU
    assert answers.base_image({"gpu": "yes"}) == job.CUDA
    import tomli

    extras = tomli.loads((TEMPLATE / "packages/aml/pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = (TEMPLATE / "templates/frameworks/auto3dseg/train-requirements.txt").read_text().splitlines()
    pins = {line for line in listed if not line.startswith("#")} - {"pyyaml==6.0.3"}  # which every verb needs
    assert {*extras["auto3dseg"]} - pins == {"mlflow-skinny==2.22.5"} and pins <= {*extras["auto3dseg"]}


def test_a_label_in_another_order_of_bytes_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.nii"
    content = bytearray(nifti((2, 2, 2), 1))
    struct.pack_into(">i", content, 0, 348)
    struct.pack_into(">8h", content, 40, 3, 2, 2, 2, 1, 1, 1, 1)
    file.write_bytes(bytes(content))
    assert volume_check.header(file).shape == (2, 2, 2)
