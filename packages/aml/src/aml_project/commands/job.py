"""Run a job of Azure ML's second generation on this computer: its own command, without Docker and without Azure.

    aml job run models/model1/azure_ml/job.yml --input seed=1

Inputs are folders and values of here, outputs lie in the model's outputs/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.command_line import WRONG_USE, Failure, Parser, run
from aml_project.project import root

EXAMPLE = """  aml job run models/model1/azure_ml/job.yml
  aml job run models/model1/azure_ml/job.yml --input training=data/model1"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Run a job of the second generation's on this computer: its own command, no Docker.", EXAMPLE)
    parser.add_argument("job", choices=["run"], metavar="run", help="what is done with it")
    parser.add_argument("file", type=Path, help="a job.yml, of type command")
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=VALUE", help="in place of what the file says"
    )
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    root()
    from aml_project.v2 import job

    given: dict[str, str] = {}
    for text in args.input:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise Failure(f"--input: NAME=VALUE, not {text!r}", WRONG_USE)
        given[name] = value
    if not args.file.is_file():
        raise Failure(f"{args.file}: no such file", WRONG_USE)
    return job.run(args.file, given)
