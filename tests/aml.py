"""The engine's verbs as the tests call them: in this process, which is quick, or in one of their own, to be killed."""

import contextlib
import io
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from aml_project import cli

# What a project is attached to where a test has no workspace to talk to.
WORKSPACE = {
    "subscription_id": "12345678-1234-1234-1234-123456789abc",
    "resource_group": "my-group",
    "workspace_name": "my-workspace",
}


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


def aml(project: Path, verb: str, *args: str | Path, **env: str) -> Done:
    """Run a verb in a folder, in this process; nothing of it stays behind.

    What a program prints that the verb starts is not in the answer: `call` has that as well.
    """
    out, err = Printed("strict"), Printed("backslashreplace")
    with here(project, env), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([verb, *map(str, args)])
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
    assert "Traceback" not in err.text(), err.text()
    return Done(code, out.text(), err.text())


@contextlib.contextmanager
def here(project: Path, env: dict[str, str]) -> Iterator[None]:
    """Be in a project, as a process of its own would be; then put back what a command leaves changed in a process."""
    silenced, level, handlers = logging.root.manager.disable, logging.root.level, logging.root.handlers[:]
    folder = Path.cwd()
    with (
        mock.patch.dict(os.environ, env),
        warnings.catch_warnings(),
        Path(os.devnull).open(encoding="utf-8") as nothing,
        mock.patch.multiple(sys, stdin=nothing, argv=["aml"], path=sys.path[:], unraisablehook=sys.unraisablehook),
        login_kept(),
    ):
        os.chdir(project)
        try:
            yield
        finally:
            os.chdir(folder)
            logging.disable(silenced)
            logging.root.setLevel(level)
            logging.root.handlers[:] = handlers


@contextlib.contextmanager
def login_kept() -> Iterator[None]:
    """Put the client's login back: a command replaces it for its process."""
    from azureml.core import authentication

    with mock.patch.object(authentication, "perform_interactive_login", authentication.perform_interactive_login):
        yield


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
    )


def call(project: Path, verb: str, *args: str | Path, **env: str) -> Done:
    """Run a verb in a process of its own."""
    process = start(project, verb, *args, **env)
    out, err = process.communicate()
    assert "Traceback" not in err, err
    return Done(process.returncode, out, err)
