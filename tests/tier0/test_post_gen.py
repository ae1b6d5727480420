"""The last hook: it hands over, names the next commands, and never fails."""

import json
import shutil
from pathlib import Path

import pytest

from hooks.post_gen_project import attach, main
from tests.support import PROJECT, TEMPLATE
from tests.tier0.test_questions import GOOD

WORKSPACE = {
    "subscription_id": "12345678-1234-1234-1234-123456789abc",
    "resource_group": "rg",
    "workspace_name": "ws1",
}
PLACE = {"root": str(TEMPLATE), "address": "git+https://git.corp/ml/aml-template", "commit": ""}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A rendered project, as far as the hook looks at it."""
    shutil.copytree(PROJECT / "scripts", tmp_path / "scripts")
    (tmp_path / "models" / "model1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "attach_workspace", raising=False)
    return tmp_path


def test_the_next_commands_are_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(GOOD, PLACE)
    said = capsys.readouterr().out
    assert "cd my-aml-project" in said
    assert "make setup train test" in said
    assert "make attach" in said
    assert not (project / ".azureml").exists()


def test_a_known_workspace_is_attached(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(GOOD | WORKSPACE, PLACE)
    assert WORKSPACE.items() <= json.loads((project / ".azureml" / "config.json").read_text()).items()
    assert "make attach" not in capsys.readouterr().out


def test_an_attached_workspace_is_kept(project: Path) -> None:
    (project / ".azureml").mkdir()
    (project / ".azureml" / "config.json").write_text("mine")
    main(GOOD | WORKSPACE, PLACE)
    assert (project / ".azureml" / "config.json").read_text() == "mine"


def test_a_failure_is_a_command_for_later(project: Path) -> None:
    (project / ".azureml").write_text("a file where the folder should be")
    assert attach(GOOD | WORKSPACE).startswith("make attach ")


def test_another_model_gets_its_own_commands(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "models" / "churn").mkdir()
    main(GOOD | {"model_name": "churn"}, PLACE)
    assert "make setup train test MODEL=churn" in capsys.readouterr().out


def test_make_is_told_where_the_checkout_lies(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(GOOD | {"_template": "../tpl", "_repo_dir": "../tpl"}, PLACE)
    assert (project / "local.mk").read_text().endswith(f"\nAML_TEMPLATE := {TEMPLATE}\n")
    assert "local.mk" not in capsys.readouterr().out


def test_a_checkout_that_can_t_be_noted_is_no_failure(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "local.mk.part").mkdir()
    main(GOOD | {"_template": "../tpl", "_repo_dir": "../tpl"}, PLACE)
    assert "local.mk: not written: " in capsys.readouterr().out
    assert not (project / "local.mk").exists()
