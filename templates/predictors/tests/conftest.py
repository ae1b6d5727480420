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
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MODEL = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(MODEL))  # as in a run, where train.py lies at the top
OWN_DATA = MODEL.parents[1] / "data" / MODEL.name
DATA = OWN_DATA if OWN_DATA.is_dir() else OWN_DATA.parent  # where the models of a repo share it

# A train.py that was made from a notebook has its own test; those of the outline wait until that one is removed.
OUTLINE = ["test_distributed.py", "test_network.py", "test_score.py", "test_score_batch.py", "test_train.py"]
collect_ignore = OUTLINE if (MODEL / "tests" / "test_notebook.py").exists() else []

THREADS = {"WORKER_COUNT": "2", "OMP_NUM_THREADS": "1"}  # two processes, so each gets one thread

Train = Callable[..., subprocess.CompletedProcess[str]]
Here = Callable[..., None]
Post = Callable[..., tuple[int, Any]]
Batch = Callable[..., subprocess.CompletedProcess[str]]
Prediction = dict[str, Any]


@pytest.fixture(scope="session")
def train() -> Train:
    """Run train.py as a user does, in a folder of its own: train(folder, "--seed", "1")."""

    def run(folder: Path, *args: str, data: Path = DATA) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(MODEL / "train.py"), "--data-path", str(data), *args]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """Run train.py in this process, which has imported what it needs already: here("--seed", "1")."""

    def run(*args: str, data: Path = DATA, folder: Path = tmp_path) -> None:
        from train import main

        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["train.py", "--data-path", str(data), *args])
        main()

    return run


@pytest.fixture(scope="session")
def outputs(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of one training on the sample data."""
    folder = tmp_path_factory.mktemp("trained")
    done = train(folder)
    assert done.returncode == 0, done.stderr
    return folder / "outputs"


@pytest.fixture(scope="session")
def classifies(outputs: Path) -> bool:
    """Whether the model of that training answers with labels, and not with numbers."""
    return bool(json.loads((outputs / "model" / "schema.json").read_text(encoding="utf-8"))["task"] == "classification")


def numbers(prediction: Prediction) -> dict[str, float]:
    """All numbers of an answer, by what score_batch.py calls their columns."""
    if "value" in prediction:
        return prediction
    return {f"probability_{label}": share for label, share in prediction["probabilities"].items()}


@pytest.fixture(scope="session")
def batch_command(outputs: Path) -> list[str]:
    return [sys.executable, str(MODEL / "score_batch.py"), f"--model={outputs / 'model'}"]


@pytest.fixture
def batch(batch_command: list[str], tmp_path: Path) -> Batch:
    """Run score_batch.py as a user does: batch("--input", …); the result is scores.csv in tmp_path."""

    def run(*args: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
        own = [*batch_command, f"--output={tmp_path / 'scores.csv'}", *map(str, args)]
        done = subprocess.run(own, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == expect, done.stderr
        return done

    return run


class Server(NamedTuple):
    """The inference server with a trained model."""

    url: str
    log: Path

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=60) as response:
            return bytes(response.read())

    def ask(self, body: Any, kind: str = "application/json", query: str = "") -> tuple[int, Any, Message]:
        """Send a body to /score; return the status, the answer and its headers."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/score{query}", data, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response), response.headers
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), error.headers

    def post(self, body: Any, kind: str = "application/json") -> tuple[int, Any]:
        return self.ask(body, kind)[:2]

    def requests(self) -> list[dict[str, Any]]:
        """What the log says of each request."""
        return [json.loads(line) for line in self.log.read_text().split("\n") if line.startswith('{"time": ')]


@contextmanager
def served(outputs: Path, log: Path, **env: str) -> Iterator[Server]:
    """Start the inference server with a trained model."""
    port = free_port()
    with log.open("w") as file:
        process = subprocess.Popen(
            command(outputs, port), cwd=MODEL, env=os.environ | THREADS | env, stdout=file, stderr=subprocess.STDOUT
        )
    server = Server(f"http://127.0.0.1:{port}", log)
    try:
        over = time.monotonic() + 120
        while not is_up(server):
            assert process.poll() is None, f"the server ended:\n{log.read_text()}"
            assert time.monotonic() < over, f"no answer in two minutes:\n{log.read_text()}"
            time.sleep(0.25)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def command(outputs: Path, port: int) -> list[str | Path]:
    azmlinfsrv = Path(sys.executable).with_name("azmlinfsrv")
    return [azmlinfsrv, "--entry_script=score.py", f"--model_dir={outputs}", f"--port={port}"]


def is_up(server: Server) -> bool:
    try:
        return bool(server.get("/"))
    except OSError:
        return False


@pytest.fixture(scope="session")
def server(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with the model that was trained on the sample data."""
    with served(outputs, tmp_path_factory.mktemp("server") / "log.txt", CODE_COMMIT="abc1234") as server:
        yield server


@pytest.fixture(scope="session")
def post(server: Server) -> Post:
    """Send a body to its /score; return the status and the answer."""
    return server.post


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """The rows of sample-request.json."""
    request = json.loads((MODEL / "sample-request.json").read_text(encoding="utf-8"))
    return list(request["data"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
