"""A list of packages: what kind of file it is by its name, and what it asks for."""

from __future__ import annotations

from pathlib import Path

from aml_project.command_line import WRONG_USE, Failure

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from aml_project.requirements.package_list import Found

KINDS = {
    **dict.fromkeys((".txt", ".in", ".pip"), "requirements_file"),
    **dict.fromkeys((".yml", ".yaml"), "conda_environment"),
    ".toml": "pyproject_file",
}


def kind_of(file: Path) -> str:
    """Return the module that reads a file of this name."""
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise Failure(f"{file}: give a requirements.txt, an environment.yml or a pyproject.toml", WRONG_USE)
    if not file.is_file():
        raise Failure(f"{file}: {'not a file' if file.exists() else 'not there'}", WRONG_USE)
    return kind


def read(file: Path, kind: str) -> Found:
    """Return what a file asks for."""
    import importlib
    from dataclasses import replace

    from aml_project.requirements.text_files import show

    found: Found = importlib.import_module(f"aml_project.requirements.{kind}").read(file)
    label = f"from {show(file.name)}"
    found.wanted = [replace(one, origin=label) for one in found.wanted]
    found.constraints = [replace(one, origin=label) for one in found.constraints]
    return found
