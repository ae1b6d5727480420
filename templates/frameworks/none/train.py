"""Train a model on a table, judge it, and write all that scoring needs to outputs/.

    python train.py

The model here only learns how frequent each label is, or the average: put yours into build_model(),
save_model() and score.py.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from runtime import input_schema, report
from runtime.arguments import TASKS, add_data_arguments, data_folder, own_task, parse, reading, sample_label, share
from runtime.data import add_split_arguments, cross_validated, download, rows_of, split_label
from runtime.tables import read_table
from runtime.tracking import tracked

OUTPUTS = Path("outputs")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the model; results go to outputs/.")
    parser.add_argument("--data-path", type=Path, default=data_folder(), help="CSV or Parquet: a file, or a folder")
    parser.add_argument("--dataset", default="", help="data of the run, to download to --data-path (mechanism: direct)")
    parser.add_argument("--task", choices=TASKS, default=own_task(), help="what to predict (default: %(default)s)")
    parser.add_argument("--label", default=sample_label(), help="column to predict (default: %(default)s)")
    parser.add_argument("--threshold", type=share, help="probability from which the second of two classes is answered")
    parser.add_argument("--folds", type=int, help="cross-validate as well, with so many folds")
    parser.add_argument("--seed", type=int, default=42, help="same seed, same model (default: %(default)s)")
    add_split_arguments(parser)  # --train-test-split-ratio, --split-by, --time
    add_data_arguments(parser)  # --numbers, --drop, --delimiter and more: python train.py --help
    return parse(parser, argv)


def load_data(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Read the table; return the features and the labels."""
    return split_label(read_table(args.data_path, args.label, reading(args)), args.label, args.task)


class Baseline:
    """Answers every row alike: with the frequencies of the labels in the training data, or the average of numbers."""

    def fit(self, features: pd.DataFrame, labels: pd.Series) -> "Baseline":
        is_number = labels.dtype.kind == "f"
        frequencies = labels.value_counts(normalize=True).sort_index()
        self.classes: list[str] = [] if is_number else list(frequencies.index)
        self.answer: float | list[float] = labels.mean() if is_number else frequencies.tolist()
        return self

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return np.array([self.answer] * len(features))


def build_model(args: argparse.Namespace) -> Baseline:
    """The model. One that learns in steps has arguments of its own: --epochs, --batch-size, --es-patience."""
    return Baseline()


def save_model(model: Baseline, folder: Path) -> None:
    """Write the model as score.py reads it."""
    (folder / "model.json").write_text(json.dumps({"answer": model.answer}, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    args = parse_args()
    if os.environ.get("OMPI_COMM_WORLD_RANK", "0") != "0":
        return  # one of several processes: they have nothing to do until the model is one for all of them
    download(args.dataset, args.data_path)
    features, labels = load_data(args)
    features, rows = rows_of(features, labels, args)
    columns = input_schema.describe(features)
    features = pd.DataFrame(input_schema.to_table(features, columns))
    train, test = rows.split(args.train_test_split_ratio)

    with tracked(args) as log:
        model = build_model(args).fit(features.iloc[train], labels.iloc[train])
        from evaluation import (
            evaluate,
            measure,
            summary,
            write_json,
        )  # plots: a training need not wait for their imports

        answers = model.predict(features.iloc[test])
        metrics = evaluate(labels.iloc[test].to_numpy(), answers, model.classes, OUTPUTS / "evaluation", args.threshold)
        if args.folds:

            def judge(train: np.ndarray, test: np.ndarray) -> dict[str, float]:
                fold = build_model(args).fit(features.iloc[train], labels.iloc[train])
                answers = fold.predict(features.iloc[test])
                return measure(labels.iloc[test].to_numpy(), answers, fold.classes, args.threshold)

            found, folds = cross_validated(rows, args.folds, judge)
            metrics |= found
            write_json(OUTPUTS / "evaluation" / "folds.json", folds)
        log.metrics(metrics)
        log.folder(OUTPUTS / "evaluation")
        log.file(report.write(OUTPUTS, report.profile(features, labels, args.label), args, metrics))

    folder = OUTPUTS / "model"
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder)
    schema = input_schema.Schema(
        columns, args.task, model.classes, threshold=args.threshold, margin=metrics.get("margin"), reading=reading(args)
    )
    input_schema.save(folder, schema)
    write_json(OUTPUTS / "metrics.json", metrics)
    print(f"Trained on {len(train)} rows, tested on {len(test)}{rows.described()}: {summary(metrics)}")


if __name__ == "__main__":
    main()
