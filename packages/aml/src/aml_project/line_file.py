"""A file that only grows, by JSON, a line each: a line is there or not, wherever its writer was killed.

One that was cut short is cut off by whoever writes next. Whoever writes is alone in the folder: see alone.py.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from aml_project.kill_points import reached


def read(file: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines, each with its number."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return
    yield from enumerate(content.split(b"\n")[:-1], 1)


def append(file: Path, said: dict[str, Any], point: str, *, sync: bool) -> None:
    """Add a line; `sync` has it on the disk before anything goes on, so that a power cut does not take it back."""
    file.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"
    reached(f"before {point}")
    with file.open("a+b", buffering=0) as stream:  # a buffer would be written when it closes, after the cut
        size = whole_size(stream)
        stream.truncate(size)
        try:
            while line:
                line = line[stream.write(line) :]
            if sync:
                os.fsync(stream.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                stream.truncate(size)
            raise
    reached(f"after {point}")


def sync(file: Path) -> None:
    """Have on the disk what was added without."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def whole_size(stream: BinaryIO) -> int:
    """How much of a file is whole lines."""
    size = stream.seek(0, os.SEEK_END)
    while size:
        begin = max(size - 65536, 0)
        stream.seek(begin)
        found = stream.read(size - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        size = begin
    return 0
