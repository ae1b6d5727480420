"""What a verb needs beyond the engine's own packages, brought when it is first needed.

Azure's client alone is a hundred megabytes: who only trains here never gets it. The lists are the extras of this
package, [azure] and [notebooks].
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from aml_project.command_line import Failure, Progress

DISTRIBUTION = "aml-project"
STARTED = "AML_PROJECT_STARTED"  # names a file: the command that was started again writes it
AZURE = ("azureml.core", "azure.storage.blob")


def bring_azure() -> None:
    """Have what talks to Azure ML in this Python, installed into it if need be."""
    missing = [module for module in AZURE if not is_here(module)]
    if missing:
        install("azure", missing)


def install(extra: str, missing: list[str]) -> None:
    """Install an extra of this package into the environment that runs it."""
    lacks = lacking(missing)
    uv, packages = find_uv(), requirements(extra)
    if not uv or not packages or sys.prefix == sys.base_prefix:
        raise Failure(f"{lacks}, and it is not an environment that they can be brought to: call this command by make")
    print(f"{lacks}: installing what Azure ML's commands need, once", file=sys.stderr, flush=True)
    with Progress("Installing"):
        done = subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", sys.executable, *packages],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        said = " ".join(done.stderr.split()[-40:])
        raise Failure(f"{lacks}, and uv can't bring {'it' if len(missing) == 1 else 'them'}: {said}")
    importlib.invalidate_caches()


def requirements(extra: str) -> list[str]:
    """The packages of an extra, for this Python; nothing where this package is not installed."""
    from packaging.requirements import Requirement

    try:
        listed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    found = [Requirement(text) for text in listed]
    wanted = [one for one in found if one.marker and one.marker.evaluate({"extra": extra})]
    for one in (one for one in wanted if not one.marker.evaluate({"extra": ""})):  # type: ignore[union-attr]
        one.marker = None
    return [str(one) for one in wanted if one.marker is None]


def start_again(modules: tuple[str, ...], later: str) -> int | None:
    """Return None if the modules are here, else the exit code of the same command in a Python that has them.

    That is the hook's case: cookiecutter's own Python has nothing of it, and is not to get it. `later` is the command
    that works once there is a network, for the one line if there is no such Python now.
    """
    mark = os.environ.get(STARTED)
    if mark:
        Path(mark).touch()
    missing = [module for module in modules if not is_here(module)]
    if not missing:
        return None
    lacks, uv = lacking(missing), find_uv()
    if mark or not uv:
        raise Failure(f"{lacks}, and there is no uv to bring what is missing: {later}")
    with tempfile.TemporaryDirectory() as folder:
        started = Path(folder) / "started"
        print(f"{lacks}: uv brings what is missing", flush=True)
        # Twice quiet, uv keeps its own errors to itself: what they mean is said below.
        command = [uv, "run", "--quiet", "--quiet", "--no-project", "--with-editable", f"{source()}[notebooks]"]
        code = subprocess.run(
            [*command, "python", "-m", "aml_project", *sys.argv[1:]], env=os.environ | {STARTED: str(started)}
        ).returncode
        if started.exists():
            return code
    raise Failure(f"{lacks}, and uv could not bring what is missing: {later}")


def source() -> str:
    """This package as uv takes it: the folder that it lies in, or what it was installed from."""
    folder = checkout()
    return str(folder) if folder else origin()


def sibling(name: str) -> str:
    """Another package of the same place and commit, as uv takes it: the rehearsal is installed beside this one."""
    folder = checkout()
    if folder:
        return str(folder.with_name(name))
    return origin().replace("packages/aml", f"packages/{name}")


def checkout() -> Path | None:
    """The folder of this package's sources, where it runs from there."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def direct_url() -> dict[str, Any]:
    """What the installer has noted of where this package came from (PEP 610)."""
    try:
        return dict(json.loads(metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or "{}"))
    except (metadata.PackageNotFoundError, ValueError):
        return {}


def origin() -> str:
    """Where this package was installed from, in the words of a requirement."""
    noted = direct_url()
    vcs = noted.get("vcs_info") or {}
    address = f"{vcs['vcs']}+{noted['url']}@{vcs['commit_id']}" if vcs else noted.get("url", DISTRIBUTION)
    return f"{address}#subdirectory={noted['subdirectory']}" if noted.get("subdirectory") else str(address)


def commit() -> str:
    """The commit that this package is of; nothing where that can't be known."""
    known = (direct_url().get("vcs_info") or {}).get("commit_id", "")
    folder = checkout()
    if known or not folder:
        return str(known)
    asked = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def lacking(missing: list[str]) -> str:
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in this Python"


def is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # what it lies in is not there
        return False


def find_uv() -> str | None:
    """The uv that came with this package, or that of the computer."""
    beside = Path(sys.executable).with_name("uv.exe" if sys.platform == "win32" else "uv")
    return str(beside) if beside.exists() else shutil.which("uv")
