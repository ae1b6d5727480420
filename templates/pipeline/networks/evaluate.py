"""Judge a model by samples that its training has not seen: metrics.json, a report and plots.

python evaluate.py --data-path outputs/test --output-path outputs/judged --label churned
"""

import argparse
from pathlib import Path

import numpy as np

from evaluation import evaluate, summary, write_json
from runtime import images, input_schema
from runtime.tables import read_by
from runtime.tracking import tracked
from score import load_model

BATCH = 64  # images that the network gets at a time


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge a model by samples that its training has not seen.")
    add = parser.add_argument
    add("--model", default="outputs/model", help="folder below which the model lies (default: %(default)s)")
    add("--data-path", type=Path, required=True, help="CSV or Parquet, or a sub-folder of images per class")
    add("--output-path", type=Path, required=True, help="folder for metrics.json, the report and the plots")
    add("--label", default="", help="column of a table that the model predicts")
    return parser.parse_args(argv)


def judge(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The labels of the samples, what the model makes of them, and the classes, if it has any."""
    folder, schema = input_schema.find(args.model)
    predict = load_model(folder, schema)
    if schema.columns[0]["type"] != "image":
        table, labels = read_by(args.data_path, schema, args.label)
        return labels.to_numpy(), predict(table), schema.classes
    files, named = images.list_images(args.data_path)
    size = schema.columns[0]["size"]
    batches = (files[start : start + BATCH] for start in range(0, len(files), BATCH))
    found = [predict({"image": np.stack([images.read_image(file, size) for file in batch])}) for batch in batches]
    return np.array(named), np.concatenate(found), schema.classes


def main() -> None:
    args = parse_args()
    with images.told(args.data_path), tracked(args) as log:
        labels, outputs, classes = judge(args)
        metrics = evaluate(labels, outputs, classes, args.output_path)
        write_json(args.output_path / "metrics.json", metrics)
        log.metrics(metrics)
        log.folder(args.output_path)
    print(f"Judged by {len(labels)} samples: {summary(metrics)}")


if __name__ == "__main__":
    main()
