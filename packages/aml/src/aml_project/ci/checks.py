"""What would stop the jobs of CI, found before a push: subjects, login, role, quota, names that are taken.

It asks with the login that there is, all questions at once. In a job that is the job's own, so that a subject which
Azure does not trust shows here as well.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections import namedtuple
from functools import partial
from pathlib import Path
from typing import Any

from aml_project import project
from aml_project.ci import proposal, subjects
from aml_project.ci.setup import ROLE
from aml_project.ci.subjects import Unseen
from aml_project.command_line import Failure
from aml_project.runconfigs import clusters
from aml_project.service import assertion, compute
from aml_project.service.asking import ask
from aml_project.service.deployment import Service, model_ids
from aml_project.service.errors import NOT_LOGGED_IN, explain, is_transient, status_in
from aml_project.service.workspace import connect

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 20  # seconds
FORBIDDEN = 403
WORKFLOWS = (".github/workflows", ".azure-pipelines")
OF_WORKSPACES = "Microsoft.MachineLearningServices/workspaces/"
# What a job does, by what it needs the right to.
NEEDED = {"submit": "experiments/runs/submit/action", "register": "models/write", "deploy": "services/aci/write"}
LOGIN, SUBJECTS = "the login", "the subjects"
KINDS = {"aci": "ACI", "aks": "AKS"}  # of services, by what --target calls them


# A service that a workflow deploys a model to.
Wanted = namedtuple("Wanted", "file target service model")
# What somebody is asked about, and how a workspace is.
Question = namedtuple("Question", "about ask")
# What stops a job, a line each; what is only told; why nobody has answered; why this login is not shown it.
Answer = namedtuple("Answer", "about findings notes unasked unseen", defaults=([], [], "", ""))


def examine(root: Path, models: list[str]) -> tuple[list[str], list[str]]:
    """What would stop a job, and what is to be told, a line each; who gives no answer is a finding as well."""
    findings, notes = shared(wanted_services(root, models)), []
    asked = abouts(root, models)
    for answer in sorted(answers(root, models), key=lambda one: asked.index(one.about)):
        findings += answer.findings or [answer.unasked] * bool(answer.unasked)
        notes += answer.notes + [note_of({answer.unseen: [answer.about]})] * bool(answer.unseen)
    return findings, notes


def note_of(silent: dict[str, list[str]]) -> str:
    """Say what was not asked, by the reason."""
    for reason, about in silent.items():
        if LOGIN in about:  # and so nothing else
            return f"what would stop CI was not asked: {reason}"
    listed = "; ".join(f"{', '.join(about)} ({reason})" for reason, about in silent.items())
    return f"not all that would stop CI was asked: {listed}"


def abouts(root: Path, models: list[str]) -> list[str]:
    """What is asked about, in the order in which it is told."""
    asked = [LOGIN, *([SUBJECTS] if of_github(root) else []), *(one.about for one in questions(root, models))]
    return list(dict.fromkeys(asked))  # GitHub and Azure DevOps may both deploy to a service


def of_github(root: Path) -> bool:
    """Whether subjects are looked up: a job may not look, and its login tells as well."""
    return "github" in proposal.here(root) and not assertion.job()


def questions(root: Path, models: list[str]) -> list[Question]:
    """What the workspace is asked."""
    asked = [Question("the role", missing_rights)]
    try:
        nodes = sorted(clusters.nodes_asked(root, None).items())
    except Failure:  # a runconfig that can't be read is a finding of the other checks
        nodes = []
    for name, (count, file) in nodes:
        asked.append(Question(f"the quota for {name}", partial(short_of, name=name, nodes=count, file=file)))
    services = wanted_services(root, models)
    return asked + [Question(f"the name {one.service}", partial(taken, root=root, wanted=one)) for one in services]


def answers(root: Path, models: list[str]) -> Iterator[Answer]:
    """Each answer as it comes."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    names, asked = project.workspace(root), questions(root, models)
    with ThreadPoolExecutor(len(asked) + 1) as pool:
        going = []
        if of_github(root):
            going.append(pool.submit(of_subjects, root))
        try:
            workspace = connect(*names, ask=False, debug=False)
        except Exception as error:
            yield without(LOGIN, error)
        else:
            going += [pool.submit(answered, about, partial(how, workspace)) for about, how in asked]
        for answer in as_completed(going):
            yield answer.result()


def of_subjects(root: Path) -> Answer:
    notes: list[str] = []
    return answered(SUBJECTS, lambda: subjects.examine(root, notes.append))._replace(notes=notes)


def answered(about: str, how: Callable[[], list[str]]) -> Answer:
    try:
        return Answer(about, how())
    except Exception as error:
        return without(about, error)


