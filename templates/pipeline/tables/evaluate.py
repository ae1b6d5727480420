"""Judge a model by rows that its training has not seen: metrics.json, a report and plots.

python evaluate.py --data-path outputs/test --output-path outputs/judged --label churned
"""

import argparse
from pathlib import Path

from evaluation import evaluate, summary, write_json
from runtime import input_schema
from runtime.tables import read_by
from runtime.tracking import tracked
from score import load_model


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge a model by rows that its training has not seen.")
    add = parser.add_argument
    add("--model", default="outputs/model", help="folder below which the model lies (default: %(default)s)")
    add("--data-path", type=Path, required=True, help="CSV or Parquet: a file, or a folder")
    add("--output-path", type=Path, required=True, help="folder for metrics.json, the report and the plots")
    add("--label", required=True, help="column that the model predicts")
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    folder, schema = input_schema.find(args.model)
    table, labels = read_by(args.data_path, schema, args.label)
    outputs = load_model(folder, schema)(table)

    with tracked(args) as log:
        metrics = evaluate(labels.to_numpy(), outputs, schema.classes, args.output_path)
        write_json(args.output_path / "metrics.json", metrics)
        log.metrics(metrics)
        log.folder(args.output_path)
    print(f"Judged by {len(labels)} rows: {summary(metrics)}")


if __name__ == "__main__":
    main()
