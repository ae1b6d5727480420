"""What goes from a node to datastores: mounted folders while the run goes on, the others when it has completed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aml_rehearsal.interpreters import Failed

Stamp = tuple[int, int]  # when a file was changed, and its size
LARGEST = 1 << 30


class OutputFolder:
    """One folder that a script writes to, or one file."""

    def __init__(self, name: str, folder: Path, *, mounted: bool, globs: list[str], send: Callable[..., object]):
        self.name, self.folder, self.mounted, self.globs, self.send = name, folder, mounted, globs, send
        self.seen: dict[str, Stamp] = {}
        self.sent: dict[str, Stamp] = {}

    def files(self) -> dict[str, Stamp]:
        """What lies there now, that is to go to the datastore."""
        found = {}
        if self.folder.is_file():
            known = self.folder.stat()
            return {"": (known.st_mtime_ns, known.st_size)}
        for file in {file for pattern in self.globs or ["**/*"] for file in self.folder.glob(pattern)}:
            try:
                if file.is_file() and self.folder in file.resolve().parents:
                    known = file.stat()
                    found[file.relative_to(self.folder).as_posix()] = (known.st_mtime_ns, known.st_size)
            except OSError:
                continue  # it is gone by now
        return found

    def write_back(self, *, over: bool = False) -> None:
        """Send what has changed: while the run goes on, what nobody has written to since the last look."""
        now = self.files()
        for name, stamp in sorted(now.items()):
            if self.sent.get(name) != stamp and (over or self.seen.get(name) == stamp):
                if stamp[1] > LARGEST:
                    raise Failed(f"outputData: {self.name}: {name} has more than 1 GB, which the rehearsal can't take")
                try:
                    content = (self.folder / name if name else self.folder).read_bytes()
                except FileNotFoundError:
                    continue
                self.send("POST", "output", content, name=self.name, path=name)
                self.sent[name] = stamp
        for name in set(self.sent) - set(now):
            self.send("DELETE", "output", name=self.name, path=name)
            del self.sent[name]
        self.seen = now
