"""Format a script with ruff, wherever there is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from aml_project.project import find
from aml_project.tools import find_uv

RUFF = "ruff==0.17.5"


def formatted(text: str) -> str | None:
    """The text as `make lint` leaves it, or None if there is no ruff here, or one that can't read its settings."""
    command = find_ruff()
    if command is None:
        return None
    own = (find() or Path()) / "pyproject.toml"
    settings = ["--config", str(own)] if own.exists() else ["--isolated"]
    try:
        done = subprocess.run(
            [*command, "format", "--no-cache", *settings, "--stdin-filename", "train.py", "-"],
            input=text.encode(), capture_output=True, timeout=120,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode() if done.returncode == 0 else None


def find_ruff() -> list[str] | None:
    """The ruff of this Python, of a model's environment, of the computer, or the one that uv brings."""
    name = "ruff.exe" if sys.platform == "win32" else "ruff"
    places = [Path(sys.executable).parent / name, *sorted((find() or Path()).glob(f".venv/*/bin/{name}"))]
    for place in places:
        if place.exists():
            return [str(place)]
    if found := shutil.which("ruff"):
        return [found]
    uv = find_uv()
    return [uv, "tool", "run", "--quiet", RUFF] if uv else None
