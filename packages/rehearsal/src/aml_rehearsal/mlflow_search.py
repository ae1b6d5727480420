"""MLflow's language of searches: `metrics.loss < 0.1 and tags.kind LIKE 'a%'`, and what results are ordered by."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aml_rehearsal.messages import Refusal

Found = TypeVar("Found")
KINDS = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
}
# Other names that MLflow knows for an attribute.
ATTRIBUTES = {
    "created": "start_time",
    "run name": "run_name",
    "run id": "run_id",
    "user": "user_id",
    "duration": "duration",
}
NUMBERS = {
    "start_time",
    "end_time",
    "creation_time",
    "last_update_time",
    "creation_timestamp",
    "last_updated_timestamp",
}
NAME = r'(?:(?P<kind>\w+)\.)?(?P<key>"[^"]+"|`[^`]+`|[\w./-]+)'
VALUE = r"""(?P<value>'[^']*'|"[^"]*"|[-+]?[\d.]+(?:e[-+]?\d+)?|\([^()]*\))"""
COMPARATORS = r"!=|>=|<=|=|>|<|NOT\s+IN\b|IN\b|NOT\s+LIKE\b|LIKE\b|ILIKE\b"
CLAUSE = re.compile(rf"\s*{NAME}\s*(?P<comparator>{COMPARATORS})\s*{VALUE}\s*", re.IGNORECASE)
AND = re.compile(r"and\b\s*", re.IGNORECASE)
ORDER = re.compile(rf"\s*{NAME}(?:\s+(?P<way>asc|desc))?\s*", re.IGNORECASE)


def wrong(message: str) -> Refusal:
    return Refusal(400, message, "INVALID_PARAMETER_VALUE")


@dataclass(frozen=True)
class Name:
    """What is compared or ordered by: a metric, a parameter, a tag, or an attribute."""

    kind: str
    key: str

    @classmethod
    def of(cls, match: re.Match[str]) -> Name:
        kind, key = match["kind"], match["key"].strip('"`')
        if kind is None:
            kind = "attribute"
        elif kind.lower() not in KINDS:
            raise wrong(f"Invalid entity type '{kind}'. Valid values are metrics, params, tags and attributes.")
        kind = KINDS[kind.lower()]
        return cls(kind, ATTRIBUTES.get(key.lower(), key) if kind == "attribute" else key)

    @property
    def is_number(self) -> bool:
        return self.kind == "metric" or (self.kind == "attribute" and self.key in NUMBERS)


@dataclass(frozen=True)
class Clause:
    name: Name
    comparator: str
    wanted: Any  # a number, a text, or a list of texts

    def holds(self, held: Any) -> bool:
        """Whether what is there is as wanted; what is not there never is."""
        if held is None:
            return False
        if self.comparator in {"LIKE", "ILIKE"}:
            pattern = re.escape(self.wanted).replace("%", ".*").replace("_", ".")
            flags = re.DOTALL | (re.IGNORECASE if self.comparator == "ILIKE" else 0)
            return re.fullmatch(pattern, str(held), flags) is not None
        held = held if self.name.is_number else str(held)
        compare: dict[str, Callable[[], bool]] = {
            "=": lambda: held == self.wanted,
            "!=": lambda: held != self.wanted,
            ">": lambda: held > self.wanted,
            ">=": lambda: held >= self.wanted,
            "<": lambda: held < self.wanted,
            "<=": lambda: held <= self.wanted,
            "IN": lambda: held in self.wanted,
            "NOT IN": lambda: held not in self.wanted,
        }
        return compare[self.comparator]()


def clauses(text: str | None) -> list[Clause]:
    """Read a filter: clauses that are joined by `and`."""
    found: list[Clause] = []
    rest = (text or "").strip()
    while rest:
        if found:
            joined = AND.match(rest)
            if not joined:
                raise wrong(f"Invalid clause(s) in filter string: '{rest}'. Clauses are joined by AND.")
            rest = rest[joined.end() :]
        match = CLAUSE.match(rest)
        if not match:
            raise wrong(f"Invalid clause(s) in filter string: '{rest}'")
        found.append(clause(match))
        rest = rest[match.end() :]
    return found


def clause(match: re.Match[str]) -> Clause:
    name, comparator = Name.of(match), re.sub(r"\s+", " ", match["comparator"].upper())
    numbers = {"=", "!=", ">", ">=", "<", "<="}
    texts = {"=", "!=", "LIKE", "ILIKE"} | ({"IN", "NOT IN"} if name.kind == "attribute" else set())
    allowed = numbers if name.is_number else texts
    if comparator not in allowed:
        raise wrong(f"Invalid comparator '{comparator}' for {name.kind} '{name.key}': not one of {sorted(allowed)}.")
    value = match["value"]
    if name.is_number:
        try:
            return Clause(name, comparator, float(value.strip("'\"") if name.kind == "attribute" else value))
        except ValueError:
            raise wrong(f"Expected a numeric value type for {name.kind} '{name.key}'. Found {value}") from None
    if value.startswith("(") != (comparator in {"IN", "NOT IN"}):
        raise wrong(f"'{comparator}' and {value} do not belong together.")
    if value.startswith("("):
        return Clause(name, comparator, re.findall(r"""['"]([^'"]*)['"]""", value))
    if value[0] not in "'\"":
        raise wrong(f"Expected a quoted string value for {name.kind} '{name.key}'. Got value {value}")
    return Clause(name, comparator, value[1:-1])


def orders(texts: Sequence[str] | None) -> list[tuple[Name, bool]]:
    """Read what to order by, and whether the largest comes first."""
    found = []
    for text in texts or []:
        match = ORDER.fullmatch(text)
        if not match:
            raise wrong(f"Invalid order_by clause '{text}'.")
        found.append((Name.of(match), (match["way"] or "").upper() == "DESC"))
    return found


def ordered(found: list[Found], order_by: list[tuple[Name, bool]], read: Callable[[Found, Name], Any]) -> list[Found]:
    """In order; what lacks the thing ordered by comes last."""
    for name, largest_first in reversed(order_by):
        there = [each for each in found if read(each, name) is not None]
        missing = [each for each in found if read(each, name) is None]
        there.sort(key=lambda each, name=name: read(each, name), reverse=largest_first)  # type: ignore[misc]
        found = [*there, *missing]
    return found


def page(found: list[Found], most: Any, token: str | None) -> tuple[list[Found], str | None]:
    """One page of what was found, and the token of the next one."""
    try:
        size, first = int(most or 1000), int(token or 0)
    except ValueError:
        raise wrong(f"Invalid page token: {token}") from None
    if size < 1:
        raise wrong(f"Invalid value {most} for parameter 'max_results': at least 1.")
    return found[first : first + size], str(first + size) if first + size < len(found) else None
