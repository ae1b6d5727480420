"""Hand over to the rendered project's own scripts, then name the next commands.

It changes nothing outside the project, needs no network, and never fails: by now the files are there, and a code
other than 0 would make cookiecutter delete them. What can't be done now is printed as a command for later.
"""

import os
import sys

WORKSPACE = ("subscription_id", "resource_group", "workspace_name")


def attach(answers: dict[str, str]) -> str:
    """Attach the workspace if it is known and no other one is attached; say what is left to do."""
    if os.path.exists(".azureml/config.json"):
        return ""
    if not all(answers[field] for field in WORKSPACE):
        return "make attach              # when you have an Azure ML workspace"
    sys.path.insert(0, os.path.abspath("scripts"))
    sys.dont_write_bytecode = True  # nothing is left in the project but its files
    try:
        from attach_workspace import write_config

        write_config(answers)
    except Exception as error:
        return f"make attach              # failed just now: {error}"
    return ""


def note_checkout(answers: dict[str, str], place: dict[str, str]) -> None:
    """Tell make where the template lies, if it is a checkout on this computer."""
    sys.path.insert(0, place["root"])
    sys.dont_write_bytecode = True
    try:
        from hooks.checkout import note

        note(answers, place["root"])
    except Exception as error:
        print(f"local.mk: not written: {error}")


def find(path: str) -> str:
    """Return where an answer's file is, or would be; a hook is not told in which folder the user stands.

    It is the shell's, or the one that the project lies in. `cruft update` runs in a project that has kept its notebook.
    """
    shell = os.environ.get("PWD", os.pardir)
    places = [os.path.join(folder, os.path.expanduser(path)) for folder in (shell, os.pardir)]
    if os.path.exists(os.path.join(shell, ".cruft.json")):
        places.append(os.path.join(shell, "notebooks", os.path.basename(path)))
    return os.path.abspath(next((place for place in places if os.path.lexists(place)), places[0]))


def call(script: str, *args: str) -> bool:
    """Run one of the project's scripts, and leave nothing of Python's in the project; say whether it has done it."""
    import subprocess

    sys.stdout.flush()
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, f"scripts/{script}.py", *args], env=env).returncode == 0


def take_over(answers: dict[str, str]) -> list[str]:
    """Have a notebook converted and packages merged; return the commands for what could not be done now."""
    import shlex
    import time

    model = answers["model_name"]
    later: list[str] = []
    # Rendered over a model of earlier (-s keeps its files), nothing of it may be replaced.
    fresh = ["--fresh"] if time.time() - os.path.getmtime(f"models/{model}/.amlignore") < 60 else []
    if answers["notebook"]:
        notebook = find(answers["notebook"])
        if not call("convert_notebook", notebook, "--model", model, *fresh):
            later.append(f"make notebook NB={shlex.quote(notebook)} MODEL={model} ARGS=--force")
    files = [find(answers["environment_file"])] if answers["environment_file"] else []
    if (files or not later) and not call("import_environment", *files, "--model", model):
        later.append(f"make packages{''.join(f' FROM={shlex.quote(file)}' for file in files)} MODEL={model}")
    return later


def main(answers: dict[str, str], place: dict[str, str]) -> None:
    """Do the steps, print the next ones."""
    note_checkout(answers, place)
    attach_later = attach(answers)
    later = take_over(answers) if answers["notebook"] or answers["environment_file"] else []
    if os.listdir("models") == [answers["model_name"]]:
        print(f"\nCreated {answers['project_slug']}. Next:\n  cd {answers['project_slug']}")
        converted = os.path.exists(f"models/{answers['model_name']}/tests/test_notebook.py")
        trains = "as the notebook does" if converted else "on the sample data"
        print(f"  make setup train test    # install, train {trains}, test")
        if not converted:
            print("  make serve               # then, in another terminal: make request")
        print("  make rehearse            # then Azure ML's commands, on this computer and without an account")
        if attach_later:
            print(f"  {attach_later}")
    else:
        print(f"\nAdded models/{answers['model_name']}. Next:")
        print(f"  make setup train test MODEL={answers['model_name']}")
    if later:
        print("Before that, once what is said above is mended:\n  " + "\n  ".join(later))


if __name__ == "__main__":
    # Rendered, this is a list of pairs as Python itself writes it: every text survives, and nothing is imported for it.
    main(
        dict({{cookiecutter.items() | selectattr(1, "string") | list}}),  # type: ignore # noqa: F821
        {{template_place()}},  # type: ignore # noqa: F821
    )
