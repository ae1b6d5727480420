"""The server of `make serve` and of the image: azmlinfsrv's answers, whoever is connected, whatever is killed."""

import contextlib
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.journeys.conftest import Installed
from tests.support import PYTHON, copy_of, free_port, run, served

PATIENCE = 60.0
LIMIT = 1_000_000  # of a body, in the server that is attacked
LIMITED = "def load_model("
SCORES = f"serving.max_bytes = {LIMIT}\n\n\n{LIMITED}"
# What one server does and the other need not: how long it took, when, and whether the connection stays open.
OWN = {"date", "server", "connection", "x-ms-run-fn-exec-ms"}
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Model(NamedTuple):
    """A trained model and the Python that serves it."""

    folder: Path
    python: Path

    def command(self, workers: int = 1) -> list[str | Path]:
        """How our server serves it."""
        options = ["--entry_script=score.py", f"--model_dir={self.folder / 'outputs' / 'model'}"]
        return [self.python, "-m", "runtime.server", *options, "--port={port}", f"--workers={workers}"]

    def azure(self) -> list[str | Path]:
        options = ["--entry_script=score.py", f"--model_dir={self.folder / 'outputs' / 'model'}"]
        return [self.python.with_name("azmlinfsrv"), *options, "--port={port}"]

    def sample(self) -> bytes:
        return (self.folder / "sample-request.json").read_bytes()


@pytest.fixture(scope="module")
def model(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Model:
    project = copy_of(installed(PYTHON), tmp_path_factory.mktemp("served") / "project")
    run("make", "train", cwd=project, expect=0)
    return Model(project / "models" / "model1", project / ".venv" / "model1" / "bin" / "python")


class Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def ask(url: str, sent: bytes, method: str = "POST") -> Answer:
    """Send bytes; return what is answered."""
    with connected(url) as client:
        client.sendall(sent)
        return read(client, method)


@contextlib.contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=PATIENCE) as client:
        yield client


def read(client: socket.socket, method: str = "POST") -> Answer:
    response = http.client.HTTPResponse(client, method=method)
    response.begin()
    body = response.read()
    return Answer(response.status, response.getheaders(), body)


def request(
    method: str = "POST", target: str = "/score", body: bytes = b"", kind: str = "application/json", **more: str
) -> bytes:
    headers = {"Host": "localhost", "Content-Type": kind, "x-request-id": "mine", "Connection": "close"}
    headers |= {"Content-Length": str(len(body))} if body or method in ("POST", "PUT") else {}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def compared(answer: Answer) -> tuple[int, list[tuple[str, str]], object]:
    """What must be the same."""
    named = [(name.lower(), value) for name, value in answer.headers if name.lower() not in OWN]
    # Flask names the methods of a path in the order of a set, which each process has its own of.
    headers = sorted((n, ", ".join(sorted(v.split(", "))) if n == "allow" else ID.sub("ID", v)) for n, v in named)
    with contextlib.suppress(ValueError):
        return answer.status, headers, json.loads(answer.body)
    return answer.status, headers, answer.body


