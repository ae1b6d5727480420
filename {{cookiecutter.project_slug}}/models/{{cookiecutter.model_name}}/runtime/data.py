"""The data: brought to a run, read from files, parted from its labels. What is wrong with it is said in one line."""

from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd

READERS = {".csv": pd.read_csv, ".parquet": pd.read_parquet}


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


def list_files(path: Path, endings: Collection[str]) -> list[Path]:
    """The files of a folder with one of these endings, in the order of their names, without hidden ones."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    visible = [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]
    return [file for file in visible if file.suffix.lower() in endings and file.is_file()]


def read_table(path: Path) -> pd.DataFrame:
    """Read one CSV or Parquet file, or all of those in a folder (not in hidden ones) as one table."""
    files = list_files(path, READERS)
    if not files:
        raise SystemExit(f"--data-path {path}: no .csv or .parquet file there")
    frames = []
    for file in files:
        try:
            frames.append(READERS[file.suffix.lower()](file))
        except ValueError as error:  # what pandas and pyarrow raise for an empty or a broken file
            raise SystemExit(f"--data-path {file}: {error}") from None
        if set(frames[-1]) != set(frames[0]):
            raise SystemExit(f"--data-path {path}: {files[0].name} and {file.name} do not have the same columns")
    return pd.concat(frames, ignore_index=True)


def split_label(frame: pd.DataFrame, label: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return the features and the labels as strings. Rows without a label are of no use and are left out.

    What is missing is told: each model makes something of it, and it may be a mistake in the data.
    """
    if label not in frame:
        raise SystemExit(f"--label {label}: no such column; the data has {', '.join(map(str, frame.columns))}")
    missing = [f"{name} in {count}" for name, count in frame.isna().sum().items() if count]
    if missing:
        more = f" and {len(missing) - 5} columns more" if len(missing) > 5 else ""
        print(f"Missing values, of {len(frame)} rows: {', '.join(missing[:5])}{more}", flush=True)
    frame = frame.dropna(subset=label)
    labels = frame[label].convert_dtypes().astype(str)
    if labels.nunique() < 2 or labels.value_counts().min() < 2:
        raise SystemExit(f"--label {label}: needs two classes or more, with two rows or more of each")
    return frame.drop(columns=label), labels
