"""Follow the run that was submitted last to its end, also one of another computer: run.json names it.

    aml wait --model model1

After `aml submit --async`. Killed or interrupted, the same command again goes on. The exit code is the run's.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aml_project.api import project_of
from aml_project.command_line import DONE, Parser, run

EXAMPLE = "  aml wait --model model1"


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Follow the run that was submitted last to its end; the exit code is the run's.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument(
        "-f", "--run-metadata-file", dest="run_file", type=Path, metavar="FILE",
        help="where the run is noted (default: run.json in the model's folder)",
    )  # fmt: skip
    return run(wait, parser, argv)


def wait(args: argparse.Namespace) -> int:
    model = project_of(args).model(args.model)
    followed = model.last_run(args.run_file)
    print(f"Run {followed.id} in experiment {followed.experiment}", flush=True)
    followed.wait()
    print(f"\nCompleted: {os.path.relpath(args.run_file or model.folder / 'run.json')}.")
    return DONE
