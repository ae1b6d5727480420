"""Let top-level `await` run in a script: the statements that wait become a coroutine, run where they stand."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from conversion.edits import Edit, Source, inside_strings
from conversion.header import Used


def wrap(source: Source, cells: list[list[ast.stmt]], used: Used) -> None:
    """Wrap what waits; the statements of a cell that wait one after the other go into one coroutine."""
    for body in cells:
        group: list[ast.stmt] = []
        for statement in body:
            if waits(statement):
                group.append(statement)
            elif group:
                wrap_group(source, group, used)
                group = []
        if group:
            wrap_group(source, group, used)
    used.waits = any(waits(statement) for body in cells for statement in body)


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


def wrap_group(source: Source, group: list[ast.stmt], used: Used) -> None:
    """Put a function around some statements, with the edits that were made in them."""
    start, end = source.start(group[0]), source.end(group[-1])
    for statement in group:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            source.replace(statement.annotation, "")  # an annotated name can't be global
            source.edits += [Edit(source.end(statement.target), source.start(statement.annotation), "")]
    text = source.edited(start, end)
    kept = inside_strings(ast.parse(text))
    lines = [line if number in kept or not line else f"    {line}" for number, line in enumerate(text.split("\n"), 1)]
    names = sorted(bound(group))
    told = [f"    global {', '.join(names)}"] if names else []
    code = "\n".join(
        [
            f"async def {used.own['awaited']}():",
            *told,
            *lines,
            "",
            f"{used.own['loop']}.run_until_complete({used.own['awaited']}())",
        ]
    )
    source.edits = [edit for edit in source.edits if not (start <= edit.start and edit.end <= end)]
    source.edits.append(Edit(start, end, code))


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
