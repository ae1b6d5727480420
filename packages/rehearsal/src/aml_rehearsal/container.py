"""A container: serves one deployment of a web service. Started as a program of its own, with the job's file.

It stands for Azure ML's inference image: the Python of the deployment's environment, and in it the real inference
server. It says on its standard output how far it is, one line of JSON each time, and ends when its standard input
does: with the rehearsal, however that ends.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from aml_rehearsal import interpreters
from aml_rehearsal.addresses import free_port
from aml_rehearsal.interpreters import Failed

BEAT = 0.1  # seconds between two looks
PATIENCE = 10  # seconds that the server gets to end by itself
# The server would listen on every interface; and the folder that -c puts on the path is not on a script's.
START = (
    "import sys; sys.path.pop(0); from azureml_inference_server_http import amlserver; "
    "amlserver.DEFAULT_HOST = '127.0.0.1'; amlserver.run()"
)
SERVER = "azureml_inference_server_http"
RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning)\b.*")  # the last line of a traceback


class Container:
    def __init__(self, job: dict[str, Any], log: IO[bytes]) -> None:
        self.job, self.log = job, log
        self.server: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        threading.Thread(target=self.end_with_rehearsal, daemon=True).start()
        try:
            tell(step="BuildEnvironment")
            # Packages come from the outside, not through the rehearsal.
            outside = {name: text for name, text in os.environ.items() if text != self.job["server"]}
            python = interpreters.provide(self.job, Path(self.job["cache"]), outside, self.say)
            tell(step="DeployService")
            self.serve(python)
        except Failed as failed:
            tell(error=str(failed))
        except Exception as failed:
            tell(error=f"The container failed: {failed!r}")
        self.end()
        return 1

    def say(self, text: bytes) -> None:
        self.log.write(text)
        self.log.flush()

    def serve(self, python: Path) -> None:
        """Start the server, tell when it answers, and stay until it ends."""
        port = free_port()
        command = [str(python), "-c", START, "--entry_script", self.job["entry"], "--port", str(port)]
        variables = self.job["variables"] | {
            "PATH": os.pathsep.join((str(python.parent), os.environ.get("PATH", os.defpath)))
        }
        self.server = subprocess.Popen(
            command,
            cwd=self.job["app"],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        over = time.monotonic() + self.job["seconds"]
        while not answers(port):
            if self.server.poll() is not None:
                raise Failed(self.reason())
            if time.monotonic() > over:
                raise Failed(f"The server did not answer within {self.job['seconds']:g} seconds.")
            time.sleep(BEAT)
        tell(port=port)
        self.server.wait()
        raise Failed(self.reason())

    def reason(self) -> str:
        """Why the server has ended: what was raised, or the last line that it has printed."""
        lines = Path(self.job["log"]).read_text(encoding="utf-8", errors="replace").splitlines()
        if any(f"No module named '{SERVER}'" in line or f"No module named {SERVER}" in line for line in lines[-3:]):
            return "The environment lacks azureml-inference-server-http, which serves the entry script: add it."
        raised = [line for line in lines if RAISED.fullmatch(line) and not line.startswith(SERVER)]
        if raised:
            return f"Error in entry script, {raised[-1]}"
        code = self.server.returncode if self.server else None
        said = next((line.strip() for line in reversed(lines) if line.strip()), "it has printed nothing")
        return f"The server ended with exit code {code}: {said}"

    def end_with_rehearsal(self) -> None:
        sys.stdin.buffer.read()
        self.end()

    def end(self) -> None:
        """End this process and all that it has started: they are a group."""
        for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            if hasattr(os, "killpg"):
                os.killpg(0, number)
            elif self.server:
                self.server.terminate()
            over = time.monotonic() + PATIENCE
            while self.server and self.server.poll() is None and time.monotonic() < over:
                time.sleep(BEAT)
        os._exit(1)


def tell(**what: Any) -> None:
    with contextlib.suppress(OSError):  # the rehearsal is gone: so is this, at once
        print(json.dumps(what), flush=True)


def answers(port: int) -> bool:
    """Whether the server is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> int:
    file = Path(sys.argv[1])
    job = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    signal.signal(signal.SIGTERM, lambda *_: None)  # it is the last of its group to end
    with Path(job["log"]).open("ab") as log:
        return Container(job, log).run()


if __name__ == "__main__":
    sys.exit(main())
