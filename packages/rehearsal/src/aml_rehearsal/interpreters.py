"""The Python of an environment: the one that is active here, or one built of its conda file's pip section."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Say = Callable[[bytes], None]  # takes what is to be read in the log


class Failed(Exception):
    """Why it can't go on."""


def wish(environment: dict[str, Any]) -> dict[str, Any]:
    """What an environment of the client's says of its Python."""
    python = environment["python"]
    return {
        "interpreter": python["interpreterPath"] if python["userManagedDependencies"] else "",
        "packages": (python.get("condaDependencies") or {}).get("dependencies") or [],
    }


def provide(wished: dict[str, Any], cache: Path, outside: dict[str, str], say: Say) -> Path:
    """The Python that is wished for, built unless it is there; outside are the variables that lead to the packages."""
    if wished["interpreter"]:
        active = shutil.which(str(wished["interpreter"]))
        if active is None:
            raise Failed(f"interpreterPath: there is no {wished['interpreter']} on the PATH")
        return Path(active)
    return build(wished["packages"], cache, outside, say)


def build(dependencies: list[Any], cache: Path, outside: dict[str, str], say: Say) -> Path:
    version, packages, others = split(dependencies)
    key = hashlib.sha256(json.dumps([version, sorted(packages)]).encode()).hexdigest()[:16]
    target = cache / "environments" / key
    python = target / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if python.exists():
        say(f"The environment {key} is built already.\n".encode())
        return python
    say(f"Building the environment {key}: Python {version}, {len(packages)} packages\n".encode())
    if others:
        say(f"From conda only, so not installed in a rehearsal: {', '.join(others)}\n".encode())
    outside = {name: text for name, text in outside.items() if name != "VIRTUAL_ENV"}
    uv = [sys.executable, "-I", "-m", "uv"]
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as name:
        partial = Path(name) / key
        requirements = Path(name) / "requirements.txt"
        requirements.write_text("\n".join(packages))
        step([*uv, "venv", "--quiet", "--relocatable", "--python", version, str(partial)], outside, say)
        inside = partial / python.relative_to(target)
        step([*uv, "pip", "install", "--python", str(inside), "-r", str(requirements)], outside, say)
        with contextlib.suppress(OSError):  # somebody else has built the same
            partial.rename(target)
    return python


def step(command: list[str], outside: dict[str, str], say: Say) -> None:
    done = subprocess.run(command, env=outside, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    say(done.stdout or b" ")
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise Failed(f"The environment can't be built: {' '.join(said[-3:])}")


def split(dependencies: list[Any]) -> tuple[str, list[str], list[str]]:
    """The Python version, the pip packages and what only conda has, of a conda file's dependencies."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages: list[str] = []
    others: list[str] = []
    for item in dependencies:
        if isinstance(item, dict):
            packages += item.get("pip") or []
        elif match := re.fullmatch(r"python\s*={1,2}\s*([\d.]+)(\.\*)?", item.strip()):
            version = match[1]
        elif item.strip() != "pip":
            others.append(item)
    return version, packages, others
