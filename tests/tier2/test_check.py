"""make check with the packages that a project installs, in a folder that was trained in."""

import subprocess
from pathlib import Path

import pytest

from tests.support import PYTHON, rendered, run


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = rendered(tmp_path_factory.mktemp("check"), python_version=PYTHON)
    run("make", "setup", "train", cwd=project)
    return project


def check(project: Path, environment: str = "model1") -> subprocess.CompletedProcess[str]:
    python = project / ".venv" / environment / "bin" / "python"
    return subprocess.run(
        [python, project / "scripts" / "check_project.py"],
        cwd=project / "models" / "model1", capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_trained_project_is_fine(project: Path) -> None:
    done = check(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("model1: 2 runconfigs fine; a run gets 2")


def test_the_installed_client_has_a_say(project: Path) -> None:
    """What our own rules leave to the client comes from the loader in the project's environment."""
    file = project / "models" / "model1" / "aml_config" / "train-local.runconfig"
    text = file.read_text()
    try:
        file.write_text(text.replace("environment:\n", "environment:\n  databricks: {mavenLibraries: 3}\n"))
        done = check(project)
    finally:
        file.write_text(text)
    assert done.returncode == 1
    assert done.stdout.startswith("models/model1/aml_config/train-local.runconfig: the client refuses it: TypeError: ")
    assert done.stdout.count("\n") == 1


def test_a_python_without_the_packages_does_not_pass(project: Path) -> None:
    done = check(project, ".tools")
    assert (done.returncode, done.stderr) == (1, "")
    assert "is not installed in this Python: make setup MODEL=model1, then make check" in done.stdout
