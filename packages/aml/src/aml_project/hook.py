"""What follows a render: attach the workspace, take over a notebook and packages, name the next commands.

It changes nothing outside of the project, needs no network, and never fails: by now the files are there, and a code
other than 0 would make cookiecutter delete them. What can't be done now is printed as a command for later. Every render
waits for it, so it imports what a step needs where the step begins.
"""

import os
import sys

WORKSPACE = ("subscription_id", "resource_group", "workspace_name")
# What `aml add` writes, and the answer to the question of that name, or to another one, that asks for it.
ADDITIONS = {"search": ("search", ("yes",)), "pipeline": ("pipeline", ("yes",)), "v2": ("generation", ("v2", "both"))}
CI = (".github/workflows/_model.yml", ".azure-pipelines/templates/model.yml")  # where a repo has it already
# Folders of a model whose files not every framework has: cookiecutter makes each folder, also for no file.
FOLDERS = ("algorithms/tiny/scripts", "algorithms/tiny/configs")
JUST_NOW = 60  # seconds that a file of this render is old at the most


def after_render(answers: dict[str, str], place: dict[str, str]) -> None:
    """Do the steps in the project that has just been rendered, which is the working folder.

    Where an update renders to compare, twice and in folders that it throws away, there is nothing to do: a train.py
    that was made of a notebook is its owner's, and nothing is converted then.
    """
    from aml_project import checkout

    if checkout.renders_files_alone(answers):
        return
    checkout.note(answers, place["root"])
    remove_empty_folders(answers["model_name"])
    attach_later = attach(answers)
    later = complete(answers)
    if os.listdir("models") == [answers["model_name"]]:
        say_next(answers, attach_later)
    else:
        print(f"\nAdded models/{answers['model_name']} and data/{answers['model_name']}. Next:")
        print(f"  make setup train test MODEL={answers['model_name']}")
    if later:
        print("Before that, once what is said above is mended:\n  " + "\n  ".join(later))


def remove_empty_folders(model: str) -> None:
    """Remove what cookiecutter has made for files that this model does not have."""
    for folder in FOLDERS:
        try:
            os.removedirs(f"models/{model}/{folder}")
        except OSError:  # it has files, or is not there
            continue


def attach(answers: dict[str, str]) -> str:
    """Attach the workspace if it is known and no other one is attached; say what is left to do."""
    if os.path.exists(".azureml/config.json"):
        return ""
    if not all(answers[field] for field in WORKSPACE):
        return "make attach              # when you have an Azure ML workspace"
    try:
        from pathlib import Path

        from aml_project import project

        project.attach(Path.cwd(), dict(answers))
    except Exception as error:
        return f"make attach              # failed just now: {error}"
    return ""


def complete(answers: dict[str, str]) -> list[str]:
    """Take over a notebook and packages, add what was asked for; return the commands for what could not be done now."""
    model = answers["model_name"]
    later = take_over(answers) if answers.get("notebook") or answers.get("environment_file") else []
    for addition, (question, meant) in ADDITIONS.items():
        if answers.get(question) in meant and not aml("add", addition, "--model", model):
            later.append(f"make add ARGS={addition} MODEL={model}")
    if (answers.get("ci", "none") != "none" or any(map(os.path.exists, CI))) and not aml("add", "ci", "--model", model):
        later.append(f"make add ARGS=ci MODEL={model}")
    return later


def take_over(answers: dict[str, str]) -> list[str]:
    """Have a notebook converted and packages merged; return the commands for what could not be done now."""
    import shlex
    import time

    from aml_project.given_files import find

    model = answers["model_name"]
    later: list[str] = []
    # Rendered over a model of earlier (-s keeps its files), nothing of it may be replaced.
    is_fresh = time.time() - os.path.getmtime(f"models/{model}/.amlignore") < JUST_NOW
    fresh = ["--fresh"] if is_fresh else []
    if answers["notebook"]:
        notebook = find(answers["notebook"])
        if not aml("notebook", notebook, "--model", model, *fresh):
            later.append(f"make notebook NB={shlex.quote(notebook)} MODEL={model} ARGS=--force")
    files = [find(answers["environment_file"])] if answers["environment_file"] else []
    if (files or not later) and not aml("requirements", *files, "--model", model):
        later.append(f"make requirements{''.join(f' FROM={shlex.quote(file)}' for file in files)} MODEL={model}")
    return later


def aml(verb: str, *args: str) -> bool:
    """Run a verb of this package in the project, and leave nothing of Python's there; say whether it has done it."""
    import subprocess

    sys.stdout.flush()
    sources = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": sources}
    return subprocess.run([sys.executable, "-m", "aml_project", verb, *args], env=env).returncode == 0


def say_next(answers: dict[str, str], attach_later: str) -> None:
    print(f"\nCreated {answers['project_slug']}. Next:\n  cd {answers['project_slug']}")
    converted = os.path.exists(f"models/{answers['model_name']}/tests/test_notebook.py")
    trains = "as the notebook does" if converted else "on the sample data"
    print(f"  make setup train test    # install, train {trains}, test")
    if not converted:
        print("  make serve               # then, in another terminal: make request")
    print("  make rehearse            # then Azure ML's commands, on this computer and without an account")
    if attach_later:
        print(f"  {attach_later}")
