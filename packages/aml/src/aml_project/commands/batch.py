"""Score the files of data/NAME/ with the trained model; a run that was stopped goes on.

Of a model that draws masks, it is the volumes for testing that task.yaml names, and its script knows them itself.

aml batch --input ~/customers
"""

from __future__ import annotations

import argparse

from aml_project import model_environment
from aml_project.command_line import Parser, run
from aml_project.project import data_path, draws_masks, pick_model, root

EXAMPLE = """  aml batch
  aml batch --input ~/customers --output outputs/customers.csv"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Score the files of data/NAME/ into models/*/outputs/scores.csv.", EXAMPLE, others="score_batch.py")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    return run(score, parser, argv)


def score(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    model_environment.installed(here, model)
    model_environment.trained(here, model)
    python = model_environment.program(here, model, "python")
    defaults = ["--input", data_path(here, model), "--output", "outputs/scores.csv", "--resume"]
    if draws_masks(here, model):
        defaults = []
    return model_environment.run_in_model(here, model, [python, "score_batch.py", *defaults, *args.others])
