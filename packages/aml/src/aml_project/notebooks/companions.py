"""Bring along what a notebook takes from its own folder: the data it reads, the modules it imports."""

from __future__ import annotations

import ast
import filecmp
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from aml_project.notebooks.file_paths import FILLED, WILD, is_absolute
from aml_project.notebooks.script import Script
from aml_project.notebooks.tracing import HEAD

MOST = 100_000_000  # bytes of data that are copied; more is left to its owner
# Of the sample table, which makes way for data of one's own.
SAMPLE = "customers.csv"
SAMPLE_SHA256 = {
    "93c19203d274c2da4f5bd6a88b890d6346aca8caef8600145e8d3735118af47c",
    "d40131e7e522f61eb30e89c3e7fc2be56f30f633eaa53d7e7f1da390e225b297",  # of repos rendered before it had a regression
}


class Copy(NamedTuple):
    """A file, and where it goes."""

    source: Path
    target: Path


def data_of(script: Script, folder: Path, data: Path) -> list[Copy]:
    """The files that a notebook in this folder reads, and where they lie below that of the model."""
    found: dict[Path, Copy] = {}
    for move in script.moves:
        if move.is_read:
            root = folder / Path(script.roots[is_absolute(move.text)]).expanduser()
            for file in files_of(move.text, move.how, folder):
                below = relative(file, root)
                target = data / below if below else data / file.name
                found.setdefault(target, Copy(file, target))
    return list(found.values())


def files_of(text: str, how: str, folder: Path) -> Iterator[Path]:
    """The files that a path leads to, or may lead to where only its beginning is known."""
    try:
        if how == HEAD:
            text = FILLED.split(text)[0]
            text += "" if text.endswith("/") else "*"
        if WILD.search(text):
            first = Path(WILD.split(text)[0] + "x").expanduser().parent
            pattern = text[len(str(first)) + 1 :] if str(first) != "." else text.removeprefix("./")
            places: Iterable[Path] = sorted((folder / first).glob(pattern)) if pattern else []
        else:
            places = [folder / Path(text).expanduser()]
        for place in places:
            if place.is_file():
                yield place
            elif place.is_dir() and not same_folder(place, folder):
                inside = (path for path in sorted(place.rglob("*")) if path.is_file())
                yield from (path for path in inside if not hidden(path, place) and path.suffix != ".ipynb")
    # No such folder, no such user in ~; NotImplementedError is what pathlib has for an absolute pattern.
    except (OSError, ValueError, RuntimeError, NotImplementedError):
        return


def hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def same_folder(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def relative(file: Path, root: Path) -> Path | None:
    try:
        return file.resolve().relative_to(root.resolve())
    except ValueError:
        return None


def modules_of(imports: set[str], folder: Path, target: Path) -> list[Copy]:
    """The modules of one's own that lie beside a notebook, and those that they import."""
    found: dict[Path, Copy] = {}
    todo, seen = sorted(imports), set(imports)
    while todo:
        name = todo.pop()
        file, package = folder / f"{name}.py", folder / name
        files = [file] if file.is_file() else sorted(package.rglob("*.py")) if package.is_dir() else []
        for source in files:
            found[source] = Copy(source, target / source.relative_to(folder))
            more = imported(source) - seen
            seen |= more
            todo += sorted(more)
    return list(found.values())


def imported(file: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return set()
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names}


def bring(copies: list[Copy], replaceable: set[Path]) -> tuple[list[Copy], list[Copy]]:
    """Copy what is not there yet; return what was copied, and what was not because another file has its place."""
    done, kept = [], []
    for copy in copies:
        there = copy.target.exists() or (copy.target.with_suffix("") / "__init__.py").exists()  # which hides a module
        if copy.target.exists() and filecmp.cmp(copy.source, copy.target, shallow=False):
            continue
        if there and copy.target not in replaceable:
            kept.append(copy)
            continue
        copy.target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(copy.source, copy.target)
        done.append(copy)
    return done, kept


def is_sample(file: Path) -> bool:
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() in SAMPLE_SHA256
