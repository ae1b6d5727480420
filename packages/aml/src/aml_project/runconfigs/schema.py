"""Hold a runconfig against runconfig.schema.json, and say what to do in the words of its user.

It knows the part of JSON Schema that the file uses: type, enum, properties, additionalProperties, propertyNames,
required, items, minimum, minLength, pattern and $ref. Keys are compared as the client reads them.
"""

from __future__ import annotations

import datetime
import difflib
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("runconfig.schema.json").read_text(encoding="utf-8"))
# bool before int: for Python, True is a number.
TYPES = {
    bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null",
    list: "array", dict: "object", datetime.date: "date",
}  # fmt: skip
WORDS = {
    "boolean": "true or false", "integer": "a number", "string": "text in quotes", "array": "a list, [\"a\", \"b\"]",
    "object": "a section of `key: value` lines",
}  # fmt: skip


def camel_case(key: str) -> str:
    """A key as the client reads it: node_count and NodeCount are nodeCount."""
    first, *rest = key.split("_")
    return first[:1].lower() + first[1:] + "".join(part.title() for part in rest)


class Reading:
    """A runconfig with the keys as the client reads them, and what is wrong with it.

    What is wrong is left out of `config`; `doubtful` names the keys at the top where that happened.
    """

    def __init__(self, raw: dict[str, Any], schema: dict[str, Any] = SCHEMA) -> None:
        self.findings: list[str] = []
        self.doubtful: set[str] = set()
        self.config: dict[str, Any] = {}
        self._object(raw, schema, (), self.config)

    def _wrong(self, path: tuple[str, ...], problem: str) -> bool:
        self.findings.append(f"{shown(path)}: {problem}")
        self.doubtful.add(camel_case(path[0]) if path else "")
        return False

    def _value(self, value: Any, schema: dict[str, Any], path: tuple[str, ...], keep: Callable[[Any], None]) -> bool:
        """Check a value; hand what may be relied on to `keep`."""
        while "$ref" in schema:
            target = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
            schema = target | {key: text for key, text in schema.items() if key != "$ref"}
        advice = schema.get("description")
        kind = TYPES.get(type(value), "date")
        types = schema.get("type", kind)
        types = types if isinstance(types, list) else [types]
        if kind not in types:
            return self._wrong(path, wrong_type(value, kind, types, advice))
        if "enum" in schema and value not in schema["enum"]:
            choices = [choice for choice in schema["enum"] if choice is not None]
            what = "empty" if value is None else short(value)
            return self._wrong(path, f"is {what}: write {one_of(choices)}{meant(str(value), choices)}")
        if kind == "integer" and value < schema.get("minimum", value):
            return self._wrong(path, f"is {value}: write {schema['minimum']} or more")
        if kind == "string" and len(value) < schema.get("minLength", 0):
            return self._wrong(path, f"is empty: {advice or 'write a text, or remove the line'}")
        if kind == "string" and "pattern" in schema and not re.search(schema["pattern"], value):
            return self._wrong(path, f"is {short(value)}: {advice}")
        if kind == "object":
            section: dict[str, Any] = {}
            keep(section)
            return self._object(value, schema, path, section)
        if kind == "array":
            items: list[Any] = []
            keep(items)
            for number, item in enumerate(value):
                self._value(item, schema.get("items", {}), (*path, str(number)), items.append)
            return True
        keep(value)
        return True

    def _object(
        self, value: dict[str, Any], schema: dict[str, Any], path: tuple[str, ...], into: dict[str, Any]
    ) -> bool:
        properties: dict[str, Any] = schema.get("properties", {})
        others = schema.get("additionalProperties", {})
        as_written: dict[str, str] = {}
        misspelt: set[str | None] = set()
        for written, item in value.items():
            key = camel_case(written) if properties else written
            here = (*path, written)
            if key in as_written:
                self._wrong(here, f"is there twice, as {as_written[key]} too: remove one of them")
                continue
            as_written[key] = written
            if key in properties:
                self._value(item, properties[key], here, _setter(into, key))
            elif others is False:
                near = nearest(key, list(properties))
                self._wrong(here, f"the client ignores this key: {f'write {near}' if near else 'remove it'}")
                misspelt.add(near)
                if near and not path:
                    self.doubtful.add(near)
            elif "propertyNames" in schema and not self._value(
                written, schema["propertyNames"] | {"type": "string"}, here, lambda _: None
            ):
                continue
            else:
                self._value(item, others, here, _setter(into, key))
        for key in schema.get("required", []):
            if key not in as_written and key not in misspelt:
                advice = properties[key].get("description") or f"write {key}:"
                self._wrong((*path, key), f"missing: {advice}")
        return True


def _setter(section: dict[str, Any], key: str) -> Callable[[Any], None]:
    def keep(value: Any) -> None:
        section[key] = value

    return keep


def shown(path: tuple[str, ...]) -> str:
    """A place in the file: environment.docker.enabled, arguments[1]."""
    text = ""
    for part in path:
        text += f"[{part}]" if part.isdigit() else f".{part}" if text else part
    return " ".join(text.split()) or "(an empty key)"


def wrong_type(value: Any, kind: str, types: list[str], advice: str | None) -> str:
    wanted = next((name for name in types if name != "null"), "null")
    what = "empty" if value is None else f"the text {short(value)}" if kind == "string" else short(value)
    if kind == "object":
        what = "a section"
    elif kind == "array":
        what = "a list"
    if wanted == "null":
        return f"is {'a text' if kind == 'string' else what}: {advice}"
    if wanted == "boolean" and kind == "string" and value:
        return f"is {what}, which the client takes for true: write true or false, without quotes"
    if wanted == "integer" and kind == "string":
        return f"is {what}: write a number, without quotes"
    if wanted == "array" and kind == "string":
        return f"is {what}, and must be a list: write {as_list(value)}"
    if wanted == "string" and kind in ("integer", "number", "boolean", "date"):
        return f"is {what} and no text: put it in quotes"
    return f"is {what}: {advice or f'write {WORDS[wanted]}'}"


def as_list(text: str) -> str:
    try:
        parts = shlex.split(text)
    except ValueError:
        parts = text.split()
    return short(json.dumps(parts, ensure_ascii=False), 100, quoted=False)


def one_of(choices: list[str]) -> str:
    """The choices, each once: those that differ by capitals only are one for a reader."""
    names = {choice.lower(): choice for choice in reversed(choices)}
    return ", ".join(reversed(names.values()))


def nearest(key: str, choices: list[str]) -> str | None:
    """The choice that was probably meant."""
    lower = {choice.lower(): choice for choice in reversed(choices)}
    near = difflib.get_close_matches(key.lower().replace("-", "")[:60], lower, n=1, cutoff=0.75)
    return lower[near[0]] if near else None


def meant(value: str, choices: list[str]) -> str:
    near = nearest(value, choices)
    return f" (did you mean {near}?)" if near else ""


def short(value: Any, length: int = 60, *, quoted: bool = True) -> str:
    """A value that fits into a line."""
    text = repr(value) if quoted and isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
