"""Deploy a registered model as a web service, try it with the sample request, and go back if that fails.

    aml deploy --target aci

What `az ml model deploy --ic … --dc …` does, with the model's inference-config.yml and deployment-config-TARGET.yml. A
deployment counts once it has answered the model's sample-request.json. Until then what ran before can run again: its
model, code and packages together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from aml_project.api import project_of
from aml_project.command_line import DONE, WRONG_USE, Failure, Parser, run
from aml_project.project import attached_name
from aml_project.serving.request_body import sample_of

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from aml_project.serving.plan import Plan

TARGETS = ("local", "aci", "aks")
EXAMPLE = """  aml deploy --target local --version local
  aml deploy --target aci
  aml deploy --target aks --version 3
  aml deploy --target aks -f registered.json"""


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Deploy a registered model as a web service; go back if it does not answer.", EXAMPLE)
    parser.add_argument(
        "--target", choices=TARGETS, required=True, help="this computer, a container in Azure, or Kubernetes there"
    )
    parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
    parser.add_argument("-n", "--name", help="what the model is registered as (default: the model's name)")
    parser.add_argument(
        "--version", metavar="N",
        help="a registered version (default: the newest); with --target local also the word local: outputs/model",
    )  # fmt: skip
    parser.add_argument(
        "-f", "--model-metadata-file", dest="model_file", type=Path, metavar="FILE",
        help="the name and the version, as aml register -t has noted them",
    )  # fmt: skip
    parser.add_argument("--service", metavar="NAME", help="what the service is called (default: MODEL-TARGET)")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS",
        help="how long a service may take to come up (default: 120 here; 1800 in Azure, which builds its image)",
    )  # fmt: skip
    here = parser.add_argument_group("with --target local")
    here.add_argument(
        "--docker", choices=("auto", "yes", "no"), default="auto",
        help="auto takes Docker or Podman where one answers, else the server of make setup (default: %(default)s)",
    )  # fmt: skip
    here.add_argument("--stop", action="store_true", help="end what is served")
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--save-inference-config", type=Path, metavar="FILE",
        help="only write the inference configuration with its packages, as az ml model deploy reads it",
    )  # fmt: skip
    other.add_argument("--dry-run", action="store_true", help="say what would be deployed; ask and change nothing")
    return run(act, parser, argv)


def act(args: argparse.Namespace) -> int:
    project = project_of(args)
    if args.stop and args.target != "local":
        raise Failure("--stop: goes with --target local", WRONG_USE)
    model = project.model(args.model)

    from aml_project.serving import plan, to_this_computer

    if args.stop:
        print(to_this_computer.stop(project.root, model.name, dry_run=args.dry_run))
        return DONE
    if args.model_file:
        if args.version or args.name:
            raise Failure("-f: names the model and its version: without --name and --version", WRONG_USE)
        from aml_project.service import model_file

        args.name, args.version = model_file.version(args.model_file)
    how = {name: getattr(args, name) for name in ("version", "name", "service", "docker", "timeout")}
    if args.dry_run or args.save_inference_config:
        planned = plan.make(project.root, model.name, args.target, **how)
        if args.dry_run:
            return describe(planned)
        print(to_this_computer.save(planned, args.save_inference_config))
        return DONE
    print(model.deploy(args.target, **how))
    return DONE


def describe(plan: Plan) -> int:
    """Say what would be deployed, from the files alone."""
    size = sum((plan.folder / plan.source / name).stat().st_size for name in plan.files)
    rows = {
        "workspace": attached_name(plan.root),
        "model": f"{plan.name}, {f'version {plan.version}' if plan.version else 'the newest version'}",
        "service": f"port {plan.deployment['port']}" if plan.target == "local" else plan.service,
        "target": plan.deployment.get("computeTargetName") or plan.target,
        "code": f"{len(plan.files)} files, {size} bytes{f', commit {plan.commit}' if plan.commit else ''}",
        "variables": ", ".join(f"{name}={value}" for name, value in plan.variables().items()),
        "tried with": f"{sample_of(plan.folder).name}, {len(plan.sample)} bytes",
    }
    print("Would deploy; asked nobody:")
    for title, value in rows.items():
        print(f"  {title:11}{value}")
    return DONE