def without(about: str, error: Exception) -> Answer:
    """What an error means: a job would be refused as well, or nobody knows."""
    if isinstance(error, Unseen):
        return Answer(about, unseen=str(error))
    said = str(error) if isinstance(error, Failure) else f"{about}: {explain(error)}"
    silent = is_transient(error) or NOT_LOGGED_IN in said
    return Answer(about, unasked=said) if silent else Answer(about, [said])


def wanted_services(root: Path, models: list[str]) -> list[Wanted]:
    """The services that the workflows deploy to."""
    found = []
    for model in models:
        for file in (root / folder / f"{model}.yml" for folder in WORKFLOWS):
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            for target, service in re.findall(r"--target (aci|aks) --service ([\w-]+)", text):
                found.append(Wanted(os.path.relpath(file, root), target, service, model))
    return found


def shared(services: list[Wanted]) -> list[str]:
    """Services that two models would take from each other."""
    first: dict[str, str] = {}
    found = []
    for wanted in services:
        other = first.setdefault(wanted.service, wanted.model)
        if other != wanted.model:
            found.append(
                f"{wanted.file}: the service {wanted.service} is that of {other} as well; give another --service"
            )
    return found


def missing_rights(workspace: Any) -> list[str]:
    """What the login may not do in the workspace, by the rights that the resource manager lists."""
    scope = workspace.service_context._get_workspace_scope()
    rights = arm(workspace, f"{scope}/providers/Microsoft.Authorization/permissions", "2022-04-01")
    lacking = [verb for verb, needed in NEEDED.items() if not allowed(rights, f"{OF_WORKSPACES}{needed}")]
    if not lacking:
        return []
    return [f"role missing: this login may not {', '.join(lacking)} in {workspace.name}; {ROLE!r} may (aml ci setup)"]


def allowed(rights: list[dict[str, Any]], action: str) -> bool:
    """Whether one of the roles has an action, and does not leave it out again."""

    def named(patterns: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)

    return any(named(role.get("actions") or []) and not named(role.get("notActions") or []) for role in rights)


def short_of(workspace: Any, name: str, nodes: int, file: str) -> list[str]:
    """Why a cluster can't have the nodes that a run asks for."""
    record = compute.find(workspace, name)
    if record is None:
        return [f"{file}: the cluster {name} is not there: make compute"]
    details = compute.details_of(record)
    size, place = str(details.get("vmSize")), workspace.location
    locations = (
        f"/subscriptions/{workspace.subscription_id}/providers/Microsoft.MachineLearningServices/locations/{place}"
    )
    try:
        sizes, usages = (arm(workspace, f"{locations}/{what}", "2022-10-01") for what in ("vmSizes", "usages"))
    except Exception as error:
        if status_in(error) != FORBIDDEN:
            raise
        raise Unseen("it is for a role in the subscription to see, and this login has none") from error
    known = {found["name"].lower(): found for found in sizes}
    cores = int((known.get(size.lower()) or {}).get("vCPUs") or 1) * nodes
    family = plain((known.get(size.lower()) or {}).get("family") or "?")
    priority = "lowpriority" if str(details.get("vmPriority")).lower() == "lowpriority" else "dedicated"
    findings = []
    for usage in usages:
        what, limit = str(usage["name"]["value"]), int(usage["limit"])
        counts = plain(what).startswith((f"totalcluster{priority}", family)) and priority in plain(what)
        if counts and 0 <= limit < cores:  # -1: no limit
            asks = f"{file} needs {cores} on {name} ({size})"
            findings.append(f"quota: {limit} of {what} in {place}, and {asks}; the portal takes a wish for more")
    return findings


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def taken(workspace: Any, root: Path, wanted: Wanted) -> list[str]:
    """Why a service can't be called so: there is one of another kind, or of another model."""
    record = Service(workspace, wanted.service, root, TIMEOUT).record()
    if record is None:
        return []
    kind = str(record.get("computeType"))
    of = {found.rpartition(":")[0] for found in model_ids(record)} - {wanted.model}
    whose = [f"on {kind}"] if kind.upper() != KINDS[wanted.target] else [f"of {model}" for model in sorted(of)]
    told = f"{wanted.file}: the name {wanted.service} is taken, by a service"
    return [f"{told} {other}; give another --service" for other in whose]


def arm(workspace: Any, path: str, version: str) -> list[dict[str, Any]]:
    """What the resource manager lists."""
    import requests

    login = workspace._auth_object

    def get() -> list[dict[str, Any]]:
        address = f"{login._get_arm_end_point().rstrip('/')}{path}"
        headers = login.get_authentication_header()
        answer = requests.get(address, {"api-version": version}, headers=headers, timeout=TIMEOUT)
        answer.raise_for_status()
        return list(answer.json()["value"])

    return list(ask(workspace, get))
