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


def main(answers: dict[str, str]) -> None:
    """Do the steps, print the next ones."""
    attach_later = attach(answers)
    for field in ("notebook", "environment_file"):
        if answers[field]:
            print(f"NOTE: {field}: this version of the template does not convert it; nothing was taken from it.")
    if os.listdir("models") == [answers["model_name"]]:
        print(f"\nCreated {answers['project_slug']}. Next:\n  cd {answers['project_slug']}")
        print("  make setup train test    # install, train on the sample data, test")
        print("  make serve               # then, in another terminal: make request")
        print("  make rehearse            # then Azure ML's commands, on this computer and without an account")
        if attach_later:
            print(f"  {attach_later}")
    else:
        print(f"\nAdded models/{answers['model_name']}. Next:")
        print(f"  make setup train test MODEL={answers['model_name']}")


if __name__ == "__main__":
    # Rendered, this is a list of pairs as Python itself writes it: every text survives, and nothing is imported for it.
    main(dict({{cookiecutter.items() | selectattr(1, "string") | list}}))  # type: ignore # noqa: F821
