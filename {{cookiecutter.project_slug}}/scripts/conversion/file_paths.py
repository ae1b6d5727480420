"""Find the literal paths of a script, follow them to what reads or writes there, and lead them to a run's files.

What is read lies below --data-path, what is written below outputs/. A name is followed to the one place that binds it,
an argument to the calls of its function.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

from conversion.edits import Source
from conversion.file_calls import FOLDER_METHODS, OF_PATHS, READ, WRITE, Use, of_caller, uses_of
from conversion.names import FUNCTIONS, Names

Go: TypeAlias = "Callable[..., list[Origin]]"  # how a trace goes on from one expression to another
Literal: TypeAlias = "ast.Constant | ast.JoinedStr"
JOINS = {"os.path.join", "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"}
PATHS = JOINS - {"os.path.join"}
SAME = {"os.path.abspath", "os.path.expanduser", "os.path.normpath", "os.path.realpath", "os.fspath", "str"}
KEEPS = {".resolve", ".absolute", ".expanduser", ".joinpath", ".as_posix", ".with_suffix", ".with_name", ".format"}
WHOLE, JOINED, HEAD = "whole", "joined", "head"  # is the literal the path, its first folder, or how its text begins?
WILD = re.compile(r"[*?\[]")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
DRIVE = re.compile(r"[A-Za-z]:[\\/]")
DEPTH = 30  # steps from a use to a literal


class Origin(NamedTuple):
    """A literal that a path comes from."""

    literal: Literal
    how: str
    inside: bool  # of the argument itself: no name lies between


class Lead(NamedTuple):
    """A literal, and where it leads in a run."""

    literal: Literal
    role: str
    how: str
    text: str  # the literal, or how it begins
    rest: str  # below --data-path or outputs/
    uses: tuple[Use, ...]


class Paths:
    """The paths of one script. What lies in the notebook's folder, or in data/ by now, tells folders from files."""

    def __init__(self, source: Source, names: Names, folder: Path, data: Path | None = None) -> None:
        self.source, self.names, self.folder, self.data = source, names, folder, data
        self.parameter_roles: dict[tuple[ast.AST, str], Use] = {}
        self.seen_parameters: set[tuple[ast.AST, str]] = set()
        self.uses: list[tuple[Use, Origin]] = []
        self.urls: dict[int, Literal] = {}
        self.mixed: list[tuple[Literal, list[Use]]] = []  # read from and written to; the uses that write
        self.calls = [node for node in names.nodes if isinstance(node, ast.Call)]
        self.calls += filter(None, [of_caller(call, names.dotted(call.func)) for call in self.calls])
        self._collect()
        self.leads = self._leads()

    # --- from uses to literals ---

    def _collect(self) -> None:
        pending = [use for call in self.calls for use in uses_of(call, self.names.dotted(call.func))]
        pending += self._methods_handed_on()
        functions = self._calls_of_functions()
        while pending:
            use = pending.pop()
            self.seen: set[tuple[int, str, bool]] = set()
            for origin in self._trace(use.path, use, WHOLE, inside=True, depth=0):
                self.uses.append((use, origin))
            for key in list(self.parameter_roles):
                through = self.parameter_roles.pop(key)
                if key not in self.seen_parameters:
                    self.seen_parameters.add(key)
                    pending += [
                        through._replace(path=given, handed_on=True)
                        for given in given_to(key, functions.get(key[0], []))
                    ]
        known = {id(origin.literal) for _, origin in self.uses}
        for node in self.names.nodes:  # what no rule has reached, and yet names a file that is there
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in known:
                parent = self.names.parents[node]
                if not isinstance(parent, (ast.Expr, ast.JoinedStr)) and self._names_a_file(node.value, parent):
                    self.uses.append((Use(node, READ, ""), Origin(node, WHOLE, False)))
        self.uses.sort(key=lambda found: (found[1].literal.lineno, found[1].literal.col_offset))

    def _methods_handed_on(self) -> list[Use]:
        """Methods of a Path that are not called where they stand, as in to_thread(Path(name).read_text)."""
        called = {id(call.func) for call in self.calls}
        return [
            Use(node.value, OF_PATHS[f".{node.attr}"], f".{node.attr}", f".{node.attr}" in FOLDER_METHODS)
            for node in self.names.nodes
            if isinstance(node, ast.Attribute) and f".{node.attr}" in OF_PATHS and id(node) not in called
        ]

    def _names_a_file(self, text: str, parent: ast.AST) -> bool:
        of_path = isinstance(parent, ast.Call) and self.names.dotted(parent.func) in PATHS
        looks_so = "." in text.rpartition("/")[2][1:] or (of_path and bool(text.strip("./")))
        return looks_so and is_path(text) and self._is(text, Path.is_file if not of_path else Path.exists)

    def _calls_of_functions(self) -> dict[ast.AST, list[ast.Call]]:
        found: dict[ast.AST, list[ast.Call]] = {}
        for call in self.calls:
            if isinstance(call.func, ast.Name):
                binding = self.names.lookup(call.func)
                function = binding.node if binding and binding.kind in ("function", "value") else None
                if isinstance(function, FUNCTIONS):
                    found.setdefault(function, []).append(call)
        return found

    def _trace(self, node: ast.AST | None, use: Use, how: str, *, inside: bool, depth: int) -> list[Origin]:
        """The literals that an expression's text begins with."""
        if node is None or depth > DEPTH or (id(node), how, inside) in self.seen:
            return []
        self.seen.add((id(node), how, inside))

        def go(inner: ast.AST | None, how: str = how, inside: bool = inside) -> list[Origin]:
            return self._trace(inner, use, how, inside=inside, depth=depth + 1)

        if isinstance(node, ast.Constant):
            return [Origin(node, how, inside)] if isinstance(node.value, str) else []
        if isinstance(node, ast.JoinedStr):
            first = node.values[0] if node.values else None
            if isinstance(first, ast.FormattedValue):
                return go(first.value, JOINED if goes_on_below(node.values[1:]) else HEAD, False)
            return [Origin(node, HEAD, inside)] if isinstance(first, ast.Constant) else []
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod, ast.Div)):
            below = isinstance(node.op, ast.Div) or (isinstance(node.op, ast.Add) and goes_on_below([node.right]))
            return go(node.left, JOINED if below else HEAD)
        if isinstance(node, ast.Call):
            return self._trace_call(node, go, how)
        if isinstance(node, ast.Name):
            return self._trace_name(node, use, go)
        if isinstance(node, ast.Subscript):
            node = self._element(node)
        return [origin for inner in inside_of(node) for origin in go(inner, how, False)]

    def _element(self, node: ast.Subscript) -> ast.AST:
        """What an index picks out of a list or a dict that is written out; else all of it."""
        whole: ast.AST | None = node.value
        if isinstance(whole, ast.Name):
            binding = self.names.lookup(whole)
            whole = binding.node if binding and binding.kind == "value" else None
        if isinstance(node.slice, ast.Constant) and isinstance(whole, (ast.List, ast.Tuple, ast.Dict)):
            index = node.slice.value
            if isinstance(whole, ast.Dict):
                keys = [key.value if isinstance(key, ast.Constant) else None for key in whole.keys]
                picked = [value for key, value in zip(keys, whole.values, strict=True) if key == index]
            else:
                picked = whole.elts[index : index + 1 or None] if isinstance(index, int) else []
            return ast.Tuple(elts=picked)
        return node

    def _trace_call(self, node: ast.Call, go: Go, how: str) -> list[Origin]:
        called = self.names.dotted(node.func)
        if called in JOINS and node.args:
            return go(node.args[0], how if len(node.args) == 1 else JOINED)
        if called in SAME and node.args:
            return go(node.args[0])
        if isinstance(node.func, ast.Attribute) and (called in KEEPS or called in (".items", ".values")):
            return go(node.func.value, {".joinpath": JOINED, ".format": HEAD}.get(called, how))
        if called in ("enumerate", "sorted", "list", "zip", "tqdm.tqdm") and node.args:
            return go(node.args[0], how, False)
        return []

    def _trace_name(self, node: ast.Name, use: Use, go: Go) -> list[Origin]:
        binding = self.names.lookup(node)
        if binding is None:
            return []
        if binding.kind == "parameter" and binding.node is not None:
            self.parameter_roles[(binding.node, node.id)] = use
            return go(default_of(binding.node, node.id), inside=False)
        return go(binding.node, inside=False) if binding.kind in ("value", "element") else []

    # --- from literals to places ---

    def _leads(self) -> list[Lead]:
        by_literal: dict[int, list[tuple[Use, Origin]]] = {}
        for use, origin in self.uses:
            text = beginning(origin.literal)
            if SCHEME.match(text) and not DRIVE.match(text):
                self.urls[id(origin.literal)] = origin.literal
            elif is_path(text):
                by_literal.setdefault(id(origin.literal), []).append((use, origin))
        written, made = self._written(by_literal)
        found = []
        for pairs in by_literal.values():
            literal = pairs[0][1].literal
            writing = [use for use, origin in pairs if self._role(use, origin, written, made) == WRITE]
            role = WRITE if len(writing) == len(pairs) else READ
            if writing and role == READ:
                self.mixed.append((literal, writing))
            hows = {origin.how for _, origin in pairs}
            how = HEAD if HEAD in hows else JOINED if JOINED in hows else WHOLE
            found.append(Lead(literal, role, how, beginning(literal), "", tuple(use for use, _ in pairs)))
        self.roots = {kind: self._root([lead for lead in found if lead.role == READ], kind) for kind in (True, False)}
        return [lead._replace(rest=self._rest(lead, self.roots[is_absolute(lead.text)])) for lead in found]

    def _written(self, by_literal: dict[int, list[tuple[Use, Origin]]]) -> tuple[set[str], set[str]]:
        """The files that the script writes, and the folders that it makes or writes into."""
        files: set[str] = set()
        folders: set[str] = set()
        for pairs in by_literal.values():
            for use, origin in pairs:
                path = self.static(use.path) or (clean(beginning(origin.literal)) if origin.how == WHOLE else None)
                if use.role == WRITE and path:
                    (folders if use.makes_folder else files).add(path)
        return files, folders

    def _role(self, use: Use, origin: Origin, written: set[str], made: set[str]) -> str:
        """A file that the script has written itself is read where it was written."""
        if use.role == WRITE:
            return WRITE
        path = self.static(use.path) or (clean(beginning(origin.literal)) if origin.how == WHOLE else "")
        folder = path if path and not WILD.search(path) else posixpath.dirname(path)
        return WRITE if path in written or (folder and folder in made) else READ

    def static(self, node: ast.AST, depth: int = 0) -> str | None:
        """The text of a path, if it can be told without running anything."""
        text = self._static(node, depth)
        return None if text is None else clean(text)

    def _static(self, node: ast.AST | None, depth: int) -> str | None:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if depth > DEPTH or node is None:
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
            both = [self._static(side, depth + 1) for side in (node.left, node.right)]
            return ("/" if isinstance(node.op, ast.Div) else "").join(both) if None not in both else None  # type: ignore[arg-type]
        if isinstance(node, ast.Call) and self.names.dotted(node.func) in JOINS | SAME:
            parts = [self._static(arg, depth + 1) for arg in node.args]
            return "/".join(parts) if None not in parts else None  # type: ignore[arg-type]
        if isinstance(node, ast.JoinedStr):
            values = [value.value if isinstance(value, ast.FormattedValue) else value for value in node.values]
            parts = [self._static(value, depth + 1) for value in values]
            return "".join(parts) if None not in parts else None  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            binding = self.names.lookup(node)
            return self._static(binding.node, depth + 1) if binding and binding.kind == "value" else None
        return None

    def _root(self, leads: list[Lead], absolute: bool) -> str:
        """The folder that all data of a kind lie in: it becomes --data-path."""
        folders = [self._folder(lead) for lead in leads if is_absolute(lead.text) == absolute]
        return common(folders)

    def _folder(self, lead: Lead) -> str:
        """The folder that a path which is read leads into, or is."""
        text = lead.text.replace("\\", "/")
        if WILD.search(text):
            return posixpath.dirname(clean(WILD.split(text)[0] + "x"))
        if lead.how == HEAD and not text.endswith("/"):
            return posixpath.dirname(clean(text))
        told = lead.how == JOINED or text.endswith("/") or any(use.is_folder for use in lead.uses)
        return clean(text) if told or self._is_folder(text) else posixpath.dirname(clean(text))

    def _rest(self, lead: Lead, root: str) -> str:
        text = lead.text.replace("\\", "/")
        slash = "/" if text.endswith("/") else ""
        path = clean(text)
        if lead.role == READ:
            rest = strip_up(path[len(root) :] if root and f"{path}/".startswith(f"{root}/") else path)
        else:
            rest = posixpath.basename(path) if is_absolute(text) else strip_up(path)
            rest = "." if rest == "outputs" else rest.removeprefix("outputs/")
        return rest + (slash if rest != "." else "")

    def _is_folder(self, text: str) -> bool:
        return self._is(text, Path.is_dir)

    def _is(self, text: str, kind: Callable[[Path], bool]) -> bool:
        """Whether a path is of some kind where the notebook lies, or has been and is below data/ now."""
        try:
            if kind(self.folder / Path(text).expanduser()):
                return True
            parts = strip_up(clean(text)).split("/")
            ends = [self.data.joinpath(*parts[i:]) for i in range(len(parts))] if self.data else []
            return any(kind(end) for end in ends)
        except (OSError, ValueError, RuntimeError):
            return False


