"""What jactionlint and zizmor find in the workflows that we write: nothing, for every combination of answers.

And what neither of them looks at: that nothing of a model stands in what the models share, that every job has a limit,
that what deploys is never cancelled, that no secret is read.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.aml import aml
from tests.conftest import Bake
from tests.support import BIN, FRAMEWORK_FOLDERS, FRAMEWORKS, QUESTIONS, TEMPLATE, WORKSPACE

NAMES = ("model1", "model", "a", "no", "test_", "a_name_of_thirty_letters_and_mo")
SHA = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def found(folder: Path) -> str:
    """What the two linters say of a repo's workflows; a line of shell in them is one command."""
    workflows = sorted((folder / ".github" / "workflows").glob("*.yml"))
    commands: dict[str, list[str | Path]] = {
        "jactionlint": ["--shellcheck=", *workflows],
        "zizmor": ["--offline", "--no-progress", "--quiet", folder],
    }
    said = []
    for linter, options in commands.items():
        done = subprocess.run([BIN / linter, *options], capture_output=True, text=True)
        if done.returncode:
            said.append(f"{linter}:\n{done.stdout}{done.stderr}")
    return "\n".join(said)


@pytest.mark.parametrize("ci", [answer for answer in QUESTIONS["ci"] if answer in ("github", "both")])
def test_nothing_is_found_in_a_render(bake: Bake, ci: str) -> None:
    assert found(bake(ci=ci, **WORKSPACE)) == ""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A model of each framework, and a model under each kind of name."""
    root = tmp_path / "repo"
    for name in (*FRAMEWORKS, *NAMES):
        framework = name if name in FRAMEWORKS else "sklearn"
        (root / "models" / name / "aml_config").mkdir(parents=True)
        shutil.copy(FRAMEWORK_FOLDERS / framework / "train.py", root / "models" / name)
    (root / ".cookiecutter.json").write_text("{}")
    assert aml(root, "add", "ci", "--on", "both").code == 0
    return root


def test_nothing_is_found_whatever_the_models_are(repo: Path) -> None:
    written = sorted(path.stem for path in (repo / ".github" / "workflows").iterdir())
    assert written == sorted(["_model", "lint", "retrain", *FRAMEWORKS, *NAMES])
    assert found(repo) == ""


def test_a_mistake_is_found(repo: Path) -> None:
    file = repo / ".github" / "workflows" / "_model.yml"
    text = file.read_text()
    file.write_text(text.replace("id-token: write", "id-token: none", 1))
    assert "jactionlint" in found(repo)
    file.write_text(re.sub(r"@[0-9a-f]{40}", "@v6", text))
    assert "unpinned-uses" in found(repo)


WORKFLOWS = sorted((TEMPLATE / "templates" / "ci" / "github" / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_the_rules_that_no_linter_knows(file: Path) -> None:
    text = file.read_text()
    content: dict[str, Any] = yaml.safe_load(text)
    assert content["permissions"] == {}
    assert "secrets." not in text and "secrets:" not in text
    uses = re.findall(r"uses: (.*)", text)
    assert all(SHA.fullmatch(use) or use.startswith("./") for use in uses), uses
    for job in content["jobs"].values():
        if "uses" in job:
            continue
        assert 0 < job["timeout-minutes"] <= 360
        logs_in = any(str(step.get("uses")).startswith("azure/login@") for step in job["steps"])
        assert logs_in == (job.get("permissions", {}).get("id-token") == "write")
        assert logs_in == ("environment" in job), "a credential for each environment"
        if any("make deploy" in str(step.get("run")) for step in job["steps"]):
            assert job["concurrency"]["cancel-in-progress"] is False


def test_no_step_is_logic() -> None:
    """A step is a verb of make, an action, or a line of GitHub's own command."""
    commands = [
        step["run"]
        for file in WORKFLOWS
        for job in yaml.safe_load(file.read_text())["jobs"].values()
        for step in job.get("steps", ())
        if "run" in step
    ]
    assert [command for command in commands if not re.fullmatch(r"(make|gh) [^\n;&|]+", command)] == []
