"""Auto3DSeg with the real MONAI: docs/auto3dseg.md walked on a cluster, and a project in the hands of its owner."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conftest import Rehearse
from tests.environments import Environments
from tests.owner import PATIENCE, Owner, attached, make_finds_tools, read_until, wait_for
from tests.support import BIN, PYTHON, TEMPLATE, WORKSPACE, copy_of, free_port, rendered, run

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

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
EPOCH = re.compile(r"^(fold \d, epoch \d+): ", re.MULTILINE)
# Put in the way of each Python that starts: one that has printed what the file beside this says stands still, once, and
# leaves its number, to be killed at that point.
HOLD = """
import builtins, os, pathlib, signal

point = pathlib.Path(__file__).with_name("point")

def held(*texts, printed=print, **options):
    printed(*texts, **options)
    if point.exists() and any(point.read_text() in str(text) for text in texts):
        point.write_text(str(os.getpid()))
        point.rename(point.with_name("held"))
        os.kill(os.getpid(), signal.SIGSTOP)

builtins.print = held
"""


def hold(folder: Path, after: str) -> str:
    """What PYTHONPATH is to be, so that a training stands still when it has printed this."""
    (folder / "sitecustomize.py").write_text(HOLD)
    (folder / "point").write_text(after)
    return str(folder)


def block(heading: str, kind: str) -> str:
    """The first block of a kind below a heading of the page, with what is left open filled in."""
    text = str(re.findall(rf"^#+ {heading}.*?^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0])
    for open_, written in WRITTEN.items():
        text = text.replace(open_, written)
    return text


def section(heading: str) -> str:
    """The text below a heading of the page."""
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def unset(project: Path, folder: Path, *, packages: list[str]) -> Path:
    """A copy of a project without its environments, whose training has more packages."""
    mine = Path(shutil.copytree(project, folder / project.name, ignore=shutil.ignore_patterns(".venv", "outputs")))
    conda = mine / "models/model1/aml_config/train-conda.yml"
    assert packages
    conda.write_text(conda.read_text().rstrip() + "".join(f"\n      - {each}" for each in packages) + "\n")
    return mine


def page_of(folder: Path, more: str = "") -> Path:
    """The page's directory, made as the page says; `more` goes to its azureml_config."""
    run("sh", "-c", block("Empty directory", "shell"), cwd=folder)
    page = folder / "azure_work_dir"
    (page / "config.json").write_text(block("Configure the connection", "json"))
    (page / "datalist.json").write_bytes((FRAMEWORK / "datalist.json").read_bytes())
    options = block("Additional configuration options", "yaml")
    task = block("Configure Auto3DSeg", "yaml")
    (page / "task.yaml").write_text(task[: task.index("azureml_config:")] + options + more + TINY)
    (page / "algorithms").symlink_to(FRAMEWORK / "algorithms")
    return page


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
    page = page_of(tmp_path)
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    said = run("sh", "-c", block("Running", "shell"), cwd=page, expect=0, PATH=path, **rehearsal.variables())
    assert re.search(r"^URL to job: https://\S+/runs/my-new-experiment_\S+$", said, re.MULTILINE), said
    assert re.search(r"Kept tiny_0, tiny_1: Dice 0\.\d+", said), said[-4000:]

    ((run_id, record),) = rehearsal.state()["runs"].items()
    assert (record["status"], record["displayName"]) == ("Completed", "The_name_of_the_new_run")
    metrics = json.loads(rehearsal.artifact(run_id, "outputs/metrics.json"))
    assert {"dice", "dice_ball", "dice_tiny_0", "dice_tiny_1_box", "test_dice"} <= set(metrics)
    held = rehearsal.state()["metrics"][run_id]
    assert {name: held[name]["value"][-1]["data"][name] for name in metrics} == metrics
    assert len(held["tiny_0_loss"]["value"]) == len(held["tiny_1_dice"]["value"]) == 2, "each epoch is logged once"
    for name in (
        "ensemble_output/images/volume08_ensemble.nii.gz",
        "datastats.yaml",
        "input.yaml",
        "evaluation/slices.png",
    ):
        assert rehearsal.artifact(run_id, f"outputs/{name}"), name
    assert rehearsal.artifact(run_id, "evaluation/slices.png"), "the figures are logged as well"
    assert rehearsal.artifact(run_id, "outputs/model/ensemble.json")


