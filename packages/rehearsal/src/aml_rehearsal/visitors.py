"""What clients on other computers ask the port for: how they get here, whether all runs, and their web services.

A port of loopback does not tell: there, who may know has `aml-rehearsal status`.
"""

from __future__ import annotations

import http.client
import shlex
from pathlib import Path

from aml_rehearsal import variables
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.webservice_door import WEB_SERVICES, ask
from aml_rehearsal.workspace import Workspace

PLACES = ("/variables", "/variables.env", "/variables.json", "/roots.pem", "/health")


def answer(workspace: Workspace, request: Request, address: str) -> Reply:
    """The address is the path as it was sent, with its query."""
    if not workspace.entrance.apart:
        raise Refusal(404, "Only a rehearsal that is open to other computers tells this: serve --host")
    if request.path.startswith(WEB_SERVICES):
        return web_service(workspace, request, address)
    if request.method not in {"GET", "HEAD"}:
        raise Refusal(405, "This is for reading.")
    if request.path == "/health":
        return health(workspace)
    host = request.headers.get("host", "")
    if not workspace.entrance.welcomes(host):
        raise Refusal(403, f"The rehearsal is not called {host}: serve --url http://{host}")
    if request.path == "/roots.pem":
        return text(roots(workspace))
    return told(workspace, request, f"http://{host}")


def told(workspace: Workspace, request: Request, url: str) -> Reply:
    """The variables, with the file in which the client keeps the roots: for a shell, as a file of them, as JSON."""
    file, role = request.query.get("roots", ""), request.query.get("role", "contributor")
    if not file or not file.isprintable():
        raise Refusal(400, f"Name the file in which you keep {url}/roots.pem: {request.path}?roots=FILE")
    principals = workspace.tokens.principals
    if role not in principals:
        raise Refusal(400, f"role={role}: there are {', '.join(principals)}")
    found = variables.way(url, file, file) | variables.login(principals[role])
    if request.path == "/variables.json":
        return Reply({"names": vars(workspace.names), "variables": found})
    if request.path == "/variables.env":
        return text("".join(f"{name}={value}\n" for name, value in found.items()))
    return text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.items()))


def health(workspace: Workspace) -> Reply:
    """Whether the state can be read and the blob storage runs."""
    with workspace.state.lock:
        runs = len(workspace.state.tables.runs)
    if workspace.blobs.process.poll() is not None:
        raise Refusal(503, "Azurite has ended: start the rehearsal again")
    return Reply({"workspace": workspace.names.workspace_name, "runs": runs})


def web_service(workspace: Workspace, request: Request, address: str) -> Reply:
    """Hand a request on to a web service, whose own address is on loopback."""
    name, _, path = address.removeprefix(WEB_SERVICES).partition("/")
    door = workspace.hosting.doors.get(name)
    if door is None:
        raise Refusal(404, f"{name}: no such web service")
    try:
        status, body, headers = ask(door.server_address[1], request.method, f"/{path}", request.body, request.headers)
    except (OSError, http.client.HTTPException) as error:
        raise Refusal(502, f"{name} closed the connection before it had answered: {error}") from None
    return Reply(body, status, {name: said for name, said in headers.items() if name.lower() != "content-length"})


def roots(workspace: Workspace) -> str:
    return Path(workspace.entrance.variables["SSL_CERT_FILE"]).read_text(encoding="utf-8")


def text(body: str) -> Reply:
    return Reply(body.encode(), headers={"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"})
