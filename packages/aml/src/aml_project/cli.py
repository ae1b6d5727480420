"""The command `aml`: a verb each of commands/, called as in the project's Makefile."""

from __future__ import annotations

import importlib
import sys

from aml_project.command_line import DONE, WRONG_USE, Failure

# verb: what it does, in the order in which a project needs them. `make help` shows the same list.
VERBS = {
    "setup": "Install what a model needs into .venv/",
    "train": "Train on data/NAME/, results in models/*/outputs/",
    "job": "Run a job.yml of the second generation's on this computer, by its own command",
    "search": "Try hyperparameters, as search.yml says; stopped or killed, it goes on",
    "pipeline": "Run the steps of pipeline.yml; what has not changed does not run again",
    "test": "Run the model's tests",
    "lint": "Check and format the code",
    "notebook": "Make train.py from a notebook or a folder of them",
    "requirements": "Take over the packages of a requirements.txt, environment.yml, pyproject.toml",
    "serve": "Serve score.py on this computer; Ctrl-C ends it",
    "request": "Send sample-request.json to the server",
    "batch": "Score the files of data/NAME/ into models/*/outputs/scores.csv",
    "image": "Build an image that serves the model, with docker or podman",
    "model": "Add a model, rename one, remove one",
    "add": "Add what not every model needs: search, pipeline, ci",
    "ci": "Make what CI needs; what its jobs call: its figures, its linters, its trainings",
    "init": "Add to a repo with training code what it lacks to be a project",
    "migrate": "Write the files of Azure ML's second generation beside those of the first",
    "update": "Bring the template's newest files here; what you have edited is kept",
    "workspace": "Print the lines that make a workspace; with --yes, run them",
    "attach": "Name the Azure ML workspace of this repo",
    "dataset": "Upload data/NAME/ and register it for the runs",
    "compute": "Make the cluster that the runs name; it costs nothing while idle",
    "environment": "Register the packages of the cluster's runs, so that the same are built once",
    "check": "Find what would fail in Azure ML before anything is sent",
    "submit": "Train in Azure ML, or on this computer and tracked there",
    "wait": "Follow the last run to its end; stopped or killed, it goes on",
    "auto3dseg": "Run MONAI's Auto3DSeg by its task.yaml, on a cluster or here",
    "register": "Register the model of the last run",
    "deploy": "Serve the registered model; what does not answer is taken back",
    "rehearse": "Open a shell with a workspace on this computer, no Azure account",
    "client": "Install azureml-sdk and the documented commands: azml, and az where az is",
    "vendor": "Put this package into the repo, for where its address can't be reached",
}
EARLIER = {"packages": "requirements"}  # verbs of before, which still work
MAKE_ARGS = "--make-args="  # what make was given as ARGS, in one word


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    first = words[0] if words else "--help"
    if first in ("-h", "--help"):
        print(help_text())
        return DONE
    if first == "--version":
        print(version())
        return DONE
    verb = EARLIER.get(first, first)
    if verb not in VERBS:
        print(f"ERROR: {first}: no such verb{nearest(first)} (aml --help lists what there is)", file=sys.stderr)
        return WRONG_USE
    sys.argv[0] = f"aml {verb}"  # what the parsers call themselves
    command = importlib.import_module(f"aml_project.commands.{verb}")
    try:
        return int(command.main(parted(words[1:])))
    except Failure as failure:  # before its arguments were read
        print(f"ERROR: {failure}", file=sys.stderr)
        return failure.code


def parted(words: list[str]) -> list[str]:
    """The words of a command line, with those of make's ARGS apart.

    ARGS is quoted as in a shell, and no shell takes it apart: what else one would do with it, a redirection by
    `accuracy>=0.7`, a second command after a `;`, nobody has meant. A `~` is the home folder all the same.
    """
    place = next((place for place, word in enumerate(words) if word.startswith(MAKE_ARGS)), None)
    if place is None or "--" in words[:place]:
        return words
    import shlex
    from pathlib import Path

    text = words[place].removeprefix(MAKE_ARGS)
    try:
        found = shlex.split(text)
    except ValueError:
        raise Failure(f"ARGS: a quote or a backslash at its end is left open: {text}", WRONG_USE) from None
    found = [str(Path(word).expanduser()) if word.split("/")[0] == "~" else word for word in found]
    return [*words[:place], *found, *words[place + 1 :]]


def help_text() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  aml {verb:{width}}  {what}" for verb, what in VERBS.items())
    return f"usage: aml VERB [options]\n\n{verbs}\n\naml VERB --help tells the rest; aml --version what this is."


def nearest(verb: str) -> str:
    import difflib

    found = difflib.get_close_matches(verb, VERBS, n=1) if not verb.startswith("-") else []
    return f"; do you mean {found[0]}?" if found else ""


def version() -> str:
    """The version of this package, and the commit that it is of where that is known."""
    from importlib import metadata

    from aml_project import tools

    try:
        number = metadata.version(tools.DISTRIBUTION)
    except metadata.PackageNotFoundError:
        number = "of a folder, not installed"
    commit = tools.commit()
    return f"aml {number}{f', commit {commit}' if commit else ''}"
