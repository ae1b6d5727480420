"""Turn what only IPython understands into comments that keep its text, and let the code around it stay whole.

nbconvert has written each of these lines as a call of get_ipython(); the syntax tree says where these calls stand, and
the notebook's own lines say what the comment shows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from aml_project.notebooks.cells import Cell
from aml_project.notebooks.edits import blocks_of, lines_of
from aml_project.notebooks.notebook_file import Broken

RUNS_ITS_CODE = ("time", "capture", "prun")  # what stands behind them is run all the same
# Nothing is lost when these do nothing; every other one is told, because the script may need its work.
HARMLESS = {
    *("autoawait", "autoreload", "automagic", "colors", "conda", "config", "history", "html", "javascript", "js"),
    *("latex", "load_ext", "lsmagic", "mamba", "markdown", "matplotlib", "pdoc", "pfile", "pinfo", "pinfo2", "pip"),
    *("pprint", "precision", "prun", "psearch", "psource", "quickref", "reload_ext", "svg", "time", "timeit"),
    *("unload_ext", "who", "who_ls", "whos", "capture", "pdb", "debug", "tb", "xmode", "memit", "mprun", "lprun"),
}
INSTALLS = re.compile(r"\s*[!%]{0,2}\s*(?:python3? -m )?(?:pip3?|conda|mamba|uv pip)\s+install\b")


class Finding(NamedTuple):
    """What the user has to know of a cell."""

    cell: int
    line: str
    is_error: bool = False

    def __str__(self) -> str:
        return f"cell {self.cell}: {self.line}"


@dataclass
class Plain:
    """A code cell as plain Python."""

    code: str
    findings: list[Finding] = field(default_factory=list)
    comments: int = 0  # pieces of IPython that are comments now
    captured: str = ""  # the name that would have got what the cell prints
    ends_in_ipython: bool = False  # then the value of its last line of Python is not shown


def to_plain(cell: Cell, modules: dict[str, str], to_python: Callable[[str], str]) -> Plain:
    """Return the cell without IPython. `modules` are those that %run finds: file name and module."""
    tree = ast.parse(checked(cell.number, cell.python))
    magic = cell_magic(tree)
    if magic is None:
        return without_calls(cell, tree, modules)
    name, argument, body = magic
    head, _, rest = cell.source.lstrip("\n").partition("\n")
    if name not in RUNS_ITS_CODE:
        plain = Plain(as_comment([head, *rest.rstrip("\n").split("\n")] if rest else [head]), comments=1)
        if name not in HARMLESS:
            plain.findings.append(
                Finding(cell.number, f"%%{name} is a comment now; what it did has to be done in Python")
            )
        return plain
    inner = to_plain(cell._replace(source=rest, python=to_python(body)), modules, to_python)
    kept = [word for word in argument.split() if not word.startswith("-")]
    if name == "capture" and kept:
        inner.captured = kept[0]
    inner.code = f"{as_comment([head])}\n{inner.code}"
    inner.comments += 1
    return inner


def checked(number: int, python: str) -> str:
    """Return the code of a cell if it is Python; a Broken names the line that is not."""
    try:
        compile(python, f"cell {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        lines = python.split("\n")
        line = getattr(error, "lineno", None) or 0
        shown = lines[line - 1].strip()[:80] if 0 < line <= len(lines) else ""
        what = getattr(error, "msg", None) or str(error)
        raise Broken(f"cell {number}, line {line}: {what}: {shown}") from None
    except (RecursionError, MemoryError, OverflowError):
        raise Broken(f"cell {number}: nested too deep for Python") from None
    return python


def cell_magic(tree: ast.Module) -> tuple[str, str, str] | None:
    """Name, arguments and body of a cell that is one magic altogether."""
    if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
        called = ipython_call(tree.body[0].value)
        if called and called[0] == "run_cell_magic" and len(called[1]) == 3:
            name, argument, body = called[1]
            return name, argument, body
    return None


def ipython_call(node: ast.AST | None) -> tuple[str, list[str]] | None:
    """The method and the texts of a call of get_ipython(), if a node is one as nbconvert writes it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_get_ipython(node.func.value):
        texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if len(texts) == len(node.args) and not node.keywords:
            return node.func.attr, texts
    return None


