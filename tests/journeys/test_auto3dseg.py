"""Auto3DSeg with the real MONAI: docs/auto3dseg.md walked on a cluster, and a project in the hands of its owner."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Rehearse
from tests.environments import Environments
from tests.owner import read_until
from tests.support import BIN, PYTHON, TEMPLATE, WORKSPACE, rendered, run

PAGE = (TEMPLATE / "docs" / "auto3dseg.md").read_text(encoding="utf-8")
FRAMEWORK = TEMPLATE / "templates" / "frameworks" / "auto3dseg"
# What somebody writes in the place of what the page leaves open.
WRITTEN = {
    "<your_task_name>": "spheres", "<MRI or CT>": "MRI", "<your_new_datalist>": "datalist", "<True/False>": "False",
    "<name of your compute cluster>": "cpu-cluster", "<name of your AzureML data asset>": "model1-data",
    "<name of your AzureML datastore>": "workspaceblobstore", **{f"<{name}>": text for name, text in WORKSPACE.items()},
}  # fmt: skip
# What a computer without a GPU and without a network adds: the tiny algorithm, for two epochs.
TINY = (
    "\nalgos: [tiny]\ntemplates_path_or_url: algorithms\nclass_names: [ball, box]\ntraining_params: {num_epochs: 2}\n"
)


def block(heading: str, kind: str) -> str:
    """The first block of a kind below a heading of the page, with what is left open filled in."""
    text = str(re.findall(rf"^#+ {heading}.*?^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0])
    for open_, written in WRITTEN.items():
        text = text.replace(open_, written)
    return text


@pytest.fixture(scope="session")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its sample, nothing installed."""
    project = rendered(tmp_path_factory.mktemp("volumes"), framework="auto3dseg", python_version=PYTHON, **WORKSPACE)
    make = ["--with=nibabel==5.3.3", "--with=numpy==2.2.6", "python", "make_volumes.py", "../../data/model1"]
    run(BIN / "uv", "run", "--quiet", "--no-project", "--python", PYTHON, *make, cwd=project / "models/model1")
    return project


def test_the_page_is_walked(owned: Path, tmp_path: Path, rehearse: Rehearse) -> None:
    """Analyse, generate, train two folds, ensemble: on the cluster, with the data asset mounted."""
    rehearsal = rehearse(owned)
    run("sh", "-c", block("Empty directory", "shell"), cwd=tmp_path)
    page = tmp_path / "azure_work_dir"
    assert page.is_dir()
    (page / "config.json").write_text(block("Configure the connection", "json"))
    (page / "datalist.json").write_bytes((FRAMEWORK / "datalist.json").read_bytes())
    options = block("Additional configuration options", "yaml")
    task = block("Configure Auto3DSeg", "yaml")
    (page / "task.yaml").write_text(task[: task.index("azureml_config:")] + options + TINY)
    (page / "algorithms").symlink_to(FRAMEWORK / "algorithms")

    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    said = run("sh", "-c", block("Running", "shell"), cwd=page, expect=0, PATH=path, **rehearsal.variables())
    assert re.search(r"^URL to job: https://\S+/runs/my-new-experiment_\S+$", said, re.MULTILINE), said
    assert re.search(r"Kept tiny_0, tiny_1: Dice 0\.\d+", said), said[-4000:]

    ((run_id, record),) = rehearsal.state()["runs"].items()
    assert (record["status"], record["displayName"]) == ("Completed", "The_name_of_the_new_run")
    metrics = json.loads(rehearsal.artifact(run_id, "outputs/metrics.json"))
    assert {"dice", "dice_ball", "dice_tiny_0", "dice_tiny_1_box", "test_dice"} <= set(metrics)
    for name in (
        "ensemble_output/images/volume08_ensemble.nii.gz",
        "datastats.yaml",
        "input.yaml",
        "evaluation/slices.png",
    ):
        assert rehearsal.artifact(run_id, f"outputs/{name}"), name
    assert rehearsal.artifact(run_id, "evaluation/slices.png"), "the figures are logged as well"
    assert rehearsal.artifact(run_id, "outputs/model/ensemble.json")


@pytest.fixture(scope="session")
def project(owned: Path, environments: Environments) -> Path:
    """The same, installed."""
    return environments.set_up(owned)


@pytest.mark.full
def test_its_own_tests_pass(project: Path) -> None:
    said = run("make", "test", cwd=project)
    assert re.search(r"=+ \d+ passed", said), said[-2000:]
    run("make", "lint", cwd=project)


@pytest.mark.full
@pytest.mark.parametrize("processes", [0, 2])
def test_killed_in_the_middle_it_goes_on(project: Path, processes: int) -> None:
    """What has been trained is not trained again, and the epochs of the other fold are not lost."""
    command = ["make", "train", f"ARGS=--epochs=3 --processes={processes}"]
    process = subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    read_until(process, "fold 1, epoch 2:")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    said = run(*command, cwd=project)
    assert "Going on in outputs/, where this training was stopped" in said
    assert "fold 1: going on after epoch 2" in said and "fold 1, epoch 3:" in said
    assert "fold 0, epoch" not in said and "fold 1, epoch 1:" not in said
    assert json.loads((project / "models/model1/outputs/metrics.json").read_text())["dice"] > 0
    again = run(*command, cwd=project)
    assert "fold 0, epoch 1:" in again, "what was over begins anew"
