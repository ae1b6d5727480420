"""AutoRunner's cache of what has been trained, so that the same command goes on: here, or on another node of the run.

AutoRunner itself does not ask whether what it finds is of the same task, data and code: begun.json says so.
"""

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

PATHS = ("datalist", "dataroot", "templates_path_or_url")  # of task.yaml
BEGUN = "begun.json"
ARTIFACTS = "checkpoints"  # of a run in Azure ML
# What AutoRunner writes beside the algorithms' folders, and what is made of it.
WRITTEN = ("algorithm_templates", "ensemble_output", "evaluation", "model")
FILES = (
    "cache.yaml", "datastats.yaml", "datastats_by_case.yaml", "input.yaml", "metrics.json", BEGUN,
)  # fmt: skip


def begin(work: Path, task: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Go on with what was stopped, if it was the same; else remove what another training has left."""
    work.mkdir(parents=True, exist_ok=True)
    end_left_over(work)
    fetch(work)
    file, here = work / BEGUN, places(work, task)
    own = {"of": fingerprint(task, parameters), "places": here}
    # What a search leaves behind, AutoRunner would take for algorithms to search in again.
    anew = bool(task.get("not_use_cache") or task.get("hpo"))
    if file.exists() and not (work / "metrics.json").exists() and not anew:
        noted = json.loads(file.read_text(encoding="utf-8"))
        if noted["of"] == own["of"]:
            print(f"Going on in {work.name}/, where this training was stopped", flush=True)
            forget_unfinished(work)
            relocate(work, noted.get("places", {}), here)
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


def end_left_over(work: Path) -> None:
    """End the trainings in this folder whose AutoRunner was killed: two would write the same checkpoint."""
    ended = []
    for process in psutil.process_iter(["cmdline"]):
        if any(is_training(word, work) for word in process.info["cmdline"] or ()):
            print(f"Ending a training in {work.name}/ that was left running: process {process.pid}", flush=True)
            process.kill()
            ended.append(process)
    psutil.wait_procs(ended)


def is_training(word: str, work: Path) -> bool:
    """Whether a word of a command line is a script of an algorithm in this folder."""
    return word.endswith(".py") and Path(word).parent.name == "scripts" and work.resolve() in Path(word).parents


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


def places(work: Path, task: dict[str, Any]) -> dict[str, str]:
    """Where this node has what AutoRunner notes the paths of."""
    named = {name: str(task.get(name) or "") for name in PATHS}
    return {name: path for name, path in named.items() if path and "://" not in path} | {"work": str(work.resolve())}


def relocate(work: Path, earlier: dict[str, str], here: dict[str, str]) -> None:
    """Name the places of this node where AutoRunner has noted another one's, whose folders and mounts lay elsewhere."""
    moves = {path: here[name] for name, path in earlier.items() if here.get(name, path) != path}
    for pattern in ("*.yaml", "*/algo_object.json", "*/configs/*.yaml") if moves else ():
        for file in work.glob(pattern):
            file.write_text(moved(file.read_text(encoding="utf-8"), moves), encoding="utf-8")


def moved(text: str, moves: dict[str, str]) -> str:
    """A text with each path, and what lies below it, in its new place; the longest that fits counts."""
    paths = "|".join(map(re.escape, sorted(moves, key=len, reverse=True)))
    return re.sub(rf"(?<![\w./-])({paths})(?![\w.-])", lambda found: moves[found[0]], text)


def write_whole(file: Path, content: dict[str, Any]) -> None:
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


def keep(work: Path) -> None:
    """Have Azure ML keep what has been trained: outputs/ is sure to be kept only when the run is over."""
    run_id = os.environ.get("AZUREML_RUN_ID")
    if not run_id:
        return
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{time.time_ns()}.tar")  # the service takes no second file of the same name
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
    for name in sorted(names, reverse=True):
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=name, dst_path=folder)
            except Exception as error:  # whatever the client raises where a node was gone before it had sent this
                print(f"{name} can't be fetched: {error}", flush=True)
                continue
            with tarfile.open(found) as archive:
                archive.extractall(work, filter="data")
            return