def is_get_ipython(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def without_calls(cell: Cell, tree: ast.Module, modules: dict[str, str]) -> Plain:
    """Put a comment in the place of each statement that calls IPython, and a `pass` where a block would be empty."""
    if "get_ipython" not in cell.python:
        return Plain(cell.python.rstrip("\n"))
    lines = cell.python.rstrip("\n").split("\n")
    told = originals(cell.source, lines)
    plain = Plain("")
    gone: set[ast.stmt] = set()  # a comment alone stands for them
    for statement in with_ipython(tree):
        where = lines_of(statement)
        first = lines[where[0]]
        indent = first[: len(first) - len(first.lstrip())]
        shown = told.get(where[0]) or [lines[row].strip() for row in where]
        code, finding = instead(statement, cell.number, shown, modules)
        if first.strip() and not alone(statement, lines):
            raise Broken(f"cell {cell.number}: {first.strip()[:80]}: put the call of IPython on a line of its own")
        if not code:
            gone.add(statement)
        new = [as_comment(shown), *([code] if code else [])]
        lines[where[0]] = "\n".join(f"{indent}{line}" for text in new for line in text.split("\n"))
        for row in where[1:]:
            lines[row] = REMOVED
        plain.findings += [finding] if finding else []
        plain.comments += 1
    for block, indent in all_blocks(tree, cell.python.split("\n")):
        if block and all(statement in gone for statement in block):
            lines[lines_of(block[-1])[0]] += f"\n{indent}pass"
    plain.ends_in_ipython = tree.body[-1] in gone
    plain.code = "\n".join(line for line in lines if line is not REMOVED)
    return plain


REMOVED = "\x00"


def with_ipython(tree: ast.Module) -> Iterator[ast.stmt]:
    """The innermost statements that call get_ipython(), in their order."""

    def walk(block: list[ast.stmt]) -> Iterator[ast.stmt]:
        for statement in block:
            inner = [deep for nested in blocks_of(statement) for deep in nested]
            if any(is_get_ipython(node) for node in own_nodes(statement)):
                yield statement
            else:
                yield from walk(inner)

    return walk(tree.body)


def own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement, but not those of the statements inside it."""
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        yield node
        todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]


def all_blocks(tree: ast.Module, lines: list[str]) -> Iterator[tuple[list[ast.stmt], str]]:
    """Every block below the module's own, with its indentation."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module):
            for field_name in ("body", "orelse", "finalbody"):
                block = getattr(node, field_name, None)
                if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                    first = lines[lines_of(block[0])[0]]
                    yield block, first[: len(first) - len(first.lstrip())]


def alone(statement: ast.stmt, lines: list[str]) -> bool:
    """Whether nothing else stands on the lines of a statement, but for a comment behind it."""
    where = lines_of(statement)
    before = lines[where[0]].encode()[: statement.col_offset].decode()
    after = lines[where[-1]].encode()[statement.end_col_offset or 0 :].decode().strip()
    return not before.strip() and (not after.strip("; ") or after.startswith("#"))


def instead(statement: ast.stmt, number: int, shown: list[str], modules: dict[str, str]) -> tuple[str, Finding | None]:
    """The code that stands in the place of a statement, below the comment, and what is to be said of it."""
    value = getattr(statement, "value", None)
    called = ipython_call(value)
    if called and called[0] == "run_line_magic" and called[1][:1] == ["time"]:
        return timed(statement, called[1][1] if len(called[1]) > 1 else "", number)
    text = " ".join(line.strip() for line in shown)[:80]
    if called is None or not isinstance(statement, ast.Expr):
        message = f"{text}: only IPython gives this result; get it in Python"
        return f"raise NotImplementedError({f'cell {number}: {message}'!r})", Finding(number, message, is_error=True)
    method, texts = called
    if method == "run_line_magic" and texts[:1] == ["run"]:
        return run_of(texts[1] if len(texts) > 1 else "", number, modules)
    if INSTALLS.match(text):
        return "", None
    if method == "run_line_magic" and texts[0] in HARMLESS:
        return "", None
    return "", Finding(number, f"{text} is a comment now; if the script needs what it did, do it in Python")


def timed(statement: ast.stmt, code: str, number: int) -> tuple[str, Finding | None]:
    """The code behind %time, which runs as it did."""
    checked(number, code)
    if isinstance(statement, ast.Assign):
        names = [ast.unparse(target) for target in statement.targets]
        return " = ".join([*names, code]), None
    return code, None


def run_of(argument: str, number: int, modules: dict[str, str]) -> tuple[str, Finding | None]:
    """%run of a notebook or a script that becomes a module here gives all of its names."""
    name = argument.strip().strip("'\"")
    module = modules.get(name.removeprefix("./")) or modules.get(f"{name.removeprefix('./')}.py")
    if module:
        return f"from {module} import *", None
    return "", Finding(number, f"%run {name} is a comment now; convert the folder with both, or import what it gives")


def originals(source: str, lines: list[str]) -> dict[int, list[str]]:
    """The lines of the notebook that nbconvert has rewritten, by the number of the line that they have become."""
    found: dict[int, list[str]] = {}
    old = source.split("\n")
    at = 0
    for number, line in enumerate(lines):
        while at < len(old) and not old[at].strip() and line.strip():
            at += 1
        if at >= len(old):
            break
        begin = at
        if "get_ipython()" in line and old[at].strip() != line.strip():
            while old[at].rstrip().endswith("\\") and at + 1 < len(old):
                at += 1
            found[number] = [text.strip() for text in old[begin : at + 1]]
        at += 1
    return found


def as_comment(lines: list[str]) -> str:
    return "\n".join(f"# {line}".rstrip() for line in lines)
