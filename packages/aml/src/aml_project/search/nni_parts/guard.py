"""Starts NNI, and ends all that came of it once the search has gone, by kill -9 or otherwise.

NNI leaves its server behind, which starts the tuner and the trials in sessions of their own. The search holds the other
end of a pipe; here, whoever loses its parent becomes a child of this process, so that none of them gets away.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def children() -> list[int]:
    """All that this process has started, directly or not."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = (entry / "stat").read_text()
                parents[int(entry.name)] = int(text.rpartition(")")[2].split()[1])
    found, more = [], [os.getpid()]
    while more:
        more = [pid for pid, parent in parents.items() if parent in more]
        found += more
    return found


def end_all() -> None:
    while left := children():
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0)[0]:
                pass


def main() -> None:
    line, said, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def wait_for_the_end() -> None:
        os.read(int(line), 1)
        end_all()
        os._exit(0)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    with Path(said).open("wb") as out:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
    Path(f"{said}.code").write_text(str(code))
    threading.Event().wait()


if __name__ == "__main__":
    main()
