"""Run a model's own tests; what follows goes to pytest.

aml test --model model1 -k score
"""

from __future__ import annotations

import argparse

from aml_project import model_environment
from aml_project.command_line import Parser, run
from aml_project.project import pick_model, root

EXAMPLE = """  aml test
  aml test --model model1 -k score"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Run a model's own tests.", EXAMPLE, others="pytest")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    return run(test, parser, argv)


def test(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    model_environment.installed(here, model)
    python = model_environment.program(here, model, "python")
    return model_environment.run_in_model(here, model, [python, "-m", "pytest", *args.others])
