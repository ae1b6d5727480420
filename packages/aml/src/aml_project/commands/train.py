"""Train a model on data/NAME/ with its own train.py; what follows goes to that script.

aml train --model model1 --seed 1
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project import model_environment
from aml_project.command_line import WRONG_USE, Failure, Parser, run
from aml_project.project import pick_model, root

EXAMPLE = """  aml train
  aml train --model model1 --seed 1"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Train a model on data/NAME/; results go to models/*/outputs/.", EXAMPLE, others="train.py")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--job", action="store_true", help="by the command of azure_ml/job.yml, as aml job run does")
    return run(train, parser, argv)


def train(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    if args.job:
        return train_by_job(here / "models" / model, args.others)
    return model_environment.run_in_model(here, model, model_environment.training(here, model, args.others))


def train_by_job(folder: Path, others: list[str]) -> int:
    from aml_project.v2 import files, job

    file = folder / files.FOLDER / files.JOB
    if others:
        raise Failure(f"{others[0]}: the command of {files.JOB} takes nothing more: write it there", WRONG_USE)
    if not file.is_file():
        raise Failure(f"models/{folder.name}/{files.FOLDER}/{files.JOB}: not there: make add ARGS=v2 writes it")
    return job.run(file, {})
