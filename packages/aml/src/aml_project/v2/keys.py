"""Hold a file against keys.json, which tools/v2_keys.py has made of the client's own schemas.

A value is refused where the client's loader refuses it, and a key that is not known gets the nearest that is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from aml_project.plain_yaml import Place
from aml_project.runconfigs.schema import nearest, one_of, short, shown

KEYS = Path(__file__).with_name("keys.json")
TRUE_AND_FALSE = {"t", "true", "on", "y", "yes", "1", "f", "false", "off", "n", "no", "0"}  # as the client reads texts
ASSET = "azureml:NAME:VERSION, or azureml:NAME@latest"
MEANT = {
    "asset": ASSET, "name": ASSET, "azureml": "azureml:NAME", "registry": "azureml://registries/REGISTRY/…",
    "file": "the path of a file", "binding": "${{parent.inputs.NAME}}", "text": "text",
    "version": "a version, in quotes", "date": "a date, in quotes",
    "int": "a whole number", "float": "a number", "bool": "true or false", "null": "nothing",
}  # fmt: skip


class Finding(NamedTuple):
    """What is wrong, and where in the file."""

    place: Place
    problem: str


@cache
def known() -> dict[str, Any]:
    return dict(json.loads(KEYS.read_text(encoding="utf-8")))


def kinds() -> list[str]:
    return list(known()["kinds"])


def findings(kind: str, content: dict[str, Any]) -> Iterator[Finding]:
    """What the client's loader would refuse."""
    yield from _section(content, known()["kinds"][kind], ())


def _section(value: dict[Any, Any], name: str, place: Place) -> Iterator[Finding]:
    section = known()["sections"][name]
    keys, missing = section["keys"], set(section.get("required", ())) - value.keys()
    for key, item in value.items():
        here = (*place, str(key))
        if key in keys:
            yield from _value(item, keys[key], here)
        elif key != "$schema" and not section.get("open"):
            near = nearest(str(key), list(keys))
            missing.discard(near or "")
            yield Finding(here, f"there is no such key: {f'write {near}' if near else 'remove it'}")
    for key in sorted(missing):
        yield Finding((*place, key), f"missing: write {key}: {example(keys[key])}".rstrip())


def _value(value: Any, takes: Any, place: Place) -> Iterator[Finding]:
    if isinstance(takes, str):
        if not fits(value, takes):
            yield Finding(place, f"is {what(value)}: write {MEANT[takes]}{quotes(value, takes)}")
    elif "one" in takes:
        yield from _one(value, alternatives(takes), place)
    elif "words" in takes:
        if not is_word(value, takes["words"]):
            near = nearest(str(value), takes["words"])
            meant = f" (did you mean {near}?)" if near else ""
            yield Finding(place, f"is {what(value)}: write {one_of(takes['words'])}{meant}")
    else:
        yield from _nested(value, takes, place)


def _nested(value: Any, takes: Any, place: Place) -> Iterator[Finding]:
    """A section, a list or a mapping of names, with what is in it."""
    if "section" in takes:
        if isinstance(value, dict):
            yield from _section(value, takes["section"], place)
        else:
            keys = ", ".join(sorted(known()["sections"][takes["section"]]["keys"])[:6])
            yield Finding(place, f"is {what(value)}: write a section of `key: value` lines, as {keys}")
    elif "list" in takes:
        if not isinstance(value, list):
            yield Finding(place, f"is {what(value)}: write a list, [a, b]")
        for number, item in enumerate(value if isinstance(value, list) else []):
            yield from _value(item, takes["list"], (*place, str(number)))
    elif not isinstance(value, dict):
        yield Finding(place, f"is {what(value)}: write a section of `name: value` lines")
    else:
        for key, item in value.items():
            if isinstance(key, str):  # of another one, which was a word for YAML, the reader has told
                yield from _value(item, takes["map"], (*place, key))


