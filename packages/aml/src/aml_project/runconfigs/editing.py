"""Set values in a runconfig, and leave every other character of it as it is.

The parser says where a value begins and ends: only that piece of the text is replaced, or lines are put in. Then the
text is read again, as the client reads it; if anything but what was asked for has changed, nothing is written.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from aml_project.command_line import Failure
from aml_project.files import write_whole
from aml_project.runconfigs.file import MAX_BYTES, Unreadable, parse, parse_with_nodes
from aml_project.runconfigs.schema import camel_case

Key = tuple[str, ...]  # ("environment", "docker", "baseImage")
Value = str | bool | int | None
BOM = "\ufeff"
LINE_END = re.compile(r"[\r\n\x85\u2028\u2029]|\Z")
UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
PLAIN_KEY = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
NO_TEXT = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
STEP = 2  # columns from a section to what is in it


class Place(NamedTuple):
    """Where in a text a key is, or how far the way to it goes."""

    found: Key  # the parts of the key that are there, as they are spelt there
    missing: Key
    key: yaml.Node  # of the last part that is there
    value: yaml.Node
    column: int  # of that key
    in_braces: bool


def edit(file: Path, changes: Mapping[Key, Value]) -> bool:
    """Set values in a file, all of them or none; return whether the file had to change."""
    before, after = edited(file, changes)
    try:
        if after != before:
            write_whole(file, after)
    except OSError as error:
        raise Failure(f"{os.path.relpath(file)}: {error.strerror}; nothing was written") from None
    return after != before


def edited(file: Path, changes: Mapping[Key, Value]) -> tuple[bytes, bytes]:
    """Return what a file holds, and what it would hold with these values."""
    shown = os.path.relpath(file)
    before = b""
    try:
        before = file.read_bytes()
        after = set_values(before.decode("utf-8"), changes).encode("utf-8")
    except Failure as failure:
        raise Failure(f"{shown}: {failure}") from None
    except UnicodeDecodeError as error:
        line = before[: error.start].count(b"\n") + 1
        raise Failure(f"{shown}: line {line}: not UTF-8") from None
    except OSError as error:
        raise Failure(f"{shown}: {error.strerror}; nothing was written") from None
    if len(after) > MAX_BYTES:
        raise Failure(f"{shown}: it would be larger than {MAX_BYTES // 1000} kB")
    return before, after


def set_values(text: str, changes: Mapping[Key, Value]) -> str:
    """Return the text with these values; a Failure names the line of one that can't be set."""
    mark, text = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
    for key, value in changes.items():
        text = set_value(text, key, value)
    return mark + text


def set_value(text: str, key: Key, value: Value) -> str:
    try:
        before, root = parse_with_nodes(text)
    except Unreadable as error:
        raise Failure(str(error)) from None
    place = find_place(root, key)
    wanted = with_value(before, (*place.found, *place.missing), value)
    if same(before, wanted):
        return text
    for head, body in forms(value, place.in_braces):
        new = written(text, place, head, body)
        with contextlib.suppress(Unreadable):
            if same(parse(new), wanted):
                return new
    line = place.key.start_mark.line + 1
    raise Failure(f"line {line}: {'.'.join(key)} can't be set without changing something else; write it by hand")


def find_place(root: yaml.MappingNode, key: Key) -> Place:
    """Follow a key into a mapping, as far as it goes."""
    place = Place((), key, root, root, column=-STEP, in_braces=False)
    while place.missing and isinstance(place.value, yaml.MappingNode):
        in_braces = place.in_braces or bool(place.value.flow_style)
        pair = find_pair(place.value, place.missing[0])
        if pair is None:
            return place._replace(in_braces=in_braces)
        name, value = pair
        found, missing = (*place.found, name.value), place.missing[1:]
        place = Place(found, missing, name, value, name.start_mark.column, in_braces)
    line = place.key.start_mark.line + 1
    if place.missing and not is_null(place.value):
        raise Failure(f"line {line}: {'.'.join(place.found)} is no section; write {'.'.join(key)} by hand")
    if not place.missing and not isinstance(place.value, yaml.ScalarNode):
        raise Failure(f"line {line}: {'.'.join(key)} is no single value; write it by hand")
    return place


def find_pair(mapping: yaml.MappingNode, name: str) -> tuple[yaml.ScalarNode, yaml.Node] | None:
    """Return the key of this name, or else one that the client takes for it, with its value."""
    alike = [pair for pair in mapping.value if camel_case(pair[0].value) == camel_case(name)]
    return next((pair for pair in alike if pair[0].value == name), alike[0] if alike else None)


def is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")


