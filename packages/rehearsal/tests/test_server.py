"""The port: faults on the way, what passes and what does not, the page, and what must appear nowhere."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from callers import Caller, written

from aml_rehearsal import Fault, Rehearsal, certificates
from aml_rehearsal.addresses import API_HOST

PATH = "/modelmanagement/v1.0SCOPE/models"


@pytest.fixture(autouse=True)
def no_fault_is_left(rehearsal: Rehearsal) -> Iterator[None]:
    rehearsal.faults.clear()  # what struck in another file
    yield
    assert rehearsal.faults.waiting == []


def test_a_status_with_headers_reaches_the_client(rehearsal: Rehearsal, caller: Caller) -> None:
    rehearsal.faults.add(Fault(f"GET {API_HOST}/modelmanagement", status=429, headers={"Retry-After": "7"}))
    proxy = urlsplit(rehearsal.url)
    connection = http.client.HTTPSConnection(str(proxy.hostname), proxy.port, context=caller.tls)
    connection.set_tunnel(API_HOST, 443)
    path = PATH.replace("SCOPE", caller.scope)
    for expected in (429, 200):  # on the same connection
        connection.request("GET", path, headers={"Authorization": f"Bearer {caller.token}"})
        response = connection.getresponse()
        response.read()
        assert response.status == expected
        assert (response.getheader("Retry-After") == "7") == (expected == 429)
    connection.close()
    assert rehearsal.faults.fired == [f"GET {API_HOST}{path}"]


@pytest.mark.parametrize(("drop", "kept"), [("before", False), ("after", True), ("half", True)])
def test_a_dropped_connection(rehearsal: Rehearsal, caller: Caller, drop: str, kept: bool) -> None:
    rehearsal.faults.add(Fault("POST .*models", drop=drop))
    with pytest.raises((http.client.HTTPException, OSError)):
        caller.ask("POST", PATH, {"name": f"dropped-{drop}"})
    assert (f"dropped-{drop}:1" in rehearsal.state()["models"]) == kept
    assert caller.ask("GET", PATH)[0] == 200


def test_a_delay_and_a_token_that_expires(rehearsal: Rehearsal) -> None:
    rehearsal.faults.add(Fault("GET .*models", delay=0.5, expire_tokens=True))
    caller, begun = Caller(rehearsal), time.monotonic()
    assert caller.ask("GET", PATH)[0] == 401
    assert time.monotonic() - begun >= 0.5
    assert Caller(rehearsal).ask("GET", PATH)[0] == 200


def test_blobs_have_faults_too(rehearsal: Rehearsal, caller: Caller) -> None:
    rehearsal.faults.add(Fault(r"PUT .*blob\.core", status=503))
    with pytest.raises(AssertionError):
        caller.snapshot({"a": b"x"})
    assert caller.snapshot({"a": b"x"})[0] == 200


def test_half_a_request_is_no_request(rehearsal: Rehearsal, caller: Caller) -> None:
    proxy = urlsplit(rehearsal.url)
    connection = http.client.HTTPSConnection(str(proxy.hostname), proxy.port, context=caller.tls)
    connection.set_tunnel(API_HOST, 443)
    connection.putrequest("POST", PATH.replace("SCOPE", caller.scope))
    connection.putheader("Authorization", f"Bearer {caller.token}")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b'{"name": "half"}')
    assert connection.sock is not None
    connection.sock.close()
    time.sleep(0.3)
    assert "half:1" not in rehearsal.state()["models"]


# --------------------------------------------------------------------------------------------- other hosts


def connect(url: str, target: str) -> tuple[socket.socket, int]:
    proxy = urlsplit(url)
    connection = socket.create_connection((str(proxy.hostname), int(proxy.port or 0)), timeout=10)
    connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head and (more := connection.recv(1)):
        head += more
    return connection, int(head.split()[1])


@pytest.fixture
def neighbour(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A TLS server named localhost, that is none of ours."""
    made = certificates.make(tmp_path, ["localhost"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate, made.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            try:
                with tls.wrap_socket(listening.accept()[0], server_side=True) as connection:
                    connection.sendall(connection.recv(100).upper())
            except OSError:
                pass

        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname()[1], made.root


def test_other_hosts_pass_only_with_the_internet(
    rehearsal: Rehearsal, neighbour: tuple[int, Path], tmp_path: Path
) -> None:
    port, root = neighbour
    connection, status = connect(rehearsal.url, f"localhost:{port}")
    connection.close()
    assert status == 403
    with Rehearsal(tmp_path / "open", internet=True) as to_all:
        connection, status = connect(to_all.url, f"localhost:{port}")
        assert status == 200
        with ssl.create_default_context(cafile=str(root)).wrap_socket(connection, server_hostname="localhost") as tls:
            tls.sendall(b"hello")
            assert tls.recv(100) == b"HELLO"
        for host in ("real.blob.core.windows.net", "MANAGEMENT.azure.com.evil.AZURE.com", "graph.microsoft.com",
                     "Westus.API.azureml.ms", "dc.services.visualstudio.com", "azure.com."):  # fmt: skip
            connection, status = connect(to_all.url, f"{host}:443")
            connection.close()
            assert status == 403, host
        connection, status = connect(to_all.url, "MANAGEMENT.AZURE.COM:443")
        connection.close()
        assert status == 200
        connection, status = connect(to_all.url, "localhost:none")
        connection.close()
        assert status == 502


def test_a_client_trusts_whom_it_can_reach(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """It reads all that it trusts for each connection, which is most of what a request takes."""

    def trusted(by: Rehearsal, variable: str) -> int:
        return Path(by.variables()[variable]).read_text(encoding="utf-8").count("BEGIN CERTIFICATE")

    assert trusted(rehearsal, "REQUESTS_CA_BUNDLE") == 1
    assert trusted(rehearsal, "SSL_CERT_FILE") > 1, "uv brings a run's packages past the rehearsal"
    with Rehearsal(tmp_path / "open", internet=True) as to_all:
        assert trusted(to_all, "REQUESTS_CA_BUNDLE") > 1


# ------------------------------------------------------------------------------------------------ the page


def page(rehearsal: Rehearsal, path: str = "/") -> str:
    with urllib.request.urlopen(rehearsal.url + path) as answer:
        return str(answer.read().decode())


HOSTILE = '<script>alert("x")</script>&\'"'


def test_the_page_shows_hostile_names_as_text(rehearsal: Rehearsal, caller: Caller) -> None:
    run_id = "run_" + HOSTILE.replace("/", "")
    path = f"/history/v1.0SCOPE/experiments/{quote(HOSTILE.replace('/', ''))}/runs/{quote(run_id)}"
    assert caller.ask("PATCH", path, {"target": HOSTILE, "parameters": {HOSTILE: HOSTILE}})[0] == 200
    metric = {"name": HOSTILE, "columns": {HOSTILE: "Double"}, "value": [{"metricId": "1", "data": {HOSTILE: 0.5}}]}
    assert caller.ask("POST", f"/metric/v2.0SCOPE/runs/{quote(run_id)}/batch", {"values": [metric]})[0] == 200
    tags = {"name": HOSTILE, "kvTags": {HOSTILE: HOSTILE}}
    assert caller.ask("POST", PATH, tags)[0] == 200
    for shown in (page(rehearsal), page(rehearsal, f"/runs/{quote(run_id)}")):
        assert "<script" not in shown and "&lt;script&gt;" in shown and "0.5" in shown


def test_the_page_shows_a_run_with_its_log_and_files(rehearsal: Rehearsal, caller: Caller) -> None:
    write = "open('outputs/page.html', 'w').write('<script>'); open('outputs/m.json', 'w').write('{}')"
    run = caller.run(f"print('<b>bold</b>')\n{write}")
    assert run["runId"] in page(rehearsal)
    shown = page(rehearsal, f"/runs/{run['runId']}")
    assert "Completed" in shown and "&lt;b&gt;bold" in shown and "outputs/page.html" in shown
    with urllib.request.urlopen(f"{rehearsal.url}/runs/{run['runId']}/outputs/page.html") as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"  # not run by the browser
    assert page(rehearsal, f"/runs/{run['runId']}/outputs/m.json") == "{}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/none", 404),
        ("GET", "/runs/none", 404),
        ("GET", "/runs/none/../../state.json", 404),
        ("POST", "/", 405),
    ],
)
def test_the_page_has_nothing_else(rehearsal: Rehearsal, method: str, path: str, status: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(rehearsal.url).netloc)
    connection.request(method, path)
    assert connection.getresponse().status == status
    connection.close()


