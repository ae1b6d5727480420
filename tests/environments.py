"""Environments of rendered projects, made once a session and linked into each project that has the same packages.

`make setup` takes half a minute, and Python compiles what it has installed; a test of something else need not wait.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import BIN, PYTHON, run

AZURE_CLI = "azure-cli==2.91.0"
CONDA_FILES = ("train-conda.yml", "inference-conda.yml")
BYTECODE = re.compile(r"\w+\.[\w-]+\.pyc")  # and not what is about to become one


class Environments:
    """What has been made lies in a folder that all processes of the session share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set_up(self, project: Path, model: str = "model1", *, python: str = PYTHON) -> Path:
        """Leave a project as `make setup` does, its tools on a Python; return it."""
        self.link_tools(project, python)
        self.link_model(project, model)
        return project

    def link_model(self, project: Path, model: str) -> None:
        """What is made and kept is the environment of a project that has nothing but lists of packages."""
        config = project / "models" / model / "aml_config"
        lists = [project / "requirements-dev.txt", *(config / name for name in CONDA_FILES)]
        with self.made("model", *lists) as carrier:
            if not (carrier / ".venv").exists():
                copied = carrier / "models" / "model1" / "aml_config"
                copied.mkdir(parents=True)
                for file in lists[1:]:
                    shutil.copy(file, copied)
                shutil.copy(lists[0], carrier)
                run(BIN / "aml", "setup", cwd=carrier, expect=0)
                self.lend(carrier / ".venv" / "model1")
        place = project / ".venv" / model
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(carrier / ".venv" / "model1")

    def link_tools(self, project: Path, python: str) -> None:
        """With all that `make client` brings, so that no test installs it into what others use."""
        with self.made(f"tools-{python}", project / "Makefile", project / "local.mk") as carrier:
            if not (carrier / ".venv").exists():
                carrier.mkdir()
                for name in ("Makefile", "requirements-tools.txt", "local.mk"):
                    shutil.copy(project / name, carrier)
                found = run(BIN / "uv", "python", "find", "--no-project", python, cwd=carrier).strip()
                run("make", "tools", f"PYTHON={found}", cwd=carrier, expect=0)
                bring = "from aml_project import tools; tools.bring_azure(); tools.bring('sdk')"
                run(carrier / ".venv/.tools/bin/python", "-c", bring, cwd=carrier, expect=0)
        place = project / ".venv" / ".tools"
        place.mkdir(parents=True)
        for part in (carrier / ".venv" / ".tools").iterdir():
            (place / part.name).symlink_to(part)
        (place / "ready").unlink()
        (place / "ready").touch()  # for make, it has to be younger than the project's files

    def azure_cli(self, python: str) -> Path:
        """The folder of today's `az`; what it installs and remembers, it puts where a test's variables say."""
        with self.made(f"az-{python}") as carrier:
            if not carrier.exists():
                run(BIN / "uv", "venv", "--quiet", "--seed", "--python", python, carrier, cwd=self.folder)
                place = carrier / "bin" / "python"
                run(BIN / "uv", "pip", "install", "--quiet", "--python", place, AZURE_CLI, cwd=self.folder)
        return carrier / "bin"

    def lend(self, environment: Path) -> None:
        """Give an environment that was just made what the others here have compiled of the same packages."""
        for lender in (*self.folder.glob("model-*/.venv/model1"), *self.folder.glob("tools-*/.venv/.tools")):
            if lender != environment:
                lend_bytecode(lender, environment)

    @contextmanager
    def made(self, kind: str, *lists: Path) -> Iterator[Path]:
        """The folder of what some files ask for, for one process at a time; a failure leaves nothing in it."""
        digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in lists)).hexdigest()[:16]
        carrier = self.folder / f"{kind}-{digest}"
        self.folder.mkdir(exist_ok=True)
        with (self.folder / f"{carrier.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield carrier
            except BaseException:
                shutil.rmtree(carrier, ignore_errors=True)
                raise


def lend_bytecode(lender: Path, borrower: Path) -> None:
    """Link the bytecode of each file that two environments have in common, which is one file: of uv's cache."""
    for folder, _, files in os.walk(lender):
        if Path(folder).name != "__pycache__":
            continue
        of, there = Path(folder).parent, borrower / Path(folder).relative_to(lender)
        for name in filter(BYTECODE.fullmatch, files):
            source = f"{name.partition('.')[0]}.py"
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                if (of / source).samefile(there.parent / source):
                    there.mkdir(exist_ok=True)
                    os.link(Path(folder, name), there / name)


def shared_folder(own: Path) -> Path:
    """The temporary folder of the session: under pytest-xdist, each process has one of its own in it."""
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
