"""Whether a run goes on from its last checkpoint: with --resume, or because Azure ML has started it anew."""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from runtime.samples import Data

FOLDER = Path("outputs") / "checkpoints"
ARTIFACTS = "checkpoints"
KEEP_EVERY = 600.0  # seconds of work that a preempted node may cost
# What a run must not change while it goes on; the number of epochs it may.
FIXED = (
    "batch_size", "learning_rate", "seed", "train_test_split_ratio", "split_by", "time", "es_patience", "image_size",
    "task", "label", "class_weight",
)  # fmt: skip

kept_at = time.monotonic()


def fingerprint(args: argparse.Namespace, data: Data) -> dict[str, Any]:
    """What a checkpoint belongs to: the same arguments, columns and classes."""
    own = {name: getattr(args, name) for name in FIXED}
    return own | {"columns": [column["name"] for column in data.columns], "classes": data.classes}


def find(file: Path, resume: bool) -> bool:
    """Say whether there is a checkpoint to go on from; one of another run is removed.

    Azure ML replaces a preempted node by an empty one. The run keeps its id, and its artifacts a checkpoint.
    """
    restarted = "AZUREML_RUN_ID" in os.environ
    if restarted and not file.exists():
        fetch(os.environ["AZUREML_RUN_ID"], file)
    if not (resume or restarted):
        file.unlink(missing_ok=True)
    elif resume and not file.exists():
        print(f"No {file} to go on from: this run begins")
    return file.exists()


def refuse_another(belongs_to: dict[str, Any], args: argparse.Namespace, data: Data, file: Path) -> None:
    """End with one line if the checkpoint was made with other arguments or other data."""
    for name, now in fingerprint(args, data).items():
        if belongs_to.get(name) != now:
            option = name if name in ("columns", "classes") else f"--{name.replace('_', '-')}"
            raise SystemExit(
                f"--resume: {option} was {belongs_to.get(name)} and is {now} now; delete {file} to begin anew"
            )


def unreadable(file: Path, error: Exception) -> SystemExit:
    return SystemExit(f"--resume: {file} can't be read ({str(error).splitlines()[0]}); delete it to begin anew")


def keep(file: Path, epoch: int) -> None:
    """Have Azure ML keep a checkpoint now and then: outputs/ is sure to be kept only when the run is over."""
    global kept_at
    run_id = os.environ.get("AZUREML_RUN_ID")
    if not run_id or time.monotonic() - kept_at < KEEP_EVERY:
        return
    import mlflow

    with tempfile.TemporaryDirectory() as folder:  # the service takes no second file of the same name
        copy = shutil.copy(file, Path(folder, f"{epoch:06}{file.suffix}"))
        mlflow.MlflowClient().log_artifact(run_id, copy, ARTIFACTS)
    kept_at = time.monotonic()


def fetch(run_id: str, file: Path) -> None:
    """Bring the latest checkpoint that the run has kept."""
    import mlflow

    names = [artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run_id, ARTIFACTS)]
    if names:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            found = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=max(names), dst_path=folder)
            Path(found).replace(file)
