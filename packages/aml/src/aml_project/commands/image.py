"""Build an image that serves the trained model, by Docker or Podman.

aml image --tag churn --model-version 3
"""

from __future__ import annotations

import argparse

from aml_project import model_environment
from aml_project.command_line import Failure, Parser, run
from aml_project.project import pick_model, root

EXAMPLE = """  aml image
  aml image --tag churn --model-version 3 --no-cache"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Build an image that serves the trained model.", EXAMPLE, others="docker build, or podman build")
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("--tag", metavar="NAME", help="what the image is called (default: the model's name)")
    parser.add_argument("--model-version", default="", metavar="N", help="the version that its answers name")
    return run(build, parser, argv)


def build(args: argparse.Namespace) -> int:
    here, model = root(), pick_model(root(), args.model)
    model_environment.trained(here, model)

    from aml_project.serving.local_service import DOCKERFILE, HEALTH, engine_that_answers

    engine = engine_that_answers()
    if not engine:
        raise Failure("no Docker daemon answers, and no Podman: one of them builds the image")
    command = [engine, "build", "--file", DOCKERFILE, "--tag", args.tag or model, *args.others]
    for name, value in (("MODEL_VERSION", args.model_version), ("CODE_COMMIT", model_environment.commit_of(here))):
        command += ["--build-arg", f"{name}={value}"]
    return model_environment.run_in_model(here, model, [*command, "."], **HEALTH)
