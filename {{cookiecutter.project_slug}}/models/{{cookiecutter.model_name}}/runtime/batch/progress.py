"""How far the scoring has come: a bar in a terminal, elsewhere a line every few seconds."""

import shutil
import sys
import time

TERMINAL_EVERY, LOG_EVERY = 0.1, 5.0  # seconds


class Progress:
    """Counts rows; how far it has come is told by the bytes of the input."""

    def __init__(self, done: float, whole: int) -> None:
        self.rows, self.done, self.first, self.whole = 0, done, done, max(whole, 1)
        self.began = self.shown = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def add(self, rows: int, done: float) -> None:
        """So many rows more, and so many bytes of all."""
        self.rows += rows
        self.done = done
        if time.monotonic() - self.shown >= (TERMINAL_EVERY if self.terminal else LOG_EVERY):
            self.show()

    def show(self) -> None:
        self.shown = time.monotonic()
        start, end = ("\r", "\033[K") if self.terminal else ("", "\n")
        print(start + self.line(), end=end, file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print a line for good; the bar goes on below it."""
        print(f"\r{line}\033[K" if self.terminal else line, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def line(self) -> str:
        seconds = max(time.monotonic() - self.began, 0.001)
        share = min(self.done / self.whole, 1.0)
        text = f"{share:.0%}, {self.rows:,} rows, {self.rows / seconds:,.0f} rows/s"
        if self.first < self.done < self.whole:
            left = round(seconds * (self.whole - self.done) / (self.done - self.first))
            text += f", {left // 60}:{left % 60:02} left"
        room = min(shutil.get_terminal_size().columns - len(text) - 12, 30)
        if not self.terminal or room < 5:
            return f"Scoring: {text}"
        full = round(room * share)
        return f"Scoring [{'#' * full}{'.' * (room - full)}] {text}"
