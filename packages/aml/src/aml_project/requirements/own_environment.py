"""Ask the user's own Python which packages it has, to pin what the code imports to the versions that it worked with."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from aml_project.project import find as root_above
from aml_project.tools import DISTRIBUTION

OWN_PYTHON = "AML_PROJECT_OWN_PYTHON"  # found before the command starts again in a Python with other paths
SECONDS = 20
# It runs in whatever Python the user has, from 3.8 on.
CODE = """
import json, sys
from importlib.metadata import distributions
modules, versions, local = {}, {}, []
for one in distributions():
    try:
        name, version = one.metadata["Name"], one.version
        if not name or not version:
            continue
        origin = one.read_text("direct_url.json") or ""
        tops = (one.read_text("top_level.txt") or "").split()
        if not tops:
            paths = [str(path).replace("\\\\", "/") for path in one.files or []]
            tops = [path.split("/")[0] for path in paths if "/" in path and path.endswith((".py", ".so", ".pyd"))]
            tops += [path.split(".")[0] for path in paths if "/" not in path and path.endswith((".py", ".so", ".pyd"))]
    except Exception:
        continue
    versions.setdefault(name, version)
    if '"dir_info"' in origin or '"file:' in origin:
        local.append(name)
    for top in sorted(set(tops)):
        modules.setdefault(top, []).append(name)
print(json.dumps({"python": sys.version_info[:2], "modules": modules, "versions": versions, "local": local}))
"""


@dataclass
class Installed:
    """What an environment has."""

    python: str = ""
    modules: dict[str, list[str]] = field(default_factory=dict)  # module: packages
    versions: dict[str, str] = field(default_factory=dict)  # package: version
    local: set[str] = field(default_factory=set)  # packages that no index has
    trouble: str = ""


def find() -> str:
    """Return the Python that the user works with: the active environment's, or the first on PATH; or nothing.

    The Python of this process is passed over if it is cookiecutter's own, or that of these tools: uvx puts it on PATH.
    """
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        prefix = os.environ.get(variable)
        if prefix:
            for inner in ("bin/python", "Scripts/python.exe", "python.exe"):
                if is_user_python(Path(prefix, inner)):
                    return str(Path(prefix, inner))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for name in ("python3", "python"):
            there = shutil.which(name, path=folder) if folder else None
            if there and is_user_python(Path(there)):
                return there
    return ""


def is_user_python(python: Path) -> bool:
    folder = Path.cwd().joinpath(python).parent  # not resolved: an environment's python is a link
    project = root_above()
    if not python.is_file() or (project and project / ".venv" in folder.parents):
        return False
    here = {Path(sys.prefix), Path(sys.prefix, "bin"), Path(sys.prefix, "Scripts")}
    return folder not in here or not is_of_tools_only()


def is_of_tools_only() -> bool:
    tools = importlib.util.find_spec("cookiecutter") or is_installed_here()
    return bool(tools) and not importlib.util.find_spec("numpy")


def is_installed_here() -> bool:
    """Whether this package was installed into this Python, and is not just found on its path."""
    from importlib import metadata

    try:
        metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return False
    return True


def ask(python: str) -> Installed:
    """Return what a Python has installed; what goes wrong is told, and then nothing is."""
    if not python:
        return Installed(trouble="there is no Python of yours to ask; --python names one")
    from aml_project.requirements.package_list import canonical

    try:
        done = subprocess.run(
            [python, "-I", "-c", CODE], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True
        )
        said = json.loads(done.stdout)
        versions = {canonical(name): str(version) for name, version in said["versions"].items()}
        modules = {str(top): [canonical(name) for name in names] for top, names in said["modules"].items()}
        local = {canonical(name) for name in said["local"]}
        return Installed(".".join(map(str, said["python"])), modules, versions, local)
    except subprocess.TimeoutExpired:
        trouble = f"gave no answer in {SECONDS} s"
    except (OSError, subprocess.CalledProcessError, ValueError, KeyError, TypeError, AttributeError):
        trouble = "can't be asked"
    return Installed(trouble=f"{python} {trouble}; --python names another one")
