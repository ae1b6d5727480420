"""The last hook: it hands over, names the next commands, and never fails."""

import json
import shutil
from pathlib import Path

import pytest

from hooks.post_gen_project import attach, main
from tests.support import PROJECT
from tests.tier0.test_questions import GOOD

WORKSPACE = {
    "subscription_id": "12345678-1234-1234-1234-123456789abc",
    "resource_group": "rg",
    "workspace_name": "ws1",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rendered project, as far as the hook looks at it."""
    shutil.copytree(PROJECT / "scripts", tmp_path / "scripts")
    (tmp_path / "models" / "model1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "attach_workspace", raising=False)
    return tmp_path


def test_the_next_commands_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(GOOD)
    said = capsys.readouterr().out
    assert "cd my-aml-project" in said
    assert "make setup train test" in said
    assert "make attach" in said
    assert not (project / ".azureml").exists()


def test_a_known_workspace_is_attached(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(GOOD | WORKSPACE)
    assert WORKSPACE.items() <= json.loads((project / ".azureml" / "config.json").read_text()).items()
    assert "make attach" not in capsys.readouterr().out


def test_an_attached_workspace_is_kept(project: Path) -> None:
    (project / ".azureml").mkdir()
    (project / ".azureml" / "config.json").write_text("mine")
    main(GOOD | WORKSPACE)
    assert (project / ".azureml" / "config.json").read_text() == "mine"


def test_a_failure_is_a_command_for_later(project: Path) -> None:
    (project / ".azureml").write_text("a file where the folder should be")
    assert attach(GOOD | WORKSPACE).startswith("make attach ")


def test_another_model_gets_its_own_commands(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "models" / "churn").mkdir()
    main(GOOD | {"model_name": "churn"})
    assert "make setup train test MODEL=churn" in capsys.readouterr().out
