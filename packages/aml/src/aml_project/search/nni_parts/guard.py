"""Starts NNI, and ends all that came of it once the search has gone, by kill -9 or otherwise.

NNI leaves its server behind, which starts the tuner and the trials in sessions of their own. The search holds the other
end of a pipe; here, whoever loses its parent becomes a child of this process, so that none of them gets away. Only
Linux has that: elsewhere this process looks again and again whom they have started, and remembers.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
TICK = 0.2  # seconds between two looks, where only who still has a parent is found


def parents() -> dict[int, int]:
    """The parent of each process that lives, as Linux tells it, and as any other system does."""
    if sys.platform != "linux":
        asked = subprocess.Popen(["ps", "-axo", "pid=,ppid=,stat="], stdout=subprocess.PIPE, text=True)
        told = [line.split() for line in asked.communicate()[0].splitlines()]
        return {int(pid): int(parent) for pid, parent, state in told if state[0] != "Z" and int(pid) != asked.pid}
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    found[int(entry.name)] = int(parent)
    return found


def started(known: set[int]) -> set[int]:
    """All that this process has started, directly or not; of those without a parent, whom it has known before."""
    of = parents()
    found = more = {pid for pid, parent in of.items() if parent == os.getpid()} | (known & of.keys())
    while more := {pid for pid, parent in of.items() if parent in more} - found:
        found = found | more
    return found


def end_all(known: set[int]) -> None:
    while left := started(known):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def main() -> None:
    line, said, *command = sys.argv[1:]
    keeps_all = sys.platform == "linux" and not ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def wait_for_the_end() -> None:
        known: set[int] = set()
        while not select.select([int(line)], [], [], None if keeps_all else TICK)[0]:
            known = started(known)
        end_all(known)
        os._exit(0)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    with Path(said).open("wb") as out:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
    Path(f"{said}.code").write_text(str(code))
    threading.Event().wait()


if __name__ == "__main__":
    main()
