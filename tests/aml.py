"""The engine's verbs as the tests call them: in this process, which is quick, or in one of their own, to be killed."""

import contextlib
import io
import logging
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from azureml._base_sdk_common.service_discovery import CachedServiceDiscovery
from azureml.core import authentication

from aml_project import cli


class Done(NamedTuple):
    """What a command has said."""

    code: int
    out: str
    err: str


class Printed(io.TextIOWrapper):
    """What a command prints, with the bytes below that a real channel has; what it can't encode, it refuses as well."""

    def __init__(self, errors: str) -> None:
        self.kept = io.BytesIO()
        super().__init__(self.kept, encoding="utf-8", errors=errors, newline="\n", write_through=True)

    def text(self) -> str:
        return self.kept.getvalue().decode()


def told(done: Done, *lines: str) -> None:
    """Assert that a command has told this and no more: a line each, of which "…" leaves out what may be anything."""
    said = done.err.splitlines()
    wanted = [".*".join(map(re.escape, line.split("…"))) for line in lines]
    assert len(said) == len(lines) and all(map(re.search, wanted, said)), f"told:\n{done.err}instead of: {lines}"


def aml(project: Path, verb: str, *args: str | Path, **env: str) -> Done:
    """Run a verb in a folder, in this process; nothing of it stays behind.

    What a program prints that the verb starts is not in the answer: `call` has that as well.
    """
    out, err = Printed("strict"), Printed("backslashreplace")
    with here(project, env), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([verb, *map(str, args)])
        except SystemExit as end:  # of argparse
            code = end.code if isinstance(end.code, int) else 1
    assert "--debug" in args or "\nTraceback" not in f"\n{err.text()}", err.text()  # a server's are indented
    return Done(code, out.text(), err.text())


@contextlib.contextmanager
def here(project: Path, env: dict[str, str]) -> Iterator[None]:
    """Be in a project, as a process of its own would be; then put back what a command leaves changed in a process."""
    silenced, level = logging.root.manager.disable, logging.root.level
    folder = Path.cwd()
    with (
        mock.patch.dict(os.environ, env),
        warnings.catch_warnings(),
        Path(os.devnull).open(encoding="utf-8") as nothing,
        mock.patch.multiple(sys, stdin=nothing, argv=["aml"], path=sys.path[:], unraisablehook=sys.unraisablehook),
        # pytest shows what is logged as it comes, and takes stderr back for that.
        mock.patch.object(logging.root, "handlers", []),
        mock.patch.object(time, "sleep", in_no_time(time.sleep)),
        # A command replaces the client's login for its process.
        mock.patch.object(authentication, "perform_interactive_login", authentication.perform_interactive_login),
        # Where the client notes the addresses of services: its import has fixed that, for the home of then.
        mock.patch.object(CachedServiceDiscovery.__init__, "__defaults__", (addresses_file(env),)),
    ):
        os.chdir(project)
        try:
            yield
        finally:
            os.chdir(folder)
            logging.disable(silenced)
            logging.root.setLevel(level)


def in_no_time(sleep: Callable[[float], None]) -> Callable[[float], None]:
    """Let this thread's pauses, its own and the client's, be over at once; those of other threads are none of its."""
    caller = threading.current_thread()
    return lambda seconds: sleep(min(seconds, 0.05) if threading.current_thread() is caller else seconds)


def addresses_file(env: dict[str, str]) -> str:
    return str(Path(env.get("HOME") or Path.home(), ".azureml", ".discovery"))


def start(project: Path, verb: str, *args: str | Path, **env: str) -> "subprocess.Popen[str]":
    """Start a verb in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "aml_project", verb, *map(str, args)],
        cwd=project,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C and kill reach all that it has started, and nobody else
    )


def call(project: Path, verb: str, *args: str | Path, **env: str) -> Done:
    """Run a verb in a process of its own."""
    process = start(project, verb, *args, **env)
    out, err = process.communicate()
    assert "Traceback" not in err, err
    return Done(process.returncode, out, err)
