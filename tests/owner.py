"""Whoever has a project and a workspace on loopback, and calls the verbs."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aml_project import patience, project
from aml_rehearsal import Rehearsal
from tests import aml
from tests.aml import Done
from tests.support import BIN, copy_of

PythonWith = Callable[..., Path]  # the fixture that returns a Python with some packages
PATIENCE = 300  # seconds until a test gives up, on a machine that is busy


class Owner:
    """A project, its workspace, and the verbs that its owner calls, logged in with a role."""

    def __init__(self, folder: Path, rehearsal: Rehearsal, role: str = "contributor") -> None:
        self.project, self.rehearsal, self.role = folder, rehearsal, role

    @contextlib.contextmanager
    def tables(self) -> Iterator[Any]:
        """What the workspace holds, to be changed by a test."""
        with self.rehearsal.workspace.state.lock:
            yield self.rehearsal.workspace.state.tables

    def requests(self, pattern: str) -> list[str]:
        """The requests that have reached the workspace so far: METHOD host/path status."""
        return [line for line in self.rehearsal.server.requests if re.search(pattern, line)]

    def login(self) -> dict[str, str]:
        """The variables that lead to the workspace, and log in there."""
        return self.rehearsal.variables(self.role)

    def call(self, verb: str, *args: str | Path, **variables: str) -> Done:
        """Call a verb in this process."""
        return aml.aml(self.project, verb, *args, **self.login() | variables)

    def out(self, verb: str, *args: str | Path, **variables: str) -> str:
        """What a call prints that succeeds."""
        done = self.call(verb, *args, **variables)
        assert done.code == 0, done.err
        return done.out

    def error(self, verb: str, *args: str | Path, code: int, **variables: str) -> str:
        """The one line of a call that fails."""
        done = self.call(verb, *args, **variables)
        assert done.code == code, done
        [line] = [line for line in done.err.splitlines() if line.startswith("ERROR: ")]
        return line

    def start(self, verb: str, *args: str | Path, **variables: str) -> "subprocess.Popen[str]":
        """Call a verb in a process of its own, to be interrupted or killed."""
        env = self.login() | {"PYTHONUNBUFFERED": "1"} | variables
        return aml.start(self.project, verb, *args, **env)

    def interrupt(self, process: "subprocess.Popen[str]") -> Done:
        """Press Ctrl-C; a terminal sends it to all that it has started."""
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert "\nTraceback" not in f"\n{err}", err
        return Done(process.returncode, out, err)

    def die(self, verb: str, *args: str | Path, at: str, **variables: str) -> None:
        """Call a verb that ends at a named point, as if it had been killed there."""
        process = self.start(verb, *args, AML_PROJECT_DIE_AT=at, **variables)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, f"{at} was not reached: {process.returncode}\n{out}\n{err}"

    def kill_at_random(self, draw: random.Random, requests: int, verb: str, *args: str | Path) -> bool:
        """Call a verb and kill it after some of the requests that it usually makes; return whether it still ran."""
        wanted = len(self.rehearsal.server.requests) + draw.randrange(requests)
        process = self.start(verb, *args)
        wait_for(lambda: process.poll() is not None or len(self.rehearsal.server.requests) >= wanted)
        time.sleep(draw.uniform(0, 0.3))
        kill(process)
        return process.returncode != 0

    def usual(self, verb: str, *args: str | Path, **variables: str) -> int:
        """How many requests a call makes that nobody disturbs."""
        before = len(self.rehearsal.server.requests)
        self.out(verb, *args, **variables)
        return len(self.rehearsal.server.requests) - before

    def when_struck(self, process: "subprocess.Popen[str]", strikes: int = 1) -> None:
        """Wait until so many faults have struck what a process sends."""
        wait_for(lambda: len(self.rehearsal.faults.fired) >= strikes, process)


def kill(process: "subprocess.Popen[Any]") -> None:
    """kill -9, also what it has started; it may have ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def attached(render: Path, folder: Path) -> Path:
    """A copy of a render in a folder, attached to the workspace that its answers name."""
    copy = copy_of(render, folder)
    project.attach(copy, project.answers(copy))
    return copy


def set_up(folder: Path, model: str, environment: Path = Path(sys.prefix)) -> None:
    """Give a model an environment that is there already, as `make setup` would make it one; that of the tests."""
    (folder / ".venv").mkdir(exist_ok=True)
    (folder / ".venv" / model).symlink_to(environment)


def make_finds_tools(folder: Path) -> None:
    """Give a project the tools that run here, as `make tools` would install them."""
    tools = folder / ".venv" / ".tools"
    (tools / "bin").mkdir(parents=True)
    (tools / "bin" / "aml").symlink_to(BIN / "aml")
    (folder / "requirements-tools.txt").touch()
    (tools / "ready").touch()


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[Any] | None" = None) -> None:
    """Wait until something is so, and no longer than a process lives that is to make it so."""
    over = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < over
        time.sleep(0.02)


def wait_until_quiet(rehearsal: Rehearsal) -> None:
    """Let arrive what somebody has sent who is gone: wait until nothing has come for a while."""
    heard = -1
    while heard != len(rehearsal.server.requests):
        heard = len(rehearsal.server.requests)
        time.sleep(0.3)


class Hurry(patience.Clock):
    """A clock of a test: it goes as it does, and whoever sleeps makes it jump."""

    def __init__(self) -> None:
        self.jumped = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return super().now() + self.jumped

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.jumped += seconds


def read_until(process: "subprocess.Popen[str]", text: str) -> None:
    """Read what a process prints up to the line with this text."""
    assert process.stdout
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(process.communicate())
