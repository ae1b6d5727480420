"""Serve the trained model on this computer, by Azure ML's own inference server.

aml serve --port 5002 --workers 2
"""

from __future__ import annotations

import argparse

from aml_project import model_environment
from aml_project.command_line import Parser, run
from aml_project.project import pick_model, root

EXAMPLE = """  aml serve
  aml serve --port 5002 --workers 2"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Serve score.py on this computer, on every address of it; Ctrl-C ends it.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--port", type=int, default=5001, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that answer (default: %(default)s)")
    return run(serve, parser, argv)


def serve(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    model_environment.installed(here, model)
    model_environment.trained(here, model)
    print('In another terminal: make request. (The server\'s own trouble with "model IDs" as it starts means nothing.)')
    server = model_environment.program(here, model, "azmlinfsrv")
    return model_environment.run_in_model(
        here, model,
        [server, "--entry_script", "score.py", "--model_dir", "outputs/model", "--port", str(args.port)],
        WORKER_COUNT=str(args.workers),
        OMP_NUM_THREADS="1",  # with more than one in each worker, they get in each other's way
        CODE_COMMIT=model_environment.commit_of(here),
    )  # fmt: skip
