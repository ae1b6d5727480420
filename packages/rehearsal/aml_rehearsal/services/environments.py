"""Registered environments, each with its versions."""

from __future__ import annotations

import json
from typing import Any

from aml_rehearsal.routing import Refusal, Request
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

BASE = "/environment/v1.0{scope}/environments"


@api.route("GET", BASE, BASE + "/")
def environments(workspace: Workspace, request: Request) -> Any:
    return {
        "value": [versions[-1] for versions in workspace.state.tables.environments.values()],
        "continuationToken": None,
    }


@api.route("GET PUT", BASE + "/{name}", BASE + "/{name}/versions/{version}")
def environment(workspace: Workspace, request: Request) -> Any:
    name, wanted = request.names["name"], request.names.get("version", "")
    table = workspace.state.tables.environments
    versions = table.get(name, [])
    if request.method == "PUT":
        # The client writes some keys with a capital, and reads all without: the service does not mind the case.
        wish: Record = {key[:1].lower() + key[1:]: value for key, value in request.json.items()}
        version = str(wanted or wish.get("version") or len(versions) + 1)
        same = [known for known in versions if known["version"] == version]
        if same:
            if contents(same[0]) != contents(wish):
                raise Refusal(409, f"Environment {name} version {version} exists and differs", "EnvironmentExists")
            return same[0]
        table[name] = [*versions, wish | {"name": name, "version": version}]
        return table[name][-1]
    found = [known for known in versions if wanted in {"", known["version"]}]
    if not found:
        raise Refusal(404, f"Environment {name} {wanted} was not found".replace("  ", " "), "EnvironmentNotFound")
    return found[-1]


def contents(environment: Record) -> str:
    return json.dumps(
        {key: value for key, value in environment.items() if key not in {"name", "version"}}, sort_keys=True
    )
