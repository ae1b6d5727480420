"""The logins that the verbs take, besides a service principal: a managed identity, and a code for the browser.

The real client asks each of them for its token as it would anywhere. `az login` is tried where az is, in
tests/journeys/test_cli.py.
"""

import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from aml_rehearsal import Rehearsal
from tests.conftest import Rehearse

THERE = "my-workspace in my-group: there, in westeurope, and open to you"


@pytest.fixture
def rehearsal(project: Path, rehearse: Rehearse) -> Rehearsal:
    return rehearse(project)


@pytest.fixture
def nobody(rehearsal: Rehearsal) -> dict[str, str]:
    """The variables of somebody who is not logged in, on a computer without a browser."""
    env = {key: text for key, text in rehearsal.environment().items() if "SERVICE_PRINCIPAL" not in key}
    return {key: text for key, text in env.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "aml_project", *words]


CHECK = command("attach", "--check")


@pytest.fixture
def identity(rehearsal: Rehearsal) -> Iterator[HTTPServer]:
    """What a machine in Azure has for its programs: an address that hands out the tokens of its identity."""
    asked: list[str] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            allowed = self.headers.get("Metadata") == "true"
            token = rehearsal.workspace.tokens.issue("the machine", "contributor")
            answer = {"token_type": "Bearer", "access_token": token, "expires_on": str(int(time.time()) + 3600)}
            self.send_response(200 if allowed else 400)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    server.asked = asked  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_managed_identity(project: Path, nobody: dict[str, str], identity: HTTPServer) -> None:
    env = nobody | {"MSI_ENDPOINT": f"http://127.0.0.1:{identity.server_port}/token", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(CHECK, cwd=project, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, THERE), done.stderr
    assert "resource=https" in identity.asked[0]  # type: ignore[attr-defined]


def test_a_managed_identity_that_does_not_answer(project: Path, nobody: dict[str, str]) -> None:
    env = nobody | {"MSI_ENDPOINT": "http://127.0.0.1:9/token", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        CHECK, cwd=project, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "not logged in: `az login`" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3, done.stderr  # signs of life, and one line


def test_a_code_for_the_browser_where_somebody_is(project: Path, nobody: dict[str, str], tmp_path: Path) -> None:
    """In a terminal the client shows a code; it is confirmed at once here. The second command needs none."""
    (tmp_path / "run.json").write_text('{"_experiment_name": "e", "run_id": "e_1"}')
    register = command("register", "-f", str(tmp_path / "run.json"))
    for asks in (True, False):
        code, shown = in_terminal(register, project, nobody)
        assert "ERROR: not registered: run e_1: not in the workspace my-workspace" in shown  # so it was asked
        assert code == 1
        assert ("has already confirmed it" in shown) is asks
    done = subprocess.run(CHECK, cwd=project, env=nobody, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(THERE)


def in_terminal(command: list[str], folder: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run a command in a terminal of its own; return its exit code and what it showed."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdin=its, stdout=its, stderr=its, start_new_session=True, close_fds=True
    )
    os.close(its)
    shown = b""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if select.select([ours], [], [], 1)[0]:
                shown += os.read(ours, 65536)
        except OSError:  # nobody is at the other end any more
            break
    else:
        process.kill()
    os.close(ours)
    return process.wait(), shown.decode()
