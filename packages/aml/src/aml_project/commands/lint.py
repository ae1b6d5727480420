"""Check and format the code of this repo with ruff.

aml lint
"""

from __future__ import annotations

import argparse

from aml_project import model_environment
from aml_project.command_line import Parser, run
from aml_project.project import pick_model, root

EXAMPLE = "  aml lint"


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Check the code of this repo, mend what ruff can mend, and format it.", EXAMPLE)
    parser.add_argument("--model", help="whose ruff is taken (default: the only model's)")
    return run(lint, parser, argv)


def lint(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    model_environment.installed(here, model)
    ruff = str(model_environment.program(here, model, "ruff"))
    import subprocess

    steps = (["check", "--fix", "."], ["format", "."])
    return next((code for step in steps if (code := subprocess.run([ruff, *step], cwd=here).returncode)), 0)
