"""Follow what a script reads and writes back to the literals that name it.

A name leads to the one place that binds it, a parameter to the calls of its function, a call to what the function
returns, an attribute to what its class sets it to. Nothing is run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from aml_project.notebooks.attributes import Attributes, returned
from aml_project.notebooks.file_calls import FOLDER_METHODS, FOLDER_READERS, OF_PATHS, Use, of_caller, uses_of
from aml_project.notebooks.names import FUNCTIONS, Names

Literal: TypeAlias = "ast.Constant | ast.JoinedStr"
Go: TypeAlias = "Callable[..., list[Origin]]"  # how a trace goes on from one expression to another
Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda"
JOINS = {"os.path.join", "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"}
PATHS = JOINS - {"os.path.join"}
SAME = {"os.path.abspath", "os.path.expanduser", "os.path.normpath", "os.path.realpath", "os.fspath", "str"}
KEEPS = {".resolve", ".absolute", ".expanduser", ".joinpath", ".as_posix", ".with_suffix", ".with_name", ".format"}
HOLDERS = {"enumerate", "sorted", "list", "tuple", "set", "zip", "reversed", "tqdm.tqdm", "tqdm.auto.tqdm"}
DEFAULTS = {"os.getenv", "os.environ.get", ".get"}  # what they give may be their second argument
# These give a file itself, or the names of files in a folder that is followed on its own.
NO_PATH = {"BytesIO", "StringIO", "open", "NamedTemporaryFile", "TemporaryDirectory", "mkdtemp", "mkstemp", "urlopen"}
LISTS = {*FOLDER_READERS, *FOLDER_METHODS}
WHOLE, JOINED, HEAD = "whole", "joined", "head"  # is the literal the path, its first folder, or how its text begins?
DEPTH = 30  # steps from a use to a literal


class Origin(NamedTuple):
    """A literal that a path comes from."""

    literal: Literal
    how: str


class Tracer:
    """What a script reads and writes, each with the literals that it comes from."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.found: list[tuple[Use, Origin]] = []
        self.lost: list[Use] = []  # where these lead is not known
        calls = [node for node in names.nodes if isinstance(node, ast.Call)]
        self.calls = [*calls, *filter(None, [of_caller(call, names.dotted(call.func)) for call in calls])]
        self._index()
        self.attributes = Attributes(names, calls)
        pending = [use for call in self.calls for use in uses_of(call, names.dotted(call.func), self.static)]
        pending += self._methods_handed_on()
        done: set[tuple[ast.AST, str, str]] = set()
        while pending:
            use = pending.pop()
            origins, parameters = self._origins(use)
            self.found += [(use, origin) for origin in origins]
            for function, name in parameters:
                key = (function, name, use.role)
                if key not in done:
                    done.add(key)
                    given = given_to(function, name, self.calls_of.get(function, []), self._has_self(function))
                    pending += [use._replace(path=path, handed_on=True) for path in given]

    # --- the script's own functions ---

    def _index(self) -> None:
        """Note which calls are of which function of the script."""
        self.calls_of: dict[ast.AST, list[ast.Call]] = {}
        self.methods: dict[str, list[Function]] = {}
        for node in self.names.nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and self._is_method(node):
                self.methods.setdefault(node.name, []).append(node)
        for call in self.calls:
            function = self.function_of(call)
            if function is not None:
                self.calls_of.setdefault(function, []).append(call)

    def function_of(self, call: ast.Call) -> Function | None:
        """The function of the script that a call calls, if that can be told."""
        if isinstance(call.func, ast.Attribute):
            methods = self.methods.get(call.func.attr, [])
            return methods[0] if len(methods) == 1 else None
        binding = self.names.only(call.func)
        node = binding.node if binding else None
        if isinstance(node, ast.ClassDef):
            made = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"]
            return made[0] if made else None
        return node if isinstance(node, FUNCTIONS) else None

    def _is_method(self, function: ast.AST) -> bool:
        return isinstance(self.names.parents.get(function), ast.ClassDef)

    def _has_self(self, function: Function) -> bool:
        """Whether a function's first parameter is given by Python."""
        decorators = [] if isinstance(function, ast.Lambda) else function.decorator_list
        return self._is_method(function) and "staticmethod" not in map(self.names.dotted, decorators)

    def _methods_handed_on(self) -> list[Use]:
        """Methods of a Path that are not called where they stand, as in to_thread(Path(name).read_text)."""
        called = {id(call.func) for call in self.calls}
        return [
            Use(node.value, OF_PATHS[f".{node.attr}"], f".{node.attr}", f".{node.attr}" in FOLDER_METHODS)
            for node in self.names.nodes
            if isinstance(node, ast.Attribute) and f".{node.attr}" in OF_PATHS and id(node) not in called
        ]

    # --- from a use to literals ---

    def _origins(self, use: Use) -> tuple[list[Origin], list[tuple[Function, str]]]:
        """The literals that a use comes from, and the parameters that it comes through."""
        self.seen: set[tuple[int, str]] = set()
        self.through: list[tuple[Function, str]] = []
        self.known = False
        origins = self._trace(use.path, WHOLE, 0)
        if not origins and not self.known and not self.through and use.is_sure:
            self.lost.append(use)
        return origins, self.through

    def _trace(self, node: ast.AST | None, how: str, depth: int) -> list[Origin]:
        """The literals that an expression's text begins with."""
        if node is None or depth > DEPTH or (id(node), how) in self.seen:
            return []
        self.seen.add((id(node), how))

        def go(inner: ast.AST | None, how: str = how) -> list[Origin]:
            return self._trace(inner, how, depth + 1)

        if isinstance(node, ast.Constant):
            self.known = True
            return [Origin(node, how)] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            first = node.values[0] if node.values else None
            if isinstance(first, ast.FormattedValue):
                return go(first.value, JOINED if goes_on_below(node.values[1:]) else HEAD)
            return [Origin(node, HEAD)] if isinstance(first, ast.Constant) else []
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod, ast.Div)):
            below = isinstance(node.op, ast.Div) or (isinstance(node.op, ast.Add) and goes_on_below([node.right]))
            return go(node.left, JOINED if below else HEAD)
        if isinstance(node, ast.Call):
            return self._trace_call(node, go, how)
        if isinstance(node, ast.Name):
            return self._trace_name(node, go)
        if isinstance(node, ast.Attribute):
            return [origin for value in self.attributes.values(node) for origin in go(value)]
        if isinstance(node, ast.Subscript):
            node = self._element(node)
        return [origin for inner in inside_of(node) for origin in go(inner)]

    def _trace_call(self, node: ast.Call, go: Go, how: str) -> list[Origin]:
        called = self.names.dotted(node.func)
        first: ast.expr | None = node.args[0] if node.args else None
        if isinstance(first, ast.Starred):
            parts = first.value.elts if isinstance(first.value, (ast.List, ast.Tuple)) else []
            return go(parts[0], JOINED) if called in JOINS and parts else []
        if called in JOINS and first is not None:
            return go(first, how if len(node.args) == 1 else JOINED)
        if (called in SAME or called in HOLDERS) and first is not None:
            return go(first)
        if called in DEFAULTS and len(node.args) > 1:
            return go(node.args[1])
        if isinstance(node.func, ast.Attribute) and (called in KEEPS or called in (".items", ".values")):
            return go(node.func.value, {".joinpath": JOINED, ".format": HEAD}.get(called, how))
        function = self.function_of(call=node)
        if function is not None:
            return [origin for value in returned(function) for origin in go(value)]
        self.known = self.known or called in LISTS or called.rpartition(".")[2] in NO_PATH
        return []

    def _trace_name(self, node: ast.Name, go: Go) -> list[Origin]:
        origins: list[Origin] = []
        for binding in self.names.lookup(node):
            if binding.kind == "parameter" and isinstance(binding.node, FUNCTIONS):
                self.through.append((binding.node, node.id))
                origins += go(default_of(binding.node, node.id))
            elif binding.kind in ("value", "element", "more"):
                origins += go(binding.node)
            self.known = self.known or binding.kind == "file"
        return origins

    def _element(self, node: ast.Subscript) -> ast.AST:
        """What an index picks out of a list or a dict that is written out; else all of it."""
        whole: ast.AST | None = node.value
        if isinstance(whole, ast.Name):
            binding = self.names.only(whole)
            whole = binding.node if binding and binding.kind == "value" else None
        elif isinstance(whole, ast.Attribute):
            values = self.attributes.values(whole)
            whole = values[0] if len(values) == 1 else None
        try:
            index = ast.literal_eval(node.slice)
        except ValueError:
            return node
        if isinstance(whole, (ast.List, ast.Tuple, ast.Dict)):
            if isinstance(whole, ast.Dict):
                keys = [key.value if isinstance(key, ast.Constant) else None for key in whole.keys]
                picked = [value for key, value in zip(keys, whole.values, strict=True) if key == index]
            else:
                picked = whole.elts[index : index + 1 or None] if isinstance(index, int) else []
            return ast.Tuple(elts=picked)
        return node

    # --- the text of a path ---

    def static(self, node: ast.AST | None, above: tuple[ast.AST, ...] = ()) -> str | None:
        """The whole text of an expression, if it can be told without running anything; `above` are those it is of."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if node is None or node in above or len(above) > DEPTH:
            return None
        above = (*above, node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
            return self._joined([node.left, node.right], "/" if isinstance(node.op, ast.Div) else "", above)
        if isinstance(node, ast.Call) and self.names.dotted(node.func) in JOINS | SAME:
            return self._joined(node.args, "/", above)
        if isinstance(node, ast.JoinedStr):
            values = [value.value if isinstance(value, ast.FormattedValue) else value for value in node.values]
            return self._joined(values, "", above)
        if isinstance(node, ast.Name):
            binding = self.names.only(node)
            return self.static(binding.node, above) if binding and binding.kind == "value" else None
        if isinstance(node, ast.Attribute):
            values = self.attributes.values(node)
            return self.static(values[0], above) if len(values) == 1 else None
        return None

    def _joined(self, nodes: list[ast.expr], between: str, above: tuple[ast.AST, ...]) -> str | None:
        parts = [self.static(node, above) for node in nodes]
        told = [part for part in parts if part is not None]
        return between.join(told) if len(told) == len(parts) else None


def inside_of(node: ast.AST) -> list[ast.expr]:
    """The expressions whose values an expression gives, or holds."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return node.elts
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        return [node.elt]
    if isinstance(node, (ast.Dict, ast.BoolOp)):
        return node.values
    if isinstance(node, (ast.Subscript, ast.NamedExpr, ast.Await)):
        return [node.value]
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else []


def goes_on_below(values: list[ast.expr]) -> bool:
    """Whether what follows a folder's name begins with a slash."""
    first = values[0] if values else None
    if isinstance(first, ast.JoinedStr):
        return goes_on_below(first.values)
    return isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value.startswith("/")


def given_to(function: Function, name: str, calls: list[ast.Call], is_method: bool) -> list[ast.expr]:
    """What the calls of a function give to one of its parameters."""
    order = [arg.arg for arg in [*function.args.posonlyargs, *function.args.args]][int(is_method) :]
    found = []
    for call in calls:
        found += [keyword.value for keyword in call.keywords if keyword.arg == name]
        position = order.index(name) if name in order else len(call.args)
        if position < len(call.args) and not any(isinstance(arg, ast.Starred) for arg in call.args[: position + 1]):
            found.append(call.args[position])
    return found


def default_of(function: Function, name: str) -> ast.expr | None:
    """What a parameter is if a call does not give it."""
    arguments = function.args
    order = [arg.arg for arg in [*arguments.posonlyargs, *arguments.args]]
    defaults = dict(zip(reversed(order), reversed(arguments.defaults), strict=False))
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return defaults.get(name) or next((default for arg, default in keywords if arg.arg == name), None)
