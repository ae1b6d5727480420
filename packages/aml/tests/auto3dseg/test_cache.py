"""A training that was stopped: what is kept for another node, what goes on there, and what begins anew."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from aml_project.auto3dseg import job
from tests.owner import wait_for

RUN = "spheres_1"
SCORED = {"best_metric": 0.9}


@pytest.fixture(scope="module")
def cache() -> ModuleType:
    """The module of the framework, which needs neither MONAI nor torch."""
    spec = importlib.util.spec_from_file_location("cache", job.sources()["runtime/cache.py"])
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def task(tmp_path: Path) -> dict[str, Any]:
    """A task whose files are there: two volumes, an algorithm."""
    for name in ("v0", "v1"):
        (tmp_path / f"{name}.nii.gz").write_bytes(b"volume")
    (tmp_path / "algorithms").mkdir()
    (tmp_path / "algorithms" / "algo.py").write_text("rate = 1\n")
    datalist = {"training": [{"image": "v0.nii.gz", "label": "v1.nii.gz", "fold": 0}]}
    (tmp_path / "datalist.json").write_text(json.dumps(datalist))
    places = {"datalist": "datalist.json", "dataroot": ".", "templates_path_or_url": "algorithms"}
    return {"name": "spheres", **{name: str(tmp_path / place) for name, place in places.items()}}


@pytest.fixture
def begun(cache: ModuleType, task: dict[str, Any], tmp_path: Path) -> Path:
    """A folder in which one fold is trained, and the other has a score of its first epochs, but was stopped."""
    work = tmp_path / "node1" / "outputs"
    cache.begin(work, task, {})
    for name, noted in (("tiny_0", SCORED), ("tiny_1", {})):
        (work / name / "model_fold").mkdir(parents=True)
        write(work / name / "algo_object.json", {"at": str(work.resolve() / name), **noted})
        (work / name / "model_fold" / "progress.yaml").write_text("best_avg_dice_score: 0.5\n")
        (work / name / "model_fold" / "checkpoint.pt").write_bytes(b"weights")
    (work / "cache.yaml").write_text(f"work: {work.resolve()}\n")
    (work / "tiny_1" / "configs").mkdir()
    (work / "tiny_1" / "configs" / "data.yaml").write_text("root: {0}\nbeside: {0}_2/v0\n".format(task["dataroot"]))
    return work


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where Azure ML keeps what a run has logged; MLflow is played, since only an environment of a run has it."""
    folder = tmp_path / "artifacts"

    class Client:
        def log_artifact(self, run_id: str, file: str, path: str) -> None:
            (folder / run_id / path).mkdir(parents=True, exist_ok=True)
            assert not (folder / run_id / path / Path(file).name).exists(), "the service takes no second one"
            shutil.copy(file, folder / run_id / path)

        def list_artifacts(self, run_id: str, path: str) -> list[SimpleNamespace]:
            found = (folder / run_id / path).glob("*")
            return [SimpleNamespace(path=str(file.relative_to(folder / run_id))) for file in found]

    def download(run_id: str, artifact_path: str, dst_path: str) -> str:
        if not (folder / run_id / artifact_path).stat().st_size:
            raise OSError("no such blob")
        return str(shutil.copy(folder / run_id / artifact_path, dst_path))

    played = SimpleNamespace(MlflowClient=Client, artifacts=SimpleNamespace(download_artifacts=download))
    monkeypatch.setitem(sys.modules, "mlflow", played)
    monkeypatch.setenv("AZUREML_RUN_ID", RUN)
    return folder


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


def scores(work: Path) -> list[str]:
    """The algorithms that AutoRunner would take for trained."""
    return sorted(file.parents[1].name for file in work.rglob("progress.yaml"))


