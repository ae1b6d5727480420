"""Train a model on data/NAME/ with its own train.py; what follows goes to that script.

aml train --model model1 --seed 1
"""

from __future__ import annotations

import argparse

from aml_project import model_environment
from aml_project.command_line import Parser, run
from aml_project.project import pick_model, root

EXAMPLE = """  aml train
  aml train --model model1 --seed 1"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Train a model on data/NAME/; results go to models/*/outputs/.", EXAMPLE, others="train.py")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    return run(train, parser, argv)


def train(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    return model_environment.run_in_model(here, model, model_environment.training(here, model, args.others))
