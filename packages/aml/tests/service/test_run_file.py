"""run.json names the run: whole or not there, and without a token."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aml_project.service import run_file
from tests.support import files_of


def fake_run(**record: object) -> Any:
    """Something that has what run_file asks of azureml.core.Run."""
    return SimpleNamespace(_run_dto={"run_id": "exp_1", **record}, experiment=SimpleNamespace(name="exp"))


def test_a_run_file_is_whole_or_absent_and_holds_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new folder" / "run.json"
    run_file.write(file, fake_run(token="a-secret", token_expiry_time_utc="x", options={"a": 1}, status="Completed"))
    assert json.loads(file.read_text()) == {"_experiment_name": "exp", "run_id": "exp_1", "status": "Completed"}
    assert run_file.read(file) == ("exp", "exp_1")
    before = file.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        run_file.write(file, fake_run(status="Running"))
    assert files_of(tmp_path) == {"new folder/run.json": before}
