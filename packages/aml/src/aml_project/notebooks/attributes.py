"""What the attributes of a script's own objects are set to: in methods, in the class's body, where one is made."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from aml_project.notebooks.names import FUNCTIONS, Names, picked

NAMESPACES = {"types.SimpleNamespace", "argparse.Namespace"}
PROPERTIES = {"property", "functools.cached_property"}
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


class Attributes:
    """The values of attributes, by their name and by the class; None is whatever object is of no class here."""

    def __init__(self, names: Names, calls: list[ast.Call]) -> None:
        self.names = names
        self.set: dict[str, dict[ast.ClassDef | None, list[ast.expr]]] = {}
        for node in names.nodes:
            for target, value in assigned(node):
                if isinstance(target, ast.Attribute):
                    self._set(target.attr, self.holder(target.value), value)
                elif isinstance(target, ast.Name):
                    self._of_body(node, target.id, [value])
            if isinstance(node, Function) and any(names.dotted(one) in PROPERTIES for one in node.decorator_list):
                self._of_body(node, node.name, list(returned(node)))
        for call in calls:
            self._made(call)

    def values(self, node: ast.Attribute) -> list[ast.expr]:
        """What an attribute may be; nothing if that can't be told."""
        by_class, own = self.set.get(node.attr, {}), self.holder(node.value)
        values = [value for one, found in by_class.items() if own and one and related(own, one) for value in found]
        if values:
            return values
        only = next(iter(by_class.items())) if len(by_class) == 1 else (None, [])
        return only[1] if only[0] or len(only[1]) == 1 else []

    def holder(self, node: ast.AST) -> ast.ClassDef | None:
        """The class of the script that an object is of: self, the class, what a call of it has made."""
        if isinstance(node, ast.Call):
            return self._class_of(node.func)
        if not isinstance(node, ast.Name):
            return None
        function = self.names.scope(node)
        around = self.names.parents.get(function)
        if isinstance(function, Function) and isinstance(around, ast.ClassDef) and node.id == first_of(function):
            return around
        binding = self.names.only(node)
        value = binding.node if binding and binding.kind == "value" else None
        return self._class_of(value.func) if isinstance(value, ast.Call) else self._class_of(node)

    def _class_of(self, node: ast.AST) -> ast.ClassDef | None:
        binding = self.names.only(node)
        return binding.node if binding and isinstance(binding.node, ast.ClassDef) else None

    def _of_body(self, node: ast.AST, name: str, values: list[ast.expr]) -> None:
        around = self.names.parents.get(node)
        if isinstance(around, ast.ClassDef):
            for value in values:
                self._set(name, around, value)

    def _made(self, call: ast.Call) -> None:
        """Note what a call sets: of a class that has no __init__ of its own, as a dataclass, or of a namespace."""
        made = self._class_of(call.func)
        if made is None and self.names.dotted(call.func) not in NAMESPACES:
            return
        body = made.body if made else []
        if any(isinstance(inner, ast.FunctionDef) and inner.name == "__init__" for inner in body):
            return
        fields = [one.target.id for one in body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]
        for name, value in [*zip(fields, call.args, strict=False), *((one.arg, one.value) for one in call.keywords)]:
            if name:
                self._set(name, made, value)

    def _set(self, name: str, holder: ast.ClassDef | None, value: ast.expr) -> None:
        self.set.setdefault(name, {}).setdefault(holder, []).append(value)


def assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment with their values; of a tuple, with what stands at their place."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value
    for target in node.targets if isinstance(node, ast.Assign) else []:
        inner = target.elts if isinstance(target, (ast.Tuple, ast.List)) else []
        for place, element in enumerate(inner):
            value = picked(node.value, [place])  # type: ignore[attr-defined]
            if value is not None:
                yield element, value
        if not inner:
            yield target, node.value  # type: ignore[attr-defined]


def related(one: ast.ClassDef, other: ast.ClassDef) -> bool:
    """Whether two classes are one, or one derives from the other."""
    bases = [{ast.unparse(base) for base in each.bases} for each in (one, other)]
    return one is other or other.name in bases[0] or one.name in bases[1]


def first_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The name that a method has for its object."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    return arguments[0].arg if arguments else ""


def returned(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.expr]:
    """What a function returns."""
    if isinstance(function, ast.Lambda):
        yield function.body
        return
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Return, ast.Yield)) and node.value is not None:
            yield node.value
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            todo += ast.iter_child_nodes(node)
