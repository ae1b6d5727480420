"""Which files of one's own a script imports, and those import in turn; the code is read, never run."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Set


def closure(script: Path, roots: Sequence[Path]) -> dict[Path, Path]:
    """The script and the files that it imports, each with its path from where Python would look for it.

    `roots` are looked through in their order, the script's own folder first. Who imports comes before what is imported.
    """
    places = list(dict.fromkeys([script.parent, *roots]))
    found = {script: script.parent}
    waiting = [script]
    while waiting:
        file = waiting.pop(0)
        for module, level in imported(file):
            for more, root in files_of(module, level, file, found[file], places):
                if more not in found:
                    found[more] = root
                    waiting.append(more)
    return {file: file.relative_to(root) for file, root in found.items()}


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """The modules that a file imports, be it late, and how many folders up each begins."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            before = f"{node.module}." if node.module else ""
            yield from ((f"{before}{alias.name}", node.level) for alias in node.names)


def files_of(module: str, level: int, file: Path, root: Path, places: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """The files that an import reads, packages on its way included, and where each was found."""
    parts = module.split(".")
    if level:
        base = file.parents[level - 1]
        if base.is_relative_to(root):
            yield from ((path, root) for path in files_below(base, parts))
        return
    if parts[0] in sys.stdlib_module_names:
        return
    for place in places:
        if found := list(files_below(place, parts)):
            yield from ((path, place) for path in found)
            return


def files_below(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    for length in range(1, len(parts) + 1):
        path = folder.joinpath(*parts[:length])
        yield from (one for one in (path.with_name(f"{path.name}.py"), path / "__init__.py") if one.is_file())


def imports_one(file: Path, wanted: Set[Path], roots: Sequence[Path]) -> bool:
    """Whether a file itself imports one of some files."""
    places = list(dict.fromkeys([file.parent, *roots]))
    return any(
        path in wanted
        for module, level in imported(file)
        for path, _ in files_of(module, level, file, roots[0], places)
    )


def mentions(files: Sequence[Path], *words: str) -> bool:
    """Whether one of some files has one of some words in its text."""
    texts = (file.read_bytes() for file in files if file.is_file())
    return any(word.encode() in text for text in texts for word in words)