def odd_requests(sample: bytes) -> dict[str, list[bytes]]:
    """Requests by their method: each combination of what may be odd in them."""
    row = json.loads(sample)["data"][0]
    bodies = [sample, b"", b"null", b"[]", b"{", b'"text"', b"1", b"\xff\xfe", b'{"data": []}', b'{"data": [{}]}']
    bodies += [b'{"data": 1}', b'{"data": [1]}', b'{"data": {"columns": ["a"], "data": [[1, 2]]}}', b"[" * 2000]
    bodies += [
        json.dumps({"data": [row | {name: value}]}).encode() for name in row for value in (None, "x", [1], 1e300)
    ]
    kinds = ["application/json", "application/json; charset=utf-8", "text/plain", "", "application/octet-stream"]
    kinds += [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "Image/PNG",
    ]
    found = {"POST": [request(body=body) for body in bodies]}
    found["POST"] += [request(body=body, kind=kind) for body, kind in itertools.product(bodies[:5], kinds)]
    paths = [
        "/",
        "/score",
        "/score/",
        "//score",
        "/swagger.json",
        "/nope",
        "/%73core",
        "/score%00",
        "/ü",
        "*",
        "http://other.example/score",
    ]
    queries = ["", "?version=2", "?version=3", "?version=3.1", "?version=9", "?data=1", "?data=%5B1%5D&data=2"]
    queries += ["?explain=true", "?explain=maybe", "?%ff"]
    for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"):
        for path, query in itertools.product(paths, queries):
            if method in ("GET", "POST") or not query:
                found.setdefault(method, []).append(request(method, path + query, sample if method == "POST" else b""))
    long = "a" * 101
    names = ("x_request_id", "x_ms_request_id", "x_ms_client_request_id", "TraceId")
    for name, value in itertools.product(names, ("", "a b", "0" * 100, long, "é")):
        for body in (sample, b"{"):
            found["POST"].append(request("POST", "/score", body, "application/json", **{name: value}))
        found["GET"].append(request("GET", "/", b"", "", **{name: value}))
    others: list[dict[str, str]] = [{"x_request_id": "a", "x_ms_request_id": "b"}, {"Origin": "http://other.example"}]
    others += [{"Accept_Encoding": "gzip"}, {"Expect": "other"}, {"X_Forwarded_For": "1.2.3.4"}, {"Cookie": "a=b"}]
    found["POST"] += [
        request("POST", "/score", body, "application/json", **more) for more in others for body in (sample, b"")
    ]
    return found


def test_the_answers_are_those_of_azmlinfsrv(model: Model, tmp_path: Path) -> None:
    asked, different = 0, []
    with (
        served(model.folder, tmp_path / "azure.log", model.azure()) as azure,
        served(model.folder, tmp_path / "own.log", model.command()) as own,
    ):
        for method, requests in odd_requests(model.sample()).items():
            for sent in requests:
                theirs, ours = (ask(url, sent, method) for url in (azure, own))
                asked += 1
                if ("Content-Type", "text/html") in theirs.headers:  # a page of gunicorn's, for what is no good HTTP
                    same = ours.status == theirs.status >= 400
                else:
                    same = compared(ours) == compared(theirs)
                if not same:
                    different.append((sent, theirs, ours))
    assert not different
    assert asked > 400
    print(f"{asked} requests, the same answers")
    log = (tmp_path / "own.log").read_text()
    assert "model IDs" not in log and "Traceback" not in log


