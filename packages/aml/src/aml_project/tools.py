"""Start a command again in a Python that has what its header names (PEP 723), where the Python at hand lacks it.

A script that needs packages says so in its header; `uv run` reads that, fetches them once and keeps them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from command_line import Failure

ROOT = Path(__file__).resolve().parent.parent
STARTED = "AML_TEMPLATE_STARTED"  # names a file: the command that was started again writes it


def start_again(script: str, modules: tuple[str, ...], later: str) -> int | None:
    """Return None if the modules are here, else the exit code of the same command in a Python that has them.

    `later` is the command that works once there is a network, for the one line if there is no such Python now.
    """
    mark = os.environ.get(STARTED)
    if mark:
        Path(mark).touch()
    missing = [module for module in modules if not is_here(module)]
    if not missing:
        return None
    lacks = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in this Python"
    uv = find_uv()
    if mark or not uv:
        raise Failure(f"{lacks}, and there is no uv to bring what is missing: {later}")
    with tempfile.TemporaryDirectory() as folder:
        started = Path(folder) / "started"
        print(f"{lacks}: uv brings what is missing", flush=True)
        # Twice quiet, uv keeps its own errors to itself: what they mean is said below.
        command = [uv, "run", "--quiet", "--quiet", "--no-project", "--script", script, *sys.argv[1:]]
        code = subprocess.run(command, env=os.environ | {STARTED: str(started)}).returncode
        if started.exists():
            return code
    raise Failure(f"{lacks}, and uv could not bring what is missing: {later}")


def is_here(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def find_uv() -> str | None:
    """The uv of this computer, or the one that `make setup` has installed."""
    folder = ROOT / ".venv" / ".tools" / ("Scripts" if sys.platform == "win32" else "bin")
    return shutil.which("uv") or shutil.which("uv", path=str(folder))
