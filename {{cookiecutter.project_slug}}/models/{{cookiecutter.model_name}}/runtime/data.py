"""The data: brought to a run, parted from its labels. What is wrong with it is said in one line."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd


def download(name: str, folder: Path, local_rank: int = 0, wait: Callable[[], None] = lambda: None) -> None:
    """Bring a dataset of the run to a folder of the node: its first process does, the others wait until all is there.

    For a run whose runconfig says `mechanism: direct`, which nobody else brings it to. Without a name there is nothing
    to do.
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


def split_label(frame: pd.DataFrame, label: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return the features and the labels as strings. Rows without a label are of no use and are left out.

    What is missing is told: each model makes something of it, and it may be a mistake in the data.
    """
    if label not in frame:
        alike = [name for name in frame.columns if name.strip().casefold() == label.strip().casefold()]
        meant = f"; {alike[0]!r} is one" if alike else ""
        raise SystemExit(f"--label {label}: no such column; the data has {', '.join(map(str, frame.columns))}{meant}")
    if len(frame.columns) < 2:
        raise SystemExit(f"--label {label}: there is no other column to predict it from")
    missing = [f"{name} in {count}" for name, count in frame.isna().sum().items() if count]
    if missing:
        more = f" and {len(missing) - 5} columns more" if len(missing) > 5 else ""
        print(f"Missing values, of {len(frame)} rows: {', '.join(missing[:5])}{more}", flush=True)
    frame = frame.dropna(subset=label)
    labels = frame[label].convert_dtypes().astype(str)
    check_spelling(labels, label)
    if labels.nunique() < 2 or labels.value_counts().min() < 2:
        raise SystemExit(f"--label {label}: needs two classes or more, with two rows or more of each")
    return frame.drop(columns=label), labels


def check_spelling(labels: pd.Series, label: str) -> None:
    """Labels that differ only in blanks or case are one class to whoever wrote them, and two to a model."""
    spelled: dict[str, str] = {}
    for text in labels.unique():
        other = spelled.setdefault(" ".join(text.split()).casefold(), text)
        if other != text:
            row = labels[labels == text].index[0]
            raise SystemExit(f"--label {label}: row {row} has {text!r}, others {other!r}; write them alike")
