"""The code of a deployment: which files travel, what they amount to, and the commit that they are of.

The client packs all of the source directory, whatever .amlignore says. So what is sent is a copy of the files that a
run would get.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aml_project.snapshot import whole as snapshot


def files_of(folder: Path, source: str) -> list[str]:
    """List the files below the source directory that .amlignore lets pass, by their path in it."""
    taken = snapshot.take_whole(folder)
    root = (folder / source).resolve()
    return sorted(
        (folder / name).relative_to(folder / source).as_posix()
        for name in taken.files
        if (folder.resolve() / name).is_relative_to(root)
    )


def copy(folder: Path, source: str, names: Sequence[str], to: Path) -> Path:
    """Copy these files into a folder of their own; return it."""
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / source / name, to / name)
    return to


def fingerprint(folder: Path, source: str, names: Sequence[str], *also: Mapping[str, Any] | str) -> str:
    """Return a text that is the same if, and only if, the same is deployed."""
    digest = hashlib.sha256(json.dumps(also, sort_keys=True, default=str).encode())
    for name in names:
        content = hashlib.sha256((folder / source / name).read_bytes()).hexdigest()
        digest.update(f"{content} {name}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def commit_of(folder: Path) -> str:
    """Return git's short name of what lies in the folder, -dirty where that was edited since; empty without git."""
    try:
        head = _git(folder, "rev-parse", "--short", "HEAD")
        return f"{head}-dirty" if _git(folder, "status", "--porcelain", "--", ".") else head
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
