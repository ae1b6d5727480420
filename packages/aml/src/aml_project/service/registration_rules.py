"""The rules of a registration that need nobody's answer: how conditions are written, and whether numbers keep them.

The step of a pipeline that registers a model takes this file along, so it imports the standard library alone.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections import namedtuple

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda value, bound: value >= bound,
    "<=": lambda value, bound: value <= bound,
    "==": lambda value, bound: value == bound,
    ">": lambda value, bound: value > bound,
    "<": lambda value, bound: value < bound,
}
# In these the smaller number is the better one, whoever asks.
SMALLER = frozenset({"rmse", "mae", "mse", "mape", "log_loss", "loss", "validation_loss"})
NAME = r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}"
NAME_RULE = "1 to 255 letters, digits, '-', '_' and '.', starting with a letter or digit"
MANY = 12  # files or names that one line lists


class Refused(Exception):
    """The rules do not let this be registered; the text is one line for the user."""

    for_user = True


# A bound that a metric of the run has to keep; the metric in which a model has to beat the newest version.
Requirement = namedtuple("Requirement", "metric comparison bound")
Better = namedtuple("Better", "metric smaller")


def parse_requirement(text: str) -> Requirement:
    """Read 'accuracy>=0.8'; a ValueError says what is wrong."""
    found = re.fullmatch(r"\s*(.*?[^\s<>=])\s*(>=|<=|==|>|<)\s*(\S+)\s*", text)
    try:
        bound = float(found[3]) if found else math.nan
    except ValueError:
        bound = math.nan
    if not found or math.isnan(bound):
        raise ValueError(f"a metric, one of {' '.join(COMPARISONS)}, and a number, as in 'accuracy>=0.8'; not {text!r}")
    return Requirement(found[1], found[2], bound)


def requirement_of(text: str, comparison: str) -> str:
    """The bound of --min or --max, 'accuracy=0.8', as a requirement; a ValueError says what is wrong.

    In a shell a > is a redirection unless it is quoted; this needs no quotes.
    """
    metric, _, bound = text.rpartition("=")
    try:
        parse_requirement(f"{metric}{comparison}{bound}")
    except ValueError:
        raise ValueError(f"a metric, =, and a number, as in 'accuracy=0.8'; not {text!r}") from None
    return f"{metric}{comparison}{bound}"


def parse_better(text: str) -> Better:
    """Read 'accuracy', 'rmse' or, for a metric of one's own, 'cost:min'; a ValueError says what is wrong."""
    metric, colon, way = text.rpartition(":")
    if not colon or way not in ("min", "max"):
        metric, way = text, "min" if text.strip() in SMALLER else "max"
    if not metric.strip():
        raise ValueError(f"a metric, as in 'accuracy', or 'loss:min' where smaller is better; not {text!r}")
    return Better(metric.strip(), way == "min")


def parse_name(text: str) -> str:
    """Check the name of a model; a ValueError says what is wrong."""
    if not re.fullmatch(NAME, text):
        raise ValueError(f"{NAME_RULE}; not {text!r}")
    return text


def parse_asset_path(text: str) -> str:
    """Write the path of a file or folder of a run as the service does; a ValueError says what is wrong."""
    path = posixpath.normpath(text.replace("\\", "/"))
    if not text.strip() or path in (".", "..") or path.startswith(("/", "../")):
        raise ValueError(f"a file or folder of the run, as in 'outputs/model'; not {text!r}")
    return path


def check_requirements(metrics: Mapping[str, float], bounds: Sequence[Requirement]) -> None:
    """Refuse a run that does not keep the bounds, all that it misses in one line."""
    missed = []
    for bound in bounds:
        if bound.metric not in metrics:
            raise Refused(unknown(bound.metric, metrics))
        if not COMPARISONS[bound.comparison](metrics[bound.metric], bound.bound):
            missed.append(f"{bound.metric} is {plain(metrics[bound.metric])}, not {bound.comparison} {bound.bound:g}")
    if missed:
        raise Refused("; ".join(missed))


def check_way(metric: str, new: float, old: float, current: str, smaller: bool, *, or_equal: bool = False) -> None:
    """Refuse a number that is no better than that of the newest version, or with `or_equal` one that is worse."""
    if not (new < old if smaller else new > old) and not (or_equal and new == old):
        way = "below" if smaller else "above"
        said = ("above" if smaller else "below") if or_equal else f"not {way}"
        raise Refused(f"{metric} is {plain(new)}, {said} the {plain(old)} of {current}")


def unknown(metric: str, metrics: Mapping[str, float]) -> str:
    return f"the run has no metric {metric!r}; it has {some(sorted(metrics)) or 'none that is a number'}"


def some(names: Sequence[str]) -> str:
    """List names in a line, not too many."""
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + more


def plain(value: float) -> str:
    """Write a number exactly, and never with an exponent."""
    from decimal import Decimal

    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(text: str) -> float | None:
    """Read a tag that holds a metric."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value
