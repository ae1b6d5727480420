"""Change a text of Python at places that its syntax tree names, and leave every other character as it is."""

from __future__ import annotations

import ast
from typing import NamedTuple, TypeAlias

Place: TypeAlias = "ast.stmt | ast.expr | ast.alias | ast.keyword"


class Edit(NamedTuple):
    """Bytes from start to end give way to a text."""

    start: int
    end: int
    text: str


class Source:
    """A text and its tree. Python counts columns in bytes of UTF-8, and so does this."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.data = text.encode()
        self.starts = [0]
        for line in self.data.split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.edits: list[Edit] = []

    def start(self, node: Place) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: Place) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: Place) -> str:
        """The text of a node, as it was before any edit."""
        return self.data[self.start(node) : self.end(node)].decode()

    def replace(self, node: Place, text: str) -> None:
        self.edits.append(Edit(self.start(node), self.end(node), text))

    def insert(self, position: int, text: str) -> None:
        self.edits.append(Edit(position, position, text))

    def edited(self, start: int = 0, end: int | None = None, edits: list[Edit] | None = None) -> str:
        """The text, or a part of it, with the edits made; one that lies inside another is part of that one's text."""
        end = len(self.data) if end is None else end
        pieces, position = [], start
        for edit in sorted(self.edits if edits is None else edits, key=in_order):
            if position <= edit.start and edit.end <= end:
                pieces += [self.data[position : edit.start].decode(), edit.text]
                position = edit.end
        return "".join([*pieces, self.data[position:end].decode()])


def in_order(edit: Edit) -> tuple[int, bool, int]:
    """What is put in before a place comes before what replaces it; of two places, the one around comes first."""
    return edit.start, edit.end > edit.start, -edit.end


def lines_of(node: ast.stmt) -> range:
    """The lines of a statement, counted from 0, with its decorators."""
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return range(first - 1, node.end_lineno or node.lineno)


def blocks_of(node: ast.AST) -> list[list[ast.stmt]]:
    """The lists of statements right inside a node."""
    found = [getattr(node, field, None) for field in ("body", "orelse", "finalbody")]
    blocks = [block for block in found if isinstance(block, list) and block]
    inside = [*getattr(node, "handlers", []), *getattr(node, "cases", [])]
    return blocks + [block for inner in inside for block in blocks_of(inner)]


def inside_strings(tree: ast.AST) -> set[int]:
    """The lines, counted from 1, that begin inside of a text: to indent these would change it."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))
        for line in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)
    }
