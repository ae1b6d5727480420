"""What a run would get of a model's folder: the files that the client uploads, found without hashing a byte.

As the client does it: .amlignore of this folder, else its .gitignore, else everything; links are followed. Where the
client would crash or take forever, this says so and stops.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pathspec

from aml_project.command_line import Failure

MAX_TOTAL = 300 << 20  # the client's limits
MAX_FILES = 2000
MAX_LOOKED_AT = 20_000  # ours, so that an answer comes at once
MAX_READ = 64 << 20  # of all files together, in search of secrets
HEAD = 64 << 10
LARGE_DATA = 1_000_000
LINES = 5  # of one kind of finding

DATA = {
    ".csv", ".tsv", ".parquet", ".feather", ".arrow", ".avro", ".orc", ".jsonl", ".ndjson", ".xls", ".xlsx", ".npy",
    ".npz", ".h5", ".hdf5", ".zip", ".gz", ".bz2", ".xz", ".zst", ".7z", ".tar", ".db", ".sqlite", ".tfrecord",
}  # fmt: skip
# Folders and files of earlier work that nobody means to send.
LEFTOVERS = {
    ".git": "git's own files", ".venv": "installed packages", "node_modules": "installed packages",
    "outputs": "outputs of earlier runs", "mlruns": "outputs of earlier runs", "azureml-logs": "logs of earlier runs",
    ".ipynb_checkpoints": "copies of notebooks", "run.json": "the record of an earlier run",
    ".azureml": "settings of this computer",
}  # fmt: skip
# What a secret looks like, and what any text with one holds: looked for first, which is fast.
ASSIGNED = rb"[\"']?[ \t]*[=:][ \t]*[\"']?(?=[\w~.+/-]*[0-9])[\w~.+/-]{16,}"
# Documentation shows a GUID in its place; what Azure gives out today is none.
CLIENT_SECRET = rb"clientSecret[\"'][ \t]*:[ \t]*[\"'](?![0-9a-f]{8}-)(?=[\w~.+/-]*[0-9])[\w~.+/-]{16,}"
SECRETS = [
    (
        "a private key",
        b"PRIVATE KEY-----",
        rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\s|\\[nr])*(?:Proc-Type|[\w+/]{32})",
    ),
    ("the key of a storage account", b"AccountKey=", rb"AccountKey=[A-Za-z0-9+/]{86}=="),
    ("a SAS token", b"sig=", rb"\bsig=[A-Za-z0-9+/%]{43,90}(?:=|%3[dD])"),
    ("the secret of a service principal", b"Q~", rb"(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}(?![\w~.-])"),
    ("the secret of a service principal", b"_PASSWORD", rb"AZUREML_SERVICE_PRINCIPAL_PASSWORD" + ASSIGNED),
    ("the secret of a service principal", b"CLIENT_SECRET", rb"(?:AZURE|ARM)_CLIENT_SECRET" + ASSIGNED),
    ("the secret of a service principal", b"clientSecret", CLIENT_SECRET),
]
WORKSPACE = re.compile(rb'"Scope"\s*:\s*"/subscriptions/|"subscription_id"\s*:\s*"[0-9a-fA-F]{8}-')
KEY_NAMES = re.compile(r"(?is)id_(rsa|dsa|ecdsa|ed25519)|.*\.(pfx|p12|ppk)|\.netrc|\.git-credentials|\.pypirc")
ENV_NAMES = re.compile(r"\.env(\.(?!example$|sample$|template$|dist$).+)?|.+\.env")


@dataclass
class Snapshot:
    """The files that travel, by their path in the folder, with their sizes; and what is wrong on the way."""

    files: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    complete: bool = True

    @property
    def size(self) -> int:
        return sum(self.files.values())

    def lines(self, folder: str) -> list[str]:
        """The findings, each beginning with its path; `folder` is what the folder itself is called."""
        return [f"{folder}{line[1:]}" if line.startswith(".:") else f"{folder}/{line}" for line in self.findings]


def take(folder: Path) -> Snapshot:
    """Look through the folder."""
    snapshot = Snapshot()
    try:
        spec = _ignored(folder, snapshot)
    except _BadIgnoreFile as error:
        snapshot.findings.append(str(error))
        snapshot.complete = False
        return snapshot
    _Walk(folder, spec, snapshot).look("", folder, ())
    snapshot.findings += _limits(snapshot)
    snapshot.findings += _leftovers(snapshot)
    snapshot.findings += _data(snapshot)
    snapshot.findings += _secrets(folder, snapshot)
    return snapshot


def take_whole(folder: Path) -> Snapshot:
    """Look through a model's folder; a Failure says why it can't be told which files travel."""
    snapshot = take(folder)
    if not snapshot.complete:
        raise Failure("\nERROR: ".join(snapshot.lines(f"models/{folder.name}")))
    return snapshot


class _BadIgnoreFile(Exception):
    """Why the ignore file can't be used, in one line."""


