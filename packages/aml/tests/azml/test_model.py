"""What `model register` makes of its options, before it asks a workspace."""

import logging
from pathlib import Path
from typing import Any

import pytest
from azureml.exceptions import UserErrorException

from aml_project.azml.model import ModelSubGroup, pairs, register_model, run_of

register: Any = register_model.__wrapped__


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "--asset-path: name the model's folder"),
        ({"asset_path": "outputs/model"}, "name the run"),
        ({"asset_path": "outputs/model", "run_id": "r"}, "name the run"),
        ({"asset_path": "outputs/model", "run_id": "r", "run_metadata_file": "run.json"}, "name the run"),
        ({"asset_path": "../model"}, "--asset-path: "),
        ({"asset_path": "outputs/model", "name": "a b"}, "--name: "),
        ({"asset_path": "outputs/model", "requirements": ["accuracy"]}, "--require: "),
        ({"asset_path": "outputs/model", "better_than_current": " "}, "--better-than-current: "),
        ({"asset_path": "outputs/model", "tags": ["x"]}, "--tag x: give it as key=value"),
        ({"properties": ["=x"]}, "--property =x: give it as key=value"),
        ({"model_path": "model.pkl", "asset_path": "outputs/model"}, "-p registers a local file"),
        ({"model_path": "no-such-file"}, "--model-path no-such-file: not there"),
    ],
)
def test_wrong_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserErrorException) as caught:
        register(**{"name": "model", "logger": logging.getLogger(), **options})
    assert caught.value.message.startswith(said)


def test_run_file(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text('{"_experiment_name": "e", "run_id": "r"}')
    assert run_of(str(file), None, None) == ("e", "r")
    assert run_of(None, "e", "r") == ("e", "r")
    file.write_text("")
    with pytest.raises(ValueError, match="empty"):
        run_of(str(file), None, None)


def test_pairs() -> None:
    assert pairs("--tag", ["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    assert pairs("--tag", None) == {}


def test_group_has_its_command_and_options() -> None:
    (command,) = ModelSubGroup().get_commands(for_azure_cli=True)
    assert command.get_command_name() == "register"
    short = {argument.short_form for argument in command.get_command_arguments()}
    assert {"-n", "-f", "-t", "-p", "-d", "-g", "-w"} <= short
