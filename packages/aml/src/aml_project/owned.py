"""The files that no update touches because their owner made them: `skip` below [tool.cruft] in pyproject.toml.

cruft reads the same list. A train.py that was made of a notebook is on it.
"""

from __future__ import annotations

import re

from aml_project.files import write_whole

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from pathlib import Path

SECTION = re.compile(r"^\[tool\.cruft\]\n(?P<body>(?:(?!\[).*\n?)*)", re.MULTILINE)
SKIP = re.compile(r"^skip\s*=\s*\[(?P<items>[^\]]*)\]", re.MULTILINE)


def read(root: Path) -> list[str]:
    """The list, in paths from the project's root."""
    return listed(text_of(root))


def text_of(root: Path) -> str:
    file = root / "pyproject.toml"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def listed(text: str) -> list[str]:
    section = SECTION.search(text)
    found = SKIP.search(section["body"]) if section else None
    return [one or other for one, other in re.findall(r"\"([^\"]*)\"|'([^']*)'", found["items"])] if found else []


def write(root: Path, names: list[str]) -> None:
    """Write the list; the rest of the file stays as it is."""
    text = text_of(root)
    if (new := changed(text, names)) != text:
        write_whole(root / "pyproject.toml", new)


def changed(text: str, names: list[str]) -> str:
    """The text of pyproject.toml with another list."""
    if listed(text) == names:
        return text
    quoted = ", ".join(f'"{name}"' for name in names)
    line = f"skip = [{quoted}]"
    section = SECTION.search(text)
    if not section:
        return f"{text.rstrip()}\n\n# What no update touches.\n[tool.cruft]\n{line}\n".lstrip("\n")
    begin, end = section.span("body")
    found = SKIP.search(text, begin, end)
    if not found:
        return f"{text[:begin]}{line}\n{text[begin:]}"
    return f"{text[: found.start()]}{line}{text[found.end() :]}"
