"""Search for the hyperparameters of a model: search.yml says which, and each trial is a training of its own.

    aml search --model churn

Stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aml_project.api import project_of
from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, run
from aml_project.project import pick_model, root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

    from aml_project.search.definition import Search
    from aml_project.search.engines import Engine, Order

EXAMPLE = """  aml search
  aml search --trials 100
  aml search --on cpu-cluster
  aml search --write sweep.yml
  aml search --list"""
ENGINES = ("local", "nni", "hyperdrive", "sweep")
WINDOWS = os.name == "nt"
ALGORITHMS = ("random", "grid", "bayesian", "tpe")


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Search for the hyperparameters that search.yml names; stopped or killed, it goes on.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument(
        "--engine", choices=ENGINES,
        help="who searches (default: local, which is Optuna; with --on hyperdrive; with --write as its file is called)",
    )  # fmt: skip
    parser.add_argument("--on", metavar="CLUSTER", help="let the trials run on this cluster of the workspace")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write what the engine's own command takes")
    parser.add_argument("--trials", type=int, metavar="N", help="how many, in place of what search.yml says")
    parser.add_argument("--algorithm", choices=ALGORITHMS, help="how it draws, in place of what search.yml says")
    parser.add_argument("--fresh", action="store_true", help="begin anew: what was tried before is removed")
    parser.add_argument("--detach", action="store_true", help="with --on: submit, and wait for nothing")
    parser.add_argument(
        "-c", "--run-configuration-name", dest="config", default="train-amlcompute", metavar="CONFIG",
        help="with --on: the runconfig that a trial runs by (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "-e", "--experiment-name", dest="experiment", metavar="NAME", help="with --on (default: the model's name)"
    )
    parser.add_argument("--skip-check", action="store_true", help="do without the check that comes first")
    parser.add_argument("--track", action="store_true", help="send all trials to the workspace when they are over")
    parser.add_argument("--list", action="store_true", help="the trials so far, the best first")
    parser.add_argument("--show", type=int, metavar="N", help="one trial: its values, metrics and the end of its log")
    parser.add_argument("--stop", action="store_true", help="end the search that runs; aml search goes on with it")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    from aml_project.search import definition, engines

    name = engine_of(args)
    if WINDOWS and not args.write:
        raise Failure(
            "a search runs on Linux and macOS: call it in WSL, or write what an engine takes: --write sweep.yml"
        )
    engine, search = engines.get(name), definition.read(here / "models" / model)
    changes = {key: value for key in ("trials", "algorithm") if (value := getattr(args, key)) is not None}
    search = changed(search, changes)
    order = engines.Order(
        here, model, search, on=args.on, config=args.config, experiment=args.experiment or model,
        detach=args.detach, debug=bool(args.debug), write=args.write, fresh=args.fresh,
    )  # fmt: skip
    if args.stop:
        return engine.stop(order)
    if args.list or args.show is not None:
        return tell(engine, order, args)
    if lacking := engine.lacks(search):
        raise Failure("\nERROR: ".join(lacking))
    if args.on and not args.write and not args.skip_check:
        from aml_project.checks import project_check

        project_check.refuse_what_would_fail(here, model, args.config)
    elif not args.write and not args.skip_check:
        from aml_project.checks import search_rules

        search_rules.refuse_what_would_fail(search, order.folder)
    code = engine.run(order)
    if args.track:
        from aml_project.service import search_runs

        print(search_runs.send(project_of(args).workspace.sdk, order.folder, search))
    return code


def engine_of(args: argparse.Namespace) -> str:
    """Who is to search: as --engine says, or what follows from the others."""
    if args.engine:
        name = str(args.engine)
    elif args.write:
        name = args.write.stem
        if name not in ENGINES[1:]:
            listed = ", ".join(ENGINES[1:])
            raise Failure(f"--write {args.write}: name the engine that it is for: --engine with {listed}", WRONG_USE)
    else:
        name = "hyperdrive" if args.on else "local"
    if args.track and name != "local":
        raise Failure(f"--track: only what the engine local tried can be sent: leave it out with {name}", WRONG_USE)
    if name == "local" and (args.on or args.write):
        option = "--on" if args.on else "--write"
        raise Failure(f"{option}: the engine local searches on this computer: leave --engine out", WRONG_USE)
    return name


def changed(search: Search, changes: dict[str, Any]) -> Search:
    """The search with what the command line has in place of the file."""
    import dataclasses

    from aml_project.search.definition import Reading, with_trials

    if "trials" in changes:
        search = with_trials(search, changes["trials"])
    search = dataclasses.replace(search, **changes)
    if search.algorithm == "grid":
        reading = Reading({})
        reading.refuse_endless(search)
        if reading.findings:
            raise Failure(reading.findings[0])
    return search


def tell(engine: Engine, order: Order, args: argparse.Namespace) -> int:
    """Say what was tried so far: all of it in lines, or one trial."""
    from aml_project.search import record, results

    is_running = engine.refresh(order)
    number, place = args.show, engine.kept_in(order)
    trials = record.Record(place).trials
    if not trials:
        raise Failure(f"nothing was tried yet for {order.model}: make search MODEL={order.model}")
    if number is None:
        print(*results.listed(list(trials.values()), order.search, is_running), sep="\n")
        return DONE
    if number not in trials:
        raise Failure(f"--show: no trial {number}; there are 1 to {max(trials)}", WRONG_USE)
    if order.on:
        from aml_project.service import trial_run

        trial_run.bring_log(project_of(args).workspace.sdk, order.folder, place, trials[number])
    print(*results.about(trials[number], order.search, place, is_running), sep="\n")
    return DONE