@pytest.mark.full
def test_two_nodes_learn_what_two_processes_learn(
    owned: Path, project: Path, tmp_path: Path, rehearse: Rehearse
) -> None:
    """Each node trains on half of the volumes, in a folder of its own; the first alone judges, and says how it goes."""
    rehearsal = rehearse(owned)
    page = page_of(tmp_path, "  num_nodes: 2\n")
    run(BIN / "aml", "auto3dseg", "run", cwd=page, expect=0, **rehearsal.variables())
    ((run_id, record),) = rehearsal.state()["runs"].items()
    assert (record["status"], record["runDefinition"]["nodeCount"]) == ("Completed", 2)
    first, other = (rehearsal.artifact(run_id, f"user_logs/std_log_process_{rank}.txt").decode() for rank in (0, 1))
    assert EPOCH.findall(first) == [f"fold {fold}, epoch {epoch}" for fold in (0, 1) for epoch in (1, 2)]
    assert other.splitlines()[0] == "Training tiny_0, as node 2 of 2" and not EPOCH.findall(other)

    run("make", "train", "ARGS=--epochs=2 --processes=2", cwd=project, expect=0, **THREADS)
    alone = json.loads((project / "models/model1/outputs/metrics.json").read_text())
    assert json.loads(rehearsal.artifact(run_id, "outputs/metrics.json")) == pytest.approx(alone, abs=1e-3)


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
@pytest.mark.parametrize("keep", ["ensemble", "best"])
def test_it_is_registered_by_its_dice_and_served(project: Path, tmp_path: Path, rehearse: Rehearse, keep: str) -> None:
    """Trained in the workspace, on this computer; the service answers with the mask that the ensemble has drawn."""
    mine = attached(project, tmp_path)
    model, port = mine / "models" / "model1", free_port()
    owner = Owner(mine, rehearse(mine))
    variables = owner.rehearsal.variables("contributor") | THREADS
    owner.out("submit", "-c", "train-local", "--", "--epochs=12", f"--keep={keep}", **THREADS)
    ((run_id, _),) = owner.rehearsal.state()["runs"].items()
    metrics = json.loads(owner.rehearsal.artifact(run_id, "outputs/metrics.json"))
    ensemble = json.loads(owner.rehearsal.artifact(run_id, "outputs/model/ensemble.json"))
    assert len(ensemble["algorithms"]) == (2 if keep == "ensemble" else 1)

    line = owner.error("register", "--require", "dice>=0.999", code=1)
    assert re.fullmatch(r"ERROR: not registered: dice is 0\.\d+, not >= 0\.999", line)
    script = [".venv/.tools/bin/python", "scripts/register_model.py"]
    said = run(*script, "--require", "test_dice>1", cwd=mine, expect=1, **variables)
    assert re.search(r"not registered: test_dice is 0\.\d+, not > 1", said), "its own rule, of the Dice, is kept"
    (by_readme,) = re.findall(r"^make register .*", (mine / "README.md").read_text(), re.MULTILINE)
    run("sh", "-c", by_readme, cwd=mine, expect=0, **variables)
    assert "registered from this run already" in run(*script, cwd=mine, expect=0, **variables)
    registered = owner.rehearsal.state()["models"]["model1:1"]
    assert float(registered["kvTags"]["dice"]) == metrics["dice"] > 0.7

    config = model / "deployment" / "deployment-config-local.yml"
    config.write_text(config.read_text().replace("6789", str(port)))
    deploy = ["make", "deploy", "ARGS=--target local --docker no"]
    try:
        assert re.search(r"a mask of \d+ bytes", run(*deploy, cwd=mine, expect=0, **variables))
        volume = mine / "data" / "model1" / "images" / "volume08.nii.gz"
        run("make", "request", f"ARGS={volume} --port {port} --output answer.nii.gz", cwd=mine, expect=0)
    finally:
        run("make", "deploy", "ARGS=--target local --stop", cwd=mine, expect=0, **variables)
    if keep == "ensemble":
        drawn = owner.rehearsal.artifact(run_id, "outputs/ensemble_output/images/volume08_ensemble.nii.gz")
        assert gzip.decompress((mine / "answer.nii.gz").read_bytes()) == gzip.decompress(drawn)