def _one(value: Any, takes: list[Any], place: Place) -> Iterator[Finding]:
    """A value that may be one of several: told is what is wrong by the nearest of them."""
    if isinstance(value, dict):
        nested: list[Any] = [one for one in takes if "section" in one or "map" in one]
        typed = [one for one in nested if "section" in one and is_word(value.get("type"), types_of(one))]
        if (
            not typed
            and value.get("type") is not None
            and (words := [word for one in nested for word in types_of(one)])
        ):
            near = nearest(str(value["type"]), words)
            meant = f" (did you mean {near}?)" if near else ""
            yield Finding((*place, "type"), f"is {what(value['type'])}: write {one_of(words)}{meant}")
            return
        fitting = typed or nested
    elif isinstance(value, list):
        fitting = [one for one in takes if "list" in one]
    else:
        fitting = [one for one in takes if isinstance(one, str) or "words" in one]
    by_one = sorted((list(_value(value, one, place)) for one in fitting), key=len)
    if by_one and (not by_one[0] or isinstance(value, (dict, list))):
        yield from by_one[0]
    elif not by_one or by_one[0]:
        told = " or ".join(dict.fromkeys(meaning(one) for one in takes if one != "null"))
        yield Finding(place, f"is {what(value)}: write {told}{quotes(value, 'text' if 'text' in takes else '')}")


def alternatives(takes: dict[str, Any]) -> list[Any]:
    """All that a value may be; beside sections, what the client takes as it is says nothing."""
    found: list[Any] = []
    for one in takes["one"]:
        found += alternatives(one) if isinstance(one, dict) and "one" in one else [one]
    sections = any(isinstance(one, dict) for one in found)
    return [one for one in found if one != "any"] if sections else found


def types_of(takes: Any) -> list[str]:
    if not isinstance(takes, dict) or "section" not in takes:
        return []
    types = known()["sections"][takes["section"]]["keys"].get("type")
    return list(types["words"]) if isinstance(types, dict) and "words" in types else []


def fits(value: Any, takes: str) -> bool:
    """Whether the client takes a plain value."""
    if takes == "any":
        return True
    if takes == "null" or value is None:
        return takes == "null" and value is None
    if takes == "bool":
        return isinstance(value, bool) or str(value).lower() in TRUE_AND_FALSE
    if isinstance(value, bool):
        return False
    if takes in ("int", "float"):
        try:
            return not isinstance(value, (dict, list)) and (takes == "float" or float(value) == int(float(value)))
        except (TypeError, ValueError, OverflowError):
            return False
    if takes == "version":
        return isinstance(value, (str, int, float))
    if not isinstance(value, str):
        return False
    if takes == "binding":
        return "${{" in value
    if takes == "registry":
        return value.startswith("azureml://registries/")
    if takes in ("asset", "name", "azureml"):
        asset = re.fullmatch(r"azureml:(?P<name>[^:@]+|/.*|//.*)(?P<version>[:@].+)?", value)
        return bool(asset and (takes != "asset" or asset["version"] or asset["name"].startswith("/")))
    return True


def is_word(value: Any, words: list[str]) -> bool:
    if not isinstance(value, str):
        return False
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", value)
    lower = {word.lower() for word in words}
    return value.lower() in lower or snake.lower() in lower


def what(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a section"
    return "a list" if isinstance(value, list) else short(value)


def quotes(value: Any, takes: str) -> str:
    return f", '{value}' in quotes" if takes == "text" and isinstance(value, (int, float, date)) else ""


def meaning(takes: Any) -> str:
    if isinstance(takes, str):
        return MEANT[takes]
    if "words" in takes:
        return one_of(takes["words"])
    return "a list" if "list" in takes else "a section of `key: value` lines"


def example(takes: Any) -> str:
    if isinstance(takes, dict) and "words" in takes:
        return str(takes["words"][0]) if len(takes["words"]) == 1 else f"one of {one_of(takes['words'])}"
    if isinstance(takes, dict) and "one" in takes:
        return example(next((one for one in takes["one"] if one in ("name", "asset", "text")), ""))
    return (
        {"name": "azureml:NAME@latest", "asset": "azureml:NAME:VERSION"}.get(takes, "")
        if isinstance(takes, str)
        else ""
    )


def at(place: Place) -> str:
    """A place in words: inputs.data.path, jobs.train, values[2]."""
    return shown(place)
