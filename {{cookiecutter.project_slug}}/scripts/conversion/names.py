"""What the names of a script stand for: which are bound where, and to what."""

from __future__ import annotations

import ast
from typing import NamedTuple, TypeAlias

Scope: TypeAlias = "ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda"
SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Binding(NamedTuple):
    """One place that binds a name: to a value, to each element of one in turn, or to what is not known here."""

    kind: str  # "value", "element", "parameter", "function", "other"
    node: ast.AST | None


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
            self._bind(self.parents[node], node.name, "other" if isinstance(node, ast.ClassDef) else "function", node)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
        elif isinstance(node, ast.Global):
            for name in node.names:  # bound from elsewhere, too: nothing is known of it
                self.bindings.setdefault((self.tree, name), []).extend([Binding("other", None)] * 2)
        else:
            caught = node.name if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) else None
            caught = node.rest if isinstance(node, ast.MatchMapping) else caught
            if caught:
                self._bind(node, caught, "other", None)

    def _bound_to(self, node: ast.Name) -> tuple[str, ast.AST | None]:
        parent = self.parents[node]
        if isinstance(parent, ast.Assign) and parent.targets == [node]:
            return "value", parent.value
        if isinstance(parent, (ast.AnnAssign, ast.NamedExpr)) and parent.value is not None:
            return "value", parent.value
        if isinstance(parent, (ast.For, ast.AsyncFor, ast.comprehension)) and parent.target is node:
            return "element", parent.iter
        return "other", None

    def _bind(self, at: ast.AST, name: str, kind: str, node: ast.AST | None) -> None:
        self.used.add(name)
        self.bindings.setdefault((self.scope(at), name), []).append(Binding(kind, node))

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

    def lookup(self, node: ast.Name) -> Binding | None:
        """What a name stands for where it is used, if just one place binds it."""
        scope: ast.AST = self.scope(node)
        while True:
            found = self.bindings.get((scope, node.id))  # type: ignore[arg-type]
            if found:
                return found[0] if len(found) == 1 else None
            if isinstance(scope, ast.Module):
                return None
            scope = self.scope(self.parents[scope])

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
