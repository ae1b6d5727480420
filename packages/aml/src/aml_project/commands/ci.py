"""What CI needs, made once, and what its jobs call.

aml ci setup                                 what GitHub and Azure have to know of each other
aml ci summary --output summary.md           the figures of a training, as the page of a run shows them
aml ci comment --file summary.md             the same on the pull request, in Azure Repos
aml ci lint                                  what is wrong in the workflows
aml ci retrain                               start the workflow of each model
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aml_project.command_line import DONE, REFUSED, SERVICE_FAILED, WRONG_USE, Failure, Parser, note, run
from aml_project.project import models, pick_model, root

JOBS = {
    "setup": "let the jobs into Azure ML (aml ci setup --help)",
    "summary": "the figures of a training, or of a registration, as Markdown, also on the page of the run",
    "comment": "put --file on the pull request that a run of Azure DevOps is of",
    "lint": "what jactionlint and zizmor find in the workflows",
    "retrain": "start the workflow of each model, as retrain.yml does",
}
LINTERS = (
    ("jactionlint==2.3.0", ("jactionlint", "--shellcheck=")),
    ("zizmor==1.32.0", ("zizmor", "--offline", "--quiet", ".github")),
)
EXAMPLE = """  aml ci summary --model churn --output summary.md
  aml ci lint"""


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["setup"]:  # it has options of its own
        from aml_project.ci import setup

        sys.argv[0] += " setup"
        return setup.main(words[1:])
    parser = Parser("Make what CI needs; do what its jobs need.", EXAMPLE)
    parser.add_argument("job", choices=JOBS, help="; ".join(f"{name}: {what}" for name, what in JOBS.items()))
    parser.add_argument("--model", help="a folder of models/ (default: the only one; retrain: each)")
    of = parser.add_argument_group("of summary")
    of.add_argument(
        "--beside", type=Path, metavar="FILE", help="what aml register -t wrote of the version to compare with, if any"
    )
    of.add_argument(
        "--registered", type=Path, metavar="FILE", help="what it wrote just now: of that, and not of a training here"
    )
    of.add_argument("--output", type=Path, metavar="FILE", help="write it there too (default: print it)")
    parser.add_argument("--file", type=Path, metavar="FILE", help="of comment: what is put there, in Markdown")
    parser.add_argument("--dry-run", action="store_true", help="say what would be called; call and write nothing")
    return run(act, parser, words)


def act(args: argparse.Namespace) -> int:
    return {"summary": summarize, "comment": comment, "lint": lint, "retrain": retrain}[args.job](root(), args)


def summarize(here: Path, args: argparse.Namespace) -> int:
    from aml_project.ci import summary
    from aml_project.files import write_whole

    if args.registered and not args.registered.is_file():
        note(f"{args.registered}: not there: the registration has not come so far")
        return DONE
    folder = here / "models" / pick_model(here, args.model)
    text = summary.of_registration(args.registered) if args.registered else summary.of_training(folder, args.beside)
    if args.dry_run or not args.output:
        print(text, end="")
    if not args.dry_run:
        summary.publish(text)
        if args.output:
            write_whole(args.output, text)
    return DONE


def comment(_: Path, args: argparse.Namespace) -> int:
    if not args.file or not args.file.is_file():
        raise Failure(f"--file: {f'{args.file}: not there' if args.file else 'say which'}", WRONG_USE)
    text = args.file.read_text(encoding="utf-8")
    if args.dry_run:
        print(text, end="")
        return DONE
    from aml_project.ci import comment as of_pull_request

    print(f"On pull request {of_pull_request.write(text)}.")
    return DONE


def lint(here: Path, args: argparse.Namespace) -> int:
    """Have both linters say what they find, each in the version that these files were written for."""
    if not (here / ".github" / "workflows").is_dir():
        raise Failure(".github/workflows: not there: make add ARGS=ci", WRONG_USE)
    import subprocess

    from aml_project import tools

    uv, codes = tools.find_uv(), []
    if not uv:
        raise Failure("there is no uv here, which brings the linters: call this by make")
    for package, command in LINTERS:
        words = [uv, "tool", "run", "--quiet", "--from", package, *command]
        if args.dry_run:
            print(" ".join(words))
            continue
        codes.append(subprocess.run(words, cwd=here, check=False).returncode)
    return REFUSED if any(codes) else DONE


def retrain(here: Path, args: argparse.Namespace) -> int:
    """Start the workflows by GitHub's own command; one that can't be started does not hold the others up."""
    import subprocess

    of = [pick_model(here, args.model)] if args.model else models(here)
    failed = []
    for model in (name for name in of if (here / ".github" / "workflows" / f"{name}.yml").is_file()):
        command = ["gh", "workflow", "run", f"{model}.yml"]
        if args.dry_run:
            print(" ".join(command))
            continue
        try:
            done = subprocess.run(command, cwd=here, check=False)
        except FileNotFoundError:
            raise Failure("gh: not found: it is GitHub's command, which its runners have") from None
        if done.returncode:
            failed.append(model)
        else:
            print(f"Started the workflow of {model}.", flush=True)
    if failed:
        raise Failure(f"{', '.join(failed)}: the workflow could not be started", SERVICE_FAILED)
    return DONE
