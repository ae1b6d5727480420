"""A model that is served on this computer, in the background: by a container where Docker or Podman answers, else by
the inference server of `make setup`.

Code and model are copied to .azureml/local/: an edit or another training changes nothing that is served, and what was
served before can be served again. What runs is noted in .azureml/local-service.json.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from aml_project import files
from aml_project.command_line import REFUSED, SERVICE_FAILED, Failure, Progress

NOTE = Path(".azureml", "local-service.json")
PLACE = Path(".azureml", "local")
MODELS = "azureml-models"  # below it a model lies by name and version, as in Azure ML: score.py reads them there
DOCKERFILE = "Dockerfile.inference"
STAGE = "server"  # of that file: without a model in it
IN_CONTAINER = "/var/azureml-app"
HEALTH = {"BUILDAH_FORMAT": "docker"}  # the other format of Podman's images has no health check
CONTAINER_PORT = 5001
ENGINES = {"docker": "version", "podman": "info"}  # what each answers only if it can work
ANSWER_TIME = 15  # seconds for an engine to answer
GOODBYE = 15.0  # seconds for a server to end by itself
LOG_LINES = 20
SERVERS = ("azmlinfsrv", "runtime.server")  # what is in the command of each process of theirs


@dataclass
class Local:
    """What is served, and by what."""

    model: str  # the folder of models/
    name: str
    version: str
    fingerprint: str
    code: str  # the folders of its own copies
    files: str
    port: int
    entry_script: str
    variables: dict[str, str] = field(default_factory=dict)
    engine: str = ""  # docker or podman; empty for the server of .venv
    container: str = ""
    pid: int = 0
    log: str = ""

    def in_words(self) -> str:
        return f"{self.name} version {self.version}, code {self.fingerprint[:7]}"


def read_note(root: Path, model: str) -> Local | None:
    """Return what was served last of a model, whether it still is or not."""
    try:
        return Local(**json.loads((root / NOTE).read_text(encoding="utf-8"))[model])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_note(root: Path, model: str, local: Local | None) -> None:
    try:
        noted: dict[str, Any] = json.loads((root / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = {}
    noted.pop(model, None)
    if local is not None:
        noted[model] = asdict(local)
    files.write_whole(root / NOTE, json.dumps(noted, indent=2) + "\n")


def place_model(root: Path, model: str, name: str, version: str, fetch: Callable[[Path], object]) -> Path:
    """Return the folder of a model's version."""
    return files.place_folder(root / PLACE / model / MODELS / name / version, fetch)


def place_code(root: Path, model: str, fingerprint: str, copy: Callable[[Path], object]) -> Path:
    """Return the folder of the code."""
    return files.place_folder(root / PLACE / model / "code" / fingerprint, copy)


def tidy(root: Path, model: str, keep: Sequence[Local]) -> None:
    """Remove the copies, and the images made of them, that none of these serves."""
    kept = {Path(folder) for local in keep for folder in (local.code, local.files)}
    place = root / PLACE / model
    for folder in [*place.glob("code/*"), *place.glob(f"{MODELS}/*/*")]:
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
            if keep[0].engine and folder.parent.name == "code":
                _succeeds([keep[0].engine, "image", "rm", image_of(model, folder.name)])


def image_of(model: str, fingerprint: str) -> str:
    return f"{model}-inference:{fingerprint}"


def engine_that_answers() -> str:
    """Return docker or podman, whichever answers; empty if none does."""
    for engine, question in ENGINES.items():
        if shutil.which(engine):
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                quiet = subprocess.DEVNULL
                subprocess.run([engine, question], stdout=quiet, stderr=quiet, timeout=ANSWER_TIME, check=True)
                return engine
    return ""


def is_running(local: Local) -> bool:
    """Tell whether it still is the process or container that was started."""
    if local.engine:
        running = ["--filter", f"name=^{local.container}$", "--filter", "status=running"]
        return bool(_output([local.engine, "ps", "--quiet", *running]).strip())
    return local.pid in _processes(local)


def _processes(local: Local) -> list[int]:
    """The server and its workers; a worker may outlive a server that was killed, and keep the port."""
    found = []
    for pid, command in _commands():
        if any(server in command for server in SERVERS) and f"--port {local.port}" in command:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) == local.pid:
                    found.append(pid)
    return found


