"""What follows a render: the workspace is attached, the next commands are named, and nothing ever fails."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aml_project.hook import after_render, attach
from tests.sources.test_questions import GOOD
from tests.support import TEMPLATE

WORKSPACE = {
    "subscription_id": "12345678-1234-1234-1234-123456789abc",
    "resource_group": "rg",
    "workspace_name": "ws1",
}
PLACE = {"root": str(TEMPLATE), "address": "git+https://git.corp/ml/aml-template", "commit": ""}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rendered project, as far as the hook looks at it."""
    (tmp_path / "models" / "model1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_next_commands_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    after_render(GOOD, PLACE)
    said = capsys.readouterr().out
    assert "cd my-aml-project" in said
    assert "make setup train test" in said
    assert "make attach" in said
    assert not (project / ".azureml").exists()


def test_a_known_workspace_is_attached(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    after_render(GOOD | WORKSPACE, PLACE)
    assert WORKSPACE.items() <= json.loads((project / ".azureml" / "config.json").read_text()).items()
    assert "make attach" not in capsys.readouterr().out


def test_an_attached_workspace_is_kept(project: Path) -> None:
    (project / ".azureml").mkdir()
    (project / ".azureml" / "config.json").write_text("mine")
    after_render(GOOD | WORKSPACE, PLACE)
    assert (project / ".azureml" / "config.json").read_text() == "mine"


def test_a_failure_is_a_command_for_later(project: Path) -> None:
    (project / ".azureml").write_text("a file where the folder should be")
    assert attach(GOOD | WORKSPACE).startswith("make attach ")


def test_another_model_gets_its_own_commands(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "models" / "churn").mkdir()
    after_render(GOOD | {"model_name": "churn"}, PLACE)
    assert "make setup train test MODEL=churn" in capsys.readouterr().out


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project that cruft renders in a folder of its own, to compare."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "my-aml-project"
        (project / "models" / "model1").mkdir(parents=True)
        monkeypatch.chdir(project)
        yield project
        monkeypatch.undo()


def test_nothing_follows_a_render_that_is_compared(compared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither is a notebook converted then: a train.py that was made of one is its owner's."""
    after_render(GOOD | WORKSPACE | {"notebook": "mine.ipynb", "_commit": "abc", "_template": str(TEMPLATE)}, PLACE)
    assert sorted(path.name for path in compared.rglob("*")) == ["model1", "models"]
    assert capsys.readouterr() == ("", "")
