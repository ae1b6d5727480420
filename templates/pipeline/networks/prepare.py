"""Part the data for a pipeline's steps: samples to train on, and a share of them by which evaluate.py judges the model.

python prepare.py --train-path outputs/train --test-path outputs/test --label churned
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from runtime import images
from runtime.arguments import TASKS, add_text_arguments, data_folder, own_task, reading, share
from runtime.data import held_out
from runtime.tables import read_rows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Clean the data, and hold out a share of it.")
    add = parser.add_argument
    add("--data-path", type=Path, default=data_folder(), help="CSV or Parquet, or a sub-folder of images per class")
    add("--train-path", type=Path, required=True, help="folder for the samples to train on")
    add("--test-path", type=Path, required=True, help="folder for the samples to judge the model by")
    add("--task", choices=TASKS, default=own_task(), help="what to predict (default: %(default)s)")
    add("--label", default="", help="column of a table to predict")
    add("--test-ratio", type=share, default=0.2, help="share held out, of each class (default: %(default)s)")
    add("--seed", type=int, default=42, help="same seed, same samples (default: %(default)s)")
    add_text_arguments(parser)
    return parser.parse_args(argv)


def clean(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """The rows that there is something to learn from. What you change in a column, score.py has to change as well."""
    if label not in table:
        raise SystemExit(f"--label {label}: no such column; the data has {', '.join(map(str, table.columns))}")
    return table.dropna(subset=label).drop_duplicates(ignore_index=True)


def part(labels: np.ndarray, args: argparse.Namespace) -> dict[Path, np.ndarray]:
    """Which samples go to which folder: a share of each class is held out."""
    random = np.random.default_rng(args.seed)
    train, test = held_out(np.arange(len(labels)), labels, args.test_ratio, random)
    print(f"{len(train)} samples to train on, {len(test)} to judge by")
    return {args.train_path: train, args.test_path: test}


def main() -> None:
    args = parse_args()
    if images.is_image_folder(args.data_path):
        files, labels = images.list_images(args.data_path)
        for folder, indices in part(np.array(labels), args).items():
            for file in (files[index] for index in indices):
                target = folder / file.relative_to(args.data_path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        return
    rows = clean(read_rows(args.data_path, reading(args)), args.label)
    labels = rows[args.label].to_numpy(str) if args.task == "classification" else np.zeros(len(rows))
    for folder, indices in part(labels, args).items():
        folder.mkdir(parents=True, exist_ok=True)
        rows.iloc[indices].to_csv(folder / "rows.csv", index=False)


if __name__ == "__main__":
    main()
