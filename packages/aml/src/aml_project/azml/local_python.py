"""The Python that a run on this computer gets where Docker does not run."""

from __future__ import annotations

import shutil
import sys
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
