"""MLflow's own page: its files, what it asks for, and who else may not."""

from __future__ import annotations

import http.client
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from callers import Caller

from aml_rehearsal import Rehearsal
from aml_rehearsal.azurite import ARTIFACTS

API = "/mlflow/ajax-api/2.0/mlflow"


def ask(rehearsal: Rehearsal, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Any]:
    """Ask as a browser does; return the status, the headers and the content."""
    connection = http.client.HTTPConnection(urlsplit(rehearsal.url).netloc, timeout=100)
    sent = None if body is None else json.dumps(body)
    kind = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, sent, kind | headers)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer.status, answer.headers, said


@pytest.fixture
def run_id(rehearsal: Rehearsal, caller: Caller) -> str:
    """A run of azureml's own, with a curve and two files."""
    run_id = f"run_{len(rehearsal.state()['runs'])}_of_the_page"
    path = f"/history/v1.0SCOPE/experiments/of-the-page/runs/{run_id}"
    assert caller.ask("PATCH", path, {"displayName": "curve", "parameters": {"lr": 0.1}})[0] == 200
    points = [{"metricId": str(index), "createdUtc": "2026-01-01T00:00:00Z", "data": {"loss": value}}
              for index, value in enumerate([3.0, 2.0, 1.0])]  # fmt: skip
    metric = {"name": "loss", "columns": {"loss": "Double"}, "value": points}
    assert caller.ask("POST", f"/metric/v2.0SCOPE/runs/{run_id}/batch", {"values": [metric]})[0] == 200
    for name, content in {"a b/50%.txt": b"<script>", "dot.png": b"png"}.items():
        key = f"ExperimentRun/dcid.{run_id}/{name}"
        rehearsal.workspace.blobs.write(ARTIFACTS, key, content)
        with rehearsal.workspace.state.lock:
            rehearsal.workspace.state.tables.artifacts[key] = {}
    return run_id


def test_the_files_of_the_page(rehearsal: Rehearsal) -> None:
    status, headers, said = ask(rehearsal, "GET", "/mlflow/")
    assert status == 200 and headers["Content-Type"] == "text/html"
    assert "connect-src" not in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")  # nothing goes to another host
    script = said.decode().partition('src="')[2].partition('"')[0]
    assert ask(rehearsal, "GET", f"/mlflow/{script}")[0] == 200
    assert ask(rehearsal, "GET", "/mlflow/static-files/../../../etc/passwd")[0] == 404
    assert ask(rehearsal, "GET", "/mlflow")[1]["Location"] == "/mlflow/"
    assert '<a href="/mlflow/">' in ask(rehearsal, "GET", "/")[2].decode()


def test_the_page_that_can_not_be_fetched_says_so(
    rehearsal: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AML_REHEARSAL_CACHE", str(tmp_path))
    refused = subprocess.CompletedProcess([], 1, "", "error: no such\n package")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: refused)
    status, _, said = ask(rehearsal, "GET", "/mlflow/")
    assert status == 503 and list(tmp_path.iterdir()) == []
    told = "MLflow's page is not here, and could not be fetched from the package index: error: no such package"
    assert said.decode() == told


def test_what_the_page_asks_for(rehearsal: Rehearsal, run_id: str) -> None:
    spot = rehearsal.state()["experiments"]["of-the-page"]["experimentId"]
    wish = {"experiment_ids": [spot], "order_by": ["metrics.`loss` ASC"], "filter": f"run_id = '{run_id}'"}
    found = json.loads(ask(rehearsal, "POST", f"{API}/runs/search", wish)[2])["runs"]
    assert [run["info"]["run_name"] for run in found] == ["curve"]
    assert found[0]["data"]["metrics"][0]["value"] == 1.0 and found[0]["data"]["params"][0]["value"] == "0.1"
    query = f"run_ids={run_id}&run_ids=none&metric_key=loss&max_results=2"
    curve = json.loads(ask(rehearsal, "GET", f"{API}/metrics/get-history-bulk-interval?{query}")[2])["metrics"]
    assert [(point["step"], point["value"], point["run_id"]) for point in curve] == [
        (0, 3.0, run_id),
        (2, 1.0, run_id),
    ]
    listed = json.loads(ask(rehearsal, "GET", f"{API}/artifacts/list?run_id={run_id}&path=a%20b")[2])["files"]
    assert listed == [{"path": "a b/50%.txt", "is_dir": False, "file_size": 8}]
    _, headers, said = ask(rehearsal, "GET", f"/mlflow/get-artifact?path={quote('a b/50%.txt')}&run_uuid={run_id}")
    assert said == b"<script>" and headers["Content-Type"].startswith("text/plain")
    assert headers["Content-Security-Policy"] == "sandbox"
    assert (
        ask(rehearsal, "GET", f"/mlflow/get-artifact?path=dot.png&run_uuid={run_id}")[1]["Content-Type"] == "image/png"
    )
    assert ask(rehearsal, "GET", f"/mlflow/get-artifact?path=none&run_uuid={run_id}")[0] == 404
    assert ask(rehearsal, "POST", f"{API}/runs/set-tag", {"run_id": run_id, "key": "by", "value": "page"})[0] == 200
    assert rehearsal.state()["runs"][run_id]["tags"] == {"by": "page"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Host": "elsewhere.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_no_other_page_writes(rehearsal: Rehearsal, run_id: str, headers: dict[str, str], status: int) -> None:
    wish = {"run_id": run_id, "key": "by", "value": "another"}
    assert ask(rehearsal, "POST", f"{API}/runs/set-tag", wish, **headers)[0] == status
    assert rehearsal.state()["runs"][run_id]["tags"] == {}
