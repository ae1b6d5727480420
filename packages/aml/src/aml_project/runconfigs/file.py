"""Read a runconfig as the client does: by YAML 1.2, where `no` is a text, and by nothing that could take long."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 100_000
MAX_VALUES = 20_000  # a page of aliases can stand for more values than there is memory
MAX_DEPTH = 60

# What a word without quotes stands for; PyYAML alone would follow YAML 1.1, the client follows 1.2.
WORDS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+", "-+0123456789"),
    "float": (
        r"[-+]?[0-9][0-9_]*(\.[0-9_]*([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)|[-+]?\.([0-9_]+([eE][-+][0-9]+)?|inf|Inf|INF|nan)",
        "-+0123456789.",
    ),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "timestamp": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "0123456789"),
    "merge": (r"<<", "<"),
}


class Unreadable(Exception):
    """Why a file can't be read, in one line."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own attribute)


for _name, (_pattern, _first) in WORDS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})\\Z"), list(_first))


def read_mapping(file: Path) -> dict[str, Any]:
    """Return the file's mapping; raise Unreadable with the line where it stops being one."""
    return parse(_read_text(file))


def parse(text: str) -> dict[str, Any]:
    """Return the mapping of a text, as of a file."""
    return parse_with_nodes(text)[0]


def parse_with_nodes(text: str) -> tuple[dict[str, Any], yaml.MappingNode]:
    """Return the mapping of a text, and the nodes that say where in the text everything is."""
    try:
        node = _Loader(text).get_single_node()
        if node is None:
            raise Unreadable("it is empty")
        value = _Builder().build(node, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = str(error.problem or error.context)
        if "'\\t'" in problem:
            problem = "a tab: YAML is indented by spaces"
        raise Unreadable(f"line {mark.line + 1 if mark else '?'}: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"line {line}: a character that YAML does not allow") from None
    except RecursionError:
        raise Unreadable("nested too deep") from None
    if not isinstance(node, yaml.MappingNode):
        raise Unreadable("not a mapping: write `key: value` lines")
    return value, node


def _read_text(file: Path) -> str:
    try:
        if not file.is_file():
            raise Unreadable("not a file" if file.exists() else "a link to nothing" if file.is_symlink() else "missing")
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    if len(content) > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES // 1000} kB")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line}: not UTF-8") from None


class _Builder:
    """Makes values of nodes, and stops at what has no end."""

    def __init__(self) -> None:
        self.values = 0
        self.open: set[int] = set()

    def build(self, node: yaml.Node, depth: int) -> Any:
        self.values += 1
        line = node.start_mark.line + 1
        if self.values > MAX_VALUES:
            raise Unreadable(f"line {line}: more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise Unreadable(f"line {line}: nested too deep")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self.open:
            raise Unreadable(f"line {line}: it contains itself")
        self.open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            value: Any = dict(self._pairs(node, depth))
        else:
            value = [self.build(item, depth + 1) for item in node.value]
        self.open.discard(id(node))
        return value

    def _pairs(self, node: yaml.MappingNode, depth: int) -> Iterator[tuple[str, Any]]:
        """The pairs of a mapping: first those that it takes over with `<<`, then its own."""
        own: dict[str, Any] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise Unreadable(f"line {line}: a key that is no word")
            value = self.build(item, depth + 1)
            if key.tag == "tag:yaml.org,2002:merge":
                sources = value if isinstance(value, list) else [value]
                for source in reversed(sources):
                    if not isinstance(source, dict):
                        raise Unreadable(f"line {line}: `<<` takes over a mapping, and this is none")
                    yield from source.items()
            elif key.value in own:
                raise Unreadable(f"line {line}: {key.value!r} is there twice")
            else:
                own[key.value] = value
        yield from own.items()


def _scalar(node: yaml.ScalarNode) -> Any:
    """The value of a word; a number that Python can't hold stays the text that it is."""
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    digits = text.replace("_", "")
    if len(digits) > 100:
        return text
    try:
        if kind == "bool":
            return text.lower() == "true"
        if kind == "null":
            return None
        if kind == "int":
            bare = digits.lstrip("+-")
            base = {"0x": 16, "0o": 8, "0b": 2}.get(bare[:2], 10)
            return (-1 if digits.startswith("-") else 1) * int(bare, base)
        if kind == "float":
            return float(re.sub(r"\.(inf|nan)$", r"\1", digits.lower()))
        if kind == "timestamp":
            return datetime.date.fromisoformat(text)
    except ValueError:
        return text
    return text
