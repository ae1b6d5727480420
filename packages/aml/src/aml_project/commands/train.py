"""Train a model on data/NAME/ with its own train.py; what follows goes to that script.

aml train --model model1 --seed 1
"""

from __future__ import annotations

import argparse
import os

from aml_project import model_environment
from aml_project.command_line import Parser, run
from aml_project.project import data_folder, pick_model, root

EXAMPLE = """  aml train
  aml train --model model1 --seed 1"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Train a model on data/NAME/; results go to models/*/outputs/.", EXAMPLE, others="train.py")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    return run(train, parser, argv)


def train(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    model_environment.installed(here, model)
    python = model_environment.program(here, model, "python")
    data = ["--data-path", os.path.relpath(data_folder(here, model), here / "models" / model)]
    return model_environment.run_in_model(here, model, [python, "train.py", *data, *args.others])
