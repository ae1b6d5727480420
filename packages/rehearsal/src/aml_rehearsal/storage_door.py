"""Who may enter blob storage with a login: Azurite knows keys and SAS only, so tokens are checked at its door."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape

from aml_rehearsal.addresses import LOGIN_HOST, TENANT
from aml_rehearsal.azurite import ACCOUNT
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.workspace import Workspace

READ, WRITE = "rl", "rwdlacup"  # the permissions of the SAS that a token is exchanged for
READER, WRITERS = "reader", ("contributor", "run")
# Where a client that was refused is told to log in.
CHALLENGE = (
    f"Bearer authorization_uri=https://{LOGIN_HOST}/{TENANT}/oauth2/authorize resource_id=https://storage.azure.com"
)


class Shut(Exception):
    """What blob storage says instead of letting somebody in."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        said = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        headers = {"Content-Type": "application/xml", "x-ms-error-code": code}
        if status == 401:
            headers["WWW-Authenticate"] = CHALLENGE
        self.reply = Reply(f'<?xml version="1.0" encoding="utf-8"?>{said}'.encode(), status, headers)


def enter(workspace: Workspace, request: Request) -> str:
    """The SAS that stands for a token; none where the request brings its own key or SAS, which Azurite checks."""
    account = workspace.blobs.hosts[request.host]
    with workspace.state.lock:
        known = account in workspace.state.tables.storage_accounts
    if not known:
        raise Shut(404, "ResourceNotFound", f"There is no storage account {account} yet.")
    authorization = request.headers.get("authorization")
    if authorization is None or not authorization.lower().startswith("bearer "):
        return ""
    try:
        identity = workspace.tokens.check(authorization)
    except Refusal as refusal:
        raise Shut(401, "InvalidAuthenticationInfo", str(refusal)) from None
    if request.query.get("comp") == "userdelegationkey":
        raise Shut(403, "AuthorizationPermissionMismatch", "The rehearsal gives out no user delegation keys.")
    reads = request.method in {"GET", "HEAD"}
    if identity.role in WRITERS:
        return workspace.blobs.account_signature(account, WRITE)
    if identity.role == READER and reads:
        return workspace.blobs.account_signature(account, READ)
    message = "This request is not authorized to perform this operation using this permission."
    raise Shut(403, "AuthorizationPermissionMismatch", message)


def meant(workspace: Workspace, request: Request, address: str) -> str:
    """The address of a blob as its SAS signs it.

    azureml-core takes the path of the address that it gets for the blob's name, and quotes it once more.
    """
    path, _, query = address.partition("?")
    if "%25" not in path or workspace.blobs.hosts[request.host] != ACCOUNT:
        return address
    container, _, name = unquote(unquote(path)).lstrip("/").partition("/")
    sas = {key: request.query.get(key, "") for key in ("sp", "se", "sig")}
    if not all(sas.values()):
        return address
    try:
        signed = workspace.blobs.signature(container, name, sas["sp"], expiry=sas["se"])
    except ValueError:  # no permissions
        return address
    return f"/{quote(f'{container}/{name}')}?{query}" if parse_qs(signed)["sig"] == [sas["sig"]] else address