def with_value(config: dict[str, Any], key: Key, value: Value) -> dict[str, Any]:
    """Return what a config is to say once a value is set."""
    config = copy.deepcopy(config)
    section = config
    for part in key[:-1]:
        if section.get(part) is None:
            section[part] = {}
        section = section[part]
    section[key[-1]] = value
    return config


def same(one: object, other: object) -> bool:
    """Compare what two texts say; for Python alone, 1 and true would be equal."""
    return json.dumps(one, sort_keys=True, default=repr) == json.dumps(other, sort_keys=True, default=repr)


def forms(value: Value, in_braces: bool) -> Iterator[tuple[str, list[str]]]:
    """The ways to write a value, the most readable one first: what goes behind the colon, and the lines below."""
    if not isinstance(value, str):
        yield json.dumps(value), []
        return
    if "\n" in value and value[0] not in " \t\n" and not in_braces and not UNPRINTABLE.search(value):
        yield ("|", value[:-1].split("\n")) if value.endswith("\n") else ("|-", value.split("\n"))
    yield quoted(value), []  # always in quotes: without them, "1" and "1e5" would be numbers


def quoted(text: str) -> str:
    return UNPRINTABLE.sub(lambda found: f"\\U{ord(found[0]):08x}", json.dumps(text, ensure_ascii=False))


def written(text: str, place: Place, head: str, body: list[str]) -> str:
    """The text with the value at its place."""
    newline = "\r\n" if "\r\n" in text else "\n"
    mapping = place.value if isinstance(place.value, yaml.MappingNode) else None
    if place.missing and place.in_braces:
        inner = f"{key_text(place.missing[-1])}: {head}"
        for part in reversed(place.missing[:-1]):
            inner = f"{key_text(part)}: {braces(inner)}"
        if mapping and mapping.value:
            at = last_index(text, mapping.value[-1][1])
            return f"{text[:at]}, {inner}{text[at:]}"
        if mapping:
            at = mapping.end_mark.index - 1
            return f"{text[:at]}{inner}{text[at:]}"
        return replaced(text, place, braces(inner), "")
    column = place.column if mapping is None or not mapping.value else mapping.value[0][0].start_mark.column - STEP
    lines = ""
    for part in place.missing:
        column += STEP
        lines += f"{newline}{' ' * column}{key_text(part)}:"
    lines += f" {head}" if place.missing else ""
    column += STEP
    lines += "".join(newline + (" " * column + line if line else "") for line in body)
    if not place.missing:
        return replaced(text, place, head, lines)
    if mapping is None:
        return replaced(text, place, "", lines)
    return with_lines(text, last_index(text, mapping), lines)


def replaced(text: str, place: Place, head: str, lines: str) -> str:
    """The text with another value in the place of the one that is there."""
    start, end = place.value.start_mark.index, place.value.end_mark.index
    before, after = text[:start], text[end:]
    if getattr(place.value, "style", None) in ("|", ">"):  # the comment in its first line stays
        indicator = re.match(r"([!&]\S*\s+)*[|>][-+0-9]*", text[start:end])
        line_end = end_of_line(text, start)
        comment = text[start + len(indicator[0]) : line_end] if indicator else ""
        after = comment + text[max(line_end, last_index(text, place.value)) :]
    if head and ":" not in text[place.key.end_mark.index : start]:  # in braces, a key may stand alone
        head = f": {head}"
    elif head and start == end:
        head = f" {head}"
    return with_lines(before + head + after, start, lines)


def with_lines(text: str, index: int, lines: str) -> str:
    """Put lines in below the one with this index."""
    at = end_of_line(text, index)
    return text[:at] + lines + text[at:]


def end_of_line(text: str, index: int) -> int:
    found = LINE_END.search(text, index)
    return found.start() if found else len(text)


def last_index(text: str, node: yaml.Node, key: yaml.Node | None = None) -> int:
    """Where a node ends; the parser lets one without brackets go on over the comments behind it."""
    least = key.end_mark.index if key else 0  # an alias has the marks of what it stands for
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        return max(least, node.start_mark.index + len(text[node.start_mark.index : node.end_mark.index].rstrip()))
    if not isinstance(node, yaml.CollectionNode) or node.flow_style:
        return max(least, node.end_mark.index)
    last = node.value[-1]
    return max(least, last_index(text, last[1], last[0]) if isinstance(last, tuple) else last_index(text, last))


def braces(text: str) -> str:
    return "{" + text + "}"


def key_text(key: str) -> str:
    return key if PLAIN_KEY.fullmatch(key) and key.lower() not in NO_TEXT else quoted(key)
