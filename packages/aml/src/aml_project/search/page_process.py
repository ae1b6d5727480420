"""The process that draws the page: what it imports takes a while, which is over while the trials run."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

from aml_project.command_line import note
from aml_project.files import write_whole
from aml_project.project import shown
from aml_project.search.definition import Search
from aml_project.search.record import Trial

PAGE = "index.html"
# Optuna has importances that need scikit-learn, which takes two seconds to import, and manages without it.
PROGRAM = "import sys; sys.modules['sklearn'] = None; from aml_project.search import page; page.main()"


class PageProcess:
    """Ready to draw, once it has begun; it ends when the search does."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C ends the trials, and the page tells of it
            )  # fmt: skip

    def write(self, folder: Path, title: str, trials: list[Trial], search: Search) -> None:
        """Have the page in the search's folder; one more call makes up for one that failed."""
        try:
            write_whole(folder / PAGE, self.text(folder, title, trials, search), sync=False)
        except (OSError, ValueError) as error:
            note(f"{shown(folder / PAGE)}: {getattr(error, 'strerror', None) or error}")

    def text(self, folder: Path, title: str, trials: list[Trial], search: Search) -> str:
        """The page of these trials; a ValueError says why there is none."""
        self.begin()
        assert self.process
        out, err = self.process.communicate(pickle.dumps((folder, title, trials, search)))
        code, self.process = self.process.returncode, None
        if code:
            said = err.decode("utf-8", "replace").strip().rpartition("\n")[2] or f"its process ended with {code}"
            raise ValueError(said)
        return out.decode("utf-8")

    def end(self) -> None:
        """Without a page."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
