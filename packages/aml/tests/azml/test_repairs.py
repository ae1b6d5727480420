"""Each repair alone, on the real azureml-core: no workspace is needed for what it changes in files."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from azureml.exceptions import UserErrorException

from aml_project import model_environment
from aml_project.azml import repairs
from aml_project.service import local_docker

SCOPE = "/subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/W"


@pytest.fixture(autouse=True)
def _applied() -> None:
    repairs.apply()


def write(result: Any, file: Path) -> None:
    from azureml._cli import cli_command

    cli_command._write_output_metadata_file(result, str(file), logging.getLogger())


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_result_is_written(tmp_path: Path) -> None:
    write({"run_id": "a"}, tmp_path / "new" / "run.json")
    assert json.loads((tmp_path / "new" / "run.json").read_text()) == {"run_id": "a"}
    assert names_in(tmp_path / "new") == ["run.json"]


@pytest.mark.parametrize("before", ["", '{"run_id": "before"}'])
def test_earlier_result_is_replaced(tmp_path: Path, before: str) -> None:
    (tmp_path / "run.json").write_text(before)
    write({"run_id": "a"}, tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text()) == {"run_id": "a"}


def test_failure_leaves_the_earlier_result(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(TypeError):
        write({"run_id": object()}, tmp_path / "run.json")
    assert (tmp_path / "run.json").read_text() == "{}"
    assert names_in(tmp_path) == ["run.json"]


def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import os\n")
    with pytest.raises(UserErrorException, match="no earlier result"):
        write({}, tmp_path / "train.py")
    with pytest.raises(UserErrorException, match="a folder"):
        repairs.check_replaceable(tmp_path)
    assert (tmp_path / "train.py").read_text() == "import os\n"


def test_attach_refuses_a_models_folder(tmp_path: Path) -> None:
    from azureml._cli.folder.folder_commands import attach_folder_to_workspace_and_experiment as attach

    (tmp_path / "aml_config").mkdir()
    with pytest.raises(UserErrorException, match="holds aml_config"):
        attach(path=str(tmp_path))
    assert names_in(tmp_path) == ["aml_config"]


def test_config_names_the_workspace(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"Id": "e", "Scope": f"{SCOPE}/projects/e"}))
    repairs.name_the_workspace(file)
    names = {"subscription_id": "S", "resource_group": "G", "workspace_name": "W"}
    assert json.loads(file.read_text()) == {"Id": "e", "Scope": f"{SCOPE}/projects/e"} | names
    assert names_in(tmp_path) == ["config.json"]


def test_subscription_of_the_attached_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from azureml._base_sdk_common.cli_wrapper import _common
    from azureml.exceptions import AuthenticationException

    monkeypatch.delenv("AZUREML_SUBSCRIPTION_ID", raising=False)
    (tmp_path / ".azureml").mkdir()
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path / "models")
    with pytest.raises(AuthenticationException):
        _common.get_default_subscription_id(None)
    (tmp_path / ".azureml" / "config.json").write_text(json.dumps({"Scope": SCOPE}))
    assert _common.get_default_subscription_id(None) == "S"


def test_password_in_the_address_of_gits_remote_stays_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client gathers for a run's properties, asked as it asks."""
    from azureml._base_sdk_common.tracking import global_tracking_info_registry
    from azureml._cli.run import run_commands

    monkeypatch.setenv("AZUREML_GIT_REPOSITORY_URI", "")
    for command in (
        ["init", "-q"],
        ["-c", "user.name=me", "-c", "user.email=me@example.com", "commit", "-q", "--allow-empty", "-m", "first"],
        ["remote", "add", "origin", "https://me:a-git-token@example.com/o/r.git"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.delenv("AZUREML_GIT_REPOSITORY_URI")
    gathered = global_tracking_info_registry.gather_all(str(tmp_path))
    assert "a-git-token" in gathered["azureml.git.repository_uri"], "the client no longer needs this"
    with pytest.raises(UserErrorException, match="a folder"):  # so that nothing is sent
        run_commands.submit_run(path=str(tmp_path), output_metadata_file=str(tmp_path))
    gathered = global_tracking_info_registry.gather_all(str(tmp_path))
    assert gathered["azureml.git.repository_uri"] == "https://example.com/o/r.git"


def test_python_of_a_local_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "models" / "model1"
    model.mkdir(parents=True)
    folder, name = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    active = tmp_path / "active" / name
    made = tmp_path / ".venv" / "model1" / folder / name
    for file in (active, made):
        file.parent.mkdir(parents=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(active.parent))
    assert model_environment.python_for_runs(model) == made
    with local_docker.python_first(made):
        assert os.environ["PATH"].split(os.pathsep) == [str(made.parent), str(active.parent)]
    assert os.environ["PATH"] == str(active.parent)
    made.unlink()
    assert model_environment.python_for_runs(model) == active
    monkeypatch.setenv("PATH", "")
    assert model_environment.python_for_runs(model) == Path(sys.executable)
