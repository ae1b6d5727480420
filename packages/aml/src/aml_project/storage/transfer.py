"""Bring files into a folder of the storage: only what is not there, many at once, and look whether it has arrived.

A blob is written by one request, or committed by one: whatever ends this, a blob is there whole or not at all. What the
staged blocks of a large file hold is found again by the next call.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aml_project import patience
from aml_project.command_line import SERVICE_FAILED, Failure
from aml_project.storage.container import SHA256, Blob, Container
from aml_project.storage.local_files import LocalFile

THREADS = 32  # a request waits most of its time: the more, the less a far account matters
SMALL = 1 << 20  # bytes up to which every thread may hold a file in memory
BLOCK = 8 << 20  # bytes of a large file that one request carries
MOST_BLOCKS = 50_000  # of one blob
COPIES, LOOK = 600.0, 0.5  # seconds that the storage may copy a blob for, and between two looks at that
AT_ONCE = 5  # blocks, or files above SMALL, in memory
Hashes = dict[str, str]
Step = Callable[[], None]


@dataclass
class Plan:
    """What has to be done for a folder to hold the files."""

    send: list[LocalFile] = field(default_factory=list)
    copy: list[tuple[LocalFile, str]] = field(default_factory=list)  # with the blob that has the same content
    there: int = 0

    @property
    def size(self) -> int:
        return sum(file.size for file in self.send) + sum(file.size for file, _ in self.copy)


def plan(files: Sequence[LocalFile], hashes: Hashes, blobs: dict[str, Blob], earlier: dict[str, str]) -> Plan:
    """Compare the files with the blobs that are there; `earlier` are blobs elsewhere by their SHA-256."""
    made = Plan()
    for file in files:
        if same(blobs.get(file.name), file, hashes[file.name]):
            made.there += 1
        elif hashes[file.name] in earlier:
            made.copy.append((file, earlier[hashes[file.name]]))
        else:
            made.send.append(file)
    return made


def same(blob: Blob | None, file: LocalFile, sha256: str) -> bool:
    return blob is not None and (blob.size, blob.sha256) == (file.size, sha256)


def carry_out(made: Plan, storage: Container, prefix: str, hashes: Hashes, done: Callable[[int, int], None]) -> None:
    """Send and copy; the first failure ends it, and what has arrived by then stays for the next call."""
    crew = Crew(storage, done)
    steps = crew.steps(made, prefix, hashes)
    turn = threading.Lock()

    def work() -> None:
        while not crew.over.is_set():
            try:
                with turn:
                    step = next(steps, None)
                if step is None:
                    return
                step()
            except BaseException as error:  # told to the thread that waits
                crew.fail(error)

    wanted = min(THREADS, len(made.send) + len(made.copy) + made.size // BLOCK)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(wanted)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # so that Ctrl-C is heard
    finally:
        crew.over.set()
    if crew.error:
        raise crew.error


class Crew:
    """The threads' common work."""

    def __init__(self, storage: Container, done: Callable[[int, int], None]) -> None:
        self.storage, self.done = storage, done
        self.over, self.error = threading.Event(), None
        self.room = threading.Semaphore(AT_ONCE)
        self.lock = threading.Lock()

    error: BaseException | None

    def fail(self, error: BaseException) -> None:
        with self.lock:
            self.error = self.error or error
        self.over.set()

    def patient(self, act: Callable[[], Any]) -> Any:
        return self.storage.patient(act, self.over.is_set)

    def steps(self, made: Plan, prefix: str, hashes: Hashes) -> Iterator[Step]:
        for file in made.send:
            yield from self.sending(file, f"{prefix}/{file.name}", hashes[file.name])
        for file, source in made.copy:
            yield partial(self.copy, file, source, f"{prefix}/{file.name}", hashes[file.name])

    def sending(self, file: LocalFile, name: str, sha256: str) -> Iterator[Step]:
        blob = self.storage.client.get_blob_client(name)
        if file.size <= BLOCK:
            yield partial(self.put, file, blob, sha256)
        else:
            yield from Large(self, file, blob, sha256).steps()

    def copy(self, file: LocalFile, source: str, name: str, sha256: str) -> None:
        """Let the storage copy a blob within itself; where it can't, send the file."""
        from azure.core.exceptions import AzureError

        blob = self.storage.client.get_blob_client(name)
        try:
            copy = blob.start_copy_from_url(self.storage.source(source))
            state = self.outcome(blob, copy["copy_status"])
            if state == "pending":  # nothing else may be written there meanwhile
                blob.abort_copy(copy["copy_id"])
        except AzureError:
            state = "failed"
        if state == "success":
            self.done(1, file.size)
            return
        for step in self.sending(file, name, sha256):
            if not self.over.is_set():
                step()

    def outcome(self, blob: Any, state: str) -> str:
        """Return what a copy has come to, or that it is pending still when that has taken too long."""
        for _ in patience.looks(COPIES, LOOK):
            if state != "pending" or self.over.is_set():
                return state
            state = str(blob.get_blob_properties().copy.status)
        return state

    def put(self, file: LocalFile, blob: Any, sha256: str) -> None:
        """Send a file in one request, whose checksum the storage compares."""
        with self.room if file.size > SMALL else nullcontext():
            descriptor = file.open()
            try:
                content = read(descriptor, 0, file.size)
                file.check(descriptor)
            finally:
                os.close(descriptor)
            options = {"length": len(content), "overwrite": True, "validate_content": True}
            self.patient(lambda: blob.upload_blob(content, metadata={SHA256: sha256}, **options))
        self.done(1, file.size)


