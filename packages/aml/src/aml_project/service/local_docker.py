"""Whether a local run uses Docker: where a daemon answers it does, where none does the user's own Python runs it.

The client does not decide that. It sends what the runconfig says, so this sets the runconfig's three switches.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHOICES = ("auto", "yes", "no")
TIMEOUT = 5  # seconds for a daemon to answer


def decide(choice: str, python: Path) -> tuple[bool, str]:
    """Return whether Docker is used or this Python, and why, in one line."""
    if choice == "yes":
        return True, "In Docker, as --docker yes says."
    if choice == "no":
        return False, f"With this Python, as --docker no says: {python}"
    if daemon_answers():
        return True, "In Docker: its daemon answers. (--docker no: with this Python)"
    return False, f"With this Python, because no Docker daemon answers: {python}"


def daemon_answers() -> bool:
    """Ask the daemon for its version; a client alone does not make Docker."""
    docker = shutil.which("docker")
    if not docker:
        return False
    try:
        asked = subprocess.run(
            [docker, "version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def apply(run_config: Any, use_docker: bool) -> None:
    """Set both docker switches, the old and the new one, and who installs the packages, so that they agree."""
    run_config.environment.docker.enabled = use_docker
    run_config.docker.use_docker = use_docker
    run_config.environment.python.user_managed_dependencies = not use_docker


@contextlib.contextmanager
def python_first(python: Path) -> Iterator[None]:
    """Let `python`, as the runconfig says, be this one: nothing has to be activated."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{python.parent}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before
