"""The process of a trial: a script as `python` runs it, that ends when the search does and notes how it has ended.

It is run by its path in the model's Python, which has none of this package.
"""

import os
import runpy
import signal
import sys
import threading
from pathlib import Path


def end_with_the_search(line: int) -> None:
    """The search holds the other end of a pipe: when that is gone, so is the search, by kill -9 or otherwise."""
    os.read(line, 1)
    os.killpg(0, signal.SIGKILL)  # with all that the script has started


def main() -> None:
    line, ended, script, *arguments = sys.argv[1:]
    threading.Thread(target=end_with_the_search, args=(int(line),), daemon=True).start()
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path.cwd())
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    Path(ended).touch()


if __name__ == "__main__":
    main()
