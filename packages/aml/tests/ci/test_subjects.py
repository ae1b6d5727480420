"""Whose jobs Azure trusts, beside what GitHub calls them: az and gh of ours say both."""

from pathlib import Path
from typing import Any

import pytest
from commands.az_and_gh import answer

from aml_project.ci import subjects
from aml_project.ci.subjects import AUDIENCE, ENVIRONMENTS, ISSUER, Unseen
from tests.repositories import git

NAMES, NUMBERS = "repo:owner/name", "repo:owner@12/name@34"


class Azure:
    """App registrations, and what GitHub says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, Any] = {"subject": {"use_default": True}}
        self.there = ["az", "gh"]
        for environment in ENVIRONMENTS:
            self.held[f"app name-{environment}"] = f"id-of-{environment}"
            self.trust(environment, f"{NAMES}:environment:{environment}")

    def trust(self, environment: str, *trusted: str, issuer: str = ISSUER) -> None:
        self.held[f"trusts id-of-{environment}"] = [
            {"name": f"credential-{number}", "subject": subject, "issuer": issuer, "audiences": [AUDIENCE]}
            for number, subject in enumerate(trusted)
        ]

    def told(self) -> tuple[list[str], list[str]]:
        notes: list[str] = []
        return subjects.examine(self.folder, notes.append), notes


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Azure:
    azure = Azure(tmp_path)
    monkeypatch.setattr(subjects, "call", lambda words: answer(azure.held, *words))
    monkeypatch.setattr(subjects, "there", lambda program: program in azure.there)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", "https://github.com/owner/name.git")
    return azure


def test_what_setup_makes_is_what_jobs_are_called(azure: Azure) -> None:
    assert azure.told() == ([], [])


@pytest.mark.parametrize(
    "trusted", ["repo:Owner/name:environment:azure-ml-test", f"{NUMBERS}:environment:azure-ml-test"]
)
def test_a_subject_that_no_job_has_is_told(azure: Azure, trusted: str) -> None:
    azure.trust("azure-ml-test", trusted)
    said = f"the app registration name-azure-ml-test trusts '{trusted}', and not '{NAMES}:environment:azure-ml-test'"
    assert azure.told() == ([f"azure-ml-test: {said}: aml ci setup"], [])


def test_a_repo_that_is_called_by_numbers_needs_them(azure: Azure) -> None:
    azure.held["subject"]["use_immutable_subject"] = True
    findings, _ = azure.told()
    assert len(findings) == len(ENVIRONMENTS) and f"and not '{NUMBERS}:environment:azure-ml-train'" in findings[0]
    for environment in ENVIRONMENTS:
        azure.trust(environment, f"{NUMBERS}:environment:{environment}")
    assert azure.told() == ([], [])
    azure.there.remove("gh")
    assert azure.told() == ([], []), "without gh, both are taken for right"
    azure.trust("azure-ml-train")
    assert azure.told()[0][0].startswith("azure-ml-train: the app registration name-azure-ml-train trusts no job, and")


@pytest.mark.parametrize("needless", [f"{NAMES}:ref:refs/heads/main", f"{NUMBERS}:pull_request"])
def test_a_credential_that_no_job_needs_is_told(azure: Azure, needless: str) -> None:
    azure.trust("azure-ml-train", f"{NAMES}:environment:azure-ml-train", needless)
    findings, [note] = azure.told()
    assert findings == []
    assert note.startswith(f"name-azure-ml-train trusts '{needless}' as well, which no job needs")
    assert note.endswith("delete --id id-of-azure-ml-train --federated-credential-id credential-1")


def test_what_others_vouch_for_is_none_of_githubs(azure: Azure) -> None:
    azure.trust("azure-ml-train", f"{NAMES}:environment:azure-ml-train", issuer="https://login.example.com")
    assert len(azure.told()[0]) == 1


def test_an_identity_of_another_name_is_not_judged(azure: Azure) -> None:
    del azure.held["app name-azure-ml-production"]
    said = "nobody was asked whom name-azure-ml-production trusts: there is no app registration of that name"
    assert azure.told() == ([], [said])
    azure.held = {"subject": azure.held["subject"]}
    with pytest.raises(Unseen, match="no app registration is called name-azure-ml-train, name-azure-ml-test, name-"):
        azure.told()


def test_a_repo_with_subjects_of_its_own_is_not_judged(azure: Azure) -> None:
    azure.held["subject"] = {"use_default": False, "include_claim_keys": ["repo", "context"]}
    with pytest.raises(Unseen, match=r"owner/name has a subject of its own \(repo, context\)$"):
        azure.told()


def test_who_can_not_look_says_why(azure: Azure) -> None:
    azure.held["fails"] = "graph.microsoft.com"
    with pytest.raises(Unseen, match="no rights"):
        azure.told()
    azure.there.remove("az")
    with pytest.raises(Unseen, match="az: not here"):
        azure.told()
    git(azure.folder, "remote", "remove", "origin")
    with pytest.raises(Unseen, match="no remote called origin"):
        azure.told()