def test_keys_and_tokens_appear_nowhere(rehearsal: Rehearsal, caller: Caller) -> None:
    secret = "a-key-of-somebody"
    storage = {"accountName": "other", "containerName": "c", "credentialType": "AccountKey", "credential": secret}
    store = {"name": "with_a_key", "dataStoreType": "AzureBlob", "azureStorageSection": storage}
    answer = caller.ask("POST", "/datastore/v1.0SCOPE/datastores", store)[1]
    assert answer["azureStorageSection"]["accountKey"] == secret
    run = caller.run("import os\nprint(os.environ['AZUREML_RUN_ID'])")
    secrets = [secret, rehearsal.workspace.blobs.key, caller.token, "eyJ"]
    secrets += [principal.secret for principal in rehearsal.workspace.tokens.principals.values()]
    for text in (page(rehearsal), page(rehearsal, f"/runs/{run['runId']}"), page(rehearsal, "/state.json"),
                 "\n".join(rehearsal.server.requests)):  # fmt: skip
        assert not [hidden for hidden in secrets if hidden in text]
    kept = written(rehearsal)
    assert not [hidden for hidden in secrets[2:] if hidden in kept]
    logs = [key for key in rehearsal.state()["artifacts"] if key.startswith(f"ExperimentRun/dcid.{run['runId']}/")]
    for key in logs:
        content = rehearsal.workspace.blobs.read("azureml", key).decode()
        assert not [hidden for hidden in secrets if hidden in content]
    listed = Caller(rehearsal, "reader").ask("GET", "/datastore/v1.0SCOPE/datastores")[1]
    assert secret not in json.dumps(listed) and rehearsal.workspace.blobs.key not in json.dumps(listed)
