"""The workflows of this repository keep what its template renders: no right too many, no action that can change."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.automation.test_linters import found
from tests.support import TEMPLATE

FOLDER = TEMPLATE / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
COMMIT = re.compile(r"[0-9a-f]{40}")
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def test_no_linter_finds_anything(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / ".github" / "workflows")
    assert WORKFLOWS
    assert found(tmp_path) == ""


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_each_job_has_the_rights_and_the_time_that_it_needs(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    workflow: dict[str, Any] = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    for name, job in workflow["jobs"].items():
        assert job["permissions"] == {"contents": "read"}, name
        assert job["timeout-minutes"] > 0, name
    assert [line for line in text.splitlines() if "uses:" in line and not PINNED.search(line)] == []
    steps = [step.get("with", {}) for job in workflow["jobs"].values() for step in job["steps"]]
    of_others = [given for given in steps if "repository" in given]
    assert [given for given in of_others if not COMMIT.fullmatch(given.get("ref", ""))] == []
    assert "secrets." not in text
