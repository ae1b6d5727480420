"""Search for the hyperparameters of a model: search.yml says which, and each trial is a training of its own.

    aml search --model churn

Stopped or killed, the same command goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.api import project_of
from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, run
from aml_project.project import pick_model, root

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from aml_project.search.definition import Search

EXAMPLE = """  aml search
  aml search --trials 100
  aml search --list"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Search for the hyperparameters that search.yml names; stopped or killed, it goes on.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--engine", choices=("local",), default="local", help="who searches (default: %(default)s)")
    parser.add_argument("--trials", type=int, metavar="N", help="how many, in place of what search.yml says")
    parser.add_argument("--fresh", action="store_true", help="begin anew: what was tried before is removed")
    parser.add_argument("--track", action="store_true", help="send all trials to the workspace when they are over")
    parser.add_argument("--list", action="store_true", help="the trials so far, the best first")
    parser.add_argument("--show", type=int, metavar="N", help="one trial: its values, metrics and the end of its log")
    parser.add_argument("--stop", action="store_true", help="end the search that runs; aml search goes on with it")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    from aml_project.search import definition

    folder = here / "models" / model
    if args.stop:
        return stop(folder)
    search = definition.read(folder)
    if args.trials is not None:
        search = definition.with_trials(search, args.trials)
    if args.list or args.show is not None:
        return tell(folder, search, args.show)

    from aml_project.search import engines

    engine = engines.get(args.engine)
    if lacking := engine.lacks(search):
        raise Failure("\nERROR: ".join(lacking))
    code = engine.run(engines.Order(here, model, search, fresh=args.fresh))
    if args.track:
        from aml_project.service import search_runs

        print(search_runs.send(project_of(args).workspace.sdk, folder, search))
    return code


def tell(folder: Path, search: Search, number: int | None) -> int:
    """Say what was tried so far: all of it in lines, or one trial."""
    from aml_project.search import folder_of, record, results

    place = folder_of(folder)
    kept, is_running = record.Record(place), record.searcher(place) is not None
    if not kept.trials:
        raise Failure(f"nothing was tried yet for {folder.name}: make search MODEL={folder.name}")
    if number is None:
        print(*results.listed(list(kept.trials.values()), search, is_running), sep="\n")
        return DONE
    if number not in kept.trials:
        raise Failure(f"--show: no trial {number}; there are 1 to {max(kept.trials)}", WRONG_USE)
    print(*results.about(kept.trials[number], search, place, is_running), sep="\n")
    return DONE


def stop(folder: Path) -> int:
    """End the search of a model as Ctrl-C does, and wait until it is gone."""
    import os
    import signal
    import time

    from aml_project.search import folder_of, record

    place = folder_of(folder)
    process = record.searcher(place)
    if process is None:
        raise Failure(f"no search of {folder.name} is running here")
    os.kill(process, signal.SIGINT)
    while record.searcher(place) == process:
        time.sleep(0.05)
    print(f"The search of {folder.name} has ended; make search MODEL={folder.name} goes on with it.")
    return DONE