def test_on_the_same_node_only_what_is_over_counts_as_trained(
    cache: ModuleType, task: dict[str, Any], begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.begin(begun, task, {})
    assert capsys.readouterr().out == "Going on in outputs/, where this training was stopped\n"
    assert scores(begun) == ["tiny_0"]
    assert (begun / "tiny_1/model_fold/checkpoint.pt").exists()


def test_a_node_that_is_new_goes_on_with_what_the_earlier_one_has_kept(
    cache: ModuleType, task: dict[str, Any], begun: Path, kept: Path, tmp_path: Path
) -> None:
    cache.keep(begun)
    (begun / "late").touch()
    cache.keep(begun)
    assert len(list(kept.rglob("*.tar"))) == 2
    shutil.rmtree(begun)  # Azure ML replaces a preempted node by an empty one

    work, earlier, data = tmp_path / "node2" / "outputs", task["dataroot"], tmp_path / "mounted"
    data.mkdir()
    for volume in tmp_path.glob("*.nii.gz"):
        volume.rename(data / volume.name)
    task["dataroot"] = str(data)
    cache.begin(work, task, {})
    config = (work / "tiny_1/configs/data.yaml").read_text()
    assert config == f"root: {data}\nbeside: {earlier}_2/v0\n", "the data is where this node has it"
    assert (work / "late").exists(), "the newest is fetched"
    assert scores(work) == ["tiny_0"]
    assert json.loads((work / "tiny_0/algo_object.json").read_text()) == {"at": f"{work.resolve()}/tiny_0", **SCORED}
    assert (work / "cache.yaml").read_text() == f"work: {work.resolve()}\n"
    assert json.loads((work / cache.BEGUN).read_text())["places"]["work"] == str(work.resolve())
    cache.keep(work)
    assert len(list(kept.rglob("*.tar"))) == 3, "under a name of its own, as the service wants it"
    cache.begin(work, task, {})  # and once more, when this one is preempted as well
    assert scores(work) == ["tiny_0"]


def test_what_a_node_was_taken_away_from_as_it_sent_it_is_passed_over(
    cache: ModuleType, task: dict[str, Any], begun: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name is there, and no content: the one before has it."""
    cache.keep(begun)
    (kept / RUN / cache.ARTIFACTS / "9.tar").touch()
    shutil.rmtree(begun)
    cache.begin(begun, task, {})
    assert capsys.readouterr().out.startswith("checkpoints/9.tar can't be fetched: no such blob\nGoing on in outputs/")
    assert scores(begun) == ["tiny_0"]


def test_outside_of_a_run_nothing_is_kept_and_nothing_fetched(
    cache: ModuleType, begun: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZUREML_RUN_ID")
    cache.keep(begun)
    assert not kept.exists()


def test_what_is_here_is_not_fetched_over(cache: ModuleType, task: dict[str, Any], begun: Path, kept: Path) -> None:
    cache.keep(begun)
    (begun / "tiny_1/model_fold/checkpoint.pt").write_bytes(b"newer")
    cache.begin(begun, task, {})
    assert (begun / "tiny_1/model_fold/checkpoint.pt").read_bytes() == b"newer"


@pytest.mark.parametrize("changed", ["v0.nii.gz", "algorithms/algo.py", "datalist.json", "task"])
def test_what_has_changed_begins_anew(
    cache: ModuleType, task: dict[str, Any], begun: Path, changed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if changed == "task":
        task["modality"] = "CT"
    else:
        with Path(task["dataroot"], changed).open("a") as file:
            file.write(" ")
    cache.begin(begun, task, {})
    assert capsys.readouterr().out.startswith("What was stopped in outputs/ had another task, data or code")
    assert sorted(file.name for file in begun.iterdir()) == [cache.BEGUN]


def test_what_was_over_begins_anew_without_a_word(
    cache: ModuleType, task: dict[str, Any], begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (begun / "metrics.json").write_text("{}")
    cache.begin(begun, task, {})
    assert (capsys.readouterr().out, scores(begun)) == ("", [])


def test_an_algorithm_that_was_half_written_is_generated_again(
    cache: ModuleType, task: dict[str, Any], begun: Path
) -> None:
    (begun / "tiny_1" / "algo_object.json").write_text('{"at')
    cache.begin(begun, task, {})
    assert not (begun / "tiny_1").exists() and not (begun / "cache.yaml").exists()
    assert scores(begun) == ["tiny_0"]


def test_a_training_that_was_left_running_is_ended(
    cache: ModuleType, task: dict[str, Any], begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of this folder alone: another one's is somebody else's."""
    processes = []
    for folder in (begun.resolve() / "tiny_1", tmp_path / "elsewhere" / "tiny_1"):
        script = folder / "scripts" / "train.py"
        script.parent.mkdir(parents=True)
        script.write_text("print('training', flush=True)\ninput()\n")
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe, text=True))
    own, other = processes
    try:
        for process in processes:
            assert process.stdout and process.stdout.readline() == "training\n"
        cache.begin(begun, task, {})
        wait_for(lambda: own.poll() is not None)
        assert other.poll() is None
        said = capsys.readouterr().out.splitlines()
        assert said[0] == f"Ending a training in outputs/ that was left running: process {own.pid}"
    finally:
        for process in processes:
            process.kill()
            process.communicate()
