"""A script of a model in a folder of its own: links to the model's code, a process that ends with ours, and its log.

What it leaves behind, outputs/ and log.txt, is in that folder alone, so that several run side by side.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# The process of a script, which ends with the one that has started it: that holds the other end of the pipe on stdin.
# When it is gone, by kill -9 or otherwise, so is all that the script has started. The first argument is a file that
# says: it ended well.
KEEPER = """
ended=$1; shift
exec 3<&0 </dev/null 4>&2 2>/dev/null
{ read -r _ <&3; kill -9 0; } &
(exec "$@" 3<&- 2>&4 4>&-)
code=$?
if [ $code -eq 0 ]; then : >"$ended"; fi
exit $code
"""
BY_SIGNAL = 128  # above it, a shell's code says which signal has ended a program
# Of the model's folder what such a script does not see: results of others, and what none of them reads.
NOT_LINKED = {"outputs", "mlruns", "logs", "run.json", "tests", "deployment"}
LOG, ENDED, PID = "log.txt", "ended", "pid"
PROCESSES = Path("/proc")  # on Linux, where ps need not be
GONE = (ProcessLookupError, PermissionError)  # what macOS says where all of a group have ended, but are not waited for
GRACE = 5.0  # seconds from the polite end of a process to the other one
LONGEST = 300  # characters of a line of its log


@dataclass(kw_only=True)
class Running:
    """A script whose process runs."""

    folder: Path
    process: subprocess.Popen[bytes]
    line: int  # the end of the pipe that the process lives by
    began: float = field(default_factory=time.monotonic)
    asked_to_end: float = 0.0  # when

    def end(self) -> None:
        """Ask the process and all that it has started to end; `kill` is for those that do not."""
        self.asked_to_end = time.monotonic()
        with contextlib.suppress(*GONE):
            os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        with contextlib.suppress(*GONE):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Once it has ended: nothing that it has started outlives it."""
        self.kill()
        os.close(self.line)
        unlink(self.folder)


def make(folder: Path, model_folder: Path, without: Collection[str] = ()) -> None:
    """Make a folder anew that looks like the model's and has its own outputs/, and what else it is to be `without`."""
    end_leftover(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in os.scandir(model_folder):
        if entry.name not in NOT_LINKED and entry.name not in without:
            (folder / entry.name).symlink_to(entry.path)


def start(
    folder: Path, command: Sequence[str | Path], variables: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program there; return its process, and the end of the pipe that it lives by."""
    theirs, ours = os.pipe()
    kept: list[str | Path] = ["sh", "-c", KEEPER, "sh", folder / ENDED, *command]
    with (folder / LOG).open("wb") as log:
        try:
            process = subprocess.Popen(
                kept, cwd=folder, env=variables, stdin=theirs, stdout=log, stderr=log, start_new_session=True
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
    (folder / PID).write_text(str(process.pid))
    return process, ours


def module(script: str) -> list[str]:
    """How Python starts a script: by its path, one that is a link would find its modules where the link leads to."""
    return ["-m", script.removesuffix(".py").replace("/", ".")]


def end_leftover(folder: Path) -> None:
    """End what a killed process has left running there, where that has not ended by itself."""
    try:
        pid = int((folder / PID).read_text())
    except (OSError, ValueError):
        return
    if os.fsencode(folder / ENDED) in command_of(pid):
        with contextlib.suppress(*GONE):
            while True:  # until it is gone
                os.killpg(pid, signal.SIGKILL)
                time.sleep(0.01)


def command_of(pid: int) -> bytes:
    """The command line of a process; nothing of one that is not there."""
    if PROCESSES.is_dir():
        with contextlib.suppress(OSError):
            return (PROCESSES / str(pid) / "cmdline").read_bytes()
        return b""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False).stdout


def ended_well(folder: Path) -> bool:
    """Whether a script went to its end there, be it while nobody was there to note it."""
    return (folder / ENDED).exists()


def unlink(folder: Path) -> None:
    """Leave there what the script has made: the log and outputs/."""
    for entry in os.scandir(folder):
        if entry.is_symlink() or entry.name == PID:
            with contextlib.suppress(OSError):
                Path(entry.path).unlink()
        elif entry.name == "__pycache__":
            shutil.rmtree(entry.path, ignore_errors=True)


def end_all(running: Sequence[Running]) -> None:
    """End what runs, politely, and then what has not ended."""
    for one in running:
        one.end()
    patience = time.monotonic() + GRACE
    while any(one.process.poll() is None for one in running) and time.monotonic() < patience:
        time.sleep(0.02)
    for one in running:
        one.close()
        one.process.wait()


def crash(folder: Path, code: int) -> str:
    """How a script has ended that did not end well, with the last line that it printed."""
    number = -code if code < 0 else code - BY_SIGNAL
    how = f"killed by signal {number}" if 0 < number < signal.NSIG else f"ended with the code {code}"
    said = next((line for line in reversed(tail(folder / LOG)) if line.strip()), "")
    return f"{how}: {said.strip()[:LONGEST]}" if said else how


def tail(log: Path, size: int = 20_000) -> list[str]:
    """The last lines of a log."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(log.stat().st_size - size, 0))
            content = stream.read()
    except OSError:
        return []
    return content.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
