"""What a verb needs beyond the engine's own packages, brought when it is first needed.

Azure's client alone is a hundred megabytes: who only trains here never gets it. The lists are the extras of this
package, [azure], [notebooks], [search] and so on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from aml_project.command_line import Failure, Progress

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from typing import Any

DISTRIBUTION = "aml-project"
COMMIT_FILE = "commit"  # beside wheels that aml vendor has made
STARTED = "AML_PROJECT_STARTED"  # names a file: the command that was started again writes it
# extra: its packages in words
WHAT_FOR = {
    "azure": "what talks to Azure ML",
    "hyperdrive": "what searches on a cluster",
    "pipeline": "what runs pipelines on a cluster",
    "notebooks": "what converts notebooks",
    "search": "what searches for hyperparameters",
    "sdk": "azureml-sdk",
}


def bring_azure() -> None:
    """Have what talks to Azure ML in this Python, installed into it if need be."""
    bring("azure")


def bring(extra: str) -> None:
    """Have the packages of an extra, in the versions that this package wants, in the environment that runs it."""
    missing = [package for package in requirements(extra) if not is_installed(package)]
    if not missing:
        return
    uv, what = find_uv(), WHAT_FOR[extra]
    if not uv or sys.prefix == sys.base_prefix:
        raise Failure(f"{what} is not in this Python, and can't be brought to it: call this command by make")
    print(f"Installing {what}, once", file=sys.stderr, flush=True)
    import importlib
    import subprocess

    with Progress("Installing"):
        done = subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", sys.executable, *requirements(extra)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        said = " ".join(done.stderr.split()[-40:])
        raise Failure(f"{what} could not be installed: {said}")
    importlib.invalidate_caches()


def is_installed(package: str) -> bool:
    """Tell whether this Python has a package in a version that a requirement allows."""
    from packaging.requirements import Requirement

    wanted = Requirement(package)
    from importlib import metadata

    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def requirements(extra: str) -> list[str]:
    """The packages of an extra, for this Python; nothing where this package is not installed."""
    from importlib import metadata

    try:
        listed = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    from packaging.requirements import Requirement

    found = [Requirement(text) for text in listed]
    wanted = [one for one in found if one.marker and one.marker.evaluate({"extra": extra})]
    for one in (one for one in wanted if not one.marker.evaluate({"extra": ""})):  # type: ignore[union-attr]
        one.marker = None
    return [str(one) for one in wanted if one.marker is None]


def start_again(modules: tuple[str, ...], later: str, extra: str = "") -> int | None:
    """Return None if these modules are here, else the exit code of the same command in a Python that has them.

    The environment of the tools gets them, once. Cookiecutter's own Python, which runs the hook, is not to get them:
    uv makes another one. `later` is the command that works once there is a network, for the one line if that fails.
    """
    mark = os.environ.get(STARTED)
    if mark:
        Path(mark).touch()
    missing = [module for module in modules if not is_here(module)]
    if not missing:
        return None
    if extra and sys.prefix != sys.base_prefix and requirements(extra):
        bring(extra)
        return None
    lacks, uv = lacking(missing), find_uv()
    if mark or not uv:
        raise Failure(f"{lacks}, and there is no uv to bring what is missing: {later}")
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        started = Path(folder) / "started"
        print(f"{lacks}: uv brings what is missing", flush=True)
        # Twice quiet, uv keeps its own errors to itself: what they mean is said below.
        command = [uv, "run", "--quiet", "--quiet", "--no-project", "--python", ">=3.10", *source(extra)]
        code = subprocess.run(
            [*command, "python", "-m", "aml_project", *sys.argv[1:]], env=os.environ | {STARTED: str(started)}
        ).returncode
        if started.exists():
            return code
    raise Failure(f"{lacks}, and uv could not bring what is missing: {later}")


def source(extra: str) -> list[str]:
    """This package with an extra, in the options of `uv run`: its folder, or what it was installed from."""
    folder, extras = checkout(), f"[{extra}]" if extra else ""
    return ["--with-editable", f"{folder}{extras}"] if folder else ["--with", f"{DISTRIBUTION}{extras} @ {origin()}"]


def sibling(name: str) -> str:
    """Another package of the same place and commit, as uv takes it: the rehearsal is installed beside this one."""
    folder = checkout()
    if folder:
        return str(folder.with_name(name))
    address = origin()
    if address.endswith(".whl"):
        wheels = path_of(address).parent.glob(f"aml_*{name}-*.whl")
        return str(next(wheels, f"vendor/: no wheel of {name}"))
    return address.replace("packages/aml", f"packages/{name}")


def checkout() -> Path | None:
    """The folder of this package's sources, where it runs from there."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


def direct_url() -> dict[str, Any]:
    """What the installer has noted of where this package came from (PEP 610)."""
    from importlib import metadata

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
    noted, folder = direct_url(), checkout()
    if known := (noted.get("vcs_info") or {}).get("commit_id"):
        return str(known)
    if folder:
        return commit_of_folder(folder)
    if not noted.get("url"):  # of an index, which knows no commits
        return ""
    beside = path_of(noted["url"]).with_name(COMMIT_FILE)  # of aml vendor
    return beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""


def path_of(url: str) -> Path:
    """The file that a file:// address names."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return Path(url2pathname(urlsplit(url).path))


def commit_of_folder(folder: Path) -> str:
    """The commit that is checked out in a folder."""
    import subprocess

    asked = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def lacking(missing: list[str]) -> str:
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not in this Python"


def is_here(module: str) -> bool:
    import importlib.util

    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # what it lies in is not there
        return False


def find_uv() -> str | None:
    """The uv that came with this package, or that of the computer."""
    beside = Path(sys.executable).with_name("uv.exe" if sys.platform == "win32" else "uv")
    if beside.exists():
        return str(beside)
    import shutil

    return shutil.which("uv")
