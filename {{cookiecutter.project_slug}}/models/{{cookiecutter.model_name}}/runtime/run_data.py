"""The data of a run whose runconfig says `mechanism: direct`: nobody but train.py brings it to the node."""

from collections.abc import Callable
from pathlib import Path


def download(name: str, folder: Path, local_rank: int = 0, wait: Callable[[], None] = lambda: None) -> None:
    """Bring a dataset of the run to a folder of the node: its first process does, the others wait until all is there.

    To take only a part of it, change what is downloaded here. Without a name there is nothing to do.
    """
    if not name:
        return
    if local_rank == 0:
        from azureml.core import Run

        datasets = getattr(Run.get_context(), "input_datasets", {})  # none outside of Azure ML
        if not hasattr(datasets.get(name), "download"):
            raise SystemExit(
                f"--dataset {name}: no data of this run with mechanism: direct; leave it out to train here"
            )
        print(f"Downloading {name} to {folder}", flush=True)
        datasets[name].download(str(folder), overwrite=True)
    wait()
