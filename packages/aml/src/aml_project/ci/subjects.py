"""What GitHub calls the jobs of a repo, which is what Azure trusts: the subject, compared letter by letter.

Each job that logs in names an environment, so each subject is that of an environment. One of a branch is nobody's.
"""

from __future__ import annotations

import json
import re

from aml_project.azure_cli import call, reason, there
from aml_project.command_line import SERVICE_FAILED, WRONG_USE, Failure, note

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

ISSUER, AUDIENCE = "https://token.actions.githubusercontent.com", "api://AzureADTokenExchange"
ENVIRONMENTS = ("azure-ml-train", "azure-ml-test", "azure-ml-production")  # those of _model.yml
REPOSITORY = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}"
# The app registrations whose names begin so, each with its credentials: one request, where `az ad app` takes six.
APPS = (
    "az", "rest", "--method", "get", "--url", "https://graph.microsoft.com/v1.0/applications", "--url-parameters",
    "$filter=startswith(displayName,'{}')", "$select=appId,displayName", "$expand=federatedIdentityCredentials",
)  # fmt: skip
OF_NO_ENVIRONMENT = re.compile(r":(ref:refs/|pull_request$)")


class Unseen(Exception):
    """What this login, or this computer, can't be told."""


def of_remote(root: Path | None) -> str:
    """The repository that git's remote names."""
    from aml_project.git import git

    try:
        address = git(root, "remote", "get-url", "origin")
    except Failure:
        raise Failure("give --repository OWNER/NAME: git has no remote called origin", WRONG_USE) from None
    found = re.fullmatch(r"(?:\w+://)?(?:[^/@]*@)?([^/:@]+)[:/](?:\d+/)?(.+?)(\.git)?/?", address)
    if not found or "github" not in found[1]:
        where = found[1] if found else "no address"
        raise Failure(f"give --repository OWNER/NAME: origin is not on GitHub ({where})", WRONG_USE)
    return found[2]


def app_name(repository: str, environment: str) -> str:
    """What the app registration of an environment is called."""
    return f"{repository.partition('/')[2]}-{environment}"


def immutable(repository: str, ids: str) -> str:
    """What GitHub calls a repository that was made, renamed or moved since June 18, 2026."""
    (owner, name), (owner_id, own_id) = repository.split("/"), ids.split("/")
    return f"repo:{owner}@{owner_id}/{name}@{own_id}"


def asked_prefix(repository: str, *, sure: bool) -> str:
    """What GitHub says that it calls the jobs of a repository; without an answer, its older form."""
    try:
        return prefix(repository)
    except Unseen as unseen:
        if sure:
            raise Failure(f"{repository}: how GitHub names its jobs is not known: {unseen}", SERVICE_FAILED) from None
        address = customization(repository)
        note(f"a repo of after June 18, 2026 is named by numbers: where gh is, `gh api {address}` says so; --ids then")
        return f"repo:{repository}"


def customization(repository: str) -> str:
    return f"repos/{repository}/actions/oidc/customization/sub"


def prefix(repository: str) -> str:
    """What GitHub says that it calls the jobs of a repository."""
    if not there("gh"):
        raise Unseen("gh: not here")
    code, answer, said = call(["gh", "api", customization(repository)])
    if code:
        raise Unseen(reason(said))
    told = json.loads(answer)
    if told.get("use_default") is False:
        keys = ", ".join(map(str, told.get("include_claim_keys") or ()))
        raise Failure(f"{repository} has a subject of its own ({keys}): these lines are for GitHub's default")
    if known := told.get("sub_claim_prefix"):
        return str(known).rstrip(":")
    if not told.get("use_immutable_subject"):
        return f"repo:{repository}"
    code, ids, said = call(["gh", "api", f"repos/{repository}", "--jq", '"\\(.owner.id)/\\(.id)"'])
    if code:
        raise Failure(f"{repository}: {reason(said)}", SERVICE_FAILED)
    return immutable(repository, ids)


def examine(root: Path, say: Callable[[str], None]) -> list[str]:
    """Return the environments whose jobs Azure does not trust, and say whom it trusts without need, a line each."""
    try:
        repository = of_remote(root)
    except Failure as failure:
        raise Unseen(str(failure).partition(": ")[2]) from None
    apps = trusted(repository)
    wanted = re.escape(known) if (known := asked(repository)) else either(repository)
    findings, unknown = [], []
    for environment in ENVIRONMENTS:
        name = app_name(repository, environment)
        if name not in apps:
            unknown.append(name)
            continue
        app_id, subjects = apps[name]
        if not any(re.fullmatch(f"{wanted}:environment:{environment}", subject) for subject in subjects):
            listed = ", ".join(f"'{subject}'" for subject in sorted(subjects)) or "no job"
            job = f"'{known or f'repo:{repository}'}:environment:{environment}'"
            findings.append(f"{environment}: the app registration {name} trusts {listed}, and not {job}: aml ci setup")
        for subject in sorted(filter(OF_NO_ENVIRONMENT.search, subjects)):
            say(
                f"{name} trusts '{subject}' as well, which no job needs, since each that logs in names an environment: "
                f"az ad app federated-credential delete --id {app_id} --federated-credential-id {subjects[subject]}"
            )
    if len(unknown) == len(ENVIRONMENTS):  # those of infra/ are no app registrations
        raise Unseen(f"no app registration is called {', '.join(unknown)}")
    if unknown:
        say(f"nobody was asked whom {', '.join(unknown)} trusts: there is no app registration of that name")
    return findings


def asked(repository: str) -> str:
    """What GitHub calls the jobs, or nothing where it can't be asked."""
    try:
        return prefix(repository)
    except Unseen:
        return ""
    except Failure as failure:
        raise Unseen(str(failure).partition(":")[0]) from None


def either(repository: str) -> str:
    """What GitHub may call them, as a pattern: by names alone, or by names and numbers."""
    owner, name = map(re.escape, repository.split("/"))
    return rf"repo:{owner}(?:@\d+)?/{name}(?:@\d+)?"


def trusted(repository: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Each app registration by its name: its id, and its credential for each subject of GitHub's that it trusts."""
    if not there("az"):
        raise Unseen("az: not here")
    begins = app_name(repository, "azure-ml-")
    code, answer, said = call([word.format(begins) for word in APPS])
    if code:
        raise Unseen(reason(said))
    return {str(app["displayName"]): (str(app["appId"]), subjects_of(app)) for app in json.loads(answer)["value"]}


def subjects_of(app: dict[str, Any]) -> dict[str, str]:
    credentials = app.get("federatedIdentityCredentials") or []
    return {
        str(one["subject"]): str(one["name"])
        for one in credentials
        if one["issuer"].rstrip("/") == ISSUER and AUDIENCE in one["audiences"]
    }
