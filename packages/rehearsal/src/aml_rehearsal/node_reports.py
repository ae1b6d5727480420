"""What nodes report to the service while their runs go on, the data that they ask it for, and what they write."""

from __future__ import annotations

import re

from aml_rehearsal import azurite, dataset_files, dataset_outputs
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services import command_jobs
from aml_rehearsal.services.artifacts import plain
from aml_rehearsal.services.datasets import find
from aml_rehearsal.services.history import run_of
from aml_rehearsal.state import Record, now, set_status
from aml_rehearsal.workspace import Workspace


def answer(workspace: Workspace, request: Request) -> Reply:
    """What a node reports or asks for: /nodes/RUN/(status|log|artifact|data|output|outputs|folder|input)."""
    match = re.fullmatch(
        r"/nodes/(?P<run>[^/]+)/(?P<what>status|log|artifact|data|outputs?|folder|input)", request.path
    )
    if match is None:
        raise Refusal(404, request.path)
    identity = workspace.tokens.check(request.headers.get("authorization"))
    if identity.name != match["run"]:
        raise Refusal(403, "This token is another run's.")
    if match["what"] == "data":
        with workspace.state.lock:
            dataset = find(workspace, saved=request.query["saved"])
        listed = [vars(file) for file in dataset_files.files(workspace, dataset)]
        return Reply({"dataset": dataset_files.title(dataset), "files": listed})
    if match["what"] == "input":
        return Reply({"files": command_jobs.read(workspace, match["run"], request.query["name"])})
    if match["what"] == "folder":
        store, path = request.query["store"], request.query["path"]
        return Reply({"files": [vars(file) for file in dataset_files.folder(workspace, store, path)]})
    if match["what"] == "status":
        with workspace.state.lock:
            set_status(run_of(workspace, match["run"]), request.json["status"], request.json.get("error", ""))
    elif match["what"] == "output":
        with workspace.state.lock:
            run = run_of(workspace, match["run"])
        output(workspace, run, request)
    elif match["what"] == "outputs":
        with workspace.state.lock:
            job = match["run"] in workspace.state.tables.jobs
            (command_jobs.keep_outputs if job else dataset_outputs.keep)(workspace, run_of(workspace, match["run"]))
    else:
        with workspace.state.lock:
            run = run_of(workspace, match["run"])
        key = f"ExperimentRun/{run['dataContainerId']}/{plain(request.query['path'])}"
        if match["what"] == "log":
            workspace.blobs.append(azurite.ARTIFACTS, key, request.body)
        else:
            workspace.blobs.write(azurite.ARTIFACTS, key, request.body)
        with workspace.state.lock:
            workspace.state.tables.artifacts.setdefault(key, {"createdTime": now()})
    with workspace.state.lock:
        run = run_of(workspace, match["run"])
        preempted = match["run"] in workspace.preempted
    return Reply({"cancel": run["status"] in {"CancelRequested", "Canceled"}, "preempted": preempted})


def output(workspace: Workspace, run: Record, request: Request) -> None:
    """Open the place that an output goes to, or put or remove a file there."""
    wanted, path = dataset_outputs.of_run(run)[request.query["name"]], request.query.get("path", "")
    name = plain(path) if path else ""
    if request.method == "GET":
        dataset_outputs.opened(workspace, wanted)
    elif request.method == "DELETE":
        dataset_outputs.remove(workspace, wanted, name)
    else:
        dataset_outputs.write(workspace, wanted, name, request.body)
