"""Who may ask the workspace for what."""

from __future__ import annotations

import re

from aml_rehearsal.messages import Identity, Refusal, Request
from aml_rehearsal.workspace import Workspace

DENIED = "AuthorizationFailed"
LOOKS = (
    "/list",
    "/full",
    "/rundata",
    "/batchGetResolvedUris",
    ":query",
)  # requests that only read, though they are no GET
# Of the subscription: a role in a workspace does not show it. (Lists are shorter for such a role.)
OF_SUBSCRIPTION = re.compile(r"/subscriptions/[^/]+/providers/[^/]+/locations/[^/]+/(usages|quotas)$", re.IGNORECASE)
# What "AzureML Data Scientist" may not write: the workspace itself, its keys, its computes.
OWNERS = re.compile(r"/workspaces/[^/]+(/computes/.*|/listKeys|/resynckeys)?$", re.IGNORECASE)


def admit(workspace: Workspace, request: Request) -> None:
    """Refuse another workspace than this one, and a caller without the right."""
    names, identity, own = request.names, request.identity, workspace.names
    group = names.get("group", "")
    groups = [own.resource_group.lower()] if names.get("workspace") else workspace.state.tables.resource_groups
    made_now = request.method == "PUT" and request.path.endswith(f"/{group}")
    for kind, text, known in (
        ("Subscription", names.get("subscription"), [own.subscription_id.lower()]),
        ("ResourceGroup", "" if made_now else group, groups),
        ("Resource", names.get("workspace"), [own.workspace_name.lower()]),
    ):
        if text and text.lower() not in known:
            raise Refusal(404, f"The {kind} '{text}' could not be found.", f"{kind}NotFound")
    if identity is None:
        return
    if OF_SUBSCRIPTION.match(request.path) and identity.role in {"scientist", "stranger"}:
        raise Refusal(403, f"The client '{identity.name}' has no authorization over '{request.path}'.", DENIED)
    if not group:
        return
    writes = request.method not in {"GET", "HEAD"} and not request.path.endswith(LOOKS)
    beyond = writes and (not names.get("workspace") or OWNERS.search(request.path))
    refused = {"stranger": True, "reader": writes, "scientist": beyond}
    if refused.get(identity.role):
        message = f"The client '{identity.name}' does not have authorization to perform action over "
        raise Refusal(403, f"{message}'{own.scope if names.get('workspace') else request.path}'.", DENIED)
    if writes:
        admit_run(workspace, identity, names.get("run") or names.get("container", "").removeprefix("dcid."))


def admit_run(workspace: Workspace, identity: Identity, run_id: str) -> None:
    """Refuse what a run writes to another run, unless that one is its child, or a parent of it."""
    runs = workspace.state.tables.runs
    other = runs.get(run_id)
    if identity.role != "run" or not other or identity.name in {run_id, other["parentRunId"], other["rootRunId"]}:
        return
    above = runs.get(identity.name)
    while above and above["parentRunId"]:
        if above["parentRunId"] == run_id:
            return
        above = runs.get(above["parentRunId"])
    raise Refusal(403, f"The token of {identity.name} is not for {run_id}.", DENIED)
