"""The step of a pipeline that registers a model in Azure ML, if its metrics keep the conditions.

    python aml_register.py --name churn --model FOLDER --metrics FOLDER --require accuracy>=0.7

It needs azureml-core and the rules beside it. The version is linked to this step's run. Once registered, a step that
runs again, as on a node that was taken away, finds its version.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from azureml.core import Model, Run

TYPE_CHECKING = False  # this step has the rules beside it, and nothing of the package that has sent them
if TYPE_CHECKING:
    from aml_project.service import registration_rules as rules
else:
    import registration_rules as rules

ARTIFACT = "model"  # what the files are called in the step's run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--metrics", type=Path)
    parser.add_argument("--require", action="append", default=[])
    parser.add_argument("--better-than-current")
    return parser.parse_args()


def metrics_in(place: Path | None) -> dict[str, float]:
    """The numbers of a metrics.json, or of the one in a folder."""
    if place is None:
        return {}
    file = place / "metrics.json" if place.is_dir() else place
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise rules.Refused(f"metrics: {file.name} can't be read: {error}") from None
    numbers = said.items() if isinstance(said, dict) else ()
    return {name: value for name, value in numbers if isinstance(value, (int, float)) and not isinstance(value, bool)}


def register(args: argparse.Namespace) -> str:
    metrics = metrics_in(args.metrics)
    rules.check_requirements(metrics, [rules.parse_requirement(text) for text in args.require])
    run = Run.get_context()
    workspace = run.experiment.workspace
    versions = sorted(Model.list(workspace, name=args.name), key=lambda model: int(model.version))
    for model in versions:
        if model.run_id == run.id:
            return f"{model.name}:{model.version} is registered by this step already"
    if args.better_than_current and versions:
        check_better(metrics, rules.parse_better(args.better_than_current), versions[-1])
    if not any(name.startswith(f"{ARTIFACT}/") for name in run.get_file_names()):
        upload = run.upload_folder if args.model.is_dir() else run.upload_file
        upload(ARTIFACT if args.model.is_dir() else f"{ARTIFACT}/{args.model.name}", str(args.model))
    tags = {name: rules.plain(value) for name, value in metrics.items()}
    model = run.register_model(
        args.name, model_path=ARTIFACT, tags=tags, properties={"pipeline_run": run.parent.id if run.parent else run.id}
    )
    return f"Registered {model.name}:{model.version}"


def check_better(metrics: dict[str, float], better: rules.Better, current: Model) -> None:
    if better.metric not in metrics:
        raise rules.Refused(rules.unknown(better.metric, metrics))
    old = rules.number((current.tags or {}).get(better.metric, ""))
    if old is None:
        raise rules.Refused(f"{current.id} has no {better.metric} to compare with; register once without the condition")
    rules.check_way(better.metric, metrics[better.metric], old, current.id, better.smaller)


if __name__ == "__main__":
    try:
        print(register(parse_args()))
    except rules.Refused as refused:
        sys.exit(f"not registered: {refused}")
