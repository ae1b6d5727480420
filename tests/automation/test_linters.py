"""What jactionlint and zizmor find in the workflows that we write: nothing, for every combination of answers.

And what neither of them looks at: that nothing of a model stands in what the models share, that every job has a limit,
that what deploys is never cancelled, that no secret is read.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.aml import aml
from tests.conftest import Bake
from tests.support import BIN, FRAMEWORKS, QUESTIONS, TEMPLATE, WORKSPACE, copy_of

NAMES = ("model1", "model", "a", "no", "test_", "a_name_of_thirty_letters_and_mo")
SHA = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def found(folder: Path) -> str:
    """What the two linters say of a repo."""
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    said = []
    for command in (["jactionlint", "--shellcheck="], ["zizmor", "--offline", "--no-progress", "--quiet", "."]):
        done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            said.append(f"{command[0]}:\n{done.stdout}{done.stderr}")
    return "\n".join(said)


@pytest.mark.parametrize("ci", [answer for answer in QUESTIONS["ci"] if answer in ("github", "both")])
def test_nothing_is_found_in_a_render(bake: Bake, tmp_path: Path, ci: str) -> None:
    assert found(copy_of(bake(ci=ci, **WORKSPACE), tmp_path)) == ""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_nothing_is_found_whatever_the_model_is(bake: Bake, tmp_path: Path, framework: str) -> None:
    """Of each framework, under each kind of name; GitHub's alone, and beside Azure DevOps'."""
    project = copy_of(bake(framework=framework), tmp_path)
    folder = project / "models"
    for name in NAMES[1:]:
        copy_of(folder / "model1", tmp_path / name)
        (tmp_path / name / "model1").rename(folder / name)
    assert aml(project, "add", "ci", "--on", "both").code == 0
    written = sorted(path.name for path in (project / ".github" / "workflows").iterdir())
    assert written == sorted(["_model.yml", "lint.yml", "retrain.yml", *(f"{name}.yml" for name in NAMES)])
    assert found(project) == ""


def test_a_mistake_is_found(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(ci="github", **WORKSPACE), tmp_path)
    file = project / ".github" / "workflows" / "_model.yml"
    file.write_text(file.read_text().replace("id-token: write", "id-token: none", 1))
    assert "jactionlint" in found(project)
    file.write_text(re.sub(r"@[0-9a-f]{40}", "@v6", file.read_text()))
    assert "unpinned-uses" in found(project)


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
