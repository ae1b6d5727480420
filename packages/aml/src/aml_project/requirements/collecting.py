"""Put together what a model needs: what a list asks for, what the code imports, and the Python for both."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

from aml_project.requirements import code_packages, imports, own_environment, python_choice
from aml_project.requirements.conda_editing import CondaFile
from aml_project.requirements.imports import Code
from aml_project.requirements.package_list import Found


def collect(
    folder: Path,
    files: Mapping[str, CondaFile],
    listed: Found | None,
    own_python: str,
    *,
    keep_python: bool = False,
    replaceable: Set[str] = frozenset(),
) -> tuple[Found, str]:
    """Return what a list, if there is one, and the code of a model's folder ask for, and the Python of the result.

    Without a list, the versions are those of the user's own Python; of what the conda files have already, only the
    `replaceable` packages get them.
    """
    code, found, present = imports.read(folder), listed or Found(""), files["train"].python
    python = present
    if keep_python:
        if found.python and not python_choice.allows(found.python, present):
            found.notes.say(
                f"{found.python_where} asks for Python {python_choice.shown(found.python)}: {present} stays"
            )
    else:
        python = python_choice.choose(found.python, found.python_where, present)
    there = {name for file in files.values() for name in file.names()}
    own = own_environment.Installed()
    if replaceable and not listed:
        own = own_environment.ask(own_python)
        there -= replaceable & own.versions.keys()
    asked = code_packages.needed(code, there | {one.name for one in found.wanted})
    if (asked or code.installed.wanted) and not listed and own == own_environment.Installed():
        own = own_environment.ask(own_python)
    used = code_packages.add(found, asked, code, own, there)
    if used and not keep_python and not found.python and own.python != python:
        python = python_of_own(own.python, python, found)
    if files["inference"].python != python and files["inference"].python != present:
        found.notes.say(f"both conda files get Python {python}")
    tell_gone(code, python, found)
    return found, python


def python_of_own(own: str, present: str, found: Found) -> str:
    """Return the Python that the versions were taken from, if it is offered."""
    if own in python_choice.SUPPORTED:
        return own
    found.notes.say(f"your Python is {own}, which is not offered: {present} stays, and may lack a version from there")
    return present


def tell_gone(code: Code, python: str, found: Found) -> None:
    for module, since in code.gone.items():
        if tuple(map(int, python.split("."))) >= tuple(map(int, since.split("."))):
            found.notes.say(f"import {module}: Python {since} and newer do not have it; the environment has {python}")
