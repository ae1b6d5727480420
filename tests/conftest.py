"""The fixtures that all tests may use."""

import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from aml_rehearsal import Names, Rehearsal, seed
from aml_rehearsal.azurite import Azurite
from tests.environments import Environments, shared_folder
from tests.repositories import commit, git
from tests.support import PYTHONS, TEMPLATE, files_of, rendered

Bake = Callable[..., Path]
Rehearse = Callable[..., Rehearsal]

# Git must answer alike on a machine where nobody has said who they are.
for role in ("AUTHOR", "COMMITTER"):
    os.environ[f"GIT_{role}_NAME"] = "A Tester"
    os.environ[f"GIT_{role}_EMAIL"] = "tester@example.com"
# A parent may have turned Ctrl-C off, as nohup and a shell's background jobs do: what is started here heeds it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Where bytecode is forbidden, every start of a rendered project's Python compiles its packages again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Several files at once: the second thread of a training has no processor to itself, and waits for one by burning it.
os.environ["OMP_NUM_THREADS"] = "1"
# What this repo's make was told, as in `make test ARGS=-x`, is not for the make of a rendered project.
for variable in ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(variable, None)


# Where pyenv keeps more Pythons than the one that is active, uv finds them; elsewhere it fetches what is missing.
kept = [path for version in PYTHONS for path in (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin")]
os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, kept)])

# What pip may take from a folder, uv may as well: a PyTorch without CUDA is a tenth as large.
if "PIP_FIND_LINKS" in os.environ:
    os.environ.setdefault("UV_FIND_LINKS", ",".join(os.environ["PIP_FIND_LINKS"].split()))

logging.getLogger("azure").setLevel(logging.WARNING)  # else the storage client tells of every request


# Where a change is judged, the same texts every time; on a developer's machine, new ones.
settings.register_profile("judge", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("judge")


@pytest.fixture(scope="session", autouse=True)
def cookiecutter_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep cookiecutter's memory of earlier answers out of the tests, and the tests out of it."""
    home = tmp_path_factory.mktemp("cookiecutter")
    config = home / "config.yml"
    config.write_text(f"cookiecutters_dir: {home / 'templates'}\nreplay_dir: {home / 'replay'}\n")
    os.environ["COOKIECUTTER_CONFIG"] = str(config)


@pytest.fixture(scope="session")
def bake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bake]:
    """Render a set of answers, once a session. The render is shared: who changes it makes the session fail."""
    baked: dict[tuple[tuple[str, str], ...], Path] = {}
    fresh: dict[Path, list[str]] = {}

    def render(**answers: str) -> Path:
        key = tuple(sorted(answers.items()))
        if key not in baked:
            baked[key] = rendered(tmp_path_factory.mktemp("bake"), **answers)
            fresh[baked[key]] = sorted(files_of(baked[key]))
        return baked[key]

    yield render
    for project, files in fresh.items():
        assert sorted(files_of(project)) == files, "a test has left files in a shared render: use copy_of()"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the template whose last commit is what lies here now, committed or not."""
    folder = tmp_path_factory.mktemp("template") / "aml-template"
    git(TEMPLATE, "clone", "--quiet", str(TEMPLATE), str(folder))
    git(folder, "rm", "--quiet", "-r", ".")
    listed = git(TEMPLATE, "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        if (TEMPLATE / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, folder / name)
    commit(folder)
    return folder


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Environments:
    return Environments(shared_folder(tmp_path_factory.getbasetemp()) / "environments")


def names_of(project: Path) -> Names:
    """The workspace that a project is attached to, or is to be."""
    return seed.read(project).names


@pytest.fixture(scope="session")
def idle_storages() -> Iterator[list[Azurite]]:
    """Blob storages that run and belong to no rehearsal: to start one takes longer than most that is done in it."""
    idle: list[Azurite] = []
    yield idle
    for storage in idle:
        storage.stop()


@pytest.fixture
def rehearse(tmp_path_factory: pytest.TempPathFactory, idle_storages: list[Azurite]) -> Iterator[Rehearse]:
    """Start a workspace on loopback for a project; it ends with the test. An empty one has no cluster and no data."""
    with ExitStack() as stack:

        def start(project: Path, *, empty: bool = False, **options: Any) -> Rehearsal:
            folder = tmp_path_factory.mktemp("rehearsal")
            if "accounts" not in options:  # those are made as the storage starts
                options["blobs"] = idle_storages.pop() if idle_storages else Azurite(folder / "blobs")
                stack.callback(idle_storages.append, options["blobs"])
            if empty:
                return stack.enter_context(Rehearsal(folder, names=names_of(project), **options))
            return stack.enter_context(Rehearsal(folder, project=project, **options))

        yield start
