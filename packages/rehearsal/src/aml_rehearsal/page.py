"""The web page: what the workspace holds, for a person to look at while a rehearsal goes on."""

from __future__ import annotations

import html
from urllib.parse import quote

from aml_rehearsal.azurite import ARTIFACTS
from aml_rehearsal.messages import Refusal, Reply, Request
from aml_rehearsal.services.datastores import without_key
from aml_rehearsal.services.history import run_of
from aml_rehearsal.services.metrics import last_numbers
from aml_rehearsal.services.webservices import without_secrets
from aml_rehearsal.state import Record
from aml_rehearsal.workspace import Workspace

LOG_SHOWN = 100_000  # bytes at its end; the whole log is among the files
RUNS_SHOWN = 200  # the newest
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd; vertical-align: top }
th { font-weight: 600; color: #555 } pre { background: #f6f6f6; padding: 1rem; overflow: auto; font-size: 13px }
.Completed, .Healthy { color: #17692f } .Failed, .Unhealthy { color: #b00020 }
.Running, .Transitioning { color: #1455a4 } .none { color: #777 }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd } pre { background: #262626 } a { color: #8ab4f8 }
  th { color: #aaa } th, td { border-color: #3a3a3a } .Completed, .Healthy { color: #7bd88f }
  .Failed, .Unhealthy { color: #ff8a80 }
}
"""


def answer(workspace: Workspace, request: Request) -> Reply:
    if request.method not in {"GET", "HEAD"}:
        raise Refusal(405, "This page is for reading.")
    if request.path == "/":
        return shown(workspace, overview(workspace))
    if request.path == "/mlflow":
        return Reply(status=302, headers={"Location": "/mlflow/"})
    if request.path == "/state.json":
        state = workspace.state.as_dict()
        state["datastores"] = {name: without_key(store) for name, store in state["datastores"].items()}
        state["services"] = {name: without_secrets(service) for name, service in state["services"].items()}
        return Reply(state)
    if request.path.startswith("/services/"):
        return service_log(workspace, request.path.removeprefix("/services/"))
    if request.path.startswith("/runs/"):
        run_id, _, file = request.path.removeprefix("/runs/").partition("/")
        with workspace.state.lock:
            run = run_of(workspace, run_id)
        return artifact(workspace, run, file) if file else shown(workspace, run_page(workspace, run))
    raise Refusal(404, f"{request.path}: there are /, /mlflow/, /runs/ID, /services/NAME and /state.json")


def shown(workspace: Workspace, body: str) -> Reply:
    title = html.escape(workspace.names.workspace_name)
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}: rehearsal</title>'
        f'<meta http-equiv="refresh" content="3"><style>{STYLE}</style>{body}</html>'
    )
    return Reply(text.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def table(head: str, rows: list[list[str]], none: str) -> str:
    if not rows:
        return f'<p class="none">{none}</p>'
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return "<table><tr>" + "".join(f"<th>{name}</th>" for name in head.split("|")) + f"</tr>{cells}</table>"


def overview(workspace: Workspace) -> str:
    text = html.escape
    with workspace.state.lock:
        tables = workspace.state.tables
        experiments = {known["experimentId"]: name for name, known in tables.experiments.items()}
        known = list(tables.runs)
        runs = [
            [
                link(run["runId"]),
                text(experiments.get(run["experimentId"], "")),
                text(run["target"] or ""),
                status(run),
                numbers(workspace, run),
            ]
            for run in tables.runs.copies(known[: -RUNS_SHOWN - 1 : -1])
        ]
        models = [
            [text(key), link(str(model.get("runId") or "")), pairs(model.get("kvTags") or {})]
            for key, model in sorted(tables.models.items())
        ]
        datasets = [
            [text(name), text(", ".join(version["latest"]["versionId"] for version in versions))]
            for name, versions in sorted(tables.datasets.items())
        ]
        computes = [
            [
                text(name),
                text(compute["properties"]["computeType"]),
                text(str(compute["properties"]["properties"].get("vmSize") or "")),
                text(str((compute["properties"]["properties"].get("scaleSettings") or {}).get("maxNodeCount", ""))),
            ]
            for name, compute in sorted(tables.computes.items())
        ]
        services = [
            [
                f'<a href="/services/{quote(name)}">{text(name)}</a>',
                text(service["computeType"]),
                text(", ".join(service["environmentImageRequest"]["modelIds"])),
                f'<span class="{text(service["state"])}">{text(service["state"])}</span>',
                text(service["scoringUri"] or ""),
            ]
            for name, service in sorted(tables.services.items())
        ]
    names = workspace.names
    newest = f"<p>The newest {RUNS_SHOWN} of {len(known)}</p>" if len(known) > RUNS_SHOWN else ""
    return (
        f"<h1>{text(names.workspace_name)} <small class=none>in {text(names.resource_group)}, a rehearsal: "
        "nothing here leaves this computer</small></h1>"
        '<p><a href="/mlflow/">MLflow\'s page</a> compares runs, draws their metrics and shows their files.</p>'
        f"<h2>Runs</h2>{newest}{table('Run|Experiment|Target|Status|Metrics', runs, 'No run yet: make submit')}"
        f"<h2>Models</h2>{table('Model|Run|Tags', models, 'No model yet: make register')}"
        f"<h2>Services</h2>{table('Service (its log)|On|Models|State|Address', services, 'No service')}"
        f"<h2>Datasets</h2>{table('Dataset|Versions', datasets, 'No dataset')}"
        f"<h2>Clusters</h2>{table('Cluster|Kind|VM size|Nodes at most', computes, 'No cluster')}"
    )


def run_page(workspace: Workspace, run: Record) -> str:
    prefix = f"ExperimentRun/{run['dataContainerId']}/"
    with workspace.state.lock:
        files = [key.removeprefix(prefix) for key in workspace.state.tables.artifacts.below(prefix)]
        metrics = numbers(workspace, run)
    place = f"/runs/{quote(run['runId'], safe='')}/"
    listed = "".join(f'<li><a href="{place}{quote(file)}">{html.escape(file)}</a></li>' for file in files)
    logs = [file for file in files if file.startswith("user_logs/")]
    log = workspace.blobs.read(ARTIFACTS, prefix + logs[0])[-LOG_SHOWN:].decode(errors="replace") if logs else ""
    error = (run["error"] or {}).get("error", {}).get("message", "")
    return (
        f'<p><a href="/">all runs</a></p><h1>{html.escape(run["runId"])}</h1>'
        f"<p>{status(run)} on {html.escape(run['target'] or 'no target')} {html.escape(error)}</p>"
        f"<h2>Metrics</h2><p>{metrics or '-'}</p>"
        f"<h2>Parameters</h2><p>{pairs(run['parameters']) or '-'}</p>"
        f"<h2>Log</h2><pre>{html.escape(log)}</pre><h2>Files</h2><ul>{listed}</ul>"
    )


def artifact(workspace: Workspace, run: Record, file: str) -> Reply:
    key = f"ExperimentRun/{run['dataContainerId']}/{file}"
    with workspace.state.lock:
        known = key in workspace.state.tables.artifacts
    if not known:
        raise Refusal(404, f"{file}: no such file")
    kinds = {".png": "image/png", ".json": "application/json", ".txt": "text/plain; charset=utf-8"}
    kind = kinds.get(file[file.rfind(".") :], "application/octet-stream")
    return Reply(workspace.blobs.read(ARTIFACTS, key), headers={"Content-Type": kind})


def service_log(workspace: Workspace, name: str) -> Reply:
    with workspace.state.lock:
        service = workspace.state.tables.services.get(name)
        if service is None:
            raise Refusal(404, f"{name}: no such service")
        log = workspace.hosting.log(name, service["deployment"])
    return Reply(log.encode(), headers={"Content-Type": "text/plain; charset=utf-8"})


def link(run_id: str) -> str:
    return f'<a href="/runs/{quote(run_id, safe="")}">{html.escape(run_id)}</a>'


def status(run: Record) -> str:
    return f'<span class="{html.escape(run["status"])}">{html.escape(run["status"])}</span>'


def numbers(workspace: Workspace, run: Record) -> str:
    return pairs({name: f"{value:.4g}" for name, value in last_numbers(workspace, run["runId"]).items()})


def pairs(named: dict[str, str]) -> str:
    return ", ".join(f"{html.escape(name)}&nbsp;{html.escape(str(text))}" for name, text in sorted(named.items()))
