"""What a dry run shows, read without the packages of the real readers: their imports take longer than the answer.

Both readers know only the forms that a project's files have as they are rendered. Of anything else they say None; then
the real ones, runconfig_file and snapshot, are asked.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

LINE = re.compile(r"( *)([A-Za-z_][\w.-]*):(?: +(.*))?")
# A word that no rule of YAML takes for anything but a text or a number.
WORD = re.compile(r"[\w/][\w./:@-]*(?<!:)", re.ASCII)
SPECIAL = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def read_mapping(file: Path) -> dict[str, Any] | None:
    """Read a runconfig that has one key a line: words, JSON, and mappings by their indentation."""
    top: dict[str, Any] = {}
    levels = [(0, top)]  # indentation and mapping, outermost first
    opened: tuple[int, dict[str, Any], str] | None = None  # the key that the next, deeper line belongs to
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = LINE.fullmatch(line.rstrip())
        if not found:
            return None
        indent, key, text = len(found[1]), found[2], found[3]
        if opened and indent > opened[0]:
            inner: dict[str, Any] = {}
            opened[1][opened[2]] = inner
            levels.append((indent, inner))
        while levels and levels[-1][0] > indent:
            levels.pop()
        if not levels or levels[-1][0] != indent or key in levels[-1][1]:
            return None
        mapping = levels[-1][1]
        opened = None if text else (indent, mapping, key)
        mapping[key], readable = value(text) if text else (None, True)
        if not readable:
            return None
    return top


def read_conda(file: Path) -> dict[str, Any] | None:
    """Read a conda file: a name, lists of words one a line, and pip's as the last of them."""
    found: dict[str, Any] = {}
    items: list[Any] | None = None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        top = re.fullmatch(r"(channels|dependencies|name):( [A-Za-z][\w-]*)?", line.rstrip(), re.ASCII)
        item = re.fullmatch(r"( +)- ([A-Za-z][^:#\t]*|pip:)", line.rstrip(), re.ASCII)
        pip = items[-1]["pip"] if items and isinstance(items[-1], dict) else None
        if top and top[1] not in found and (top[1] == "name") == bool(top[2]):
            items = None if top[2] else []
            found[top[1]] = top[2][1:] if top[2] else items
        elif not item or items is None or item[2].lower() in SPECIAL:
            return None
        elif len(item[1]) == 2 and pip is None:
            items.append({"pip": []} if item[2] == "pip:" else item[2])
        elif len(item[1]) == 6 and pip is not None and item[2] != "pip:":
            pip.append(item[2])
        else:
            return None
    empty = any(isinstance(listed, list) and {"pip": []} in listed for listed in found.values())  # null, to YAML
    return None if empty else found


def value(text: str) -> tuple[Any, bool]:
    """Return what a text stands for, and whether that is beyond doubt."""
    if text[:1] in ("[", '"'):
        try:
            return json.loads(text), True
        except RecursionError:
            return None, False
        except ValueError:
            words = (
                [value(word.strip()) for word in text[1:-1].split(",")] if re.fullmatch(r"\[[^\[\]\"]+\]", text) else []
            )
            return [word for word, _ in words], bool(words) and all(readable for _, readable in words)
    if not text:
        return None, False
    if text in ("true", "false"):
        return text == "true", True
    return text, bool(WORD.fullmatch(text)) and text.lower() not in SPECIAL


def read_files(folder: Path) -> dict[str, int] | None:
    """Return the files that a run would get, with their sizes, if .amlignore holds names and `*` only."""
    try:
        lines = (folder / ".amlignore").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if any(re.search(r"[!?\[\]\\#]|\*\*|/.", pattern) for pattern in patterns):
        return None
    anything = [pattern for pattern in patterns if not pattern.endswith("/")]
    folders = [pattern.rstrip("/") for pattern in patterns]
    found: dict[str, int] = {}
    return found if walk(str(folder), "", anything, folders, found) else None


def walk(folder: str, inside: str, anything: list[str], folders: list[str], found: dict[str, int]) -> bool:
    """Add the files of a folder; False if there is something that the real reader should look at."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_folder = entry.is_dir(follow_symlinks=False)
                ignored = folders if is_folder else anything
                if any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in ignored):
                    continue
                if is_folder:
                    if not walk(entry.path, f"{inside}{entry.name}/", anything, folders, found):
                        return False
                elif entry.is_file(follow_symlinks=False) and os.access(entry.path, os.R_OK):
                    found[inside + entry.name] = entry.stat().st_size
                else:
                    return False
    except OSError:
        return False
    return True
