"""What the tests share: the sample, one training of a few epochs, and the inference server with its model."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest

MODEL = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(MODEL))  # as in a run, where train.py lies at the top
EPOCHS = 3
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, in a folder of the tests' own."""
    from make_volumes import make

    folder = tmp_path_factory.mktemp("data")
    make(folder)
    return folder


def train(folder: Path, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run train.py in a folder, which gets outputs/ and mlruns/."""
    command = [sys.executable, str(MODEL / "train.py"), f"--epochs={EPOCHS}", *map(str, args)]
    return subprocess.run(command, cwd=folder, env=os.environ | THREADS, capture_output=True, text=True)


@pytest.fixture(scope="session")
def outputs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training leaves behind."""
    folder = tmp_path_factory.mktemp("training")
    done = train(folder, "--data-path", data)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "outputs"


class Server(NamedTuple):
    """The inference server with a trained model."""

    url: str

    def post(self, body: bytes, kind: str = "application/octet-stream") -> tuple[int, bytes, Message]:
        """Send a body to /score; return the status, the answer and its headers."""
        request = urllib.request.Request(f"{self.url}/score", body, {"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def post_form(self, **files: bytes) -> tuple[int, bytes, Message]:
        """Send files as a form does."""
        head = '--limit\r\nContent-Disposition: form-data; name="{0}"; filename="{0}.nii.gz"\r\n\r\n'
        parts = [head.format(name).encode() + content + b"\r\n" for name, content in files.items()]
        return self.post(b"".join(parts) + b"--limit--\r\n", "multipart/form-data; boundary=limit")


@pytest.fixture(scope="session")
def server(outputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The inference server with the model that was trained."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    azmlinfsrv = str(Path(sys.executable).with_name("azmlinfsrv"))
    command = [azmlinfsrv, "--entry_script=score.py", f"--model_dir={outputs / 'model'}", f"--port={port}"]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=MODEL, env=os.environ | THREADS, stdout=file, stderr=file)
    try:
        over = time.monotonic() + 180
        while not is_up(f"http://127.0.0.1:{port}/"):
            assert process.poll() is None, f"the server ended:\n{log.read_text()}"
            assert time.monotonic() < over, f"no answer in three minutes:\n{log.read_text()}"
            time.sleep(0.25)
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=60):
            return True
    except OSError:
        return False
