"""The SHA-256 of files, remembered: what has not changed is not read again."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from aml_project.storage.local_files import LocalFile

PIECE = 1 << 20
BATCH = 64  # small files that one task reads
SAVED_EVERY = 5.0  # seconds: what a kill costs at most
# A file that was changed this short a time before it was read may change again without its times saying so.
TOO_YOUNG = 2_000_000_000  # nanoseconds
TABLE = """create table if not exists files
    (path text primary key, size integer, mtime integer, ctime integer, inode integer, sha256 text) without rowid"""


def hash_files(files: Sequence[LocalFile], memory: Path, read: Callable[[int, int], None]) -> dict[str, str]:
    """Return the SHA-256 of each file by its name; `read` hears how many files and bytes are done."""
    with closing(open_memory(memory)) as known:
        hashes = {}
        remembered = {row[0]: row[1:] for row in known.execute("select * from files")}
        unread = []
        for file in files:
            row = remembered.get(os.path.abspath(file.path))
            if row and row[:4] == (file.size, file.mtime, file.ctime, signed(file.inode)):
                hashes[file.name] = row[4]
                read(1, file.size)
            else:
                unread.append(file)
        began, saved = time.time_ns(), time.monotonic()
        fresh: list[tuple[object, ...]] = []
        pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
        try:
            for done in pool.map(lambda batch: [(file, hash_file(file, read)) for file in batch], batches(unread)):
                for file, sha256 in done:
                    hashes[file.name] = sha256
                    if began - file.ctime > TOO_YOUNG:
                        times = file.size, file.mtime, file.ctime, signed(file.inode)
                        fresh.append((os.path.abspath(file.path), *times, sha256))
                if time.monotonic() - saved > SAVED_EVERY:
                    remember(known, fresh)
                    saved = time.monotonic()
        finally:
            pool.shutdown(cancel_futures=True)
            remember(known, fresh)
    return hashes


def hash_file(file: LocalFile, read: Callable[[int, int], None]) -> str:
    """Read a file; a Failure says so if it changes meanwhile."""
    digest = hashlib.sha256()
    left = file.size  # of a file that grows as fast as it is read there is no end
    descriptor = file.open()
    try:
        while left > 0 and (piece := os.read(descriptor, min(left, PIECE))):
            digest.update(piece)
            left -= len(piece)
            read(0, len(piece))
        file.check(descriptor)
    finally:
        os.close(descriptor)
    read(1, 0)
    return digest.hexdigest()


def batches(files: Sequence[LocalFile]) -> Iterator[list[LocalFile]]:
    """Put small files together: a task for each would cost more than the file."""
    batch: list[LocalFile] = []
    for file in files:
        batch.append(file)
        if len(batch) == BATCH or file.size > PIECE:
            yield batch
            batch = []
    yield batch


def open_memory(file: Path) -> sqlite3.Connection:
    """Open what is remembered; a damaged file is begun anew, for it holds nothing that can't be read again."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(2):
        known = sqlite3.connect(file, timeout=30)
        try:
            known.execute(TABLE)
            known.execute("select count(*) from files")
            return known
        except sqlite3.DatabaseError:
            known.close()
            if attempt:
                raise
            file.unlink()
    raise AssertionError("the second try returns or raises")


def remember(known: sqlite3.Connection, fresh: list[tuple[object, ...]]) -> None:
    with known:
        known.executemany("insert or replace into files values (?, ?, ?, ?, ?, ?)", fresh)
    fresh.clear()


def signed(number: int) -> int:
    """Fit a file's number into the database's, which have a sign."""
    return number - (1 << 64) if number >= 1 << 63 else number


def content_of(files: Sequence[LocalFile], hashes: dict[str, str]) -> str:
    """Return a text that is the same if, and only if, the names and contents of all files are."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{hashes[file.name]} {file.size} {file.name}\n".encode())
    return digest.hexdigest()
