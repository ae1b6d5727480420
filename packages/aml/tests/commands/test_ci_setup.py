"""aml ci setup: the lines that let jobs in and, with an az and a gh of ours that keep what they hear, what --yes does.

What the two then hold is held against the rehearsal: a job whose workflow names an environment gets in, and no other.
"""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aml_project import project
from aml_project.ci.setup import ROLE
from aml_project.ci.subjects import ENVIRONMENTS
from commands import az_and_gh
from commands.az_and_gh import answer
from tests.aml import Done, aml
from tests.conftest import Rehearse
from tests.repositories import git
from tests.support import TEMPLATE, WORKSPACE


@pytest.fixture
def small(small: Path) -> Path:
    project.attach(small, WORKSPACE)
    return small


class StandIns:
    """An az and a gh, in this process."""

    def __init__(self) -> None:
        self.there = ["az", "gh"]
        self.held: dict[str, Any] = {"subject": {"use_default": True}}

    @property
    def calls(self) -> list[str]:
        return list(self.held.get("calls", ()))

    @property
    def made(self) -> dict[str, Any]:
        return {name: what for name, what in self.held.items() if name != "calls"}

    def subjects(self) -> list[str]:
        return [trusted["subject"] for name, trusted in self.held.items() if name.startswith("trust ")]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> StandIns:
    programs = StandIns()
    for module in ("setup", "subjects"):
        monkeypatch.setattr(f"aml_project.ci.{module}.call", lambda words: answer(programs.held, *words))
        monkeypatch.setattr(f"aml_project.ci.{module}.there", lambda program: program in programs.there)
    return programs


def setup(small: Path, *args: str, repository: str = "--repository=owner/name") -> Done:
    return aml(small, "ci", "setup", *filter(None, [repository]), *args)


def test_yes_makes_an_identity_for_each_environment(small: Path, programs: StandIns) -> None:
    done = setup(small, "--reviewer=somebody", "--yes")
    assert done.code == 0, done.err
    held = programs.held
    assert programs.subjects() == [f"repo:owner/name:environment:{name}" for name in ENVIRONMENTS]
    for environment in ENVIRONMENTS:
        app = f"id-of-name-{environment}"
        assert held[f"app name-{environment}"] == held[f"variable {environment} AZURE_CLIENT_ID"] == app
        assert held[f"trust {app}"]["audiences"] == ["api://AzureADTokenExchange"]
        role, scope = held[f"role sp-of-{app}"]
        assert role == ROLE and scope.endswith("/workspaces/my-workspace"), "of this workspace, and no more"
        assert held[f"repos/owner/name/environments/{environment}/deployment-branch-policies"] == ["name=main"]
    assert held["variable all AZURE_TENANT_ID"] == "the-tenant"
    assert held["variable all AZURE_ML_WORKSPACE"] == "my-workspace"
    asked = [name for name in ENVIRONMENTS if "reviewers[][id]=42" in held[f"repos/owner/name/environments/{name}"]]
    assert asked == ["azure-ml-production"]
    assert not re.search("secret|password", " ".join(programs.calls)), "nothing is made that could be lost"


def test_twice_is_once(small: Path, programs: StandIns) -> None:
    assert setup(small, "--yes").code == 0
    held, first = programs.made, len(programs.calls)
    done = setup(small, "--yes")
    assert done.code == 0 and programs.made == held
    again = programs.calls[first:]
    assert [line for line in again if " create " in line or "--method" in line] == []
    assert "azure-ml-train: its service principal: is there, nothing was changed" in done.out


def test_it_goes_on_where_it_could_not(small: Path, programs: StandIns) -> None:
    programs.held["fails"] = "role assignment create"
    done = setup(small, "--yes")
    assert done.code == 3
    assert "azure-ml-train: the role, in this workspace alone: (AuthorizationFailed) no rights (what came" in done.err
    programs.held["fails"] = ""
    assert setup(small, "--yes").code == 0
    assert sum(line.startswith("az ad app create ") for line in programs.calls) == len(ENVIRONMENTS)


def test_the_printed_lines_do_the_same(small: Path, programs: StandIns, tmp_path: Path) -> None:
    printed = setup(small, "--reviewer=somebody")
    assert printed.code == 0, printed.err
    assert [line for line in programs.calls if "customization" not in line] == [], "nothing was made"
    for name in ("az", "gh"):
        (tmp_path / name).write_text(f"#!{sys.executable} -SE\n{inspect.getsource(az_and_gh)}")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "held").write_text(json.dumps(programs.made))
    env = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["sh", "-euc", printed.out], env=env, cwd=small, check=True, stdout=subprocess.DEVNULL)
    pasted = json.loads((tmp_path / "held").read_text())
    assert setup(small, "--reviewer=somebody", "--yes").code == 0
    assert {name: what for name, what in pasted.items() if name != "calls"} == programs.made


@pytest.mark.parametrize(
    ("said", "prefix"),
    [
        ({"use_default": True, "use_immutable_subject": False}, "repo:owner/name"),
        ({"use_default": True, "use_immutable_subject": True}, "repo:owner@12/name@34"),
        ({"use_immutable_subject": True, "sub_claim_prefix": "repo:Owner@12/Name@34"}, "repo:Owner@12/Name@34"),
    ],
)
def test_jobs_are_called_as_github_calls_them(
    small: Path, programs: StandIns, said: dict[str, object], prefix: str
) -> None:
    programs.held["subject"] = said
    assert setup(small, "--yes").code == 0
    assert programs.subjects() == [f"{prefix}:environment:{name}" for name in ENVIRONMENTS]


