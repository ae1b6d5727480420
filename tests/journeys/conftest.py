"""Projects that are attached and installed, for the tests of the workspace on loopback; and the template under git."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aml_rehearsal import azurite
from tests.environments import Environments
from tests.support import BIN, TEMPLATE, WORKSPACE, rendered, run

Installed = Callable[[str], Path]


@pytest.fixture(scope="session", autouse=True)
def azurite_is_here() -> None:
    """A command that installs it first says so, and is silent for long: which is not what these tests expect of one."""
    azurite.installed()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Installed:
    """A project on a Python, its tools too, with the names of its workspace; once a session for each Python."""
    made: dict[str, Path] = {}

    def install(python_version: str) -> Path:
        if python_version not in made:
            folder = tmp_path_factory.mktemp("journey")
            project = rendered(folder, python_version=python_version, **WORKSPACE)
            made[python_version] = environments.set_up(project, python=python_version)
        return made[python_version]

    return install


def git(folder: Path, *args: str | Path) -> str:
    return run("git", *args, cwd=folder).strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=state")
    return git(folder, "rev-parse", "HEAD")


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


def create(template: Path, folder: Path, *args: str) -> Path:
    folder.mkdir(exist_ok=True)
    run(BIN / "cruft", "create", "--no-input", "--output-dir", folder, *args, template, cwd=folder)
    return folder / "my-aml-project"


def create_and_commit(template: Path, folder: Path, *args: str) -> Path:
    project = create(template, folder, *args)
    git(project, "init", "--quiet")
    commit(project)
    return project


def update(project: Path) -> None:
    said = run(BIN / "cruft", "update", "--skip-apply-ask", cwd=project)
    assert [path.name for path in project.rglob("*.rej")] == [], said
    assert "<<<<<<<" not in git(project, "diff")
