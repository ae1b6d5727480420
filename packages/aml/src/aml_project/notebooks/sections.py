"""Where a notebook's steps begin: at its headings."""

from __future__ import annotations

import itertools
import keyword
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

from aml_project.notebooks.cells import Cell
from aml_project.notebooks.notebook_file import Broken

HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*$|<h([1-6])[^>]*>(.*?)</h[1-6]>\s*$", re.IGNORECASE)
UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")  # below a line, which is a heading then
FENCE = re.compile(r" {0,3}(```|~~~)")
NUMBER = re.compile(
    r"^(?:(?:step|part|section|chapter)\s+)?(?:\d+(?:\.\d+)*|[ivx]+(?=[.):]))\s*[.):\u2013\u2014-]*\s+", re.IGNORECASE
)
# What a heading says that names a step, and the script's name where only one of its kind is there.
KINDS = {
    "prepare": r"prepar|pre-?pro|clean|load|read|ingest|import(?:ing)? (?:the )?data|split|feature|wrangl|data\b",
    "train": r"train|fit\b|fitting|learn|model",
    "evaluate": r"evaluat|validat|test|metric|result|performance|accuracy|assess|score|scoring|compar|report",
    "": r"explor|eda\b|visuali|plot|predict|infer|register|publish|export|sav(?:e|ing)|tun(?:e|ing)|search|collect",
}  # fmt: skip
TAKEN = {
    "data",
    "output",
    "parameters",
    "runtime",
    "score",
    "score_batch",
    "evaluation",
}  # each is something else already
LONGEST = 40  # characters of a step's name


class Heading(NamedTuple):
    cell: int
    level: int
    text: str

    @property
    def kind(self) -> str | None:
        """Which kind of step it names, if it does."""
        plain = NUMBER.sub("", self.text).lower()
        return next((kind for kind, words in KINDS.items() if re.search(rf"\b(?:{words})", plain)), None)


class Section(NamedTuple):
    """The cells from one heading to the next."""

    name: str
    title: str
    begin: int  # the heading's cell
    end: int  # the cell that belongs to the next one


def divide(cells: list[Cell], wanted: Iterable[str] = (), taken: Set[str] = frozenset()) -> list[Section]:
    """The sections that are steps: those of the headings that are wanted, else of all of the level that names steps.

    `taken` are names that no step may have.
    """
    found = list(headings(cells))
    begins = named(found, list(wanted)) if wanted else of_one_level(found)
    ends = [heading.cell for heading in begins[1:]] + [cells[-1].number + 1]
    names = names_of(begins, taken)
    return [Section(*each) for each in zip(names, (NUMBER.sub("", heading.text) or heading.text for heading in begins),
                                           (heading.cell for heading in begins), ends, strict=True)]  # fmt: skip


def headings(cells: list[Cell]) -> Iterator[Heading]:
    """The first heading of each level that a cell of text has."""
    for cell in cells:
        if not cell.is_code:
            seen = set()
            for level, text in lines_of(cell.source):
                if text and level not in seen:
                    seen.add(level)
                    yield Heading(cell.number, level, text)


def lines_of(source: str) -> Iterator[tuple[int, str]]:
    """The headings of a text in Markdown, each with its level."""
    is_code, before = False, ""
    for line in source.split("\n"):
        if FENCE.match(line):
            is_code = not is_code
        elif not is_code and (match := HEADING.match(line)):
            yield len(match[1] or "") or int(match[3]), plain(match[2] if match[1] else match[4])
        elif not is_code and not HEADING.match(before) and before.strip() and (match := UNDERLINE.match(line)):
            yield (1 if match[1][0] == "=" else 2), plain(before)
        before = line


def plain(text: str) -> str:
    """A heading without its marks."""
    return " ".join(re.sub(r"[*_`]|<[^>]*>|\[([^\]]*)\]\([^)]*\)", r"\1", text).split())


def of_one_level(found: list[Heading]) -> list[Heading]:
    """All headings of the highest level at which two name a step."""
    for level in range(1, 7):
        here = [heading for heading in found if heading.level == level]
        if sum(heading.kind is not None for heading in here) > 1:
            return here
    raise Broken(f'no two headings name its steps: name them, as in --steps "Prepare,Train"{listed(found)}')


def named(found: list[Heading], wanted: list[str]) -> list[Heading]:
    """The headings of these texts."""
    chosen = []
    for text in wanted:
        same = [
            heading
            for heading in found
            if text.strip().lower() in (heading.text.lower(), NUMBER.sub("", heading.text).lower())
        ]
        if not same:
            raise Broken(f"--steps: no heading {text.strip()!r}{listed(found)}")
        chosen.append(same[0])
    chosen.sort(key=lambda heading: heading.cell)
    twice = [heading for one, heading in itertools.pairwise(chosen) if one.cell == heading.cell]
    if twice:
        raise Broken(
            f"--steps: {twice[0].text!r} is in one cell with another one, cell {twice[0].cell}: split the cell"
        )
    return chosen


def listed(found: list[Heading]) -> str:
    return f"; its headings: {', '.join(heading.text for heading in found[:12])}" if found else "; it has no headings"


def names_of(begins: list[Heading], taken: Set[str]) -> list[str]:
    """What the steps are called: by their kind where one alone is of it, else by their heading."""
    kinds = [heading.kind for heading in begins]
    names: list[str] = []
    for heading, kind in zip(begins, kinds, strict=True):
        name = kind if kind and kinds.count(kind) == 1 else slug(heading.text)
        if name in TAKEN | taken or name in sys.stdlib_module_names or keyword.iskeyword(name):
            name += "_step"
        number = 2
        base = name
        while name in names:
            name, number = f"{base}_{number}", number + 1
        names.append(name)
    return names


def slug(text: str) -> str:
    """A heading as the name of a module."""
    ascii_text = unicodedata.normalize("NFKD", NUMBER.sub("", text)).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "_", ascii_text).strip("_")
    short = words[:LONGEST].rsplit("_", 1)[0] if len(words) > LONGEST else words
    return short if short[:1].isalpha() else f"step_{short}".rstrip("_")