def _ignored(folder: Path, snapshot: Snapshot) -> pathspec.PathSpec:
    """The patterns that the client goes by."""
    file = folder / ".amlignore"
    if not file.exists() and (folder / ".gitignore").exists():
        file = folder / ".gitignore"
    if not file.exists():
        snapshot.findings.append(".amlignore: missing, and so is .gitignore: every file goes to the run: write one")
        return pathspec.PathSpec([])
    try:
        with file.open(encoding="utf-8") as lines:
            return pathspec.PathSpec.from_lines("gitwildmatch", lines)
    except UnicodeDecodeError:
        raise _BadIgnoreFile(f"{file.name}: not UTF-8: save it as UTF-8") from None
    except OSError as error:
        raise _BadIgnoreFile(f"{file.name}: {error.strerror}: make it a readable file") from None
    except ValueError as error:
        raise _BadIgnoreFile(f"{file.name}: {' '.join(str(error).split())[:120]}: mend the pattern") from None


class _Walk:
    """Goes through the folder as the client does."""

    def __init__(self, top: Path, spec: pathspec.PathSpec, snapshot: Snapshot) -> None:
        self.top = os.path.realpath(top)
        self.spec, self.snapshot = spec, snapshot
        # The client looks into every ignored folder. Without a `!` nothing in one can come back: no need to.
        self.prune = not any(pattern.include is False for pattern in spec.patterns)
        self.looked_at = 0

    def look(self, inside: str, folder: Path, parents: tuple[tuple[int, int], ...]) -> None:
        try:
            status = folder.stat()
            here = (status.st_dev, status.st_ino)
            if here in parents:
                return self.wrong(
                    inside, "a link that leads back to its own folder; the client never comes to an end: remove it"
                )
            with os.scandir(folder) as entries:
                for entry in entries:
                    self.looked_at += 1
                    if self.looked_at > MAX_LOOKED_AT:
                        self.snapshot.complete = False
                        return None
                    self.entry(f"{inside}/{entry.name}" if inside else entry.name, entry, (*parents, here))
        except OSError as error:
            self.wrong(inside, f"{error.strerror}; the client stops here: make it readable, or name it in .amlignore")
        return None

    def entry(self, name: str, entry: os.DirEntry[str], parents: tuple[tuple[int, int], ...]) -> None:
        if self.spec.match_file(name):
            return None
        link = entry.is_symlink()
        try:
            status = entry.stat()
        except OSError as error:
            what = "a link to nothing" if link else error.strerror
            return self.wrong(name, f"{what}; the client crashes on it: remove it, or name it in .amlignore")
        folder = stat.S_ISDIR(status.st_mode)
        if folder and self.prune and self.spec.match_file(name + "/"):
            return None
        if link and not self.is_inside(entry.path):
            there = os.path.realpath(entry.path)
            self.wrong(
                name,
                f"a link out of this folder, and {there} would be uploaded: remove it, or name it in .amlignore",
            )
        if folder:
            return self.look(name, Path(entry.path), parents)
        if not stat.S_ISREG(status.st_mode):
            return self.wrong(name, "neither file nor folder; the client crashes on it: remove it")
        if not os.access(entry.path, os.R_OK):
            return self.wrong(
                name, "can't be read, so the client leaves it out: make it readable, or name it in .amlignore"
            )
        self.snapshot.files[name] = status.st_size
        return None

    def is_inside(self, path: str) -> bool:
        there = os.path.realpath(path)
        return there == self.top or there.startswith(self.top + os.sep)

    def wrong(self, name: str, problem: str) -> None:
        self.snapshot.findings.append(f"{name or '.'}: {problem}")


