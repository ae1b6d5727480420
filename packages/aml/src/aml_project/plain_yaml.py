"""The YAML that people write for us, of which no word is taken for something else than it looks like.

In YAML 1.1 `no` is false, 010 is 8 and 1e-4 a text. Each such word is told, with its line and what to write.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

Place = tuple[str, ...]  # the keys that lead to it
DEEPEST = 6  # keys, as far as lines are noted


@dataclass
class Document:
    """What a text says, on which line each of its keys stands, and what is wrong with it, by line."""

    content: Any
    lines: dict[Place, int]
    findings: list[tuple[int, str]]


def load(text: str) -> Document:
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        content = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        return Document(None, {}, [(mark.line + 1 if mark else 0, f"{' '.join(problem.split())}: mend it")])
    except (ValueError, RecursionError) as error:
        return Document(None, {}, [(0, f"{' '.join(str(error).split())}: mend it")])
    lines: dict[Place, int] = {}
    if node is not None:
        note_lines(node, (), lines)
    return Document(content, lines, loader.findings)


def note_lines(node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    if len(place) == DEEPEST:
        return
    children = node.value if isinstance(node, yaml.MappingNode) else []
    if isinstance(node, yaml.SequenceNode):
        children = [(yaml.ScalarNode("", str(number), item.start_mark), item) for number, item in enumerate(node.value)]
    for key, value in children:
        if isinstance(key, yaml.ScalarNode):
            lines[(*place, key.value)] = key.start_mark.line + 1
            note_lines(value, (*place, key.value), lines)


class Loader(yaml.SafeLoader):
    """YAML of which no word is taken for something else than it looks like."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.findings: list[tuple[int, str]] = []

    def found(self, node: yaml.Node, line: str) -> None:
        self.findings.append((node.start_mark.line + 1, line))


def _bool(loader: Loader, node: yaml.ScalarNode) -> bool:
    value = loader.construct_yaml_bool(node)
    if node.value.lower() not in ("true", "false"):
        meant = str(value).lower()
        loader.found(node, f"{node.value} is {meant} in YAML: write '{node.value}' in quotes for the text, or {meant}")
    return value


def _text(loader: Loader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    if node.style is None and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", text):
        loader.found(node, f"{text} is a text in YAML, and no number: write {with_point(text)}")
    return text


def _int(loader: Loader, node: yaml.ScalarNode) -> int:
    value = int(loader.construct_yaml_int(node))
    if not re.fullmatch(r"[-+]?(0|[1-9][\d_]*)", node.value):
        loader.found(node, f"{node.value} is the number {value} in YAML: write {value}, or '{node.value}' in quotes")
    return value


def _float(loader: Loader, node: yaml.ScalarNode) -> float:
    value = float(loader.construct_yaml_float(node))
    if not math.isfinite(value):
        loader.found(node, f"{node.value} is no end of anything: write a number")
    elif ":" in node.value:
        loader.found(node, f"{node.value} is the number {value:g} in YAML: write it in quotes for the text")
    return value


def _date(loader: Loader, node: yaml.ScalarNode) -> str:
    loader.found(node, f"{node.value} is a date in YAML: write '{node.value}' in quotes")
    return str(node.value)


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys: set[str] = set()
    for key, _ in node.value:
        if key.tag == "tag:yaml.org,2002:merge" or not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in keys:
            loader.found(key, f"{key.value}: stands here twice: YAML takes the last one: remove one")
        keys.add(key.value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor("tag:yaml.org,2002:bool", _bool)
Loader.add_constructor("tag:yaml.org,2002:str", _text)
Loader.add_constructor("tag:yaml.org,2002:int", _int)
Loader.add_constructor("tag:yaml.org,2002:float", _float)
Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)
Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def is_plain(text: str) -> bool:
    """Whether a text, without quotes, is read as this text and nothing else."""
    document = load(f"key: {text}")
    return document.content == {"key": text} and not document.findings


def with_point(text: str) -> str:
    """A number as YAML 1.1 takes it for one: with a point, and a sign behind the e."""
    mantissa, _, exponent = text.lower().partition("e")
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else f'+{exponent}'}"
