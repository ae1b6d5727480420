"""Change the packages of a model's conda file, and leave every other character of it as it is.

The parser says where each package stands; lines are replaced, taken out and put in. Then the text is read again: if it
does not say exactly what was meant, it is not written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aml_project.command_line import Failure
from aml_project.requirements.package_list import Wanted
from aml_project.requirements.packaging_library import InvalidRequirement, Requirement
from aml_project.requirements.requirements_file import from_requirement
from aml_project.requirements.text_files import hide, show

BOM = "\ufeff"
PYTHON = re.compile(r"python\s*==?\s*(\d+\.\d+)(\.\d+|\.\*)*")
BY_HAND = "write the packages in by hand"


@dataclass(frozen=True)
class Entry:
    """One line of the pip section."""

    text: str
    start: int
    end: int
    wanted: Wanted | None  # nothing: no requirement, which is the owner's affair


@dataclass(frozen=True)
class CondaFile:
    """A conda file as it lies there."""

    path: Path
    text: str
    config: dict[str, Any]
    entries: tuple[Entry, ...]
    column: int  # of the dashes in the pip section
    python: str
    python_place: tuple[int, int]

    def by_name(self, name: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.wanted and entry.wanted.name == name]

    def names(self) -> set[str]:
        return {entry.wanted.name for entry in self.entries if entry.wanted}


@dataclass
class Change:
    """What a conda file is to say instead."""

    python: str = ""
    replaced: dict[int, str] = field(default_factory=dict)  # by the place of the entry in its list
    removed: set[int] = field(default_factory=set)
    added: dict[str, list[str]] = field(default_factory=dict)  # under a comment


def read(path: Path) -> CondaFile:
    """Read a conda file; a Failure says what of it can't be edited by lines."""
    shown = os.path.relpath(path)
    try:
        text = path.read_bytes().decode("utf-8")
        bare = text.removeprefix(BOM)
        root = yaml.compose(bare, Loader=yaml.SafeLoader)
        config = yaml.safe_load(bare)
    except UnicodeDecodeError:
        raise Failure(f"{shown}: not UTF-8; {BY_HAND}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise Failure(f"{shown}: {show(' '.join(str(error).split())) or 'nested too deeply'}") from None
    try:
        return located(path, text, root, config)
    except Failure as failure:
        raise Failure(f"{shown}: {failure}; {BY_HAND}") from None


def located(path: Path, text: str, root: yaml.Node | None, config: Any) -> CondaFile:
    """Find the lines of the packages."""
    shift = len(text) - len(text.removeprefix(BOM))
    sections = {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    items = block(sections.get("dependencies"), "dependencies")
    pips = [
        (key, value)
        for item in items.value
        if isinstance(item, yaml.MappingNode)
        for key, value in item.value
        if key.value == "pip"
    ]
    if len(pips) != 1:
        raise Failure(f"{'no' if not pips else 'more than one'} pip section among the dependencies")
    lines = block(pips[0][1], "pip")
    entries, columns = [], set()
    for node in lines.value:
        start, end = node.start_mark.index + shift, node.end_mark.index + shift
        begin = text.rfind("\n", 0, start) + 1
        before = text[begin:start]
        plain = isinstance(node, yaml.ScalarNode) and node.style in (None, "'", '"') and "\n" not in text[start:end]
        if not plain or not re.fullmatch(r"\ufeff? *- +", before) or text[start : start + 1] in "&*!":
            raise Failure(f"line {node.start_mark.line + 1}: not one package in a line of its own")
        columns.add(before.index("-"))
        entries.append(Entry(node.value, start, end, wanted_of(node.value)))
    pythons = [
        (match[1], item)
        for item in items.value
        if isinstance(item, yaml.ScalarNode) and (match := PYTHON.fullmatch(item.value.strip()))
    ]
    if len(pythons) != 1 or pythons[0][1].style is not None:
        raise Failure("no python=3.… among the dependencies")
    version, node = pythons[0]
    place = node.start_mark.index + shift, node.end_mark.index + shift
    return CondaFile(path, text, config, tuple(entries), columns.pop(), version, place)


def block(node: yaml.Node | None, name: str) -> yaml.SequenceNode:
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise Failure(f"no list of packages under {name}")
    if node.flow_style:
        raise Failure(f"line {node.start_mark.line + 1}: {name} is written in brackets, not line by line")
    return node


def wanted_of(text: str) -> Wanted | None:
    from aml_project.requirements.package_list import Found

    try:
        Requirement(text)
        return from_requirement(text, "", Found("")) if "://" not in text else plain_wanted(text)
    except (InvalidRequirement, Failure):
        return None


def plain_wanted(text: str) -> Wanted:
    """An entry with an address: its owner has put it there, whatever the address is."""
    from aml_project.requirements.package_list import canonical

    requirement = Requirement(text)
    return Wanted(canonical(requirement.name), extras=tuple(sorted(requirement.extras)), url=requirement.url or "")


def changed(file: CondaFile, change: Change) -> str:
    """Return the text with a change in it."""
    newline = "\r\n" if "\r\n" in file.text else "\n"
    dash = " " * file.column
    edits: list[tuple[int, int, str]] = []
    if change.python and change.python != file.python:
        edits.append((*file.python_place, f"python={change.python}"))
    for place, text in change.replaced.items():
        edits.append((file.entries[place].start, file.entries[place].end, scalar(text)))
    for place in change.removed:
        entry = file.entries[place]
        begin, end = file.text.rfind("\n", 0, entry.start) + 1, line_end(file.text, entry.end)
        edits.append((begin, min(end + 1, len(file.text)), ""))
    for comment, lines in change.added.items():
        place, known = place_of(file, comment)
        head = [] if known else [f"{dash}# {comment}"]
        new = [*head, *(f"{dash}- {scalar(line)}" for line in lines)]
        at = line_end(file.text, file.entries[place].end)
        at -= file.text[at - 1 : at] == "\r"
        edits.append((at, at, "".join(newline + line for line in new)))
    text = file.text
    numbered = sorted(enumerate(edits), key=lambda edit: (edit[1][0], edit[0]), reverse=True)
    for _, (start, end, new_text) in numbered:
        text = text[:start] + new_text + text[end:]
    verify(file, change, text)
    return text


def place_of(file: CondaFile, comment: str) -> tuple[int, bool]:
    """Return the entry below which new ones go: the last of those under the same comment, or the last of all."""
    lines = file.text.split("\n")
    found = [number for number, line in enumerate(lines) if line.strip() == f"# {comment}"]
    last = len(file.entries) - 1
    if not found:
        return last, False
    numbers = [file.text.count("\n", 0, entry.start) for entry in file.entries]
    number, place = found[0], None
    while number + 1 in numbers:
        number += 1
        place = numbers.index(number)
    return (last, False) if place is None else (place, True)


def line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def scalar(text: str) -> str:
    """Write a text as YAML: as it is where that says the same."""
    try:
        same = yaml.safe_load(f"- {text}") == [text]
    except yaml.YAMLError:
        same = False
    return text if same else json.dumps(text)


def verify(file: CondaFile, change: Change, text: str) -> None:
    """Read the new text again; it says what was meant, and all else as before."""
    kept = [
        change.replaced.get(place, entry.text)
        for place, entry in enumerate(file.entries)
        if place not in change.removed
    ]
    wanted = [*kept, *(line for lines in change.added.values() for line in lines)]
    try:
        config = yaml.safe_load(text.removeprefix(BOM))
        pip = next(item["pip"] for item in config["dependencies"] if isinstance(item, dict))
        right = sorted(pip) == sorted(wanted) and rest(config, change.python) == rest(file.config, change.python)
    except (yaml.YAMLError, KeyError, TypeError, StopIteration):
        right = False
    if not right:
        raise Failure(f"{os.path.relpath(file.path)}: can't be changed without changing something else; {BY_HAND}")


def rest(config: dict[str, Any], python: str) -> Any:
    """What a conda file says apart from its pip section and its Python."""
    items: Sequence[Any] = config["dependencies"]
    others = [
        {key: value for key, value in item.items() if key != "pip"} if isinstance(item, dict) else item
        for item in items
        if not (python and isinstance(item, str) and PYTHON.fullmatch(item.strip()))
    ]
    return {**config, "dependencies": others}


def difference(file: Path, before: str, after: str) -> str:
    """Return the lines of a unified difference, without secrets."""
    import difflib

    name = os.path.relpath(file)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, f"{name} (new)", lineterm="", n=1)
    return hide("\n".join(lines))
