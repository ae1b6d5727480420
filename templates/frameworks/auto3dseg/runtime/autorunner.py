"""MONAI's AutoRunner on task.yaml: analyse the data, generate the algorithms, train each on each fold, ensemble.

What has been trained is not trained again: AutoRunner's own cache says what there is, and begun.json whether it is of
the same task, data and code.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from monai.apps.auto3dseg import AutoRunner, bundle_gen
from monai.apps.auto3dseg.utils import import_bundle_algo_history
from monai.auto3dseg import utils

PATHS = ("datalist", "dataroot", "templates_path_or_url")  # of task.yaml
BEGUN = "begun.json"
ARTIFACTS = "checkpoints"  # of a run in Azure ML
# What AutoRunner writes beside the algorithms' folders, and what is made of it.
WRITTEN = ("algorithm_templates", "ensemble_output", "evaluation", "model")
FILES = (
    "cache.yaml", "datastats.yaml", "datastats_by_case.yaml", "input.yaml", "metrics.json", BEGUN,
)  # fmt: skip

# MONAI keeps to itself what a training prints, and shows it only of one that has failed: hours without a word.
bundle_gen.run_cmd = utils.run_cmd = partial(utils.run_cmd, capture_output=False)


def read_task(file: Path, data: Path | None = None) -> dict[str, Any]:
    """What task.yaml says, its paths seen from where it lies; `data` stands for its dataroot."""
    task = dict(yaml.safe_load(file.read_text(encoding="utf-8")))
    for name in PATHS:
        path = str(task.get(name) or "")
        if path and "://" not in path:
            task[name] = str(file.resolve().parent / path)
    if data:
        task["dataroot"] = str(data.resolve())
    return task


def testing(task: dict[str, Any]) -> list[str]:
    """The volumes of the datalist that are for testing, seen from dataroot."""
    items = json.loads(Path(task["datalist"]).read_text(encoding="utf-8")).get("testing", [])
    return [str(item["image"] if isinstance(item, dict) else item) for item in items]


def train(task: dict[str, Any], work: Path, overrides: dict[str, Any], processes: int = 0) -> list[dict[str, Any]]:
    """Run AutoRunner in a folder; return its algorithms, each trained on each fold, with their scores.

    `processes` is for several on processors alone: on GPUs there is one for each of them.
    """
    # Its trainings are started by the name "python": it has to be this one.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    parameters = {**(task.get("training_params") or {}), **overrides}
    if task.get("hpo") and not importlib.util.find_spec("nni"):
        raise SystemExit(
            "hpo: true searches by NNI, which is not here: add nni to train-conda.yml"
        )  # it would not search
    begin(work, task, parameters)
    runner = Runner(work_dir=str(work), input=task)
    runner.set_training_params(parameters)
    runner.set_hpo_params(task.get("hpo_params") or parameters)
    if task.get("search_space"):
        runner.set_nni_search_space(task["search_space"])
    if not torch.cuda.is_available():
        runner.set_analyze_params({"do_ccp": False, "device": "cpu"})
        if processes > 1:  # torchrun starts as many as there are devices; the ensemble can do that on GPUs alone
            runner.training_devices = ",".join(map(str, range(processes)))
    elif not task.get("multigpu", True):
        runner.set_device_info(cuda_visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[:1])
    runner.run()
    return list(import_bundle_algo_history(str(work), only_trained=True))


class Runner(AutoRunner):
    """AutoRunner, with what each training leaves behind kept in Azure ML before the next one begins."""

    training_devices = ""
    device_setting: dict[str, Any]

    def _train_algo_in_sequence(self, history: list[dict[str, Any]]) -> None:
        devices = dict(self.device_setting)
        for number, algorithm in enumerate(history):
            if self.training_devices:
                self.set_device_info(cuda_visible_devices=self.training_devices)
            super()._train_algo_in_sequence([algorithm])
            self.device_setting = devices
            keep(Path(self.work_dir), number)


def begin(work: Path, task: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Go on with what was stopped, if it was the same; else remove what another training has left."""
    work.mkdir(parents=True, exist_ok=True)
    fetch(work)
    file, own = work / BEGUN, {"of": fingerprint(task, parameters), "in": str(work.resolve())}
    # What a search leaves behind, AutoRunner would take for algorithms to search in again.
    anew = bool(task.get("not_use_cache") or task.get("hpo"))
    if file.exists() and not (work / "metrics.json").exists() and not anew:
        noted = json.loads(file.read_text(encoding="utf-8"))
        if noted["of"] == own["of"]:
            print(f"Going on in {work.name}/, where this training was stopped", flush=True)
            forget_unfinished(work)
            relocate(work, noted["in"])
            write_whole(file, own)
            return
        print(f"What was stopped in {work.name}/ had another task, data or code: this begins anew", flush=True)
    for algorithm in work.glob("*/algo_object.json"):
        shutil.rmtree(algorithm.parent)
    for name in WRITTEN:
        shutil.rmtree(work / name, ignore_errors=True)
    for name in FILES:
        (work / name).unlink(missing_ok=True)
    write_whole(file, own)