def inside_of(node: ast.AST) -> list[ast.expr]:
    """The expressions whose values an expression gives, or holds."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return node.elts
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        return [node.elt]
    if isinstance(node, ast.Dict):
        return node.values
    if isinstance(node, (ast.Subscript, ast.NamedExpr, ast.Starred)):
        return [node.value]
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else []


def goes_on_below(values: list[ast.expr]) -> bool:
    """Whether what follows a folder's name begins with a slash."""
    first = values[0] if values else None
    if isinstance(first, ast.JoinedStr):
        return goes_on_below(first.values)
    return isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value.startswith("/")


def given_to(key: tuple[ast.AST, str], calls: list[ast.Call]) -> list[ast.expr]:
    """What the calls of a function give to one of its parameters."""
    function, name = key
    arguments = function.args  # type: ignore[attr-defined]
    order = [arg.arg for arg in [*arguments.posonlyargs, *arguments.args]]
    found = []
    for call in calls:
        found += [keyword.value for keyword in call.keywords if keyword.arg == name]
        position = order.index(name) if name in order else len(call.args)
        if position < len(call.args) and not any(isinstance(arg, ast.Starred) for arg in call.args[: position + 1]):
            found.append(call.args[position])
    return found


def default_of(function: ast.AST, name: str) -> ast.expr | None:
    arguments = function.args  # type: ignore[attr-defined]
    order = [arg.arg for arg in [*arguments.posonlyargs, *arguments.args]]
    defaults = dict(zip(reversed(order), reversed(arguments.defaults), strict=False))
    defaults |= {
        arg.arg: value for arg, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value
    }
    return defaults.get(name)


def beginning(literal: Literal) -> str:
    """A literal's text, or that of an f-string up to its first value."""
    if isinstance(literal, ast.JoinedStr):
        first = literal.values[0]
        return str(first.value) if isinstance(first, ast.Constant) else ""
    return str(literal.value)


def is_path(text: str) -> bool:
    """Whether a text can be a path: readers take data itself, too."""
    return bool(text.strip()) and not re.search(r"[\n{<]|^\[", text) and len(text) < 1000


def is_absolute(text: str) -> bool:
    return text.startswith(("/", "~", "\\\\")) or bool(DRIVE.match(text))


def clean(text: str) -> str:
    return posixpath.normpath(text.replace("\\", "/"))


def strip_up(path: str) -> str:
    """A path without what leads out of its folder."""
    parts = [part for part in path.split("/") if part not in ("", "..", "~") and not part.endswith(":")]
    return "/".join(parts) or "."


def common(folders: list[str]) -> str:
    """The folder around all of these."""
    if not folders:
        return ""
    parts = [folder.split("/") if folder != "." else [] for folder in folders]
    shared: list[str] = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return "/".join(shared)
