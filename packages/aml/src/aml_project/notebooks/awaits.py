"""Let top-level `await` run in a script: the statements that wait become a coroutine, run where they stand."""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import groupby

from aml_project.notebooks.edits import Edit, Source, in_order, inside_strings
from aml_project.notebooks.header import Used


def wrap(source: Source, cells: list[list[ast.stmt]], used: Used) -> None:
    """Wrap what waits; the statements of a cell that wait one after the other go into one coroutine."""
    if b"await" not in source.data and b"async" not in source.data:
        return
    groups = [group for body in cells for group in waiting(body)]
    used.waits = bool(groups)
    kept = sorted(source.edits, key=in_order)
    starts = [edit.start for edit in kept]
    inside: set[Edit] = set()
    for group in groups:
        start, end = source.start(group[0]), source.end(group[-1])
        edits = [edit for edit in kept[bisect_left(starts, start) : bisect_right(starts, end)] if edit.end <= end]
        inside |= set(edits)
        source.edits.append(Edit(start, end, coroutine(source, group, edits, used)))
    source.edits = [edit for edit in source.edits if edit not in inside]


def waiting(body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """The statements of a cell that wait, those together that stand together."""
    for does, group in groupby(body, waits):
        if does:
            yield list(group)


def waits(statement: ast.stmt) -> bool:
    kinds = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    return any(isinstance(node, kinds) or getattr(node, "is_async", 0) for node in top_level(statement))


def top_level(statement: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a statement that are not inside a function or a class of their own."""
    todo = [statement]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo += ast.iter_child_nodes(node)


def coroutine(source: Source, group: list[ast.stmt], edits: list[Edit], used: Used) -> str:
    """The text of some statements as a function, and of the line that runs it."""
    # An annotated name can't be global.
    edits = edits + [
        Edit(source.end(statement.target), source.end(statement.annotation), "")
        for statement in group
        if isinstance(statement, ast.AnnAssign) and statement.value is not None
    ]
    text = source.edited(source.start(group[0]), source.end(group[-1]), edits)
    kept = inside_strings(ast.parse(text))
    lines = [line if number in kept or not line else f"    {line}" for number, line in enumerate(text.split("\n"), 1)]
    names = sorted(bound(group))
    told = [f"    global {', '.join(names)}"] if names else []
    awaited, loop = used.own["awaited"], used.own["loop"]
    return "\n".join([f"async def {awaited}():", *told, *lines, "", f"{loop}.run_until_complete({awaited}())"])


def bound(group: list[ast.stmt]) -> set[str]:
    """The names that these statements bind: they are the script's, not the coroutine's."""
    found: set[str] = set()
    for statement in group:
        comprehended = {
            id(name)
            for node in ast.walk(statement)
            if isinstance(node, ast.comprehension)
            for name in ast.walk(node.target)
        }
        for node in top_level(statement):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and id(node) not in comprehended:
                found.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)):
                found |= {node.name} if node.name else set()
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
                found.add(node.name)
    return found