def _limits(snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.complete:
        yield (
            f".: more than {MAX_LOOKED_AT} files to look at, most in {_fullest(snapshot)}; stopped counting:"
            " move them out of the model's folder, or name their folder in .amlignore"
        )
    elif len(snapshot.files) > MAX_FILES and not os.environ.get("AML_SNAPSHOT_NO_FILE_LIMIT"):
        yield (
            f".: {len(snapshot.files)} files, and a run may have {MAX_FILES}; most are in {_fullest(snapshot)}:"
            " name it in .amlignore"
        )
    if snapshot.size > MAX_TOTAL:
        largest = sorted(snapshot.files, key=lambda name: -snapshot.files[name])[:3]
        named = ", ".join(f"{name} ({readable_size(snapshot.files[name])})" for name in largest)
        yield (
            f".: {readable_size(snapshot.size)}, and a run may have {MAX_TOTAL >> 20} MB; the largest: {named}:"
            " register data as a dataset, and name the rest in .amlignore"
        )


def _fullest(snapshot: Snapshot) -> str:
    folders = Counter(name.rpartition("/")[0] or "." for name in snapshot.files)
    return " and ".join(f"{folder} ({count})" for folder, count in folders.most_common(1)) or "folders that are ignored"


def _leftovers(snapshot: Snapshot) -> Iterator[str]:
    """One line for each folder of earlier work."""
    sizes: Counter[str] = Counter()
    what: dict[str, str] = {}
    for name, size in snapshot.files.items():
        parts = PurePosixPath(name).parts
        for depth, part in enumerate(parts, 1):
            if part in LEFTOVERS:
                place = "/".join(parts[:depth])
                sizes[place] += size
                what[place] = LEFTOVERS[part]
                break
    found = [
        f"{place}: {what[place]} ({readable_size(sizes[place])}) would go to the run: name it in .amlignore"
        for place in sorted(sizes)
    ]
    yield from _first(found, "folders and files of earlier work")


def _data(snapshot: Snapshot) -> Iterator[str]:
    """Files that should be a dataset: large ones anywhere, and any in a folder data/."""
    names = [
        name
        for name, size in snapshot.files.items()
        if PurePosixPath(name).suffix.lower() in DATA
        and (size > LARGE_DATA or name.startswith("data/"))
        and not any(part in LEFTOVERS for part in PurePosixPath(name).parts)
    ]
    found = [
        f"{name}: data ({readable_size(snapshot.files[name])}) would go to every run: register it as a dataset,"
        " and name it in .amlignore"
        for name in sorted(names, key=lambda name: (-snapshot.files[name], name))
    ]
    yield from _first(found, "data files")


def _secrets(folder: Path, snapshot: Snapshot) -> Iterator[str]:
    """Files that tell a secret, by their name or by the head of their text."""
    found: list[str] = []
    left = MAX_READ
    for number, name in enumerate(sorted(snapshot.files)):
        base = PurePosixPath(name).name
        what = "settings that may hold secrets" if ENV_NAMES.fullmatch(base) else ""
        what = "a key or a password" if KEY_NAMES.fullmatch(base) else what
        if not what and left > 0 and number < MAX_FILES:
            head = _head(folder / name)
            left -= len(head)
            what = _secret(base, head)
        if what:
            found.append(f"{name}: {what} would go to the run: remove it, or name it in .amlignore")
    yield from _first(found, "files that tell secrets")


def _first(found: list[str], what: str) -> Iterator[str]:
    """So many of the lines of one kind, and how many more there are."""
    yield from found[:LINES]
    if len(found) > LINES:
        yield f".: and {len(found) - LINES} more {what}: name them in .amlignore"


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return b""
    return b"" if b"\0" in head else head


def _secret(base: str, head: bytes) -> str:
    for what, sign, pattern in SECRETS:
        if sign in head and re.search(pattern, head):
            return what
    if base.lower().endswith((".pem", ".key")) and re.search(rb"-----BEGIN (?!CERTIFICATE|(RSA )?PUBLIC KEY)", head):
        return "a key"
    if base == "config.json" and WORKSPACE.search(head):
        return "the name of your workspace"
    return ""


def readable_size(size: int) -> str:
    """A size for people."""
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
