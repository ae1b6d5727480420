"""Deployments of a template: looked at as the resource manager does before it begins, then taken for done."""

from __future__ import annotations

import json
import re
from typing import Any

from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.hosts import arm
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

DEPLOYMENT = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Resources/deployments/{deployment}"
)
WORKSPACES = "Microsoft.MachineLearningServices/workspaces"


def checked(workspace: Workspace, request: Request) -> Record:
    """The deployment that a request asks for, if its template and its parameters belong together."""
    wish = properties(request)
    template, given = wish.get("template") or {}, wish.get("parameters") or {}
    declared = template.get("parameters") or {}
    missing = [name for name, one in declared.items() if "defaultValue" not in one and name not in given]
    unknown = [name for name in given if name not in declared]
    if missing or unknown:
        message = f"Deployment template validation failed: missing {missing}, not declared {unknown}."
        raise Refusal(400, message, "InvalidTemplate")
    values = {name: given.get(name, one).get("value", one.get("defaultValue")) for name, one in declared.items()}
    scope = request.path.partition("/providers/")[0]
    made = [
        f"{scope}/providers/{resource['type']}/{resolved(resource['name'], values)}"
        for resource in template.get("resources") or []
    ]
    for place in made:
        if f"/{WORKSPACES}/" in place and place.lower() != workspace.names.scope.lower():
            raise Refusal(400, f"The rehearsal has one workspace only, {workspace.names.workspace_name}.")
    name = request.names["deployment"]
    return {
        "id": f"{scope}/providers/Microsoft.Resources/deployments/{name}",
        "name": name,
        "type": "Microsoft.Resources/deployments",
        "properties": {
            "mode": wish.get("mode"),
            "timestamp": now(),
            "parameters": given,
            "outputResources": [{"id": place} for place in made],
            "provisioningState": "Succeeded",
        },
    }


def properties(request: Request) -> Record:
    """What is asked for; az writes the template as its file has it, after a key without quotes."""
    quoted = re.sub(rb",\s*template:", b', "template":', request.body, count=1)
    try:
        return dict(json.loads(quoted)["properties"])
    except (ValueError, LookupError, TypeError):
        raise Refusal(400, "The request holds no deployment.", "InvalidRequestContent") from None


def resolved(text: str, values: Record) -> str:
    """The value of the one kind of expression that is needed for a name."""
    found = re.fullmatch(r"\[parameters\('(\w+)'\)\]", text)
    return str(values.get(found[1])) if found else text


@arm.route("POST", DEPLOYMENT + "/validate")
def validate(workspace: Workspace, request: Request) -> Any:
    return checked(workspace, request)


@arm.route("GET PUT", DEPLOYMENT)
def deployment(workspace: Workspace, request: Request) -> Any:
    table, name = workspace.state.tables.deployments, request.names["deployment"]
    if request.method == "PUT":
        table[name] = checked(workspace, request)
        return Reply(table[name], 201)
    if name not in table:
        raise Refusal(404, f"Deployment '{name}' could not be found.", "DeploymentNotFound")
    return table[name]
