"""What would stop the jobs of CI, found before a push: the login, its role, the quota, names that are taken.

It asks with the login that there is. In a job that is the job's own, so that a subject which Azure does not trust shows
here as well.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections import namedtuple
from pathlib import Path
from typing import Any

from aml_project import project
from aml_project.ci.setup import ROLE
from aml_project.command_line import Failure
from aml_project.runconfigs import clusters
from aml_project.service import compute
from aml_project.service.asking import ask
from aml_project.service.deployment import Service, model_ids
from aml_project.service.errors import explain
from aml_project.service.workspace import connect

TIMEOUT = 20  # seconds
WORKFLOWS = (".github/workflows", ".azure-pipelines")
OF_WORKSPACES = "Microsoft.MachineLearningServices/workspaces/"
# What a job does, by what it needs the right to.
NEEDED = {"submit": "experiments/runs/submit/action", "register": "models/write", "deploy": "services/aci/write"}
KINDS = {"aci": "ACI", "aks": "AKS"}  # of services, by what --target calls them


# A service that a workflow deploys a model to.
Wanted = namedtuple("Wanted", "file target service model")


def examine(root: Path, models: list[str]) -> list[str]:
    """Return what would stop a job, a line each; nothing if all is well."""
    services = wanted_services(root, models)
    findings = shared(services)
    names = project.workspace(root)
    try:
        workspace = connect(*names, ask=False, debug=False)
        findings += missing_rights(workspace)
        for name, (nodes, file) in sorted(clusters.nodes_asked(root, None).items()):
            findings += short_of(workspace, name, nodes, file)
        for wanted in services:
            findings += taken(workspace, root, wanted)
    except Failure as failure:
        findings.append(str(failure))
    except Exception as error:
        findings.append(f"{names[2]}: {explain(error)}")
    return findings


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
    known = {found["name"].lower(): found for found in arm(workspace, f"{locations}/vmSizes", "2022-10-01")}
    cores = int((known.get(size.lower()) or {}).get("vCPUs") or 1) * nodes
    family = plain((known.get(size.lower()) or {}).get("family") or "?")
    priority = "lowpriority" if str(details.get("vmPriority")).lower() == "lowpriority" else "dedicated"
    findings = []
    for usage in arm(workspace, f"{locations}/usages", "2022-10-01"):
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
