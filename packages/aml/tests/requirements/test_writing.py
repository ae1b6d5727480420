"""Several files are written, or none."""

from pathlib import Path

import pytest

from aml_project.command_line import Failure
from aml_project.requirements import writing
from requirements.lists import PURPOSES, conda_file
from tests.support import files_of


def test_both_files_or_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    train, inference = (conda_file(project, purpose) for purpose in PURPOSES)
    before, original = files_of(project), Path.replace

    def failing(self: Path, target: Path) -> Path:
        if Path(target) == inference.resolve():
            raise OSError(28, "No space left on device", str(target))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(Failure, match="nothing was written"):
        writing.replace_all({train: b"x", inference: b"y"})
    assert files_of(project) == before
