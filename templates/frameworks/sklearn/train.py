"""Train a model on a table, judge it, and write all that scoring needs to outputs/.

python train.py
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from runtime import explaining, input_schema, report
from runtime.arguments import TASKS, add_data_arguments, data_folder, own_task, parse, reading, sample_label, share
from runtime.data import add_split_arguments, cross_validated, download, rows_of, split_label
from runtime.saving import export_onnx, save_pickle
from runtime.tables import read_table
from runtime.tracking import tracked

OUTPUTS = Path("outputs")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the model; results go to outputs/.")
    parser.add_argument("--data-path", type=Path, default=data_folder(), help="CSV or Parquet: a file, or a folder")
    parser.add_argument("--dataset", default="", help="data of the run, to download to --data-path (mechanism: direct)")
    parser.add_argument("--task", choices=TASKS, default=own_task(), help="what to predict (default: %(default)s)")
    parser.add_argument("--label", default=sample_label(), help="column to predict (default: %(default)s)")
    parser.add_argument("--regularization", type=float, default=1.0, help="smaller fits closer (default: %(default)s)")
    parser.add_argument("--max-iter", type=int, default=1000, help="limit of the optimizer (default: %(default)s)")
    parser.add_argument("--class-weight", choices=["balanced"], help="let rare classes count as much as frequent ones")
    parser.add_argument("--threshold", type=share, help="probability from which the second of two classes is answered")
    parser.add_argument("--folds", type=int, help="cross-validate as well, with so many folds")
    parser.add_argument("--seed", type=int, default=42, help="same seed, same model (default: %(default)s)")
    add_split_arguments(parser)  # --train-test-split-ratio, --split-by, --time
    add_data_arguments(parser)  # --numbers, --drop, --delimiter and more: python train.py --help
    return parse(parser, argv)


def load_data(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.Series]:
    """Read the table; return the features and the labels."""
    return split_label(read_table(args.data_path, args.label, reading(args)), args.label, args.task)


def build_model(args: argparse.Namespace) -> Pipeline:
    """The model: any scikit-learn pipeline; one that classifies has predict_proba. (Trees need no StandardScaler.)

    Classes and functions of your own may stand in this file, or in a module beside it.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore")
    if args.task == "regression":
        estimator = Ridge(alpha=args.regularization, max_iter=args.max_iter, random_state=args.seed)
    else:
        estimator = LogisticRegression(
            C=1 / args.regularization, class_weight=args.class_weight, max_iter=args.max_iter, random_state=args.seed
        )
    return make_pipeline(
        make_column_transformer(
            (numbers, make_column_selector(dtype_include="number")),
            (categories, make_column_selector(dtype_exclude="number")),
        ),
        estimator,
    )


def predict(model: Pipeline, features: pd.DataFrame) -> np.ndarray:
    """What score.py answers: a row of probabilities for each row, or its number."""
    answers: np.ndarray = getattr(model, "predict_proba", model.predict)(features)
    return answers


def main() -> None:
    args = parse_args()
    download(args.dataset, args.data_path)
    features, labels = load_data(args)
    features, rows = rows_of(features, labels, args)
    columns = input_schema.describe(features)
    features = pd.DataFrame(input_schema.to_table(features, columns))
    train, test = rows.split(args.train_test_split_ratio)

    with tracked(args) as log:
        model = build_model(args).fit(features.iloc[train], labels.iloc[train])
        from evaluation import evaluate, measure, summary, write_json  # plots: training need not wait for their imports

        classes = list(model.classes_) if args.task == "classification" else []
        answers = predict(model, features.iloc[test])
        metrics = evaluate(labels.iloc[test].to_numpy(), answers, classes, OUTPUTS / "evaluation", args.threshold)
        if args.folds:

            def judge(train: np.ndarray, test: np.ndarray) -> dict[str, float]:
                fold = build_model(args).fit(features.iloc[train], labels.iloc[train])
                answers = predict(fold, features.iloc[test])
                return measure(labels.iloc[test].to_numpy(), answers, classes, args.threshold)

            found, folds = cross_validated(rows, args.folds, judge)
            metrics |= found
            write_json(OUTPUTS / "evaluation" / "folds.json", folds)
        log.metrics(metrics)
        log.folder(OUTPUTS / "evaluation")
        log.file(report.write(OUTPUTS, report.profile(features, labels, args.label), args, metrics))

    folder = OUTPUTS / "model"
    folder.mkdir(parents=True, exist_ok=True)
    save_pickle(model, folder / "model.pkl")
    explaining.keep_means(model, features.iloc[train], folder)
    schema = input_schema.Schema(
        columns, args.task, classes, threshold=args.threshold, margin=metrics.get("margin"), reading=reading(args)
    )
    input_schema.save(folder, schema)
    export_onnx(model, features.iloc[test], folder / "model.onnx")
    write_json(OUTPUTS / "metrics.json", metrics)
    print(f"Trained on {len(train)} rows, tested on {len(test)}{rows.described()}: {summary(metrics)}")


if __name__ == "__main__":
    main()
