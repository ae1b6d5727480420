"""The notebook and the list of packages that a render is given: looked at before anything is written.

Once a project lies there, a hook can't refuse any more: cookiecutter would delete it. What shows only when they are
taken over is said then, with the command for later, and the project stays.
"""

import os
from pathlib import Path


def problems(answers: dict[str, str]) -> list[str]:
    """What keeps these files from being read, a line each."""
    from aml_project import checkout
    from aml_project.command_line import Failure

    if checkout.renders_files_alone(answers):
        return []
    found = []
    for question, read in (("notebook", read_notebooks), ("environment_file", read_list)):
        if answers.get(question):
            try:
                read(Path(find(answers[question])))
            except Failure as failure:
                found.append(f"{question}: {failure}")
    return found


def read_notebooks(given: Path) -> None:
    from aml_project.command_line import Failure
    from aml_project.notebooks import notebook_file

    for notebook in notebook_file.find(given):
        try:
            notebook_file.parse(notebook)
        except notebook_file.Broken as broken:
            raise Failure(f"{notebook}: {broken}") from None


def read_list(given: Path) -> None:
    from aml_project.requirements import libraries, list_file

    kind = list_file.kind_of(given)
    if not libraries.missing(toml=kind == "pyproject_file"):  # else it is read later, where uv brings what is missing
        list_file.read(given, kind)


def shell() -> str:
    """The folder that the user stands in; a hook is told it by the shell alone."""
    return os.environ.get("PWD", os.pardir)


def find(path: str) -> str:
    """Return where an answer's file is, or would be: below the shell's folder, or the one that the project lies in."""
    places = [os.path.join(folder, os.path.expanduser(path)) for folder in (shell(), os.pardir)]
    return os.path.abspath(next((place for place in places if os.path.lexists(place)), places[0]))
