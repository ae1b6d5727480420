"""The workflows of a rendered repo, run by act: from a commit to a served model, and where they are to stop."""

from pathlib import Path

import pytest

from tests.automation.acting import Repository
from tests.conftest import Rehearse
from tests.environments import Environments
from tests.repositories import git
from tests.support import WORKSPACE, rendered


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Path:
    project = rendered(tmp_path_factory.mktemp("automation"), ci="github", **WORKSPACE)
    return environments.set_up(project)


@pytest.fixture
def repository(installed: Path, tmp_path: Path, rehearse: Rehearse) -> Repository:
    rehearsal = rehearse(installed)
    git(installed, "init", "--quiet", "--initial-branch=main")
    made = Repository(installed, rehearsal, tmp_path / "machine")
    made.commit()
    return made


def test_a_commit_becomes_a_served_model(repository: Repository) -> None:
    acted = repository.act("push", "model1")
    Path("/tmp/acted.txt").write_text(acted.said)
    assert acted.code == 0, acted.said[-3000:]
