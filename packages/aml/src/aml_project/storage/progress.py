"""How far something has come: a bar in a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from types import TracebackType

TERMINAL_EVERY, LOG_EVERY = 0.1, 10.0  # seconds
FIRST = 2.0  # seconds that pass in silence where there is no terminal


class Bar:
    """Counts files and bytes: with Bar("Sending", 12, 3456) as bar: bar.add(1, 100)"""

    def __init__(self, what: str, files: int, size: int) -> None:
        self.what, self.files, self.size = what, files, size
        self.done_files = self.done_bytes = 0
        self.shown = False

    def __enter__(self) -> Bar:
        import threading

        self.lock, self.over = threading.Lock(), threading.Event()
        self.began = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.thread = threading.Thread(target=self.draw, daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.thread.join()
        if self.terminal and self.shown:
            print(f"\r{self.line()}\033[K", file=sys.stderr, flush=True)

    def add(self, files: int, size: int) -> None:
        with self.lock:
            self.done_files += files
            self.done_bytes += size

    def draw(self) -> None:
        pause = TERMINAL_EVERY if self.terminal else FIRST
        while not self.over.wait(pause):
            self.shown = True
            print(f"\r{self.line()}\033[K" if self.terminal else self.line(), end="" if self.terminal else "\n",
                  file=sys.stderr, flush=True)  # fmt: skip
            pause = TERMINAL_EVERY if self.terminal else LOG_EVERY

    def line(self) -> str:
        """All of it in one line that fits the terminal."""
        seconds = max(time.monotonic() - self.began, 0.001)
        share = self.done_bytes / self.size if self.size else self.done_files / max(self.files, 1)
        text = f"{self.done_files}/{self.files} files, {bytes_text(self.done_bytes)} of {bytes_text(self.size)}"
        text += f", {bytes_text(self.done_bytes / seconds)}/s"
        if 0 < share < 1:
            text += f", {time_text(seconds / share - seconds)} left"
        import shutil

        room = shutil.get_terminal_size().columns - len(self.what) - len(text) - 5
        if not self.terminal or room < 5:
            return f"{self.what}: {text}"
        full = round(min(room, 30) * min(share, 1))
        return f"{self.what} [{'#' * full}{'.' * (min(room, 30) - full)}] {text}"


def bytes_text(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1000
    return f"{size:.3g} TB"


def time_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
