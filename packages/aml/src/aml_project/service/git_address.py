"""The address of git's remote, which the client writes into every run: without the password that it may hold."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

VARIABLE = "AZUREML_GIT_REPOSITORY_URI"  # what the client takes in place of the remote's own address


def hide_git_password(folder: Path) -> None:
    """Keep a password or token in the address of git's remote out of the run, whose properties get that address."""
    try:
        asked = subprocess.run(
            ["git", "ls-remote", "--get-url"], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError:  # no git, no address
        return
    address = asked.stdout.strip()
    clean = re.sub(r"(?<=://)[^/]*@", "", address)
    if asked.returncode == 0 and clean != address:
        os.environ[VARIABLE] = clean
