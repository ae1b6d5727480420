"""The step of a pipeline that hands on what the best trial of a search has left, in Azure ML.

    python aml_best_trial.py --metrics FILE --metric accuracy --goal maximize

`--metrics` is what HyperDriveStep writes: the values that each trial has logged. It needs azureml-core.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from azureml.core import Run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--metrics", type=Path, required=True)
    parser.add_argument("--metric", required=True)
    parser.add_argument("--goal", choices=("maximize", "minimize"), required=True)
    parser.add_argument("--path", action="append", default=[])
    args = parser.parse_args()
    [file] = [args.metrics] if args.metrics.is_file() else [path for path in args.metrics.rglob("*") if path.is_file()]
    logged = json.loads(file.read_text(encoding="utf-8"))
    values = {run: of_metric[args.metric][-1] for run, of_metric in logged.items() if of_metric.get(args.metric)}
    if not values:
        sys.exit(f"none of {len(logged)} trials has a {args.metric}")
    best = (max if args.goal == "maximize" else min)(values, key=lambda run: values[run])
    run = Run.get(Run.get_context().experiment.workspace, best)
    for path in args.path:
        names = [name for name in run.get_file_names() if name == path or name.startswith(f"{path}/")]
        for name in names:
            run.download_file(name, output_file_path=name)
    print(f"The best trial is {best}: {args.metric} {values[best]:.6g}")


if __name__ == "__main__":
    main()
