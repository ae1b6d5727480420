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
from runtime.arguments import TASKS, data_folder, own_task, parse, sample_label, share
from runtime.data import download, read_table, split_label
from runtime.tracking import tracked

OUTPUTS = Path("outputs")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the model; results go to outputs/.")
    parser.add_argument("--data-path", type=Path, default=data_folder(), help="CSV or Parquet: a file, or a folder")
    parser.add_argument("--dataset", default="", help="data of the run, to download to --data-path (mechanism: direct)")
    parser.add_argument("--task", choices=TASKS, default=own_task(), help="what to predict (default: %(default)s)")
    parser.add_argument("--label", default=sample_label(), help="column to predict (default: %(default)s)")
    parser.add_argument("--train-test-split-ratio", type=share, default=0.3, help="share held out for the test")
    parser.add_argument("--seed", type=int, default=42, help="same seed, same model (default: %(default)s)")
    return parse(parser, argv)


def load_data(path: Path, label: str, task: str) -> tuple[pd.DataFrame, pd.Series]:
    """Read the table; return the features and the labels."""
    return split_label(read_table(path), label, task)


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
    features, labels = load_data(args.data_path, args.label, args.task)
    columns = input_schema.describe(features)
    features = pd.DataFrame(input_schema.to_table(features, columns), index=labels.index)
    groups = labels.groupby(labels) if args.task == "classification" else labels
    test_y = groups.sample(frac=args.train_test_split_ratio, random_state=args.seed)
    train_y = labels.drop(test_y.index)
    train_x, test_x = features.loc[train_y.index], features.loc[test_y.index]

    with tracked(args) as log:
        model = build_model(args).fit(train_x, train_y)
        from evaluation import evaluate, summary, write_json  # plots: a training need not wait for their imports

        metrics = evaluate(test_y.to_numpy(), model.predict(test_x), model.classes, OUTPUTS / "evaluation")
        log.metrics(metrics)
        log.folder(OUTPUTS / "evaluation")
        log.file(report.write(OUTPUTS, report.profile(features, labels, args.label), args, metrics))

    folder = OUTPUTS / "model"
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder)
    input_schema.save(folder, input_schema.Schema(columns, args.task, model.classes, metrics.get("margin")))
    write_json(OUTPUTS / "metrics.json", metrics)
    print(f"Trained on {len(train_x)} rows, tested on {len(test_x)}: {summary(metrics)}")


if __name__ == "__main__":
    main()