class Large:
    """A file that goes in blocks."""

    def __init__(self, crew: Crew, file: LocalFile, blob: Any, sha256: str) -> None:
        self.crew, self.file, self.blob, self.sha256 = crew, file, blob, sha256
        self.block = max(BLOCK, -(-file.size // MOST_BLOCKS))
        self.left = -(-file.size // self.block)
        self.ids = [self.block_id(number) for number in range(self.left)]

    def block_id(self, number: int) -> str:
        """Name a block by what it is a block of: another content's blocks are never taken for this one's."""
        return f"{self.sha256[:32]}-{self.block:010x}-{number:06}"

    def steps(self) -> Iterator[Step]:
        staged = self.staged()
        for number, name in enumerate(self.ids):
            yield partial(self.send, number, name in staged)

    def staged(self) -> set[str]:
        """The blocks that an interrupted call has sent."""
        from azure.core.exceptions import ResourceNotFoundError

        def ask() -> set[str]:
            try:
                _, waiting = self.blob.get_block_list("uncommitted")
            except ResourceNotFoundError:
                return set()
            return {block.id for block in waiting}

        found: set[str] = self.crew.patient(ask)
        return found

    def send(self, number: int, there: bool) -> None:
        if not there:
            with self.crew.room:
                self.stage(number)
        self.crew.done(0, min(self.block, self.file.size - number * self.block))
        with self.crew.lock:
            self.left -= 1
            last = self.left == 0
        if last:
            self.commit()

    def stage(self, number: int) -> None:
        descriptor = self.file.open()
        try:
            content = read(descriptor, number * self.block, self.block)
            self.file.check(descriptor)
        finally:
            os.close(descriptor)
        self.crew.patient(
            lambda: self.blob.stage_block(self.ids[number], content, length=len(content), validate_content=True)
        )

    def commit(self) -> None:
        """Make the blob of its blocks, unless the file has changed since they were read."""
        from azure.storage.blob import BlobBlock

        os.close(self.file.open())
        blocks = [BlobBlock(name) for name in self.ids]
        self.crew.patient(lambda: self.blob.commit_block_list(blocks, metadata={SHA256: self.sha256}))
        self.crew.done(1, 0)


def read(descriptor: int, offset: int, size: int) -> bytes:
    """Read so many bytes, or all that there are."""
    os.lseek(descriptor, offset, os.SEEK_SET)
    pieces = []
    while piece := os.read(descriptor, size):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def verify(files: Sequence[LocalFile], hashes: Hashes, blobs: dict[str, Blob], where: str) -> None:
    """Refuse a folder of the storage that does not hold the files, all of them and nothing else."""
    missing = [file.name for file in files if not same(blobs.get(file.name), file, hashes[file.name])]
    if missing:
        raise Failure(
            f"{where}: {len(missing)} of {len(files)} files have not arrived, {missing[0]} first", SERVICE_FAILED
        )
    strange = sorted(blobs.keys() - {file.name for file in files})
    if strange:
        raise Failure(f"{where}: holds {len(strange)} more than the folder, {strange[0]} first: remove them there")
