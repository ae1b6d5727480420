"""Which runs a listing is to have, and in what order, in the words of the client's queries (a part of OData)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

from aml_rehearsal.messages import Refusal
from aml_rehearsal.state import Record

FIELD = r"(?P<field>\w+)(?:/(?P<name>[^()\"]+?))? (?P<how>eq|ne|ge|gt|le|lt) "
CONDITION = re.compile(FIELD + "(?P<text>.*)", re.DOTALL)
BEGINS = re.compile(rf"\(|{FIELD}")  # else the word before belongs to a value: the client gives quotes to some only
ORDER = re.compile(r"(?P<field>\w+)(?: (?P<way>asc|desc))?", re.IGNORECASE)
# By lower-case name: what the runs' table sorts by. A run that has not started yet stands where it was made.
ORDERS = {
    "starttimeutc": "coalesce(startTimeUtc, createdUtc)",
    "createdutc": "createdUtc",
    "runid": "key",
    "status": "status",
    "runnumber": "number",
}
HOW: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}


def order(wish: Any) -> tuple[str, bool]:
    """What the table is to sort by, and whether it begins with the greatest."""
    text = str((wish[0] if isinstance(wish, list) and wish else wish) or "CreatedUtc desc")
    match = ORDER.fullmatch(text.strip())
    if match is None or match["field"].lower() not in ORDERS:
        raise Refusal(400, f"orderby: the rehearsal sorts runs by {', '.join(ORDERS)}, not by {text}.")
    return ORDERS[match["field"].lower()], (match["way"] or "asc").lower() == "desc"


def fits(run: Record, text: str) -> bool:
    """Whether a run is one that a filter asks for."""
    text = text.strip().removesuffix(" and")  # `az ml run list` ends with a condition on no tags, which is empty
    for word, together in ((" or ", any), (" and ", all)):
        parts = list(split(text, word))
        if len(parts) > 1:
            return together(fits(run, part) for part in parts)
    if text.startswith("(") and text.endswith(")"):
        return fits(run, text[1:-1])
    match = CONDITION.fullmatch(text)
    if match is None:
        raise Refusal(400, f"filter: the rehearsal does not understand {text}.")
    held = {key.lower(): value for key, value in run.items()}.get(match["field"].lower())
    if match["name"]:
        if not isinstance(held, dict) or match["name"] not in held:
            return False
        held = held[match["name"]]
    return compared(held, match["how"], match["text"].strip())


def split(text: str, word: str) -> Iterator[str]:
    """The parts of a text between a word, where no bracket is open and a condition follows."""
    depth = start = 0
    quoted = False
    for at, letter in enumerate(text):
        quoted ^= letter == '"'
        depth += 0 if quoted else {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0 and not quoted and text.startswith(word, at) and BEGINS.match(text, at + len(word)):
            yield text[start:at]
            start = at + len(word)
    yield text[start:]


def compared(held: Any, how: str, text: str) -> bool:
    wanted = None if text == "null" else text[1:-1] if text[:1] in {"'", '"'} else text
    if how in {"eq", "ne"}:
        return HOW[how](None if held is None else str(held), wanted)
    if held is None or wanted is None:
        return False
    try:
        return HOW[how](moment(str(held)), moment(wanted))
    except ValueError:
        return HOW[how](str(held), wanted)


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
