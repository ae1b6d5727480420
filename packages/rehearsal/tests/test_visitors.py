"""A port that is open to other computers: what it tells their clients, what it hands on, and what it refuses."""

from __future__ import annotations

import http.client
import http.server
import json
import shlex
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

import pytest
from callers import Caller
from test_command import COMMAND

from aml_rehearsal import Names, Rehearsal
from aml_rehearsal.remote import RemoteRehearsal
from aml_rehearsal.services.webservices import begun

OURS = Names("12345678-1234-1234-1234-123456789abc", "theirs", "models")
OUTSIDE = "http://rehearsal.example.com:8080"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    folder = tmp_path_factory.mktemp("opened")
    with Rehearsal(folder, names=OURS, host="0.0.0.0", outside=f"{OUTSIDE}/") as rehearsal:
        yield rehearsal


@pytest.fixture(scope="module")
def remote(opened: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> RemoteRehearsal:
    return RemoteRehearsal(opened.url, tmp_path_factory.mktemp("remote"))


def called(remote: RemoteRehearsal) -> Caller:
    known = {"url": remote.url, "variables": remote.variables, "workspace": SimpleNamespace(names=remote.names)}
    return Caller(cast(Rehearsal, SimpleNamespace(**known)))


def ask(url: str, path: str, host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    said = answer.read().decode()
    connection.close()
    return answer.status, said


def test_a_client_gets_here_by_the_address_alone(opened: Rehearsal, remote: RemoteRehearsal) -> None:
    assert remote.names == OURS
    assert called(remote).ask("PATCH", "/history/v1.0SCOPE/experiments/e/runs/r", {})[0] == 200
    assert list(remote.state()["runs"]) == list(opened.state()["runs"]) == ["r"]
    reader = remote.environment("reader")
    principal = opened.workspace.tokens.principals["reader"]
    assert reader["AZUREML_SERVICE_PRINCIPAL_ID"] == principal.client_id
    assert reader["HOME"].startswith(str(remote.folder)) and Path(reader["REQUESTS_CA_BUNDLE"]).exists()


def test_the_variables_come_in_three_forms(opened: Rehearsal) -> None:
    """All with the name by which the client has asked, which this computer can't know of itself."""
    file, host = "/tmp/a b.pem", "rehearsal:8080"
    told = {form: ask(opened.url, f"/variables{form}?roots=/tmp/a%20b.pem", host)[1] for form in ("", ".env", ".json")}
    found = json.loads(told[".json"])["variables"]
    assert found["HTTPS_PROXY"] == f"http://{host}" and found["SSL_CERT_FILE"] == file
    assert found["NO_PROXY"] == "127.0.0.1,localhost,rehearsal" and "HOME" not in found
    assert dict(line.split("=", 1) for line in told[".env"].splitlines()) == found
    assert dict(shlex.split(line)[1].split("=", 1) for line in told[""].splitlines()) == found


@pytest.mark.parametrize("host", ["localhost:1", "10.0.0.7:8080", "rehearsal", "a.b.svc.cluster.local", "[::1]:80",
                                  "host.docker.internal:8080", "rehearsal.example.com:8080"])  # fmt: skip
def test_names_that_a_web_page_can_not_have(opened: Rehearsal, host: str) -> None:
    assert ask(opened.url, "/variables?roots=a", host)[0] == 200


@pytest.mark.parametrize(
    ("path", "host", "status", "said"),
    [
        ("/variables?roots=a", "page.example.com", 403, "serve --url http://page.example.com"),
        ("/roots.pem", "page.example.com:8080", 403, "serve --url"),
        ("/variables", "", 400, "Name the file in which you keep"),
        ("/variables.env?roots=a%0AB=c", "", 400, "Name the file"),
        ("/variables?roots=a&role=boss", "", 400, "there are contributor, scientist, reader, stranger"),
        ("/webservices/none/score", "", 404, "none: no such web service"),
    ],
)
def test_what_it_does_not_tell(opened: Rehearsal, path: str, host: str, status: int, said: str) -> None:
    code, answer = ask(opened.url, path, host)
    assert code == status and said in json.loads(answer)["message"]


def test_a_port_of_loopback_tells_nothing(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """Who may know, on a computer of several people, reads it in the folder."""
    for path in ("/variables?roots=a", "/roots.pem", "/health", "/webservices/a/score"):
        assert ask(rehearsal.url, path)[0] == 404
    with pytest.raises(ConnectionError, match="404 Only a rehearsal that is open to other computers"):
        RemoteRehearsal(rehearsal.url, tmp_path)
    with pytest.raises(ConnectionError, match="no rehearsal answers there"):
        RemoteRehearsal("http://127.0.0.1:9", tmp_path)
    with pytest.raises(ValueError, match="the address of a rehearsal is http://HOST:PORT"):
        RemoteRehearsal("localhost:8080", tmp_path)


def test_its_health(opened: Rehearsal) -> None:
    assert json.loads(ask(opened.url, "/health")[1])["workspace"] == OURS.workspace_name
    blobs, ended = opened.workspace.blobs, SimpleNamespace(process=SimpleNamespace(poll=lambda: 1))
    opened.workspace.blobs = ended  # type: ignore[assignment]
    try:
        assert ask(opened.url, "/health")[0] == 503
    finally:
        opened.workspace.blobs = blobs


def test_a_run_on_the_clients_computer_is_refused(remote: RemoteRehearsal) -> None:
    status, answer = called(remote).ask("POST", "/execution/v1.0SCOPE/experiments/e/localrun?runId=local", {})
    assert status == 501 and "needs a rehearsal there" in answer["message"]


class Scores(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.path.encode() + b" " + self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-model-version", "7")
        self.end_headers()
        self.wfile.write(body)


def test_a_web_service_is_reached_by_the_same_port(opened: Rehearsal) -> None:
    hosting, state, name = opened.workspace.hosting, opened.workspace.state, "on-aks"
    with http.server.HTTPServer(("127.0.0.1", 0), Scores) as container:
        threading.Thread(target=container.serve_forever, daemon=True).start()
        with state.lock:
            operation = begun(opened.workspace, name)["id"]
            own = {"name": name, "deployment": operation, "computeType": "AKS"}
            state.tables.services[name] = own | {"authEnabled": True, "keys": {"primaryKey": "secret"}}
        hosting.switch(name, operation, container.server_address[1])
        address = opened.state()["services"][name]["scoringUri"]
        assert address == f"{OUTSIDE}/webservices/on-aks/api/v1/service/on-aks/score"
        place = address.replace(OUTSIDE, opened.url) + "?a=%20"
        request = urllib.request.Request(place, b"[1]", {"Authorization": "Bearer secret"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert (answer.headers["x-model-version"], answer.read()) == ("7", b"/score?a=%20 [1]")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(place, b"[1]", timeout=30)
        container.shutdown()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["serve", "--host", "example.com"],
            "an address of this computer, or 0.0.0.0 for all of them, not example.com",
        ),
        (["shell", "--host", "0.0.0.0"], "--host belongs to serve, not to shell"),
        (["serve", "--workspace", "a/b"], "SUBSCRIPTION/GROUP/NAME, not a/b"),
    ],
)
def test_wrong_use(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr
