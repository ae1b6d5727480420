"""The files that no update touches because their owner made them: skip below [tool.cruft] in pyproject.toml.

cruft reads the same list. A train.py that was made of a notebook is on it. All else in the file stays as it is: the
list alone is changed, then the text is read again, and if it does not say exactly what was meant, it is not written.
"""

from __future__ import annotations

import json
import re
import sys

from aml_project.command_line import note
from aml_project.files import write_whole

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

FILE = "pyproject.toml"
COMMENT = "# Their owner's: an update leaves them alone."
TABLE = re.compile(r"^[ \t]*\[[ \t]*tool[ \t]*\.[ \t]*cruft[ \t]*\][ \t]*(?:#[^\n]*)?$", re.MULTILINE)
NEXT_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)
LIST = re.compile(r"^[ \t]*skip[ \t]*=[ \t]*\[", re.MULTILINE)
PIECE = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\]|[^\]#"']+""")


def parsed(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def read(root: Path) -> list[str]:
    """The list, in paths from the project's root; nothing where it can't be made out."""
    try:
        table = parsed((root / FILE).read_text(encoding="utf-8"))["tool"]["cruft"]
        return [str(name) for name in table["skip"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def add(root: Path, names: list[str]) -> bool:
    """Add files to the list; return whether it has changed. What can't be added is told."""
    listed = ", ".join(map(quoted, names))
    return write(root, lambda text: with_skipped(text, names), f"add to skip of [tool.cruft]: {listed}")


def rename(root: Path, old: str, new: str) -> bool:
    """Let the files below a folder be known below another one; below none, if that is empty."""
    change = f"in skip of [tool.cruft], {old} is {new or 'gone'} now"
    return write(root, lambda text: with_renamed(text, old, new), change)


def write(root: Path, change: Callable[[str], str | None], by_hand: str) -> bool:
    file = root / FILE
    if not file.is_file():
        return False
    before = file.read_bytes().decode("utf-8", "surrogateescape")
    after = change(before)
    if after is None:
        note(f"{file.name}: {by_hand}; else an update changes these files")
    elif after != before:
        write_whole(file, after.encode("utf-8", "surrogateescape"))
    return after not in (None, before)


def with_renamed(text: str, old: str, new: str) -> str | None:
    """Return the text with a folder of the list renamed or gone; None if it is written in a way of its own."""
    try:
        wanted: dict[str, Any] = parsed(text)
        names = [str(name) for name in wanted.get("tool", {}).get("cruft", {}).get("skip", [])]
        below = [name for name in names if name.startswith(f"{old}/")]
        if not below:
            return text
        renamed = {name: f"{new}{name.removeprefix(old)}" if new else "" for name in below}
        wanted["tool"]["cruft"]["skip"] = [renamed.get(name, name) for name in names if renamed.get(name, name)]
        after = text
        for name, instead in renamed.items():
            for one in (quoted(name), f"'{name}'"):
                after = after.replace(one, quoted(instead)) if instead else without(after, one)
        return after if parsed(after) == wanted else None
    except (ValueError, AttributeError, TypeError):
        return None


def without(text: str, item: str) -> str:
    """Take an item out of a list, with its comma, and with its line if it has one of its own."""
    alone = re.compile(rf"^[ \t]*{re.escape(item)},?[ \t]*\n", re.MULTILINE)
    return alone.sub("", text) if alone.search(text) else re.sub(rf"{re.escape(item)}(,[ \t]*)?", "", text)


def with_skipped(text: str, names: list[str]) -> str | None:
    """Return the text of a pyproject.toml with files in the list; None if it is written in a way of its own."""
    try:
        wanted: dict[str, Any] = parsed(text)
        skipped = wanted.setdefault("tool", {}).setdefault("cruft", {}).setdefault("skip", [])
        missing = [name for name in names if name not in skipped]
        skipped += missing
        after = text if not missing else added(text.replace("\r\n", "\n"), missing)
        if after != text and "\r\n" in text:
            after = after.replace("\n", "\r\n")
        return after if parsed(after) == wanted else None
    except (ValueError, AttributeError, TypeError):
        return None


def added(text: str, names: list[str]) -> str:
    """Put names into the list, the list into its table, or the table at the end of the text."""
    table = TABLE.search(text)
    lines = "".join(f"  {quoted(name)},\n" for name in names)
    if not table:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}[tool.cruft]\n{COMMENT}\nskip = [\n{lines}]\n"
    begin = table.end() + 1
    following = NEXT_TABLE.search(text, begin)
    found = LIST.search(text, begin, following.start() if following else len(text))
    if not found:
        return f"{text[:begin]}skip = [\n{lines}]\n{text[begin:]}"
    close, last = ends(text, found.end())
    line = text.rfind("\n", 0, close) + 1
    if line > found.end() and not text[line:close].strip():  # the bracket has a line of its own
        first = text.rfind("\n", 0, last) + 1
        indent = re.match(r"[ \t]*", text[first:])[0] if last > found.end() else "  "  # type: ignore[index]
        comma = "," if last > found.end() and not text[last:].lstrip(" \t").startswith(",") else ""
        lines = "".join(f"{indent}{quoted(name)},\n" for name in names)
        return f"{text[:last]}{comma}{text[last:line]}{lines}{text[line:]}"
    inside = ", ".join([text[found.end() : last]] * (last > found.end()) + [quoted(name) for name in names])
    return f"{text[: found.end()]}{inside}{text[close:]}"


def ends(text: str, start: int) -> tuple[int, int]:
    """Return where a list of texts is closed, and where the last of them ends (the start, if there is none)."""
    last = start
    for piece in PIECE.finditer(text, start):
        if piece[0] == "]":
            return piece.start(), last
        if piece[0][0] in "\"'":
            last = piece.end()
    raise ValueError("the list has no end")


def quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
