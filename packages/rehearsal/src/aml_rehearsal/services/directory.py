"""The login: a principal's secret, or what vouches for a job of CI, becomes a token; a code is confirmed at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from aml_rehearsal.addresses import LOGIN_HOST, TENANT
from aml_rehearsal.messages import Reply, Request
from aml_rehearsal.services.hosts import login
from aml_rehearsal.tokens import LEARNING, MANAGEMENT, STORAGE, LoginRefused, encode
from aml_rehearsal.workspace import Workspace

HOST = f"https://{LOGIN_HOST}"


@login.route(
    "GET", "/{tenant}/.well-known/openid-configuration", "/{tenant}/v2.0/.well-known/openid-configuration", token=False
)
def endpoints(workspace: Workspace, request: Request) -> Any:
    base = f"{HOST}/{request.names['tenant']}"
    return {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "issuer": f"{base}/v2.0",
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
        "msgraph_host": "graph.microsoft.com",
    }


@login.route("GET", "/common/discovery/instance", token=False)
def instance(workspace: Workspace, request: Request) -> Any:
    aliases = [LOGIN_HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"]
    return {
        "tenant_discovery_endpoint": f"{HOST}/{TENANT}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [{"preferred_network": LOGIN_HOST, "preferred_cache": "login.windows.net", "aliases": aliases}],
    }


@login.route("POST", "/{tenant}/oauth2/v2.0/devicecode", token=False)
def device_code(workspace: Workspace, request: Request) -> Any:
    return {
        "user_code": "REHEARSE",
        "device_code": workspace.tokens.sign("device"),
        "verification_uri": f"{workspace.entrance.outside}/",
        "expires_in": 900,
        "interval": 1,
        "message": f"The rehearsal needs no code: {workspace.entrance.outside}/ has already confirmed it.",
    }


@login.route("POST", "/{tenant}/oauth2/v2.0/token", "/{tenant}/oauth2/token", token=False)
def token(workspace: Workspace, request: Request) -> Any:
    form = dict(parse_qsl(request.body.decode(errors="replace")))
    kind = form.get("grant_type", "")
    if kind == "client_credentials" and "client_assertion" in form:
        principal = workspace.assertions.log_in(form.get("client_id", ""), form["client_assertion"])
        name, role = principal.client_id, principal.role
    elif kind == "client_credentials":
        principal = workspace.tokens.log_in(form.get("client_id", ""), form.get("client_secret", ""))
        name, role = principal.client_id, principal.role
    elif kind.endswith("device_code"):
        if form.get("device_code") != workspace.tokens.sign("device"):
            raise LoginRefused(70019, "expired_token", "The device code has expired.")
        name, role = "you", "contributor"
    elif kind == "refresh_token" and form.get("refresh_token") == workspace.tokens.sign("refresh"):
        name, role = "you", "contributor"
    else:
        raise LoginRefused(70003, "unsupported_grant_type", f"The app requested an unsupported grant type '{kind}'.")
    answer = {
        "token_type": "Bearer",
        "expires_in": workspace.tokens.lifetime,
        "ext_expires_in": workspace.tokens.lifetime,
        "scope": form.get("scope", ""),
        "access_token": workspace.tokens.issue(
            name, role, audience=audience(form.get("scope") or form.get("resource") or "")
        ),
    }
    if kind != "client_credentials":
        # A person, whom the client remembers by these: whoever logs in with a code is not asked again.
        answer["refresh_token"] = workspace.tokens.sign("refresh")
        answer["id_token"] = workspace.tokens.describe(name, form.get("client_id", ""), f"{HOST}/{TENANT}/v2.0")
        answer["client_info"] = encode({"uid": name, "utid": TENANT})
    return Reply(answer)


def audience(scope: str) -> str:
    """Whom a token is for: the client looks, where it asks for the machine learning service."""
    resource = scope.split(" ", maxsplit=1)[0].removesuffix("/.default").rstrip("/")
    return resource if resource in {LEARNING, STORAGE} else MANAGEMENT
