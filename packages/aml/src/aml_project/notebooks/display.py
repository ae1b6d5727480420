"""Print what a notebook shows below a cell: display(), and the value of the last line."""

from __future__ import annotations

import ast

from aml_project.notebooks.edits import Source
from aml_project.notebooks.file_calls import WRITE, constant, uses_of
from aml_project.notebooks.header import Used
from aml_project.notebooks.names import Names

# Methods that draw, whatever their object: those of axes, of a table, of scikit-learn's displays.
PLOTS = {
    *("plot", "hist", "boxplot", "scatter", "bar", "barh", "imshow", "pie", "subplots", "matshow", "plot_tree"),
    *("from_estimator", "from_predictions", "violinplot", "fill_between", "contour", "contourf", "errorbar"),
    *("axhline", "axvline", "semilogx", "semilogy", "loglog", "hexbin", "annotate"),
}
DRAWING = ("matplotlib", "seaborn", "pylab")
SAYS_NOTHING = {"print", "display", "pprint.pprint", "exec", "setattr", "IPython.display.display"}


def without_ipython(source: Source, names: Names, used: Used) -> None:
    """Take out the imports of IPython's display; what they gave is defined in the script's head."""
    for node in names.nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "IPython":
            given = {alias.asname or alias.name: alias.name for alias in node.names}
            if (node.module or "").endswith("display") or set(given.values()) <= {"display", "get_ipython"}:
                used.ipython |= {name: original for name, original in given.items() if original != "get_ipython"}
                is_alone = len(block_of(names, node)) == 1 and node not in source.tree.body
                source.replace(node, "pass" if is_alone else "")
    if "display" in names.used and not names.bound("display"):
        used.ipython["display"] = "display"


def block_of(names: Names, node: ast.stmt) -> list[ast.stmt]:
    parent = names.parents[node]
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and node in block:
            return block
    return []


def show_last(source: Source, names: Names, body: list[ast.stmt], used: Used) -> None:
    """Print the value of a cell's last line, as the notebook does, unless it draws or ends in a semicolon."""
    if not body or not isinstance(body[-1], ast.Expr):
        return
    last = body[-1].value
    if isinstance(last, (ast.Constant, ast.Starred, ast.Yield, ast.YieldFrom)) or draws(last, names):
        return
    if isinstance(last, ast.Call):
        called = names.dotted(last.func)
        if called in SAYS_NOTHING or any(use.role == WRITE for use in uses_of(last, called, constant)):
            return
    rest = source.data[source.end(last) :].split(b"\n", 1)[0].strip()
    if rest.startswith(b";"):
        return
    used.shows_values = True
    source.insert(source.start(body[-1]), f"{used.own['display']}(")
    source.insert(source.end(body[-1]), ")")


def draws(node: ast.AST, names: Names) -> bool:
    """Whether an expression is a call that draws, whose value nobody wants to read."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    if not isinstance(node, ast.Call):
        return False
    called = names.dotted(node.func)
    if called.split(".")[0] in DRAWING or is_plot(called) or called.startswith(".set_"):
        return True
    return isinstance(node.func, ast.Attribute) and draws(node.func.value, names)


def is_plot(called: str) -> bool:
    head, dot, method = called.rpartition(".")
    return bool(dot) and (method in PLOTS or head == ".plot" or ".plot." in called)
