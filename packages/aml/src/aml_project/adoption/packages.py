"""The conda files of a model that is new here: the template's, with what the code imports in place of its outline's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aml_project.command_line import Failure
from aml_project.requirements import conda_editing, conda_environment, imports, merging, own_environment
from aml_project.requirements import requirements_file as lists
from aml_project.requirements.code_packages import packages_of
from aml_project.requirements.collecting import collect
from aml_project.requirements.conda_editing import CondaFile
from aml_project.requirements.package_list import Found

FILES = {"train": "aml_config/train-conda.yml", "inference": "aml_config/inference-conda.yml"}
# What is said of a file that a repo with a script of its own does not get, and of packages that are gone.
COMMENT = re.compile(r"^ +# (?:evaluation|pictures)\.py[^\n]*\n|(?:^ +#[^\n]*\n)+(?! +[-#])", re.MULTILINE)


@dataclass
class Packages:
    """Both conda files, the Python that they name, and what is told about them."""

    texts: dict[str, bytes]
    python: str
    notes: list[str] = field(default_factory=list)
    trouble: str = ""


def find(here: Path, stage: Path, base: Mapping[str, bytes], added: Mapping[str, bytes], template: Path) -> Packages:
    """Complete the template's conda files (`base`) for the code that lies in `stage`, and that is added to it.

    A model that has one of the two gets the other one with the same packages, and keeps the one.
    """
    lay(stage, base)
    files = read(stage)
    there = [here / name for name in FILES.values() if (here / name).is_file()]
    if len(there) == len(FILES):
        return Packages(dict(base), files["train"].python)
    try:
        own = imported(stage)
        lay(stage, added)
        outline = outline_packages(template)
        needless = outline - imported(stage)
        lay(stage, {FILES[purpose]: without(file, needless) for purpose, file in files.items()})
        files = read(stage)
        found, python = listed(there[0], stage, files) if there else from_code(stage, files, outline & own)
    except Failure as failure:
        trouble = f"{failure}".replace(f"{os.path.relpath(stage)}/", f"models/{here.name}/")
        return Packages(dict(base), files["train"].python, trouble=trouble)
    changes = merging.merge(found, files, python, {}).changes
    texts = {FILES[purpose]: conda_editing.changed(file, changes[purpose]) for purpose, file in files.items()}
    return Packages({name: text.encode() for name, text in texts.items()}, python, found.notes.lines())


def read(stage: Path) -> dict[str, CondaFile]:
    return {purpose: conda_editing.read(stage / name) for purpose, name in FILES.items()}


def lay(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write some files into a folder that nobody reads yet."""
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def outline_packages(template: Path) -> set[str]:
    """What the template's own outline is made with; another script need not be."""
    found = (template / "templates" / "frameworks" / "none").glob("*-requirements.txt")
    return {one.name for file in found for one in lists.read(file).wanted}


def imported(stage: Path) -> set[str]:
    """The packages that the code may need."""
    code = imports.read(stage)
    return {package for module in (*code.required, *code.optional) for package in packages_of(module)}


def from_code(stage: Path, files: Mapping[str, CondaFile], replaceable: set[str]) -> tuple[Found, str]:
    """What the code imports, in the versions of the user's own Python."""
    return collect(stage, files, None, own_environment.find(), replaceable=replaceable)


def listed(file: Path, stage: Path, files: Mapping[str, CondaFile]) -> tuple[Found, str]:
    """What the conda file lists that is there; a Python that is not offered is left to `aml check`."""
    try:
        return collect(stage, files, conda_environment.read(file), "")
    except Failure:
        return collect(stage, files, conda_environment.read(file), "", keep_python=True)


def without(file: CondaFile, needless: set[str]) -> bytes:
    """The text of a conda file without some packages."""
    places = {place for place, entry in enumerate(file.entries) if entry.wanted and entry.wanted.name in needless}
    return COMMENT.sub("", conda_editing.changed(file, conda_editing.Change(removed=places))).encode()
