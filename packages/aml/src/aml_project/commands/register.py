"""Register the model of a completed run, linked to its run and dataset, with the run's metrics as tags.

    aml register --model model1 --min accuracy=0.8

What `az ml model register -f run.json` does. Twice the same is once: a version of that run is not registered again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.api import Model, ModelVersion, Run, pairs, project_of
from aml_project.command_line import DONE, REFUSED, WRONG_USE, Failure, Parser, Progress, note, run

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

EXAMPLE = """  aml register --min accuracy=0.8 --better-than-current accuracy --tag stage=test"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Register the model of a completed run, with the run's metrics as tags.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("-n", "--name", help="what it is registered as (default: the model's name)")
    parser.add_argument(
        "--asset-path", default="outputs/model", metavar="PATH",
        help="the run's file or folder that is the model (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "-f", "--run-metadata-file", dest="run_file", type=Path, metavar="FILE",
        help="the run, as its submission wrote it (default: run.json in the model's folder)",
    )  # fmt: skip
    parser.add_argument(
        "--trial", type=int, metavar="N",
        help="a trial of the last search (default: the best one, if there was a search since the last run)",
    )  # fmt: skip
    parser.add_argument("-d", "--description", help="a sentence for people")
    for kind in ("tag", "property"):
        parser.add_argument(
            f"--{kind}",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help=f"a {kind} of the version; may be repeated",
        )
    for option, what in (("min", "least"), ("max", "most")):
        parser.add_argument(
            f"--{option}", action="append", default=[], metavar="METRIC=NUMBER",
            help=f"register only if a metric is at {what} this; may be repeated",
        )  # fmt: skip
    parser.add_argument(
        "--require", action="append", default=[], metavar="METRIC>=NUMBER",
        help="the same with >= > <= < or ==, in quotes; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--better-than-current", metavar="METRIC",
        help="register only if better than the newest version; cost:min where smaller is better",
    )  # fmt: skip
    parser.add_argument(
        "--not-worse-than-current", metavar="METRIC",
        help="register only if as good as the newest version, or better; cost:min where smaller is better",
    )  # fmt: skip
    parser.add_argument(
        "-t", "--output-metadata-file", dest="model_file", type=Path, metavar="FILE",
        help="note there the version, or why there is none, and what it was compared with: for aml deploy -f",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would be registered; ask and change nothing")
    return run(register, parser, argv)


def register(args: argparse.Namespace) -> int:
    from aml_project.service import registration

    model = project_of(args).model(args.model)
    tags, properties = pairs("tag", args.tag), pairs("property", args.property)
    args.require = [*registration.requirements(least=args.min, most=args.max), *args.require]
    rules = {
        "name": args.name or model.name,
        "asset_path": args.asset_path,
        "require": args.require,
        "better_than_current": args.better_than_current,
        "not_worse_than_current": args.not_worse_than_current,
    }
    registration.check_arguments(**rules)
    number = searched(model, args)
    if args.trial is not None and args.run_file is not None:
        raise Failure("--trial: it is of the last search; a run is -f: name one of them", WRONG_USE)
    step = None if number else made_by(model, args)
    trained = None if number or step else model.last_run(args.run_file)
    if args.dry_run:
        other = f"step {step} of the last pipeline" if step else f"trial {number} of the last search"
        whose = f"run {trained.id} ({trained.experiment})" if trained else other
        what = f"{args.asset_path} of {whose}"
        print(f"Would register {what} as {rules['name']}; asked nobody")
        for title, values in {"tags": args.tag, "properties": args.property, "if": conditions(args)}.items():
            if values:
                print(f"  {title + ':':12}{', '.join(values)}")
        return DONE
    try:
        trained = trained or (pipeline_run(model) if step else model.trial(number))
        given = {**rules, "tags": tags, "properties": properties, "description": args.description}
        print(noted(model, trained, given, args.model_file) if args.model_file else model.register(trained, **given))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Interrupted; the same command again registers what is not registered yet.") from None
    return DONE


def noted(model: Model, trained: Run, given: dict[str, Any], file: Path) -> ModelVersion:
    """Register, and write what came of it into a file, also if the rules have refused it."""
    from aml_project.service import model_file, registration, registration_rules

    try:
        figures = registration.figures(model.project.workspace.sdk, given["name"], trained.experiment, trained.id)
    except registration_rules.Refused as refused:
        raise Failure(f"not registered: {refused}") from refused
    try:
        version = model.register(trained, **given)
    except Failure as failure:
        if failure.code == REFUSED:
            model_file.write(file, "", figures, refused=str(failure))
        raise
    model_file.write(file, version.id, figures)
    return version


def searched(model: Model, args: argparse.Namespace) -> int | None:
    """The number of the trial that is meant; None where a run is."""
    from aml_project.search import searched_since

    if args.run_file is not None or (args.trial is None and not searched_since(model.folder)):
        return None
    from aml_project.service import trial_run

    number = trial_run.chosen(model.folder, args.trial).trial.number
    if args.trial is None:
        note(f"trial {number} is the best of the search since the last run; -f run.json takes the run, --trial another")
    return number


def made_by(model: Model, args: argparse.Namespace) -> str | None:
    """The step of the last pipeline whose model is meant; None where a run is."""
    from aml_project import pipeline

    if args.run_file is not None or not pipeline.made_since(model.folder):
        return None
    step, _ = pipeline.maker(model.folder)
    note(f"the model is that of {step}, a step of the pipeline since the last run; -f run.json takes the run")
    return step


def pipeline_run(model: Model) -> Run:
    """That model, with the metrics that lie beside it, as a run of the workspace."""
    from aml_project import pipeline
    from aml_project.service import pipeline_model

    step, folder = pipeline.maker(model.folder)
    outputs = folder / "outputs"
    with Progress(f"Registering what {step} has made"):
        sdk = pipeline_model.bring(model.project.workspace.sdk, model.name, step, outputs / "model", outputs)
    return Run(model.project, sdk.experiment.name, sdk.id, sdk=sdk)


def conditions(args: argparse.Namespace) -> list[str]:
    compared = {"better": args.better_than_current, "not worse": args.not_worse_than_current}
    return [*args.require, *(f"{metric} {how} than the newest version's" for how, metric in compared.items() if metric)]
