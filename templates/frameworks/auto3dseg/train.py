"""Train a segmentation of volumes with MONAI's Auto3DSeg, judge it, and write all that scoring needs to outputs/.

python train.py
"""

import argparse
import json
from pathlib import Path

from runtime import input_schema
from runtime.arguments import MODEL, parse
from runtime.data import download
from runtime.tracking import tracked

OUTPUTS = Path("outputs")
SAMPLE = MODEL.parent.parent / "data" / MODEL.name


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run AutoRunner on task.yaml; results go to outputs/.")
    add = parser.add_argument
    add("--data-path", type=Path, default=SAMPLE, help="where the paths in the datalist begin")
    add("--dataset", default="", help="data of the run, to download to --data-path (mechanism: direct)")
    add("--task", type=Path, default=MODEL / "task.yaml", help="what is trained (default: the file beside this one)")
    add("--epochs", type=int, help="passes over the data, for each algorithm (default: as each has it)")
    add("--learning-rate", type=float, help="of each algorithm (default: as each has it)")
    add("--processes", type=int, default=0, help="of a training without a GPU; with GPUs there is one for each")
    add("--keep", choices=("ensemble", "best"), default="ensemble", help="as the model (default: %(default)s)")
    return parse(parser, argv)


def main() -> None:
    args = parse_args()
    download(args.dataset, args.data_path)
    if args.data_path.resolve() == SAMPLE and not any(SAMPLE.rglob("*.nii*")):
        from make_volumes import make

        print(f"No volume in data/{MODEL.name}/: it gets a sample of a dozen (make_volumes.py)", flush=True)
        make(SAMPLE)

    from runtime.nodes import Nodes

    nodes = Nodes(args.data_path)
    if nodes.rank > 0:
        nodes.follow()
        return

    from runtime import autorunner, ensemble

    task = autorunner.read_task(args.task, args.data_path)
    asked = {"num_epochs": args.epochs, "learning_rate": args.learning_rate}
    parameters = {name: value for name, value in asked.items() if value}
    with tracked(args) as log:
        algorithms = autorunner.train(task, OUTPUTS, parameters, nodes, args.processes)
        from evaluation import classes_in, evaluate, read_losses

        metrics = evaluate(task, OUTPUTS, algorithms)
        log.metrics(metrics)
        log.steps(
            (int(row["epoch"]), {f"{name}_loss": row["loss"], f"{name}_dice": row["metric"]})
            for name, epochs in read_losses(algorithms).items()
            for row in epochs
        )
        log.folder(OUTPUTS / "evaluation")

    kept = ensemble.picked(algorithms)
    if args.keep == "best":
        kept = [max(algorithms, key=lambda algorithm: algorithm["best_metric"])]
    classes = classes_in(task, OUTPUTS)
    ensemble.save(kept, classes, bool(task.get("sigmoid")), OUTPUTS / "model")
    schema = input_schema.Schema([{"name": "image", "type": "volume"}], "segmentation", list(classes))
    input_schema.save(OUTPUTS / "model", schema)
    (OUTPUTS / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    print(f"Kept {', '.join(each['identifier'] for each in kept)}: Dice {metrics['dice']:.3f}")


if __name__ == "__main__":
    main()