def _commands() -> Iterator[tuple[int, str]]:
    """All processes, from Linux itself, where ps may be missing; ps would else cut them to a terminal's width."""
    if Path("/proc/self/cmdline").exists():
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                yield int(file.parent.name), file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return
    for line in _output(["ps", "-ww", "-e", "-o", "pid=", "-o", "args="]).splitlines():
        pid, command = line.split(maxsplit=1)
        yield int(pid), command


def start(local: Local, server: Sequence[str | Path]) -> None:
    """Start it in the background; whether it comes up, wait() says."""
    if not port_is_free(local.port):
        raise Failure(
            f"port {local.port} is taken by another program: write another into"
            f" models/{local.model}/deployment/deployment-config-local.yml, or end that program"
        )
    if local.engine:
        _start_container(local)
        return
    if not Path(server[0]).exists():
        raise Failure(f"nothing is installed for {local.model} yet: make setup MODEL={local.model}")
    environment = os.environ | local.variables | {"AZUREML_MODEL_DIR": local.files}
    with Path(local.log).open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*server, "--entry_script", local.entry_script, "--port", str(local.port)],
            cwd=local.code, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    local.pid = process.pid


def _start_container(local: Local) -> None:
    image = image_of(local.model, local.fingerprint)
    local.container = f"{local.model}-local-{local.port}"
    if not _succeeds([local.engine, "image", "inspect", image]):
        with Progress(f"Building {image}"), Path(local.log).open("w", encoding="utf-8") as log:
            built = subprocess.run(
                [local.engine, "build", "--file", DOCKERFILE, "--target", STAGE, "--tag", image, "."],
                cwd=local.code, env=os.environ | HEALTH, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False,
            )  # fmt: skip
        if built.returncode:
            raise Failure(
                f"{local.engine} could not build models/{local.model}/{DOCKERFILE} (--docker no: served by .venv)"
            )
    _succeeds([local.engine, "rm", "--force", local.container])
    inside = f"{IN_CONTAINER}/{MODELS}/{local.name}/{local.version}"
    variables = local.variables | {"AZUREML_MODEL_DIR": inside}
    command = [local.engine, "run", "--detach", "--name", local.container]
    command += ["--publish", f"127.0.0.1:{local.port}:{CONTAINER_PORT}", "--volume", f"{local.files}:{inside}:ro"]
    for name, value in variables.items():
        command += ["--env", f"{name}={value}"]
    done = subprocess.run([*command, image], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"{local.engine}: {' '.join(done.stderr.split())[-300:]}")


def wait(local: Local, timeout: float, answers: Callable[[str], bool]) -> None:
    """Return once the server answers; a Failure says that it does not."""
    over = time.monotonic() + timeout
    with Progress(f"Waiting for port {local.port}"):
        while not answers(f"http://127.0.0.1:{local.port}/"):
            if _has_ended(local):
                raise Failure("the server has ended as it started: its log is above", REFUSED)
            if time.monotonic() > over:
                raise Failure(f"the server is not up after {timeout:.0f} s (--timeout)", SERVICE_FAILED)
            time.sleep(0.3)


def stop(local: Local) -> None:
    """End it, and nothing else; what has ended already is fine."""
    if local.engine:
        _succeeds([local.engine, "rm", "--force", local.container])
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        over = time.monotonic() + GOODBYE
        if not (found := _processes(local)):
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        # A process that is killed loses its name before it lets go of the port.
        while (_processes(local) or not port_is_free(local.port)) and time.monotonic() < over:
            _has_ended(local)
            time.sleep(0.1)


def log_tail(local: Local) -> list[str]:
    if local.engine and (lines := _output([local.engine, "logs", local.container], both=True).splitlines()):
        return lines[-LOG_LINES:]
    try:
        return Path(local.log).read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        return []


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def hash_of(folder: Path) -> str:
    """Name the content of a folder."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{content} {file.relative_to(folder).as_posix()}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:8]


def _has_ended(local: Local) -> bool:
    """Tell whether what this command has started is over: a child is there until its parent has asked how it ended."""
    if local.engine:
        return not is_running(local)
    try:
        return os.waitpid(local.pid, os.WNOHANG)[0] == local.pid
    except ChildProcessError:  # asked before, or no child of this command
        return True


def _output(command: Sequence[str], *, both: bool = False) -> str:
    errors = subprocess.STDOUT if both else subprocess.DEVNULL
    with contextlib.suppress(OSError):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
        return done.stdout
    return ""


def _succeeds(command: Sequence[str]) -> bool:
    quiet = subprocess.DEVNULL
    with contextlib.suppress(OSError):
        return subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, check=False).returncode == 0
    return False