def fingerprint(task: dict[str, Any], parameters: dict[str, Any]) -> str:
    """A text that is another one once the task, its data or an algorithm has changed."""
    said = {name: value for name, value in task.items() if name not in PATHS}
    found = hashlib.sha256(json.dumps([said, parameters], sort_keys=True, default=str).encode())
    datalist, templates = Path(task["datalist"]), Path(str(task.get("templates_path_or_url") or os.devnull))
    code = sorted(file for file in templates.rglob("*") if file.suffix in (".py", ".yaml"))
    for file in [datalist, *code]:
        found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    for key, items in json.loads(datalist.read_text(encoding="utf-8")).items():
        for item in items if key in ("training", "validation") else ():
            volumes = [Path(task["dataroot"], text) for text in item.values() if isinstance(text, str)]
            found.update(str([volume.stat().st_size for volume in volumes if volume.exists()]).encode())
    return found.hexdigest()


def relocate(work: Path, earlier: str) -> None:
    """Name this folder where AutoRunner has noted another one: a new node may have another place for the run."""
    if earlier != str(work.resolve()):
        for pattern in ("*.yaml", "*/algo_object.json", "*/configs/*.yaml"):
            for file in work.glob(pattern):
                text = file.read_text(encoding="utf-8")
                file.write_text(text.replace(earlier, str(work.resolve())), encoding="utf-8")


def write_whole(file: Path, content: dict[str, str]) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.replace(file)


def forget_unfinished(work: Path) -> None:
    """Have a training that was stopped called again.

    AutoRunner takes it for trained once there is a score, and MONAI's algorithms write one after each validation. Of a
    training that was over, it has noted the score itself.
    """
    for file in work.glob("*/algo_object.json"):
        try:
            trained = "best_metric" in json.loads(file.read_text(encoding="utf-8"))
        except ValueError:  # killed while it was written: the generation of the algorithms is not over
            shutil.rmtree(file.parent)
            (work / "cache.yaml").unlink(missing_ok=True)
            continue
        if not trained:
            for score in file.parent.rglob("progress.yaml"):
                score.unlink()


def keep(work: Path, number: int) -> None:
    """Have Azure ML keep what has been trained: outputs/ is sure to be kept only when the run is over."""
    run_id = os.environ.get("AZUREML_RUN_ID")
    if not run_id:
        return
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{number:06}.tar")
        with tarfile.open(file, "w") as archive:
            archive.add(work, arcname=".")
        mlflow.MlflowClient().log_artifact(run_id, str(file), ARTIFACTS)


def fetch(work: Path) -> None:
    """Bring what an earlier node of this run has trained: Azure ML replaces a preempted one by an empty one."""
    run_id = os.environ.get("AZUREML_RUN_ID")
    if not run_id or (work / BEGUN).exists():
        return
    import mlflow

    names = [artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run_id, ARTIFACTS)]
    if names:
        with tempfile.TemporaryDirectory() as folder:
            found = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=max(names), dst_path=folder)
            with tarfile.open(found) as archive:
                archive.extractall(work, filter="data")
