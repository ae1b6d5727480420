"""The channel on which a node reports to the service, and asks for its data."""

from __future__ import annotations

import re
from urllib.parse import quote

from aml_rehearsal import azurite
from aml_rehearsal.routing import Refusal, Reply, Request
from aml_rehearsal.services.artifacts import plain
from aml_rehearsal.services.data import files, find
from aml_rehearsal.services.history import run_of
from aml_rehearsal.state import now, set_status
from aml_rehearsal.workspace import Workspace


def answer(workspace: Workspace, request: Request) -> Reply:
    """What a node reports or asks for: /nodes/RUN/(status|log|artifact|data)."""
    match = re.fullmatch(r"/nodes/(?P<run>[^/]+)/(?P<what>status|log|artifact|data)", request.path)
    if match is None:
        raise Refusal(404, request.path)
    identity = workspace.tokens.check(request.headers.get("authorization"))
    if identity.name != match["run"]:
        raise Refusal(403, "This token is another run's.")
    run = run_of(workspace, match["run"])
    if match["what"] == "data":
        dataset = find(workspace, saved=request.query["saved"])
        found = files(workspace, dataset)
        listed = [{"name": name, "url": local_url(workspace, container, blob)} for container, blob, name in found]
        return Reply({"files": listed})
    if match["what"] == "status":
        with workspace.state.lock:
            set_status(run, request.json["status"], request.json.get("error", ""))
    else:
        key = f"ExperimentRun/{run['dataContainerId']}/{plain(request.query['path'])}"
        if match["what"] == "log":
            workspace.blobs.append(azurite.ARTIFACTS, key, request.body)
        else:
            workspace.blobs.write(azurite.ARTIFACTS, key, request.body)
        with workspace.state.lock:
            workspace.state.tables.artifacts.setdefault(key, {"createdTime": now()})
    return Reply({"cancel": run["status"] in {"CancelRequested", "Canceled"}})


def local_url(workspace: Workspace, container: str, blob: str) -> str:
    """Where a node, which is on this computer, reads a blob."""
    place = f"{workspace.blobs.url(azurite.ACCOUNT)}/{container}/{quote(blob)}"
    return f"{place}?{workspace.blobs.signature(container, blob, 'r')}"