@pytest.mark.full
@pytest.mark.parametrize("processes", [0, 2])
def test_killed_in_the_middle_it_goes_on(project: Path, tmp_path: Path, processes: int) -> None:
    """What has been trained is not trained again, and the epochs of the other fold are not lost."""
    model = project / "models" / "model1"
    shutil.rmtree(model / "outputs", ignore_errors=True)
    command = ["make", "train", f"ARGS=--epochs=3 --processes={processes}"]
    process = subprocess.Popen(
        command,
        cwd=project,
        env=os.environ | THREADS | {"PYTHONPATH": hold(tmp_path, "fold 1, epoch 2:")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    read_until(process, "fold 1, epoch 2:")
    tree = psutil.Process(process.pid)
    for each in [*tree.children(recursive=True), tree]:
        each.kill()
    process.communicate()

    said = run(*command, cwd=project, expect=0, **THREADS)
    assert "Going on in outputs/, where this training was stopped" in said
    assert "fold 1: going on after epoch 2" in said
    assert EPOCH.findall(said) == ["fold 1, epoch 3"]
    assert json.loads((model / "outputs/metrics.json").read_text())["dice"] > 0
    said = run("make", "batch", cwd=project, expect=0, **THREADS)
    assert "outputs/masks: 4 masks drawn" in said
    for drawn in sorted((model / "outputs/ensemble_output/images").iterdir()):
        mask = model / "outputs/masks/images" / drawn.name.replace("_ensemble", "_mask")
        assert gzip.decompress(mask.read_bytes()) == gzip.decompress(drawn.read_bytes()), drawn.name
    again = run(*command, cwd=project, expect=0, **THREADS)
    assert EPOCH.findall(again) == [f"fold {fold}, epoch {epoch}" for fold in (0, 1) for epoch in (1, 2, 3)]


@pytest.fixture
def trainer(owned: Path, tmp_path: Path, rehearse: Rehearse) -> Owner:
    """Who submits the project to a cluster, where a training stands still if it is told to."""
    mine = attached(owned, tmp_path)
    shutil.rmtree(mine / ".venv", ignore_errors=True)  # what other tests have installed there
    make_finds_tools(mine)
    config = mine / "models/model1/aml_config/train-amlcompute.runconfig"
    variables = {"PYTHONPATH": str(tmp_path), **THREADS}
    config.write_text(f"{config.read_text()}environmentVariables: {json.dumps(variables)}\n")
    return Owner(mine, rehearse(mine))


def held_in_fold_1(trainer: Owner, submitting: "subprocess.Popen[str]") -> tuple[str, int]:
    """The run, and the process that stands still after an epoch of fold 1: fold 0 has been trained."""
    file = trainer.project.parent / "held"
    wait_for(file.exists, submitting)
    ((run_id, _),) = trainer.rehearsal.state()["runs"].items()
    wait_for(lambda: EPOCH.findall(log_of(trainer, run_id))[-1:] == ["fold 1, epoch 1"], submitting)
    return run_id, int(file.read_text())


def log_of(trainer: Owner, run_id: str) -> str:
    return trainer.rehearsal.artifact(run_id, "user_logs/std_log.txt").decode()


@pytest.mark.full
def test_killed_on_a_cluster_a_new_run_trains_anew(trainer: Owner) -> None:
    """By the system, as where the memory is full: the run says so in one line, and the next one is another one."""
    hold(trainer.project.parent, "fold 1, epoch 1:")
    submitting = trainer.start("submit", "--", "--epochs=2")
    run_id, pid = held_in_fold_1(trainer, submitting)
    os.kill(pid, signal.SIGKILL)
    out, err = submitting.communicate(timeout=PATIENCE)
    assert submitting.returncode == 1, out + err
    reason = "tiny_1: its training was killed (signal 9), as happens when the memory is full"
    [line] = [line for line in err.splitlines() if line.startswith("ERROR: ")]
    assert line.startswith(f"ERROR: run {run_id} failed: train.py ended with exit code 1: {reason} (log: ")
    assert "Traceback" not in log_of(trainer, run_id)
    assert trainer.rehearsal.state()["runs"][run_id]["status"] == "Failed"

    said = run("make", "submit", "ARGS=-- --epochs=2", cwd=trainer.project, expect=0, **trainer.login())
    [new] = trainer.rehearsal.state()["runs"].keys() - {run_id}
    assert trainer.rehearsal.state()["runs"][new]["status"] == "Completed"
    assert EPOCH.findall(said) == [f"fold {fold}, epoch {epoch}" for fold in (0, 1) for epoch in (1, 2)]


@pytest.mark.full
def test_preempted_the_run_goes_on_from_the_cache(trainer: Owner) -> None:
    """A new node, which is empty: what the run has kept comes from Azure ML, and no fold is trained twice."""
    hold(trainer.project.parent, "fold 1, epoch 1:")
    submitting = trainer.start("submit", "--", "--epochs=2")
    run_id, _ = held_in_fold_1(trainer, submitting)
    trainer.rehearsal.preempt(run_id)
    out, err = submitting.communicate(timeout=PATIENCE)
    assert submitting.returncode == 0, out + err

    ((again, record),) = trainer.rehearsal.state()["runs"].items()
    assert (again, record["status"]) == (run_id, "Completed")
    before, goes_on, after = log_of(trainer, run_id).partition("Going on in outputs/, where this training was stopped")
    assert EPOCH.findall(before) == ["fold 0, epoch 1", "fold 0, epoch 2", "fold 1, epoch 1"] and goes_on
    assert EPOCH.findall(after) == ["fold 1, epoch 1", "fold 1, epoch 2"]
    metrics = json.loads(trainer.rehearsal.artifact(run_id, "outputs/metrics.json"))
    assert {"dice_tiny_0", "dice_tiny_1"} <= set(metrics)
    held = trainer.rehearsal.state()["metrics"][run_id]
    assert len(held["tiny_0_loss"]["value"]) == len(held["tiny_1_loss"]["value"]) == 2, "each epoch is logged once"


@pytest.mark.full
def test_the_same_file_runs_here(project: Path) -> None:
    """`aml auto3dseg run --local`, on the task.yaml of a model's folder."""
    model = project / "models" / "model1"
    aml = ["../../.venv/.tools/bin/aml", "auto3dseg", "run", "--local", "--", "--epochs=1"]
    said = run(*aml, cwd=model, expect=0, **THREADS)
    assert EPOCH.findall(said) == ["fold 0, epoch 1", "fold 1, epoch 1"]
    assert re.search(r"^Kept tiny_0, tiny_1: Dice 0\.\d+$", said, re.MULTILINE)
    assert (model / "outputs" / "model" / "ensemble.json").exists()


@pytest.mark.full
def test_a_search_by_nni(owned: Path, tmp_path: Path, environments: Environments) -> None:
    """`hpo: true` with the real NNI: two learning rates on one fold, as docs/auto3dseg.md says."""
    mine = environments.set_up(unset(owned, tmp_path, packages=re.findall(r"`(\w+==[\d.]+)`", section("Search"))))
    model = mine / "models" / "model1"
    search = block("Search", "yaml").replace(", 0.001]", "]").replace("trialGpuNumber: 1", "trialGpuNumber: 0")
    with (model / "task.yaml").open("a") as task:
        task.write(f"num_fold: 1\n{search}")
    said = run("make", "train", "ARGS=--epochs=1", cwd=mine, expect=0, **THREADS)
    names = {f"tiny_0_override_learning_rate_{rate}_num_epochs_1" for rate in (0.1, 0.01)}
    metrics = json.loads((model / "outputs/metrics.json").read_text())
    assert {name.removeprefix("dice_") for name in metrics if name.endswith("_num_epochs_1")} == names
    (kept,) = re.findall(r"^Kept (\S+): Dice 0\.\d+$", said, re.MULTILINE)
    assert kept == max(names, key=lambda name: float(metrics[f"dice_{name}"]))
    assert list(json.loads((model / "outputs/model/ensemble.json").read_text())["algorithms"]) == [kept]


@pytest.mark.full
def test_a_search_by_search_yml(project: Path, tmp_path: Path) -> None:
    """`make add ARGS=search`, then `make search`: each trial is a whole AutoRunner with its own learning rate."""
    mine = copy_of(project, tmp_path)
    run("make", "add", "ARGS=search", cwd=mine, expect=0)
    file = mine / "models/model1/search.yml"
    for written, tried in (("trials: 20", "trials: 2"), ("parallel: 2", "parallel: 1"), ("tpe ", "grid ")):
        assert written in file.read_text()
        file.write_text(file.read_text().replace(written, tried))
    asked = re.sub(r"learning-rate: .*", "learning-rate: [0.1, 0.01]\n  epochs: [1]", file.read_text())
    file.write_text(asked)
    run("make", "check", cwd=mine, expect=0)
    said = run("make", "search", cwd=mine, expect=0, **THREADS)
    trials = re.findall(r"trial (\d) +dice (\S+) .*learning-rate=(\S+) epochs=1 ", said)
    assert [(number, rate) for number, _, rate in trials] == [("1", "0.1"), ("2", "0.01")]
    for number, dice, _ in trials:
        metrics = file.parent / f"outputs/search/trials/000{number}/outputs/metrics.json"
        assert json.loads(metrics.read_text())["dice"] == pytest.approx(float(dice))
