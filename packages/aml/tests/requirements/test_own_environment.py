"""The user's own Python is found and asked."""

import os
import sys
from pathlib import Path

import pytest

from aml_project.requirements import own_environment


def test_a_real_python_is_asked() -> None:
    own = own_environment.ask(sys.executable)
    assert own.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert own.modules["yaml"] == ["pyyaml"] and own.versions["pytest"]
    assert "aml-rehearsal" in own.local


def test_the_users_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "venv" / "bin" / "python", tmp_path / "path" / "python3"
    for file in (first, second):
        file.parent.mkdir(parents=True)
        file.symlink_to(sys.executable)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.prefix, "bin")), str(second.parent)]))
    assert own_environment.find() == str(first)
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setattr(own_environment, "is_of_tools_only", lambda: True)
    assert own_environment.find() == str(second)