@pytest.fixture(scope="module")
def limited(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same model, whose score.py takes no more than a megabyte."""
    folder = tmp_path_factory.mktemp("limited") / "model1"
    shutil.copytree(model.folder, folder, ignore=shutil.ignore_patterns("mlruns", "__pycache__"))
    score = (folder / "score.py").read_text()
    assert score.count(LIMITED) == 1
    (folder / "score.py").write_text(score.replace(LIMITED, SCORES))
    return Model(folder, model.python)


HEAD = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SLOW = {
    "nothing": b"",
    "half a header": b"POST /score HTT",
    "half the headers": HEAD,
    "half a body": HEAD + b"Content-Length: 1000\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n100\r\n{",
}


def test_no_client_stops_the_others(limited: Model, tmp_path: Path) -> None:
    """A hundred of each slow kind are connected to the only worker, and every good request is answered."""
    good = request(body=limited.sample())
    with served(limited.folder, tmp_path / "log", limited.command()) as url, contextlib.ExitStack() as stack:
        for begun in SLOW.values():
            for _ in range(100):
                stack.enter_context(connected(url)).sendall(begun)
        assert {ask(url, good).status for _ in range(100)} == {200}
        # What was slow is answered as well, once it is whole.
        with connected(url) as slow:
            for byte in good:
                slow.sendall(bytes([byte]))
            assert read(slow).status == 200


REFUSED: list[tuple[bytes, int]] = [
    (HEAD + b"Content-Length: 600000000\r\n\r\n", 413),
    (HEAD + b"Content-Length: 999999999999999999999999999999\r\n\r\n", 400),
    (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n", 400),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    (b"POST /score HTTP/9.9\r\n\r\n", 400),
    (HEAD + b"X: " + b"x" * 40_000, 431),
    (HEAD + b"SCRIPT_NAME: /x\r\nContent-Length: 1\r\n\r\n{", 400),
]


def test_what_is_too_large_or_no_http_is_refused(limited: Model, tmp_path: Path) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with served(limited.folder, tmp_path / "log", limited.command()) as url:
        for sent, status in REFUSED:
            answer = ask(url, sent)
            assert answer.status == status, sent[:200]
            assert json.loads(answer.body)["message"], sent[:200]
        with connected(url) as client:
            client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            with pytest.raises(ConnectionError):
                client.sendall(chunk * 1000)  # 65 MB, if all of it were read
            assert read(client).status == 413
        assert ask(url, request(body=limited.sample())).status == 200
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_connection_has_several_requests(limited: Model, tmp_path: Path) -> None:
    one = request(body=limited.sample(), Connection="")
    with served(limited.folder, tmp_path / "log", limited.command()) as url, connected(url) as client:
        client.sendall(one * 3)  # before the first is answered
        answers = client.makefile("rb")
        for _ in range(3):
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = http.client.parse_headers(answers)
            assert "predictions" in json.loads(answers.read(int(headers["Content-Length"])))
        client.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert answers.readline() == b"HTTP/1.1 100 Continue\r\n"
        client.sendall(b"{")
        assert answers.readline() == b"\r\n"
        assert answers.readline() == b"HTTP/1.1 400 Bad Request\r\n"


def until(holds: Callable[[], bool]) -> None:
    over = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < over
        time.sleep(0.05)


def has(ready: Callable[[], list[int]], count: int) -> bool:
    return len(ready()) == count


def are_gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def started(model: Model, log: Path, workers: int) -> tuple[subprocess.Popen[bytes], str, Callable[[], list[int]]]:
    port = free_port()
    command = [str(part).replace("{port}", str(port)) for part in model.command(workers)]
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=model.folder, stdout=output, stderr=output, start_new_session=True)

    def ready() -> list[int]:
        return [int(pid) for pid in re.findall(r"^Worker (\d+) is ready", log.read_text(), re.MULTILINE)]

    return server, f"http://127.0.0.1:{port}", ready


def test_a_killed_worker_is_started_again_and_what_has_begun_is_answered(limited: Model, tmp_path: Path) -> None:
    server, url, ready = started(limited, tmp_path / "log", workers=2)
    good = request(body=limited.sample())
    try:
        until(partial(has, ready, 2))
        os.kill(ready()[0], signal.SIGKILL)
        assert ask(url, good).status == 200, "the other one answers"
        until(partial(has, ready, 3))
        os.kill(ready()[1], signal.SIGKILL)
        os.kill(ready()[2], signal.SIGKILL)
        assert ask(url, good).status == 200, "it waits for the next one"
        with connected(url) as slow:
            slow.sendall(good[:-10])
            assert ask(url, good).status == 200
            until(partial(has, ready, 5))
            server.send_signal(signal.SIGTERM)
            time.sleep(0.2)  # the signal may come before or after what follows: both must do
            slow.sendall(good[-10:])
            assert read(slow).status == 200
        assert server.wait(PATIENCE) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_ctrl_c_ends_all_and_so_does_the_end_of_the_first_process(limited: Model, tmp_path: Path) -> None:
    for sign in (signal.SIGINT, signal.SIGKILL):
        server, _, ready = started(limited, tmp_path / f"log-{sign}", workers=2)
        until(partial(has, ready, 2))
        if sign == signal.SIGINT:
            os.killpg(server.pid, sign)
        else:
            server.kill()
        assert server.wait(PATIENCE) == (0 if sign == signal.SIGINT else -signal.SIGKILL)
        until(partial(are_gone, ready()))
        assert "Traceback" not in (tmp_path / f"log-{sign}").read_text()


def test_what_can_not_start_says_so_in_a_line(limited: Model, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run(limited.python, "-m", "runtime.server", f"--port={port}", cwd=limited.folder, expect=1)
        assert said.splitlines() == [f"ERROR: port {port} of 127.0.0.1: Address already in use (PORT= names another)"]
    options = ["--entry_script=score.py", f"--port={free_port()}", f"--model_dir={tmp_path}"]
    said = run(limited.python, "-m", "runtime.server", *options, cwd=limited.folder, expect=3)
    (line,) = (line for line in said.splitlines() if "ERROR" in line)
    assert "schema.json" in line and "Traceback" not in said
