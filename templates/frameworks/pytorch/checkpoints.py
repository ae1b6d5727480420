"""Where a run that was stopped goes on: everything of its last epoch, in one file that is whole or not there."""

import argparse
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from distributed import Processes
from samples import Data

FILE = Path("outputs") / "checkpoints" / "last.pt"
# What a run must not change while it goes on; the number of epochs it may.
FIXED = ("batch_size", "learning_rate", "seed", "train_test_split_ratio", "image_size", "label")


def save(
    args: argparse.Namespace,
    data: Data,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: dict[str, Any],
    history: list[dict[str, float]],
) -> None:
    """Write the state after an epoch over that after the one before."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    partial = FILE.with_suffix(".partial")
    state = {"weights": net.state_dict(), "optimizer": optimizer.state_dict(), "best": best, "history": history}
    torch.save(state | {"of": fingerprint(args, data)}, partial)
    partial.replace(FILE)


def fingerprint(args: argparse.Namespace, data: Data) -> dict[str, Any]:
    """What a checkpoint belongs to: the same arguments, columns and classes."""
    own = {name: getattr(args, name) for name in FIXED}
    return own | {"columns": [column["name"] for column in data.columns], "classes": data.classes}


def resume(args: argparse.Namespace, data: Data, processes: Processes) -> dict[str, Any] | None:
    """The state of the last epoch, if this run is to go on; every process gets what the first one finds."""
    found: list[dict[str, Any] | None] = [None]
    if processes.rank == 0:
        found = [read(args, data)]
    if processes.size > 1:
        torch.distributed.broadcast_object_list(found, src=0)
    return found[0]


def read(args: argparse.Namespace, data: Data) -> dict[str, Any] | None:
    """From outputs/; or, where Azure ML has started the run anew on another node, from the run's artifacts."""
    restarted = "AZUREML_RUN_ID" in os.environ
    if restarted and not FILE.exists():
        fetch(os.environ["AZUREML_RUN_ID"])
    if not (args.resume or restarted):
        FILE.unlink(missing_ok=True)  # of another run
        return None
    if not FILE.exists():
        if args.resume:
            print(f"No {FILE} to go on from: this run begins")
        return None
    try:
        state: dict[str, Any] = torch.load(FILE, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise SystemExit(f"{FILE}: can't be read ({str(error).splitlines()[0]}); delete it to begin anew") from None
    for name, now in fingerprint(args, data).items():
        if state["of"][name] != now:
            raise SystemExit(f"--resume: {name} was {state['of'][name]} and is {now}; delete {FILE} to begin anew")
    print(f"Going on after epoch {len(state['history'])}, from {FILE}")
    return state


def fetch(run_id: str) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    if any(artifact.path == FILE.as_posix() for artifact in client.list_artifacts(run_id, FILE.parent.as_posix())):
        mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=FILE.as_posix(), dst_path=".")
