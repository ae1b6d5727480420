"""The runconfigs of this repo and their conda files, read without delay where they look as they were rendered.

Of all others the real reader makes what there is to make.
"""

from __future__ import annotations

import os

from aml_project.command_line import WRONG_USE, Failure, note
from aml_project.snapshot import preview

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any


def names(folder: Path) -> list[str]:
    """The names of the runconfigs of a model's folder."""
    return sorted(file.stem for file in (folder / "aml_config").glob("*.runconfig"))


def find(folder: Path, name: str) -> Path:
    """Return the file of a model's runconfig."""
    there = names(folder)
    if name.removesuffix(".runconfig") not in there:
        listed = ", ".join(there) or "none"
        raise Failure(f"-c: no such runconfig: {name}; {folder.name} has {listed}", WRONG_USE)
    return folder / "aml_config" / f"{name.removesuffix('.runconfig')}.runconfig"


def read(file: Path) -> dict[str, Any]:
    """Return what a runconfig says; a Failure names the line that can't be read."""
    config = preview.read_mapping(file)
    return read_slowly(file, os.path.relpath(file)) if config is None else config


def read_conda(file: Path, shown: str) -> dict[str, Any]:
    """The same of a conda file, which a Failure calls as it is shown."""
    conda = preview.read_conda(file)
    return read_slowly(file, shown) if conda is None else conda


def read_slowly(file: Path, shown: str) -> dict[str, Any]:
    from aml_project.runconfigs.file import Unreadable, read_mapping

    try:
        return read_mapping(file)
    except Unreadable as error:
        raise Failure(f"{shown}: {error}") from None


def read_all(root: Path, model: str | None = None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the runconfigs of a model, or of all models; one that can't be read is named and left out."""
    for file in sorted(root.glob(f"models/{model or '*'}/aml_config/*.runconfig")):
        try:
            yield file, read(file)
        except Failure as failure:
            note(f"left out: {failure}")
