"""Serve the trained model on this computer: with the answers of Azure ML's inference server, or by that server itself.

aml serve --port 5002 --workers 2
"""

from __future__ import annotations

import argparse

from aml_project import model_environment
from aml_project.command_line import Parser, run
from aml_project.project import pick_model, root

EXAMPLE = """  aml serve
  aml serve --port 5002 --workers 2
  aml serve --azure"""


LOOPBACK = "127.0.0.1"


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Serve score.py on this computer; Ctrl-C ends it.", EXAMPLE)
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--host", default=LOOPBACK, help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5001, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that answer (default: %(default)s)")
    parser.add_argument("--azure", action="store_true", help="by azmlinfsrv, Azure ML's own; it takes every address")
    return run(serve, parser, argv)


def serve(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    model_environment.installed(here, model)
    model_environment.trained(here, model)
    server = model_environment.server(here, model, here / "models" / model, azure=args.azure)
    azure = len(server) == 1
    print("In another terminal: make request.")
    if azure:
        print('The server\'s own trouble with "model IDs" as it starts means nothing.')
    if azure or args.host != LOOPBACK:
        where = "every address of this computer" if azure else args.host
        print(f"NOTE: whoever reaches {where} may ask: no key protects it.")
    return model_environment.run_in_model(
        here, model,
        [
            *server, "--entry_script", "score.py", "--model_dir", "outputs/model", "--port", str(args.port),
            *(() if azure else ("--host", args.host)),
        ],
        WORKER_COUNT=str(args.workers),
        GUNICORN_CMD_ARGS=model_environment.GUNICORN_ARGS,
        OMP_NUM_THREADS="1",  # with more than one in each worker, they get in each other's way
        CODE_COMMIT=model_environment.commit_of(here),
    )  # fmt: skip
