"""The blobs that a path of a datastore stands for: a file, a folder, or a pattern with * and **."""

from __future__ import annotations

import hashlib
import re

from aml_project.storage.container import Blob, Container


def matching(storage: Container, path: str) -> dict[str, Blob]:
    """Return the blobs that fit, by name."""
    path = path.rstrip("/")
    start, star, _ = path.partition("*")
    if not star:  # no pattern: a folder with all that is in it, or else a file
        beside = below(storage, path.rpartition("/")[0])
        return below(storage, path) or {name: blob for name, blob in beside.items() if name == path}
    fits = re.compile(expression(path))
    return {name: blob for name, blob in below(storage, start.rpartition("/")[0]).items() if fits.fullmatch(name)}


def below(storage: Container, folder: str) -> dict[str, Blob]:
    """Return all blobs of a folder, by their whole names."""
    folder = folder.strip("/")
    return {f"{folder}/{name}".lstrip("/"): blob for name, blob in storage.blobs(folder).items()}


def expression(path: str) -> str:
    """Write a pattern as a regular expression: ** goes through folders, * stays within one."""
    meanings = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*"}
    return "".join(meanings.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*)", path))


def content_of(blobs: dict[str, Blob]) -> str:
    """Return a text that is the same if, and only if, names and contents are, as far as the storage knows them."""
    digest = hashlib.sha256()
    for name in sorted(blobs):
        digest.update(f"{blobs[name].mark} {blobs[name].size} {name}\n".encode())
    return digest.hexdigest()
