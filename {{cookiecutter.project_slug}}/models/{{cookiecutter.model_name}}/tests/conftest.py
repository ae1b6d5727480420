"""What the tests share: the sample data, one trained model, and the inference server with that model."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

MODEL = Path(__file__).resolve().parents[1]
DATA = MODEL.parents[1] / "data"
sys.path.insert(0, str(MODEL))  # as in a run, where train.py lies at the top

# A train.py that was made from a notebook has its own test; those of the outline wait until that one is removed.
OUTLINE = ["test_distributed.py", "test_network.py", "test_score.py", "test_train.py"]
collect_ignore = OUTLINE if (MODEL / "tests" / "test_notebook.py").exists() else []

Train = Callable[..., subprocess.CompletedProcess[str]]
Get = Callable[..., bytes]
Post = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="session")
def train() -> Train:
    """Run train.py as a user does, in a folder of its own: train(folder, "--seed", "1")."""

    def run(folder: Path, *args: str, data: Path = DATA) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(MODEL / "train.py"), "--data-path", str(data), *args]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    return run


@pytest.fixture(scope="session")
def outputs(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of one training on the sample data."""
    folder = tmp_path_factory.mktemp("trained")
    done = train(folder)
    assert done.returncode == 0, done.stderr
    return folder / "outputs"


@contextmanager
def served(outputs: Path, log: Path) -> Iterator[Get]:
    """Start the inference server with a trained model; get("/swagger.json") reads from it."""
    port = free_port()
    azmlinfsrv = Path(sys.executable).with_name("azmlinfsrv")
    server = subprocess.Popen(
        [azmlinfsrv, "--entry_script=score.py", f"--model_dir={outputs}", f"--port={port}"],
        cwd=MODEL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )

    def get(path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return bytes(response.read())

    try:
        over = time.monotonic() + 120
        while not answers(get):
            assert server.poll() is None, f"the server ended:\n{log.read_text()}"
            assert time.monotonic() < over, f"no answer in two minutes:\n{log.read_text()}"
            time.sleep(0.25)
        yield get
    finally:
        server.terminate()
        server.wait(timeout=30)


def answers(get: Get) -> bool:
    try:
        return bool(get("/"))
    except OSError:
        return False


def send(get: Get, body: Any) -> tuple[int, Any]:
    """Send a body to /score; return the status and the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        return 200, json.loads(get("/score", data))
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="session")
def get(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Get]:
    """The server with the model that was trained on the sample data."""
    with served(outputs, tmp_path_factory.mktemp("server") / "log.txt") as get:
        yield get


@pytest.fixture(scope="session")
def post(get: Get) -> Post:
    """Send a body to its /score; return the status and the answer."""
    return lambda body: send(get, body)


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """The rows of sample-request.json."""
    request = json.loads((MODEL / "sample-request.json").read_text(encoding="utf-8"))
    return list(request["data"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
