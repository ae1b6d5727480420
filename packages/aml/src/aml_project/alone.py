"""One process at a time in a folder: a second one is refused, and `kill` ends the first as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from aml_project.command_line import Failure
from aml_project.project import shown

LOCK = "lock"


@contextlib.contextmanager
def in_folder(folder: Path, what: str) -> Iterator[None]:
    """Be the only one of its kind (`what`, as in "search") in a folder, however the process ends."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            whose = holder(folder)
            of = f" (process {whose})" if whose else ""
            raise Failure(
                f"{shown(folder)}: a {what} is running here{of}: wait for it, or end it with --stop"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # also for a process that is just being started, and still holds a copy


def holder(folder: Path) -> int | None:
    """The process that is alone in a folder now."""
    import fcntl

    try:
        with (folder / LOCK).open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                text = lock.read()
                return int(text) if text.isdigit() else None
    except FileNotFoundError:
        pass
    return None


def end(folder: Path) -> bool:
    """End that process as Ctrl-C does, and wait until it is gone; False if there is none."""
    process = holder(folder)
    if process is None:
        return False
    os.kill(process, signal.SIGINT)
    while holder(folder) == process:
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let `kill` and the end of the terminal be what Ctrl-C is: who has started something ends it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, earlier in kept.items():
            signal.signal(number, earlier)
