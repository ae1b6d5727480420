"""The result of scoring, written so that a run which is killed at any moment can go on: no row lost, none doubled.

The rows go to FILE.part. A line of FILE.journal says now and then how far each file of the input is scored and how many
bytes of FILE.part that makes; what lies behind them is cut off when a run goes on. In the end FILE.part becomes FILE.
"""

import csv
import io
import json
import os
import sys
import time
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from runtime.input_schema import Schema, answered_numbers

if sys.platform != "win32":
    import fcntl

EVERY = 0.5  # seconds between two lines of the journal: that much is scored again after a kill


class Refused(Exception):
    """What is there does not fit what is asked for, in a sentence that says what to do."""


class Entry(NamedTuple):
    """How far one file of the input is scored."""

    stamp: list[int]  # its size and time of change
    rows: int
    begin: int  # where its rows begin in FILE.part, and where they end
    end: int
    done: bool
    bad: str = ""

    def is_nothing(self) -> bool:
        """Its rows were taken back, for the file to be repaired or left out."""
        return not self.done and self.rows == 0


class Output:
    """The file that is written, and the journal beside it."""

    def __init__(self, path: Path, model: str, columns: list[str], stamps: dict[str, list[int]]) -> None:
        self.path, self.model, self.columns, self.stamps = path, model, columns, stamps
        self.part, self.journal = path.with_name(path.name + ".part"), path.with_name(path.name + ".journal")
        self.entries: dict[str, Entry] = {}
        self.unsaved: dict[str, Entry] = {}
        self.size: int  # of FILE.part
        self.saved = time.monotonic()

    def open(self, resume: bool) -> None:
        """Begin; or go on where an earlier run was stopped, if all that it has scored is as it was."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lines = self.journal.open("a+b")
        claim(self.lines)
        if resume and self.read_journal():
            self.check()
            if not self.part.exists() and self.path.exists():
                self.path.replace(self.part)  # killed in its very last moment
            self.rows: IO[bytes] = self.part.open("r+b")
            if self.rows.seek(0, os.SEEK_END) < self.size:
                raise Refused(f"{self.part}: shorter than its journal says; --overwrite begins anew")
            cut(self.rows, self.size)
            return
        cut(self.lines, 0)
        self.rows = self.part.open("wb")
        self.size = self.rows.write(header_line(self.columns))
        self.write_line({"model": self.model})

    def read_journal(self) -> bool:
        """Take over what an earlier run has scored. Its last line may be a torn one."""
        self.lines.seek(0)
        text = self.lines.read()
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.splitlines():
            record = json.loads(line)
            if "model" in record and record["model"] != self.model:
                raise Refused(
                    f"{self.journal}: was begun with another model or way of reading; --overwrite begins anew"
                )
            if "model" not in record:
                self.entries.update((name, Entry(*entry)) for name, entry in record.items())
        cut(self.lines, len(whole))
        if self.entries and self.last().is_nothing():
            self.entries.popitem()
        if not self.entries:
            return False
        self.size = self.last().end
        return True

    def check(self) -> None:
        """What is scored must still be there, unchanged and in the same order; what follows may be anything."""
        now = list(self.stamps)
        for place, (name, entry) in enumerate(self.entries.items()):
            if self.stamps.get(name) != entry.stamp:
                raise Refused(f"{name}: has changed since it was scored; --overwrite begins anew")
            if now[place] != name:
                raise Refused(f"{now[place]}: was not there when {name} was scored; --overwrite begins anew")

    def last(self) -> Entry:
        return self.entries[next(reversed(self.entries))]

    def position(self) -> tuple[int, int]:
        """The number of the file that comes next, and the row of it."""
        if not self.entries:
            return 0, 0
        last = self.last()
        return (len(self.entries), 0) if last.done else (len(self.entries) - 1, last.rows)

    def is_done(self, name: str) -> bool:
        return name in self.entries and self.entries[name].done

    def bad_files(self) -> int:
        return sum(bool(entry.bad) for entry in self.entries.values())

    def add(self, names: list[str], rows: bytes, count: int, done: bool, bad: dict[str, str]) -> None:
        """Write rows of one file, or of several that are done with them. A bad file keeps none."""
        if bad and len(names) == 1:
            return self.take_back(names[0], bad[names[0]])
        begin = self.size
        self.size += self.rows.write(rows)
        for name in names:
            before = self.entries.get(name)
            earlier, start = (before.rows, before.begin) if before else (0, begin)
            more = count if len(names) == 1 else int(name not in bad)
            entry = Entry(self.stamps[name], earlier + more, start, self.size, done, bad.get(name, ""))
            self.entries[name] = self.unsaved[name] = entry
        if time.monotonic() - self.saved > EVERY:
            self.save()
        return None

    def take_back(self, name: str, bad: str = "") -> None:
        """Remove what is written of the last file: it is bad, or it has to be scored again."""
        begin = self.entries[name].begin if name in self.entries else self.size
        self.entries[name] = self.unsaved[name] = Entry(self.stamps[name], 0, begin, begin, bool(bad), bad)
        if begin < self.size:
            self.save()  # the journal knows first: it never counts on rows that are gone
            self.size = begin
            cut(self.rows, self.size)

    def save(self) -> None:
        self.rows.flush()
        os.fsync(self.rows.fileno())
        if self.unsaved:
            self.write_line(self.unsaved)
        self.unsaved = {}
        self.saved = time.monotonic()

    def write_line(self, record: dict[str, Any]) -> None:
        self.lines.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self.lines.flush()

    def finish(self) -> None:
        """Give the result its name."""
        self.save()
        self.part.replace(self.path)
        self.journal.unlink()


def header(schema: Schema) -> list[str]:
    """The columns of the result."""
    if schema.task == "regression":
        return ["file", "row", *answered_numbers(np.empty(0), schema)]
    return ["file", "row", "label", *(f"probability_{label}" for label in schema.classes)]


def header_line(columns: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(columns)
    return line.getvalue().encode()


def cut(file: IO[bytes], size: int) -> None:
    file.flush()
    file.truncate(size)
    file.seek(size)


def claim(file: IO[bytes]) -> None:
    """Take the output for this process alone, until it ends."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Refused(f"{file.name}: another process writes this output just now") from None
