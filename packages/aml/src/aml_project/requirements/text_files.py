"""Read a text file of whoever wrote it, and show pieces of it without what must stay secret."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

from aml_project.command_line import Failure

MAX_BYTES = 2_000_000
UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\u200a\u2010-\u2027\u2030-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\uffef]+")
USER = re.compile(r"(://)[^/@\s]*@")
QUERY = re.compile(r"\?[^\s#'\"]+")
NAMED = re.compile(r"(?i)\b((?:[\w-]*(?:token|passw(?:or)?d|secret|api[_-]?key)|sig|accountkey)\s*[=:]\s*)[^\s&;,'\"]+")


def read_text(file: Path) -> str:
    """Return what a file says; PowerShell's `pip freeze > file` writes UTF-16, an editor of Windows a mark in front."""
    shown = show(os.path.relpath(file))
    if not file.is_file():
        raise Failure(f"{shown}: not a file" if file.exists() else f"{shown}: not there")
    with file.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise Failure(f"{shown}: larger than {MAX_BYTES // 1_000_000} MB, so hardly a list of packages")
    encoding = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif content[1:2] == b"\0":
        encoding = "utf-16-le"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Failure(f"{shown}: not a text file in UTF-8 or UTF-16")
    return text


def show(text: str, most: int = 120) -> str:
    """Return a text as it may be printed: one line, no secrets, not too long."""
    line = hide(UNPRINTABLE.sub(" ", text).strip())
    return line if len(line) <= most else line[: most - 1] + "…"


def hide(text: str) -> str:
    """Put stars in the place of what opens a door: the user of an address, its query, a named token."""
    return NAMED.sub(r"\1***", QUERY.sub("?***", USER.sub(r"\1***@", text)))


def has_secret(address: str) -> bool:
    """Whether an address has what must not be written down: a user, or a query, which may be a signature."""
    return bool(USER.search(address) or "?" in address)
