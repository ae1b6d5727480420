"""The data: brought to a run, parted from its labels. What is wrong with it is said in one line."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

MANY = 20  # different numbers in a label: more than that are rarely classes
FEW = 10  # rows that a regression needs, so that some can be held out
LARGEST = float(np.finfo(np.float32).max)


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


def load_tabular_dataset(
    name: str, version: int | str = "latest", reading: dict[str, Any] | None = None, workspace: Any = None
) -> pd.DataFrame:
    """A registered dataset, of files or a table, with all its columns, in the types in which a training reads them.

    In a run it is one of the run's workspace, here one of the workspace that the project is attached to. `reading` is
    what arguments.reading() makes of --numbers, --categories and their like.
    """
    from azureml.core import Dataset, Run, Workspace

    from runtime import tables

    run = Run.get_context()
    workspace = workspace or (run.experiment.workspace if hasattr(run, "experiment") else Workspace.from_config())
    try:
        dataset = Dataset.get_by_name(workspace, name, version)
    except Exception as error:
        raise SystemExit(f"dataset {name}, version {version}: {' '.join(str(error).split())[:300]}") from None
    with TemporaryDirectory() as folder:
        if hasattr(dataset, "to_pandas_dataframe"):
            dataset.to_pandas_dataframe().to_parquet(Path(folder, f"{name}.parquet"), index=False)
        else:
            dataset.download(folder)
        try:
            return tables.read_whole(Path(folder), reading or {})
        except tables.Refused as refused:
            raise SystemExit(str(refused).replace(f"--data-path {folder}", f"dataset {name}", 1)) from None


def split_label(frame: pd.DataFrame, label: str, task: str = "classification") -> tuple[pd.DataFrame, pd.Series]:
    """Return the features and the labels: strings, or numbers for a regression. Rows without a label are left out.

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
    labels = frame[label].convert_dtypes()
    return frame.drop(columns=label), numbers(labels) if task == "regression" else classes(labels)


def classes(labels: pd.Series) -> pd.Series:
    """The labels of a classification. Many numbers are told: they are rarely meant as classes."""
    check_spelling(labels.astype(str))
    count = labels.nunique()
    instead = ""
    if count > MANY and labels.dtype.kind in "iuf":
        instead = f"{count} different numbers are taken for classes; --task regression predicts a number"
    if count < 2 or labels.value_counts().min() < 2:
        needed = "needs two classes or more, with two rows or more of each"
        raise SystemExit(f"--label {labels.name}: {'; '.join(filter(None, [needed, instead]))}")
    if instead:
        print(f"NOTE: --label {labels.name}: {instead}", file=sys.stderr, flush=True)
    return labels.astype(str)


def check_spelling(labels: pd.Series) -> None:
    """Labels that differ only in blanks or case are one class to whoever wrote them, and two to a model."""
    spelled: dict[str, str] = {}
    for text in labels.unique():
        other = spelled.setdefault(" ".join(text.split()).casefold(), text)
        if other != text:
            row = labels[labels == text].index[0]
            raise SystemExit(f"--label {labels.name}: row {row} has {text!r}, others {other!r}; write them alike")


def numbers(labels: pd.Series) -> pd.Series:
    """The labels of a regression."""
    found = pd.to_numeric(labels, errors="coerce").astype(float)
    if labels.dtype.kind not in "iufO":  # to_numeric() makes numbers of booleans and of dates
        found[:] = np.nan
    wrong = labels[~(found.abs() <= LARGEST)]
    if len(wrong):
        what = f"{str(wrong.iloc[0])[:80]!r} in row {wrong.index[0]} is no number, or too large a one"
        raise SystemExit(f"--label {labels.name}: {what}; --task classification predicts classes")
    if len(found) < FEW or found.nunique() < 2:
        raise SystemExit(f"--label {labels.name}: needs {FEW} rows or more, and two different numbers or more")
    return found
