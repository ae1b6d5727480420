"""Run the steps of a model's pipeline.yml: here, or on a cluster of the workspace.

    aml pipeline --model churn

What has not changed since the last time does not run again. Stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, run
from aml_project.project import pick_model, root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from aml_project.pipeline.definition import Pipeline
    from aml_project.pipeline.engines import Engine, Order

EXAMPLE = """  aml pipeline
  aml pipeline --set seed=7 --from train
  aml pipeline --on cpu-cluster
  aml pipeline --graph"""
ENGINES = ("local", "azure", "azml", "v2")
WRITERS = {"azml": "azml", "pipeline": "v2"}  # who writes a file of this name


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Run the steps of pipeline.yml; what has not changed does not run again.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", metavar="NAME=VALUE",
        help="another value of a parameter; may be repeated",
    )  # fmt: skip
    parser.add_argument("--from", dest="first", metavar="STEP", help="run this step again, and what stands on it")
    parser.add_argument("--only", metavar="STEP", help="run this step alone, again, with the results that are there")
    parser.add_argument("--fresh", action="store_true", help="begin anew: the results of before are removed")
    parser.add_argument(
        "--graph", action="store_true", help="print the graph, with the states and times of the last run"
    )
    parser.add_argument("--list", action="store_true", help="print the steps of the last run, and where their logs are")
    parser.add_argument("--stop", action="store_true", help="end the run that goes on; aml pipeline goes on with it")
    parser.add_argument("--on", metavar="CLUSTER", help="run the steps on this cluster of the workspace")
    parser.add_argument("--engine", choices=ENGINES, help="who runs or writes it (default: local; with --on azure)")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write what another client takes: azml.yml, pipeline.yml"
    )
    parser.add_argument(
        "--publish", action="store_true", help="in place of a run: have it in the workspace, to be called"
    )
    parser.add_argument("--endpoint", metavar="NAME", default="", help="publish it behind this address, which stays")
    parser.add_argument("--schedule", metavar="WHEN", default="", help="publish it, and let it run by itself: daily, …")
    parser.add_argument("--detach", action="store_true", help="with --on: submit, and wait for nothing")
    parser.add_argument(
        "-c", "--run-configuration-name", dest="config", default="train-amlcompute", metavar="CONFIG",
        help="with --on: the runconfig with the environment and the dataset of the steps (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "-e", "--experiment-name", dest="experiment", metavar="NAME", help="with --on (default: the model's name)"
    )
    parser.add_argument("--skip-check", action="store_true", help="with --on: do without the check that comes first")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    name = engine_of(args)
    from aml_project.pipeline import definition, engines

    pipeline = definition.with_parameters(definition.read(here / "models" / model), args.settings)
    for option, step in (("--from", args.first), ("--only", args.only)):
        refuse_unknown(option, step, pipeline)
    engine = engines.get(name)
    order = engines.Order(
        here, model, pipeline, first=args.first, only=args.only, fresh=args.fresh, on=args.on, config=args.config,
        experiment=args.experiment or model, detach=args.detach, debug=bool(args.debug), write=args.write,
        publish=args.publish or bool(args.endpoint or args.schedule), endpoint=args.endpoint, schedule=args.schedule,
    )  # fmt: skip
    if args.stop:
        return engine.stop(order)
    if args.graph or args.list:
        return tell(engine, order, as_graph=args.graph)
    if lacking := engine.lacks(order):
        raise Failure("\nERROR: ".join(lacking))
    if name == "azure" and not args.skip_check:
        refuse_what_would_fail(here, model, args.config)
    return engine.run(order)


def refuse_what_would_fail(here: Path, model: str, config: str) -> None:
    """Check the steps, and the runconfig that they go by."""
    from aml_project.checks import pipeline_rules, project_check
    from aml_project.snapshot import whole

    folder = here / "models" / model
    found = [f"models/{model}/{line}" for line in pipeline_rules.findings(folder, whole.take(folder))]
    project_check.refuse_what_would_fail(here, model, config, found)


def engine_of(args: argparse.Namespace) -> str:
    """Who is to run it: as --engine says, or what follows from the others."""
    in_azure = [option for option in ("on", "publish", "endpoint", "schedule") if getattr(args, option)]
    if args.engine:
        name = str(args.engine)
    elif args.write:
        name = WRITERS.get(args.write.stem, "")
        if not name:
            raise Failure(f"--write {args.write}: say for whom: --engine azml, or v2", WRONG_USE)
    else:
        name = "azure" if in_azure else "local"
    if args.write and name not in WRITERS.values():
        raise Failure(f"--write: the engine {name} writes no file: --engine azml, or v2", WRONG_USE)
    if name in WRITERS.values() and not args.write:
        raise Failure(f"--engine {name}: it writes a file: name it with --write", WRONG_USE)
    if name == "local" and in_azure:
        raise Failure(f"--{in_azure[0]}: the engine local runs on this computer: leave --engine out", WRONG_USE)
    if args.only and (args.first or args.fresh):
        raise Failure(f"--only: not with {'--from' if args.first else '--fresh'}: name one of them", WRONG_USE)
    if args.first and args.fresh:
        raise Failure("--fresh: runs every step again; leave --from out", WRONG_USE)
    return name


def refuse_unknown(option: str, step: str | None, pipeline: Pipeline) -> None:
    if step is not None and step not in pipeline.steps:
        raise Failure(f"{option} {step}: no such step; there are {', '.join(pipeline.steps)}", WRONG_USE)


def tell(engine: Engine, order: Order, *, as_graph: bool) -> int:
    """Print what became of each step in the last run: the graph, or a line each with its log."""
    from aml_project.pipeline import page, record

    is_running = engine.refresh(order)
    kept = record.Record.read(engine.kept_in(order))
    if as_graph:
        print(*page.as_text(order.pipeline, kept, is_running), sep="\n")
        return DONE
    if not kept.steps:
        raise Failure(f"nothing has run yet of {order.model}: make pipeline MODEL={order.model}")
    print(*record.lines(kept, is_running), sep="\n")
    return DONE
