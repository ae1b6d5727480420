"""What the names of a script stand for: which are bound where, and to what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

Scope: TypeAlias = "ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda"
SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


GROWS = {"append", "extend", "insert", "add", "update"}


class Binding(NamedTuple):
    """One place that binds a name: to a value, to each element of one in turn, or to what is not known here."""

    kind: str  # "value", "element", "more" (of a list), "parameter", "function", "class", "file", "other"
    node: ast.AST | None
    at: ast.AST | None = None  # where the binding stands


class Names:
    """The bindings of a module, by scope; classes and comprehensions count to the function around them."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents: dict[ast.AST, ast.AST] = {}
        self.nodes: list[ast.AST] = []
        self.used: set[str] = set()
        self.imports: dict[str, str] = {}
        self.bindings: dict[tuple[Scope, str], list[Binding]] = {}
        todo: list[ast.AST] = [tree]
        while todo:
            node = todo.pop()
            self.nodes.append(node)
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
                todo.append(child)
        for node in self.nodes:
            self._collect(node)

    def _collect(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            self.used.add(node.id)
            if not isinstance(node.ctx, ast.Load):
                self._bind(node, node.id, *self._bound_to(node))
        elif isinstance(node, ast.arg):
            function = self.scope(node)
            self._bind(node, node.arg, "parameter", function)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            self._bind(node, node.name, kind, node, self.scope(self.parents[node]))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in GROWS:
            if isinstance(node.func.value, ast.Name) and node.args:
                self._bind(node.func.value, node.func.value.id, "more", node.args[-1])
        elif isinstance(node, ast.Global):
            for name in node.names:  # bound from elsewhere, too: nothing is known of it
                self.bindings.setdefault((self.tree, name), []).extend([Binding("other", None)] * 2)
        else:
            caught = node.name if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) else None
            caught = node.rest if isinstance(node, ast.MatchMapping) else caught
            if caught:
                self._bind(node, caught, "other", None)

    def _bound_to(self, node: ast.Name) -> tuple[str, ast.AST | None]:
        """The kind of a binding, and what the name is bound to: in a tuple, what stands at its place."""
        place: list[int] = []
        target: ast.AST = node
        parent = self.parents[node]
        while isinstance(parent, (ast.Tuple, ast.List)):
            place.insert(0, next(index for index, element in enumerate(parent.elts) if element is target))
            target, parent = parent, self.parents[parent]
        if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
            value = picked(parent.value, place)
            return ("value", value) if value else ("other", None)
        if isinstance(parent, ast.AugAssign):
            return "more", parent.value
        if isinstance(parent, (ast.AnnAssign, ast.NamedExpr)) and parent.value is not None:
            return "value", parent.value
        if isinstance(parent, (ast.For, ast.AsyncFor, ast.comprehension)):
            values = iterated(parent.iter, place)
            return ("element", values) if values else ("other", None)
        if isinstance(parent, ast.withitem):
            return "file", None
        return "other", None

    def _bind(self, at: ast.AST, name: str, kind: str, node: ast.AST | None, scope: Scope | None = None) -> None:
        self.used.add(name)
        self.bindings.setdefault((scope or self.scope(at), name), []).append(Binding(kind, node, at))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            if isinstance(node, ast.Import):
                self.imports[name] = alias.name if alias.asname else name
            elif node.module and not node.level:
                self.imports[name] = f"{node.module}.{alias.name}"
            self._bind(node, name, "other", None)

    def scope(self, node: ast.AST) -> Scope:
        """The function around a node, or the module."""
        while not isinstance(node, SCOPES):
            node = self.parents[node]
        return node

    def lookup(self, node: ast.Name) -> list[Binding]:
        """What a name can stand for where it is used; nothing if that can't be told."""
        scope = own = self.scope(node)
        while True:
            found = self.bindings.get((scope, node.id))
            if found:
                reaching = self._reaching(found, node) if scope is own and len(found) > 1 else found
                return [] if any(binding.kind == "other" for binding in reaching) else reaching
            if isinstance(scope, ast.Module):
                return []
            scope = self.scope(self.parents[scope])

    def _reaching(self, bindings: list[Binding], node: ast.Name) -> list[Binding]:
        """Those of several bindings that a use can meet: the last one before it, and those in branches between."""
        around = {id(parent) for parent in self._around(node)}
        before = [binding for binding in bindings if binding.at is None or end_of(binding) <= start_of(node)]
        found = []
        for binding in sorted(before, key=end_of, reverse=True):
            found.append(binding)
            if binding.kind != "more" and binding.at is not None and id(self._block(binding.at)) in around:
                break
        return found or bindings

    def _around(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def _block(self, node: ast.AST) -> ast.AST:
        """What holds the statement that a node is part of; a loop's own name is bound inside of it."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node if isinstance(node, (ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)) else self.parents[node]

    def only(self, node: ast.AST) -> Binding | None:
        """What a name stands for, if it is one thing."""
        found = self.lookup(node) if isinstance(node, ast.Name) else []
        return found[0] if len(found) == 1 else None

    def bound(self, name: str) -> int:
        """How many places bind a name of the module."""
        return len(self.bindings.get((self.tree, name), []))

    def dotted(self, node: ast.AST) -> str:
        """What is called, as in pandas.read_csv; a method of something unknown begins with a dot."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return "." + parts[0] if parts else ""
        root = self.imports.get(node.id)
        if root is None and parts:
            return "." + parts[0]
        return ".".join([root or node.id, *reversed(parts)])

    def free(self, name: str) -> str:
        """A name like this one that the script does not use."""
        while name in self.used:
            name += "_"
        return name


def start_of(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def end_of(binding: Binding) -> tuple[int, int]:
    """From where on a binding holds: the end of what it binds."""
    node = binding.node if binding.kind in ("value", "element", "more") else binding.at
    line, column = getattr(node, "end_lineno", None), getattr(node, "end_col_offset", None)
    return (line or 0, column or 0) if binding.kind not in ("function", "class") else (getattr(node, "lineno", 0), 0)


def picked(value: ast.expr, place: list[int]) -> ast.expr | None:
    """What stands at a place of a tuple that is written out."""
    for index in place:
        if not isinstance(value, (ast.Tuple, ast.List)) or index >= len(value.elts):
            return None
        value = value.elts[index]
    return value


def iterated(values: ast.expr, place: list[int]) -> ast.expr | None:
    """What the name at a place of a loop's target goes through."""
    if not place:
        return values
    first, *rest = place
    if isinstance(values, ast.Call):
        called = values.func.attr if isinstance(values.func, ast.Attribute) else getattr(values.func, "id", "")
        if called == "zip" and first < len(values.args):
            return iterated(values.args[first], rest)
        if called == "enumerate" and first == 1 and values.args:
            return iterated(values.args[0], rest)
        if called == "items" and isinstance(values.func, ast.Attribute):
            return values.func.value if first == 1 and not rest else None
        return iterated(values.args[0], place) if called in ("sorted", "list", "tqdm") and values.args else None
    if isinstance(values, (ast.List, ast.Tuple, ast.Set)):
        found = [picked(element, place) for element in values.elts]
        return ast.copy_location(ast.List([element for element in found if element is not None], ast.Load()), values)
    return None