def test_without_gh_the_numbers_can_be_given(small: Path, programs: StandIns) -> None:
    programs.there.remove("gh")
    done = setup(small)
    assert "--ids then" in done.err and '"subject": "repo:owner/name:environment:azure-ml-test"' in done.out
    done = setup(small, "--ids=12/34")
    assert '"subject": "repo:owner@12/name@34:environment:azure-ml-test"' in done.out
    assert "gh: not here; print the lines, and run them where both are" in setup(small, "--yes").err


def test_a_subject_of_the_repos_own_is_not_guessed_at(small: Path, programs: StandIns) -> None:
    programs.held["subject"] = {"use_default": False, "include_claim_keys": ["repo", "context"]}
    done = setup(small, "--yes")
    assert (done.code, list(programs.made)) == (1, ["subject"])
    assert "owner/name has a subject of its own (repo, context)" in done.err


@pytest.mark.parametrize(
    "address",
    [
        "git@github.com:owner/name.git",
        "https://somebody:pw@github.com/owner/name",
        "ssh://git@ssh.github.com:443/owner/name.git",
    ],
)
def test_the_repository_is_that_of_the_remote(small: Path, programs: StandIns, address: str) -> None:
    git(small, "init", "--quiet")
    git(small, "remote", "add", "origin", address)
    assert "repos/owner/name/environments/azure-ml-train " in setup(small, repository="").out


@pytest.mark.parametrize(
    ("address", "host"),
    [("https://gitlab.com/owner/name.git", "gitlab.com"), ("git@ssh.dev.azure.com:v3/org/p/name", "ssh.dev.azure.com")],
)
def test_another_host_is_not_taken_for_github(small: Path, programs: StandIns, address: str, host: str) -> None:
    git(small, "init", "--quiet")
    git(small, "remote", "add", "origin", address)
    done = setup(small, repository="")
    assert (done.code, done.out) == (2, "")
    assert f"give --repository OWNER/NAME: origin is not on GitHub ({host})" in done.err


def test_what_azure_devops_makes_itself_is_told_and_no_line_is_run(small: Path, programs: StandIns) -> None:
    file = small / ".azure-pipelines" / "templates" / "model.yml"
    file.parent.mkdir(parents=True)
    file.touch()
    done = setup(small, "--yes", repository="")
    assert done.code == 0 and programs.calls == []
    assert all(line.startswith("# ") for line in done.out.splitlines()), "the lines of GitHub may follow"
    assert f"--role '{ROLE}' --scope /subscriptions/" in done.out
    assert ", ".join(ENVIRONMENTS) in done.out
    assert "az pipelines create --name model1 --yml-path .azure-pipelines/model1.yml" in done.out
    assert "NOTE: --yes: nothing was run" in done.err


def test_wrong_use_is_told_before_anything_is_printed(small: Path, programs: StandIns) -> None:
    for name in (".azure-pipelines/templates/model.yml", ".github/workflows/_model.yml"):
        (small / name).parent.mkdir(parents=True)
        (small / name).touch()
    assert setup(small, repository="--repository=name").out == ""
    done = setup(small)
    assert done.out.startswith("# Azure DevOps makes") and "\nTENANT=$(az account show" in done.out


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["--repository=name"], "--repository: OWNER/NAME"),
        (["--ids=12"], "--ids: two numbers"),
        (["--repository=owner/name.git"], "--repository: OWNER/NAME as GitHub has it, not 'owner/name.git'"),
        (["--branch=a b"], "--branch: none that GitHub has"),
        (["--branch=refs/heads/main"], "--branch: its name alone, as main"),
        (["--reviewer=$(id)"], "--reviewer: none that GitHub has"),
        (["--subscription-id=x"], "--subscription-id: a GUID"),
    ],
)
def test_wrong_use_is_told(small: Path, programs: StandIns, args: list[str], named: str) -> None:
    done = setup(small, *args)
    assert done.code == 2 and named in done.err
    assert programs.calls == []


def test_the_environments_are_those_of_the_workflow() -> None:
    workflow = (TEMPLATE / "templates" / "ci" / "github" / ".github" / "workflows" / "_model.yml").read_text()
    assert set(re.findall(r"^    environment: ([\w-]+)", workflow, re.MULTILINE)) == set(ENVIRONMENTS)
    assert set(re.findall(r"vars\.(\w+)", workflow)) == {
        "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_ML_WORKSPACE",
    }  # fmt: skip


def test_what_it_makes_lets_these_jobs_in_and_no_others(small: Path, programs: StandIns, rehearse: Rehearse) -> None:
    rehearsal = rehearse(small)
    assert setup(small, "--yes").code == 0
    for subject in programs.subjects():
        rehearsal.trust(subject)
    own = "repo:owner/name:environment:azure-ml-train"
    assert aml(small, "attach", "--check", **rehearsal.job(own)).code == 0
    for other in ("repo:owner/name:ref:refs/heads/main", "repo:Owner/name:environment:azure-ml-train"):
        done = aml(small, "attach", "--check", **rehearsal.job(other))
        assert done.code == 3 and f"trusts no job with the subject '{other}'" in done.err
