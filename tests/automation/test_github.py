"""The workflows of a rendered repo, run by act: from a commit to a served model, and where they are to stop.

One repo and one workspace for all of them, each test goes on from what the first has served.
"""

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aml_project.project import attach
from aml_rehearsal import Rehearsal
from tests.aml import aml
from tests.automation.acting import Repository
from tests.environments import Environments
from tests.repositories import git
from tests.support import TEMPLATE, WORKSPACE, rendered, run

TEST, SUBMIT, WAIT = "Check, train and test here", "Submit the training", "Wait for the training"
REGISTER, DEPLOY, PRODUCTION = "Gate and register", "Deploy to test", "Deploy to production"
WHOLE_WAY = [TEST, SUBMIT, WAIT, REGISTER, DEPLOY, PRODUCTION]
COMMENT = "Comment on the pull request"
OWN_TEST = """import json
from pathlib import Path


def test_it_has_learned():
    assert json.loads(Path("outputs/metrics.json").read_text())["accuracy"] > 0.5
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Iterator[Repository]:
    """A rendered repo on GitHub, with a test of its owner's instead of the template's, which take long."""
    folder = tmp_path_factory.mktemp("automation")
    project = environments.set_up(rendered(folder, ci="github", **WORKSPACE))
    (project / ".azureml" / "config.json").unlink()
    own_test(project / "models" / "model1" / "tests")
    with Rehearsal(folder / "rehearsal", project=project) as rehearsal:
        made = Repository(project, rehearsal, folder / "machine")
        assert made.push() == ["lint", "model1"]
        yield made


@pytest.fixture(autouse=True)
def taken_back(repository: Repository) -> Iterator[None]:
    """What a test pushes is gone after it, from the repo if not from the workspace."""
    before = repository.pushed
    yield
    repository.take_back(before)


def own_test(tests: Path) -> None:
    for test in tests.glob("test_*.py"):
        test.unlink()
    (tests / "test_own.py").write_text(OWN_TEST)


def ask(repository: Repository, service: str, model: str = "model1") -> Any:
    """What a service answers to who has its key."""
    known = repository.rehearsal.state()["services"][service]
    body = (repository.clone / "models" / model / "sample-request.json").read_bytes()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {known['keys']['primaryKey']}"}
    with urllib.request.urlopen(urllib.request.Request(known["scoringUri"], body, headers), timeout=60) as response:
        return json.load(response)


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def versions(rehearsal: Rehearsal) -> list[str]:
    return list(rehearsal.state()["models"])


def test_a_commit_becomes_a_served_model(repository: Repository) -> None:
    """One that was pushed, with nobody touching it: tested, trained, registered, served in the test, in production."""
    acted = repository.act("push", "model1")
    assert (acted.code, acted.jobs) == (0, dict.fromkeys(WHOLE_WAY, "succeeded")), acted.said
    assert versions(repository.rehearsal) == ["model1:1"]
    [trained] = repository.rehearsal.state()["runs"].values()
    assert trained["properties"]["azureml.git.commit"] == repository.pushed
    for service in ("model1-test", "model1-prod"):
        answer = ask(repository, service)
        assert [row["label"] for row in answer["predictions"]] == ["yes", "no"]
    assert "Registered as `model1:1`." in acted.said
    logins = re.findall(r"Logged in as azure-ml-(\w+)", acted.said)
    assert logins == ["train", "train", "train", "test", "production"], "and the job that tests, as nobody"
    subjects = [f"repo:owner/repo:environment:azure-ml-{name}" for name in logins]
    assert repository.rehearsal.workspace.assertions.issued == subjects


def test_retraining_starts_the_workflow_of_each_model(repository: Repository) -> None:
    acted = repository.act("schedule", "retrain")
    assert (acted.code, repository.started()) == (0, ["model1.yml"]), acted.said


@pytest.mark.full
def test_new_data_retrains_its_own_model(repository: Repository) -> None:
    acted = repository.act("repository_dispatch", "retrain", action="new-data", client_payload={"model": "model1"})
    assert (acted.code, repository.started()) == (0, ["model1.yml"]), acted.said
    acted = repository.act("repository_dispatch", "retrain", action="new-data", client_payload={"model": "other"})
    assert acted.code == 1
    assert "no such model: other" in acted.said


@pytest.mark.full
def test_a_pull_request_is_tested_and_told_its_figures(repository: Repository) -> None:
    payload = {"number": 7, "head": {"repo": {"full_name": "owner/repo"}, "ref": "change"}, "base": {"ref": "main"}}
    acted = repository.act("pull_request", "model1", number=7, pull_request=payload)
    assert (acted.code, acted.jobs) == (0, dict.fromkeys((TEST, COMMENT), "succeeded")), acted.said
    comment = (repository.place / "comment.md").read_text()
    assert "| | here | `model1:1` |" in comment
    assert re.search(r"\| `accuracy` \| 0\.\d+ \| 0\.\d+ \|", comment)
    assert "1 test passed." in comment


@pytest.mark.full
def test_a_pull_request_of_a_fork_is_tested_and_no_more(repository: Repository) -> None:
    payload = {"number": 8, "head": {"repo": {"full_name": "else/repo"}, "ref": "change"}, "base": {"ref": "main"}}
    acted = repository.act("pull_request", "model1", number=8, pull_request=payload)
    assert (acted.code, acted.jobs) == (0, {TEST: "succeeded"}), acted.said
    assert "Logged in" not in acted.said


@pytest.mark.full
def test_a_worse_model_stops_at_the_gate_which_says_why(repository: Repository) -> None:
    edit(repository.folder / "models" / "model1" / "train.py", "default=1.0", "default=1e9")
    repository.push()
    acted = repository.act("push", "model1")
    assert acted.code == 1
    assert acted.jobs == dict.fromkeys((TEST, SUBMIT, WAIT), "succeeded") | {REGISTER: "failed"}, acted.said
    summary = acted.said.partition("Summary - **aml register**")[2]
    assert re.search(r"not registered: accuracy is 0\.6\d+, not \\>= 0\.7", summary), acted.said
    assert "| | this run | `model1:1` |" in acted.said
    assert versions(repository.rehearsal) == ["model1:1"]


@pytest.mark.full
def test_what_does_not_answer_in_the_test_is_taken_back_and_never_gets_to_production(repository: Repository) -> None:
    edit(repository.folder / "models" / "model1" / "score.py", "def init", "raise ValueError('broken')\n\n\ndef init")
    repository.push()
    acted = repository.act("push", "model1")
    assert acted.code == 1
    assert acted.jobs == dict.fromkeys(WHOLE_WAY[:4], "succeeded") | {DEPLOY: "failed"}, acted.said
    for service in ("model1-test", "model1-prod"):
        assert "predictions" in ask(repository, service)


@pytest.mark.full
def test_a_job_that_was_killed_goes_on_with_the_same_run(repository: Repository) -> None:
    # The job is killed while this goes on.
    edit(repository.folder / "models" / "model1" / "train.py", "def main", "__import__('time').sleep(20)\n\n\ndef main")
    repository.push()
    before = set(repository.rehearsal.state()["runs"])
    process = repository.start("push", "model1")
    assert process.stdout
    for line in process.stdout:
        if "Run Main make wait" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    acted = repository.act("push", "model1", without=(TEST, SUBMIT))
    assert (acted.code, acted.jobs) == (0, dict.fromkeys(WHOLE_WAY[2:], "succeeded")), acted.said
    [run_id] = set(repository.rehearsal.state()["runs"]) - before
    assert f"Run {run_id} " in acted.said


@pytest.mark.full
def test_a_second_model_goes_its_own_way_and_edits_nothing(repository: Repository, environments: Environments) -> None:
    project, before = repository.folder, versions(repository.rehearsal)
    done = aml(project, "model", "add", "churn", AML_TEMPLATE=str(TEMPLATE))
    assert done.code == 0, done.err
    changed = git(project, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert [line for line in changed if not line.startswith("?? ")] == []
    assert [line for line in changed if ".github" in line] == ["?? .github/workflows/churn.yml"]
    own_test(project / "models" / "churn" / "tests")
    environments.link_model(project, "churn")
    assert repository.push() == ["churn", "lint"], "not the first model's"

    # As its owner does before it trains there: what it learns from has to be in the workspace.
    project_file = attach(project, WORKSPACE)
    done = aml(project, "dataset", "--model=churn", **repository.rehearsal.variables())
    assert done.code == 0, done.err
    project_file.unlink()

    edit(project / "models" / "churn" / "train.py", "default=1.0", "default=2.0")
    assert repository.push() == ["churn", "lint"]
    acted = repository.act("push", "churn")
    assert (acted.code, acted.jobs) == (0, dict.fromkeys(WHOLE_WAY, "succeeded")), acted.said
    assert sorted(versions(repository.rehearsal)) == sorted([*before, "churn:1"])
    for service in ("churn-test", "churn-prod"):
        assert [row["label"] for row in ask(repository, service, "churn")["predictions"]] == ["yes", "no"]

    edit(project / "Makefile", "## ", "##  ")
    assert repository.push() == ["churn", "lint", "model1"], "what both are made of"
    acted = repository.act("schedule", "retrain")
    assert (acted.code, repository.started()) == (0, ["churn.yml", "model1.yml"]), acted.said


@pytest.mark.full
def test_the_code_and_the_workflows_are_linted(repository: Repository) -> None:
    acted = repository.act("push", "lint")  # which needs no workspace, and the index of packages
    assert (acted.code, acted.jobs) == (0, {"lint": "succeeded"}), acted.said
    edit(repository.folder / ".github" / "workflows" / "lint.yml", "runs-on: ubuntu-24.04", "runs-on: ubuntu-24.4")
    assert run("make", "ci", "ARGS=lint", cwd=repository.folder, expect=2).count("ubuntu-24.4") > 0
