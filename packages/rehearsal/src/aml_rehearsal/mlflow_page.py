"""MLflow's own page of experiments, runs and models, with no server of MLflow: its files on our handlers.

The files are those of MLflow's package, fetched once from the package index and kept beside Azurite.
"""

from __future__ import annotations

import contextlib
import mimetypes
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from aml_rehearsal.azurite import ARTIFACTS, cache_folder
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.artifacts import plain
from aml_rehearsal.services.hosts import api
from aml_rehearsal.services.mlflow import VERSION, run_of
from aml_rehearsal.services.registered_models import files_of, version_of
from aml_rehearsal.state import Unavailable
from aml_rehearsal.workspace import Workspace

PACKAGE, RELEASE = "mlflow", "2.22.5"  # the page of 3.x asks for what Azure's runs do not have
PLACE = "/mlflow/"
ASKED = "ajax-api/2.0/"
# What the page asks for beyond the protocol, and what tells it that there is nothing.
NOTHING = ("mlflow/gateway-proxy", "mlflow/experiments/search-datasets")
# It is let reach nothing but this port.
ALONE = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
TEXTS = {".csv", ".html", ".json", ".jsonl", ".log", ".md", ".py", ".tsv", ".txt", ".xml", ".yaml", ".yml", ""}
installing = threading.Lock()


def installed() -> Path:
    """The folder of the page's files, which the first call fetches."""
    target = cache_folder() / f"mlflow-page-{RELEASE}"
    with installing:
        if not target.exists():
            print(f"Fetching the page of MLflow {RELEASE}, once (29 MB) …", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix="mlflow-", ignore_cleanup_errors=True) as name:
                built = unpack(Path(name))
                with contextlib.suppress(OSError):  # another rehearsal may have been faster
                    built.rename(target)  # whole or not at all
    return target


def unpack(folder: Path) -> Path:
    """Install the package into a folder; return what of it the page needs, with the license."""
    command = [sys.executable, "-I", "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    command += ["--target", str(folder / "whole"), f"{PACKAGE}=={RELEASE}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    built = folder / "whole" / PACKAGE / "server" / "js" / "build"
    if done.returncode or not (built / "index.html").exists():
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise Unavailable(f"MLflow's page is not here, and could not be fetched from the package index: {said}")
    for map_of_source in built.rglob("*.map"):
        map_of_source.unlink()
    for text in (folder / "whole").glob("mlflow-*.dist-info/**/LICENSE*"):
        shutil.copy(text, built)
    return built


def answer(workspace: Workspace, request: Request) -> Reply:
    path = request.path.removeprefix(PLACE)
    if path.startswith(ASKED):
        return protocol(workspace, request, path.removeprefix(ASKED))
    if request.method not in {"GET", "HEAD"}:
        raise Refusal(405, "This page is for reading.")
    if path in {"get-artifact", "model-versions/get-artifact"}:
        return artifact(workspace, request, of_model=path != "get-artifact")
    try:
        return static(path.removeprefix("static-files/") or "index.html")
    except Unavailable as error:
        return Reply(str(error).encode(), 503, {"Content-Type": "text/plain; charset=utf-8"})


def static(name: str) -> Reply:
    folder = installed()
    file = (folder / name).resolve()
    if folder.resolve() not in file.parents or not file.is_file():
        raise Refusal(404, f"{name}: no such file")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    fresh = "no-cache" if name == "index.html" else "max-age=86400"
    return Reply(
        file.read_bytes(),
        headers={"Content-Type": kind, "Cache-Control": fresh, "Content-Security-Policy": ALONE},
    )


def protocol(workspace: Workspace, request: Request, path: str) -> Reply:
    """Answer as the service does, to whoever sits at this computer; no other page may write."""
    if path in NOTHING:
        return Reply({})
    if request.method not in {"GET", "HEAD"}:
        host = request.headers.get("host", "")
        sender = request.headers.get("origin")
        if not workspace.entrance.welcomes(host) or sender not in {None, f"http://{host}"}:
            raise Refusal(403, "Only MLflow's page at this address may write.")
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise Refusal(415, "What is written is JSON.")
    base = VERSION.replace("{scope}", workspace.names.scope)
    handler, request.names = api.find(request.method, f"{base}/api/2.0/{path}")
    request.path = f"{base}/api/2.0/{path}"
    with workspace.state.lock:
        result = handler(workspace, request)
    return result if isinstance(result, Reply) else Reply(result)


def artifact(workspace: Workspace, request: Request, *, of_model: bool) -> Reply:
    """A file of a run or a model, which the browser shows and does not run."""
    asked, query = plain(request.query.get("path") or "."), request.query
    with workspace.state.lock:
        if of_model:
            key = f"{files_of(workspace, version_of(workspace, query.get('name'), query.get('version')))}/{asked}"
        else:
            run = run_of(workspace, query.get("run_uuid") or query.get("run_id") or "")
            key = f"ExperimentRun/{run['dataContainerId']}/{asked}"
        if key not in workspace.state.tables.artifacts:
            raise Refusal(404, f"{asked}: no such file")
    kind = mimetypes.guess_type(asked)[0] or ""
    if not kind.startswith("image/"):
        kind = "text/plain; charset=utf-8" if Path(asked).suffix.lower() in TEXTS else "application/octet-stream"
    headers = {"Content-Type": kind, "Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
    return Reply(workspace.blobs.read(ARTIFACTS, key), headers=headers)
