"""Train a classifier on a table, judge it, and write all that scoring needs to outputs/.

    python train.py

The model here only learns how frequent each label is: put yours into build_model(), save_model() and score.py.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from runtime import input_schema, report
from runtime.arguments import add_data_arguments, data_folder, parse, reading, share
from runtime.data import download, split_label
from runtime.tables import read_table
from runtime.tracking import tracked

OUTPUTS = Path("outputs")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the model; results go to outputs/.")
    parser.add_argument("--data-path", type=Path, default=data_folder(), help="CSV or Parquet: a file, or a folder")
    parser.add_argument("--dataset", default="", help="data of the run, to download to --data-path (mechanism: direct)")
    parser.add_argument("--label", default="churned", help="column to predict (default: %(default)s)")
    parser.add_argument("--train-test-split-ratio", type=share, default=0.3, help="share held out for the test")
    parser.add_argument("--seed", type=int, default=42, help="same seed, same model (default: %(default)s)")
    add_data_arguments(parser)
    return parse(parser, argv)


def load_data(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Read the table; return the features and the labels."""
    return split_label(read_table(args.data_path, args.label, reading(args)), args.label)


class Baseline:
    """Answers every row with the frequencies of the labels in the training data."""

    def fit(self, features: pd.DataFrame, labels: pd.Series) -> "Baseline":
        self.frequencies = labels.value_counts(normalize=True).sort_index()
        self.classes = list(self.frequencies.index)
        return self

    def predict_proba(self, features: pd.DataFrame) -> np.ndarray:
        return np.tile(self.frequencies.to_numpy(), (len(features), 1))


def build_model(args: argparse.Namespace) -> Baseline:
    """The model. One that learns in steps has arguments of its own: --epochs, --batch-size, --es-patience."""
    return Baseline()


def save_model(model: Baseline, folder: Path) -> None:
    """Write the model as score.py reads it."""
    text = json.dumps({"frequencies": model.frequencies.to_dict()}, indent=2)
    (folder / "model.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    args = parse_args()
    if os.environ.get("OMPI_COMM_WORLD_RANK", "0") != "0":
        return  # one of several processes: they have nothing to do until the model is one for all of them
    download(args.dataset, args.data_path)
    features, labels = load_data(args)
    columns = input_schema.describe(features)
    features = pd.DataFrame(input_schema.to_table(features, columns), index=labels.index)
    test_y = labels.groupby(labels).sample(frac=args.train_test_split_ratio, random_state=args.seed)
    train_y = labels.drop(test_y.index)
    train_x, test_x = features.loc[train_y.index], features.loc[test_y.index]

    with tracked(args) as log:
        model = build_model(args).fit(train_x, train_y)
        from evaluation import evaluate, write_json  # plots: a training need not wait for their imports

        metrics = evaluate(test_y.to_numpy(), model.predict_proba(test_x), model.classes, OUTPUTS / "evaluation")
        log.metrics(metrics)
        log.folder(OUTPUTS / "evaluation")
        log.file(report.write(OUTPUTS, report.profile(features, labels, args.label), args, metrics))

    folder = OUTPUTS / "model"
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder)
    input_schema.save(folder, input_schema.Schema(columns, classes=model.classes, reading=reading(args)))
    write_json(OUTPUTS / "metrics.json", metrics)
    print(f"Trained on {len(train_x)} rows, tested on {len(test_x)}: accuracy {metrics['accuracy']:.3f}")


if __name__ == "__main__":
    main()
