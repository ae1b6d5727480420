"""Save the figures that a notebook shows: there is no screen in a run."""

from __future__ import annotations

import ast

from aml_project.notebooks.display import DRAWING, is_plot
from aml_project.notebooks.edits import Source
from aml_project.notebooks.header import Used
from aml_project.notebooks.names import Names


def save_all(source: Source, names: Names, cells: list[list[ast.stmt]], used: Used) -> None:
    """Have plt.show() save, and the end of a cell that draws: a notebook shows its figures there."""
    if not any(dotted.split(".")[0] in DRAWING for dotted in names.imports.values()):
        return
    used.draws = used.writes = True
    drawing = functions_that_draw(names)
    for body in cells:
        calls = [node for statement in body for node in now(statement) if isinstance(node, ast.Call)]
        if not body or not any(call_draws(call, names, drawing) for call in calls) or shows(body[-1], names):
            continue
        source.insert(source.end(body[-1]), f"\n{used.own['save_figures']}()")


def now(statement: ast.AST) -> list[ast.AST]:
    """The nodes that run when a statement does: not those inside a function that it defines."""
    found: list[ast.AST] = []
    todo = [statement]
    while todo:
        node = todo.pop()
        found.append(node)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return found


def call_draws(call: ast.Call, names: Names, drawing: set[str]) -> bool:
    called = names.dotted(call.func)
    of_library = called.split(".")[0] in DRAWING and "." in called
    return of_library or is_plot(called) or called.rpartition(".")[2] in drawing


def functions_that_draw(names: Names) -> set[str]:
    """The functions of the script that draw, also by calling another one that does."""
    calls = {
        node.name: [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]
        for node in names.nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    found: set[str] = set()
    while True:
        more = {name for name, inside in calls.items() if any(call_draws(call, names, found) for call in inside)}
        if more <= found:
            return found
        found |= more


def shows(statement: ast.stmt, names: Names) -> bool:
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    return names.dotted(statement.value.func) in ("matplotlib.pyplot.show", "pylab.show")
