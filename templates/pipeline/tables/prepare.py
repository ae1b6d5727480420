"""Make the tables of a pipeline's steps: rows to train on, and a share of them by which evaluate.py judges the model.

python prepare.py --train-path outputs/train --test-path outputs/test --label churned
"""

import argparse
from pathlib import Path

import pandas as pd

from runtime.arguments import TASKS, add_text_arguments, data_folder, own_task, reading, share
from runtime.tables import read_rows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Clean the data, and hold out a share of it.")
    add = parser.add_argument
    add("--data-path", type=Path, default=data_folder(), help="CSV or Parquet: a file, or a folder")
    add("--train-path", type=Path, required=True, help="folder for the rows to train on")
    add("--test-path", type=Path, required=True, help="folder for the rows to judge the model by")
    add("--task", choices=TASKS, default=own_task(), help="what to predict (default: %(default)s)")
    add("--label", required=True, help="column to predict")
    add("--test-ratio", type=share, default=0.2, help="share held out, of each class (default: %(default)s)")
    add("--seed", type=int, default=42, help="same seed, same rows (default: %(default)s)")
    add_text_arguments(parser)
    return parser.parse_args(argv)


def clean(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """The rows that there is something to learn from. What you change in a column, score.py has to change as well."""
    if label not in table:
        raise SystemExit(f"--label {label}: no such column; the data has {', '.join(map(str, table.columns))}")
    return table.dropna(subset=label).drop_duplicates()


def write(rows: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "rows.csv", index=False)


def main() -> None:
    args = parse_args()
    table = read_rows(args.data_path, reading(args))
    rows = clean(table, args.label)
    groups = rows.groupby(args.label) if args.task == "classification" else rows
    test = groups.sample(frac=args.test_ratio, random_state=args.seed).sort_index()
    train = rows.drop(test.index)
    write(train, args.train_path)
    write(test, args.test_path)
    print(f"Kept {len(rows)} of {len(table)} rows: {len(train)} to train on, {len(test)} to judge by")


if __name__ == "__main__":
    main()
