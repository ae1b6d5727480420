"""Train a classifier on a table, judge it, and write all that scoring needs to outputs/.

python train.py
"""

import argparse
from pathlib import Path

import joblib
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from runtime import input_schema, report
from runtime.arguments import add_data_arguments, data_folder, parse, reading, share
from runtime.data import download, split_label
from runtime.onnx_export import export_onnx
from runtime.tables import read_table
from runtime.tracking import tracked

OUTPUTS = Path("outputs")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the model; results go to outputs/.")
    parser.add_argument("--data-path", type=Path, default=data_folder(), help="CSV or Parquet: a file, or a folder")
    parser.add_argument("--dataset", default="", help="data of the run, to download to --data-path (mechanism: direct)")
    parser.add_argument("--label", default="churned", help="column to predict (default: %(default)s)")
    parser.add_argument("--train-test-split-ratio", type=share, default=0.3, help="share held out for the test")
    parser.add_argument("--regularization", type=float, default=1.0, help="smaller fits closer (default: %(default)s)")
    parser.add_argument("--max-iter", type=int, default=1000, help="limit of the optimizer (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="same seed, same model (default: %(default)s)")
    add_data_arguments(parser)
    return parse(parser, argv)


def load_data(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Read the table; return the features and the labels."""
    return split_label(read_table(args.data_path, args.label, reading(args)), args.label)


def build_model(args: argparse.Namespace) -> Pipeline:
    """The model: any scikit-learn pipeline whose last step has predict_proba. (Trees need no StandardScaler.)

    Classes and functions of your own belong in a module beside this file: score.py can't load them from here.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer(
            (numbers, make_column_selector(dtype_include="number")),
            (categories, make_column_selector(dtype_exclude="number")),
        ),
        LogisticRegression(C=1 / args.regularization, max_iter=args.max_iter, random_state=args.seed),
    )


def main() -> None:
    args = parse_args()
    download(args.dataset, args.data_path)
    features, labels = load_data(args)
    columns = input_schema.describe(features)
    features = pd.DataFrame(input_schema.to_table(features, columns))
    train_x, test_x, train_y, test_y = train_test_split(
        features, labels, test_size=args.train_test_split_ratio, random_state=args.seed, stratify=labels
    )

    with tracked(args) as log:
        model = build_model(args).fit(train_x, train_y)
        from evaluation import evaluate, write_json  # plots: a training need not wait for their imports

        classes = list(model.classes_)
        metrics = evaluate(test_y.to_numpy(), model.predict_proba(test_x), classes, OUTPUTS / "evaluation")
        log.metrics(metrics)
        log.folder(OUTPUTS / "evaluation")
        log.file(report.write(OUTPUTS, report.profile(features, labels, args.label), args, metrics))

    folder = OUTPUTS / "model"
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.pkl")
    input_schema.save(folder, input_schema.Schema(columns, classes=classes, reading=reading(args)))
    export_onnx(model, test_x, folder / "model.onnx")
    write_json(OUTPUTS / "metrics.json", metrics)
    print(f"Trained on {len(train_x)} rows, tested on {len(test_x)}: accuracy {metrics['accuracy']:.3f}")


if __name__ == "__main__":
    main()
