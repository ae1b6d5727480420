"""The files of a folder that go into a dataset: all of them, or a line that says why not."""

from __future__ import annotations

import os
import stat

from aml_project.command_line import Failure

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEFT_OUT = {".DS_Store", "Thumbs.db", "desktop.ini", ".git", ".ipynb_checkpoints", ".amlignore"}
LONGEST = 1024  # characters of a blob's name
SHORT = 16  # characters of the content's hash that the folder in the storage is named by
DEEPEST = 250  # folders of a blob's name
SHOWN = 3  # problems that one line names


class LocalFile:
    """A file as it was when it was listed. What has changed since is found out by its times, size and number."""

    __slots__ = ("ctime", "inode", "mtime", "name", "path", "size")

    def __init__(self, name: str, path: str, status: os.stat_result) -> None:
        self.name, self.path, self.size = name, path, status.st_size  # the name is that below the folder
        self.mtime, self.ctime, self.inode = status.st_mtime_ns, status.st_ctime_ns, status.st_ino

    def open(self) -> int:
        """Open it for reading; what is not the listed file any more is refused."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            raise Failure(f"{self.path}: vanished meanwhile; the same command again takes what is there now") from None
        except OSError as error:
            raise Failure(f"{self.path}: {error.strerror}") from None
        try:
            self.check(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def check(self, descriptor: int) -> None:
        """Refuse a file that has changed since it was listed."""
        now = LocalFile(self.name, self.path, os.fstat(descriptor))
        if now.state() != self.state():
            raise Failure(f"{self.path}: changes while it is read; call the same command once it is at rest")

    def state(self) -> tuple[int, int, int, int]:
        return self.size, self.mtime, self.ctime, self.inode


def list_files(folder: Path, room: int) -> tuple[list[LocalFile], list[str]]:
    """Return the files of a folder by name, and what is left out; `room` is what a blob's name has for theirs."""
    if not folder.is_dir():
        raise Failure(f"{folder}: {'no folder' if folder.exists() else 'no such folder'}")
    root = os.path.realpath(folder)
    problems: list[str] = []
    left_out: list[str] = []
    found = []
    for entry, name in walk(folder, problems, left_out):
        problem = wrong_name(name, room)
        try:
            problem = problem or wrong_link(entry, root)
            status = os.stat(entry.path)
            problem = problem or ("" if stat.S_ISREG(status.st_mode) else "no regular file")
        except OSError as error:
            problem = problem or error.strerror or str(error)
        if problem:
            problems.append(f"{shown(entry.path)}: {problem}")
        else:
            found.append(LocalFile(name, entry.path, status))
    if problems:
        more = len(problems) - SHOWN
        raise Failure("; ".join(problems[:SHOWN]) + (f"; and {more} more" if more > 0 else ""))
    if not found:
        raise Failure(f"{folder}: holds no files")
    return sorted(found, key=lambda file: file.name), sorted(left_out)


def room_below(name: str) -> int:
    """The characters that a blob's name has for a file's, below the folder of a dataset's content."""
    return LONGEST - len(f"{name}/") - SHORT - 1


def walk(folder: Path, problems: list[str], left_out: list[str]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield all that is no folder below a folder, with its name there."""
    waiting = [(str(folder), "")]
    while waiting:
        path, below = waiting.pop()
        try:
            with os.scandir(path) as entries:
                listed = list(entries)
        except OSError as error:
            problems.append(f"{shown(path)}: {error.strerror}")
            continue
        for entry in listed:
            name = f"{below}{entry.name}"
            if entry.name in LEFT_OUT:
                left_out.append(name)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, f"{name}/"))
            else:
                yield entry, name


def shown(path: str) -> str:
    """A path as it can stand in a line, whatever is in it."""
    return path if path.isprintable() else ascii(path)


def wrong_name(name: str, room: int) -> str:
    """Say what keeps a name from being a blob's."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name):
        return "a control character in the name"
    if "\\" in name:
        return "a backslash in the name, which Azure takes for a slash"
    if any(part.endswith(".") for part in name.split("/")):
        return "a name that ends with a dot, which Azure drops"
    if name.count("/") > DEEPEST:
        return f"more than {DEEPEST} folders"
    return f"a name of {len(name)} characters; {room} fit" if len(name) > room else ""


def wrong_link(entry: os.DirEntry[str], root: str) -> str:
    """Say what keeps a link from being read as a file of this folder."""
    if not entry.is_symlink():
        return ""
    target = os.path.realpath(entry.path)
    if not os.path.exists(target):
        return "a link to nothing"
    if not target.startswith(root.rstrip(os.sep) + os.sep):
        return "a link out of the folder: put the file itself here"
    return "a link to a folder: put the files themselves here" if os.path.isdir(target) else ""
