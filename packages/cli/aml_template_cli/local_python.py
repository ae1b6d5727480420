"""The Python that a run on this computer gets where Docker does not run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find(model: Path) -> Path:
    """Return the one that `make setup` made for the model, or else the one that is active.

    In az this process runs with the Python of the Azure CLI, which has none of the model's packages.
    """
    place = Path("Scripts", "python.exe") if sys.platform == "win32" else Path("bin", "python")
    made = model.parent.parent / ".venv" / model.name / place
    if made.exists():
        return made
    return Path(shutil.which("python") or sys.executable)


@contextmanager
def first(python: Path) -> Iterator[None]:
    """Let `python`, as the runconfig says, be that one."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{python.parent}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before
