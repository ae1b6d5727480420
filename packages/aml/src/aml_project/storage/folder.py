"""Bring a folder into the storage, below a name that its content gives it: what a version holds never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aml_project.storage import transfer
from aml_project.storage.container import Container
from aml_project.storage.hashes import content_of, hash_files
from aml_project.storage.local_files import SHORT, LocalFile, list_files, room_below
from aml_project.storage.progress import Bar


@dataclass(frozen=True)
class Folder:
    """A folder's files and what they hold."""

    files: Sequence[LocalFile]
    hashes: dict[str, str]
    left_out: Sequence[str]
    path: str  # in the storage

    @property
    def content(self) -> str:
        return content_of(self.files, self.hashes)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Brought:
    """What it took to have the files in the storage."""

    sent: int
    copied: int
    there: int


def read(folder: Path, name: str, memory: Path) -> Folder:
    """Read a folder; what was read before and has not changed since is not read again."""
    files, left_out = list_files(folder, room_below(name))
    with Bar("Reading", len(files), sum(file.size for file in files)) as bar:
        hashes = hash_files(files, memory, bar.add)
    return Folder(files, hashes, left_out, f"{name.rstrip('.')}/{content_of(files, hashes)[:SHORT]}")


def bring(folder: Folder, storage: Container, earlier: str | None = None) -> Brought:
    """Send what is not there yet; copy within the storage what `earlier`, another folder there, has; then look."""
    blobs = storage.blobs(folder.path)
    known: dict[str, str] = {}
    made = transfer.plan(folder.files, folder.hashes, blobs, known)
    if made.send and earlier and earlier != folder.path:
        known = {blob.sha256: f"{earlier}/{name}" for name, blob in storage.blobs(earlier).items() if blob.sha256}
        made = transfer.plan(folder.files, folder.hashes, blobs, known)
    if made.send or made.copy:
        with Bar("Sending", len(made.send) + len(made.copy), made.size) as bar:
            transfer.carry_out(made, storage, folder.path, folder.hashes, bar.add)
        blobs = storage.blobs(folder.path)
    transfer.verify(folder.files, folder.hashes, blobs, f"{storage.place}/{folder.path}")
    return Brought(len(made.send), len(made.copy), made.there)
