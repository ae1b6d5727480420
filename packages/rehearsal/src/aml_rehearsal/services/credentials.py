"""The secrets of the workspace's Key Vault."""

from __future__ import annotations

import re
from typing import Any

from aml_rehearsal.messages import Refusal, Request
from aml_rehearsal.services.hosts import api
from aml_rehearsal.state import Record, now
from aml_rehearsal.workspace import Workspace

BASE = "/credential/v2.0{scope}/secrets"
NAME = re.compile(r"[0-9A-Za-z-]{1,127}")


@api.route("GET PUT", BASE)
def secrets(workspace: Workspace, request: Request) -> Any:
    if request.method == "PUT":
        keep(workspace, request.json)
        return {}
    return {"value": [{"name": name} for name in sorted(workspace.state.tables.secrets)], "continuationToken": None}


@api.route("PUT", BASE + ":putbatch")
def put_all(workspace: Workspace, request: Request) -> Any:
    for wish in request.json["secrets"]:
        keep(workspace, wish)
    return {}


def keep(workspace: Workspace, wish: Record) -> None:
    name, table = str(wish.get("name") or ""), workspace.state.tables.secrets
    if not NAME.fullmatch(name):
        raise Refusal(400, f"The name of a secret has letters, digits and hyphens, at most 127, not '{name}'.")
    made = table.get(name, {}).get("createdTime") or now()
    words = {"value": wish.get("value"), "contentType": wish.get("contentType")}
    table[name] = {"name": name, "createdTime": made, "modifiedTime": now()} | words


@api.route("POST", BASE + ":getbatch")
def get_all(workspace: Workspace, request: Request) -> Any:
    table, names = workspace.state.tables.secrets, [wish["name"] for wish in request.json["secrets"]]
    missing = [name for name in names if name not in table]
    return {"secrets": [table[name] for name in names if name in table], "notFoundSecrets": missing}


@api.route("GET DELETE", BASE + "/{name}")
def secret(workspace: Workspace, request: Request) -> Any:
    table, name = workspace.state.tables.secrets, request.names["name"]
    if request.identity and request.identity.role == "reader":
        raise Refusal(403, f"{request.identity.name} may not read secrets.", "AuthorizationFailed")
    if name not in table:
        raise Refusal(404, f"A secret with (name/id) {name} was not found in this key vault.", "SecretNotFound")
    return table.pop(name) if request.method == "DELETE" else table[name]
