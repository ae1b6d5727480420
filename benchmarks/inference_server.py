"""Azure ML's inference server with a model, and clients that load it: what the benchmarks of serving share."""

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

from aml_rehearsal.container import answers


class Load(NamedTuple):
    """What the clients saw in one cell of the table."""

    rate: float  # requests per second
    p50: float  # milliseconds
    p99: float
    work: float  # milliseconds of a processor that a request took in the server's workers


class Served(NamedTuple):
    """A server that runs."""

    port: int
    pid: int

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def work(self) -> float:
        """The milliseconds of a processor that its workers have taken so far."""
        taken = 0
        for pid in self.workers():
            for thread in Path(f"/proc/{pid}/task").iterdir():
                taken += int((thread / "schedstat").read_text().split()[0])
        return taken / 1e6

    def memory(self) -> dict[int, int]:
        """What each worker takes, in kB."""
        found = {}
        for pid in self.workers():
            with contextlib.suppress(OSError):  # a worker that has just ended
                found[pid] = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])
        return found


@contextlib.contextmanager
def serve(
    azmlinfsrv: Path, script: Path, model_dir: Path, *, workers: int = 1, threads: str = "1", own: bool = False
) -> Iterator[Served]:
    """Run azmlinfsrv, or the project's own server, as `make serve` does; its log is shown if it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server_command: list[str | Path] = [azmlinfsrv.with_name("python"), "-m", "runtime.server"] if own else [azmlinfsrv]
    command = [*server_command, "--entry_script", script, "--model_dir", model_dir]
    variables = {"WORKER_COUNT": str(workers)} | ({"OMP_NUM_THREADS": threads} if threads else {})
    log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed below, when the server has ended
    server = subprocess.Popen(
        [*command, "--port", str(port)],
        cwd=script.parent,
        env={name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"} | variables,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                sys.exit(f"ERROR: the server of {script.name} did not start:\n{log.read()}")
            time.sleep(0.2)
        yield Served(port, server.pid)
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def post(port: int, body: bytes) -> Any:
    """Send one request to /score; return its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/score", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            sys.exit(f"ERROR: the server answered {response.status}: {answer.decode(errors='replace')[:300]}")
        return json.loads(answer)
    finally:
        connection.close()


def load(pool: ProcessPoolExecutor, server: Served, body: bytes, clients: int, seconds: float) -> Load:
    """Let clients, a process each, send requests back to back for some seconds."""
    before = server.work()
    start = time.monotonic() + 0.1  # the same for all of them, whenever they get their task
    futures = [pool.submit(client, server.port, body, start, start + seconds) for _ in range(clients)]
    clients_times = [future.result() for future in futures]
    all_times = [taken for times in clients_times for taken in times]
    cuts = quantiles(all_times, n=100)
    rate = sum(len(times) / sum(times) for times in clients_times)
    return Load(rate, cuts[49] * 1000, cuts[98] * 1000, (server.work() - before) / len(all_times))


def client(port: int, body: bytes, start: float, end: float) -> list[float]:
    """Return the seconds that each request took that was sent before the end: of two at least, however slow."""
    times: list[float] = []
    time.sleep(max(0.0, start - time.monotonic()))
    while (began := time.monotonic()) < end or len(times) < 2:
        ask(port, body)
        times.append(time.monotonic() - began)
    return times


def ask(port: int, body: bytes) -> None:
    """Send a request and wait for its answer; raise if it is no good one.

    On bare sockets: an HTTP library would take about as long as the server does, and share its processors.
    """
    head = f"POST /score HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode() + b"\r\nConnection: close\r\n\r\n" + body)
        answer = connection.recv(65536)
        while more := connection.recv(65536):  # until the server closes, as it does after each answer
            answer += more
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"}"):
        raise ConnectionError(f"the server answered {answer[:300]!r}")
