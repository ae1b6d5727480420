"""Which statements of a notebook any of its steps may repeat: imports, definitions, constants, settings.

What else it does is code, which one step runs.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aml_project.notebooks.edits import Source, lines_of
from aml_project.notebooks.flow import DEFINITIONS, Effect, Flow, closure, defined, reads, root, running
from aml_project.notebooks.names import Names
from aml_project.notebooks.script import Conversion

Kind = Literal["import", "definition", "constant", "setting", "code"]
# What a part stands on: nothing but imports and parts like itself; the script's arguments; values of the notebook.
Level = Literal[0, 1, 2]
FREE, SCRIPT, NESTED = 0, 1, 2
# Calls whose result is the same each time.
PLAIN_CALLS = {
    *("pathlib.Path", "pathlib.PurePath", "os.path.join", "os.path.abspath", "os.path.dirname", "os.path.expanduser"),
    *("os.path.basename", "os.getenv", "os.environ.get", "os.cpu_count", "torch.device", "torch.cuda.is_available"),
    *("re.compile", "datetime.date", "datetime.datetime", "datetime.timedelta", "pandas.Timestamp", "pandas.Timedelta"),
    *("int", "float", "str", "bool", "len", "range", "tuple", "frozenset", "decimal.Decimal", "fractions.Fraction"),
    *(
        "logging.getLogger",
        "math.sqrt",
        "math.log",
        "math.exp",
        "numpy.sqrt",
        "numpy.log",
        "numpy.exp",
        "typing.TypeVar",
    ),
}
CLASSES = {"collections.namedtuple", "typing.NamedTuple", "enum.Enum", "dataclasses.make_dataclass", "typing.NewType"}
LISTINGS = {"glob.glob", "os.listdir", ".glob", ".rglob", ".iterdir"}  # of the data, which every step sees alike
SETTINGS = re.compile(
    r"(?:^|\.)(?:set_(?!seed|state|random_seed)\w+|set|use|use_\w+|filterwarnings|simplefilter|basicConfig|disable|seterr|rc"
    r"|register\w*|enable\w*|pandas|reset_defaults|rcdefaults|append|insert)$"
)
LISTS_OF_MODULES = ("sys.path.append", "sys.path.insert")
SEEDS = re.compile(
    r"(?:^|\.)(?:random\.(?:seed|set_seed)|manual_seed|seed_everything|set_random_seed|set_seed|setstate)$"
)


@dataclass
class Chunk:
    """A statement of the notebook, or those that one coroutine runs, as it stands in a script."""

    statements: list[ast.stmt]
    cell: int
    begin: int  # where it stands
    text: str
    before: str  # comments
    kind: Kind = "code"
    level: Level = 0
    names: set[str] = field(default_factory=set)  # that it binds
    reads: set[str] = field(default_factory=set)

    @property
    def first(self) -> ast.stmt:
        return self.statements[0]


class Parts:
    """The chunks of a converted notebook, and what each is."""

    def __init__(self, conversion: Conversion, flow: Flow) -> None:
        self.names, self.flow = conversion.names, flow
        self.own = {name: own for own, name in conversion.used.own.items()}
        self.chunks = list(chunks_of(conversion))
        self.effects: dict[int, Effect] = {}
        for chunk in self.chunks:
            self.effects[id(chunk)] = effect = flow.effect(chunk.statements)
            chunk.names = {*effect.bound, *effect.deleted}
            chunk.reads = {name for statement in chunk.statements for name in reads(statement)}
            chunk.reads |= used_in(chunk.text) & self.own.keys()
        self.binders: dict[str, list[Chunk]] = {}
        for chunk in self.chunks:
            for name in chunk.names:
                self.binders.setdefault(name, []).append(chunk)
        changes = [change for effect in self.effects.values() for change in effect.direct]
        self.changed = set[str]()
        for is_inside in (False, True):
            edges = [e for node in self.names.tree.body for e in flow.alike(node, with_contents=is_inside)]
            self.changed |= closure({change.name for change in changes if change.is_inside == is_inside}, edges)
        for chunk in self.chunks:
            chunk.kind = self._kind(chunk)
        while any(self._rate(chunk) for chunk in self.chunks):
            pass

    def of(self, *kinds: Kind) -> list[Chunk]:
        return [chunk for chunk in self.chunks if chunk.kind in kinds]

    def repeated(self, chunk: Chunk) -> bool:
        """Whether a script has this at its top, and not in main()."""
        return chunk.kind != "code" and chunk.level != NESTED

    def _kind(self, chunk: Chunk) -> Kind:
        if len(chunk.statements) > 1:
            return "code"
        node = chunk.first
        if is_import(node):
            return "import"
        if any(defined(node)) or self._makes_class(node):
            return "definition"
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and self._is_constant(node):
            lists = any(
                self.names.dotted(each.func) in LISTINGS for each in ast.walk(node) if isinstance(each, ast.Call)
            )
            return "constant" if not lists or "data_path" in chunk.text else "code"
        return "setting" if self._is_setting(node) else "code"

    def _makes_class(self, node: ast.stmt) -> bool:
        value = node.value if isinstance(node, ast.Assign) else None
        return isinstance(value, ast.Call) and self.names.dotted(value.func) in CLASSES

    def _is_constant(self, node: ast.Assign | ast.AnnAssign) -> bool:
        """Whether names get a value here alone, the same in each step, that nothing changes."""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        inner = [each for target in targets for each in (target.elts if isinstance(target, ast.Tuple) else [target])]
        names = [each.id for each in inner if isinstance(each, ast.Name)]
        if node.value is None or len(names) < len(inner) or any(len(self.binders[name]) > 1 for name in names):
            return False
        kinds = (ast.List, ast.Dict, ast.Set, ast.Call)
        can_change = any(isinstance(each, kinds) and not self._is_fixed(each) for each in ast.walk(node.value))
        return self._is_plain(node.value) and not (can_change and self.changed & set(names))

    def _is_fixed(self, node: ast.AST) -> bool:
        """Whether a call gives what can't change."""
        lists = ("list", "dict", "set", "sorted")
        return isinstance(node, ast.Call) and self.names.dotted(node.func) not in lists

    def _is_plain(self, value: ast.AST) -> bool:
        """Whether an expression has the same value each time; what it reads is looked at later."""
        if isinstance(value, ast.Call):
            called = self.names.dotted(value.func)
            if called in ("sorted", "list") and len(value.args) == 1 and isinstance(value.args[0], ast.Call):
                inner = value.args[0]
                if self.names.dotted(inner.func) in LISTINGS:
                    return True
            method = isinstance(value.func, ast.Attribute) and called in (
                ".joinpath",
                ".resolve",
                ".absolute",
                ".split",
            )
            given = [*value.args, *(key.value for key in value.keywords), *([value.func.value] if method else [])]  # type: ignore[attr-defined]
            return (called in PLAIN_CALLS or method) and all(self._is_plain(each) for each in given)
        plain = (
            ast.Constant,
            ast.JoinedStr,
            ast.FormattedValue,
            ast.BinOp,
            ast.UnaryOp,
            ast.BoolOp,
            ast.Compare,
            ast.IfExp,
        )
        more = (ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Name, ast.Attribute, ast.Subscript, ast.Starred, ast.Slice)
        rest = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context, ast.keyword)
        if not isinstance(value, (*plain, *more, *rest)):
            return False
        return all(self._is_plain(child) for child in ast.iter_child_nodes(value))

    def _is_setting(self, node: ast.stmt) -> bool:
        """Whether a statement sets something of an imported module, or of a class of the notebook."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = self.names.dotted(node.value.func)
            if called.split(".")[0] != "" and root(node.value.func) in self.names.imports and SETTINGS.search(called):
                of_path = called.endswith(("append", "insert"))
                return not SEEDS.search(called) and (not of_path or called in LISTS_OF_MODULES)
            return False
        if isinstance(node, ast.Assign) and not any(isinstance(each, ast.Call) for each in ast.walk(node.value)):
            outside = self.names.imports.keys() | self.flow.definitions.keys()
            return all(
                isinstance(each, (ast.Attribute, ast.Subscript)) and root(each) in outside for each in node.targets
            )
        return False

    def _rate(self, chunk: Chunk) -> bool:
        """Find on what a chunk stands; whether that has changed. A constant or setting that needs a value is code."""
        if chunk.kind in ("code", "import"):
            return False
        level: int = SCRIPT if chunk.reads & self.own.keys() else FREE
        for name in chunk.reads - chunk.names:
            for other in self.binders.get(name, []):
                level = max(level, NESTED if other.kind == "code" else other.level)
        if chunk.kind == "definition":
            several = any(len(self.binders[name]) > 1 for name in chunk.names)
            level = NESTED if several or globals_in(chunk.first) else level
        elif level == NESTED:
            chunk.kind = "code"
            return True
        if level == chunk.level:
            return False
        chunk.level = level  # type: ignore[assignment]
        return True


def chunks_of(conversion: Conversion) -> Iterator[Chunk]:
    """The statements of a conversion, with its edits made and the comments before each; comments at the end as well."""
    source = conversion.source
    position, last = 0, None
    for group in groups(source):
        begin, end = begin_of(source, group[0]), end_of(source, group)
        between = source.data[position:begin].decode()
        if last is not None:
            tail, _, between = between.partition("\n")
            last.text += "  " + tail.strip(" \t;") if tail.strip(" \t;") else ""
            yield last
        last = Chunk(
            list(group), conversion.cell_of(group[0]), begin, source.edited(begin, end).strip(), between.strip("\n")
        )
        position = end
    if last is not None:
        tail = source.data[position:].decode().partition("\n")[0]
        last.text += "  " + tail.strip(" \t;") if tail.strip(" \t;") else ""
        yield last


def groups(source: Source) -> Iterator[Sequence[ast.stmt]]:
    """The statements of the module, those together that one edit changes."""
    group: list[ast.stmt] = []
    end = 0
    for statement in source.tree.body:
        if group and source.start(statement) >= end:
            yield group
            group = []
        group.append(statement)
        end = end_of(source, group)
    if group:
        yield group


def begin_of(source: Source, node: ast.stmt) -> int:
    decorated = bool(getattr(node, "decorator_list", []))
    return source.starts[lines_of(node)[0]] if decorated else source.start(node)


def end_of(source: Source, group: Sequence[ast.stmt]) -> int:
    begin, end = source.start(group[0]), source.end(group[-1])
    return max([end, *(edit.end for edit in source.edits if begin <= edit.start < end)])


def is_import(node: ast.stmt) -> bool:
    """Whether a statement imports, also one thing or another."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, (ast.Try, ast.If)):
        inner = [*node.body, *node.orelse, *getattr(node, "finalbody", [])]
        inner += [each for handler in getattr(node, "handlers", []) for each in handler.body]
        plain = all(is_import(each) or is_literal(each) or isinstance(each, ast.Pass) for each in inner)
        return plain and any(is_import(each) for each in inner)
    return False


def is_literal(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)


def globals_in(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Global) for each in ast.walk(node))


def used_in(text: str) -> set[str]:
    """The names that stand in a text of Python."""
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def mentioned_alone(trees: Iterable[ast.AST], name: str) -> bool:
    """Whether a function is named without being called: it may become part of a value."""
    for tree in trees:
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        if any(isinstance(n, ast.Name) and n.id == name and id(n) not in called for n in ast.walk(tree)):
            return True
    return False


def is_class(chunk: Chunk) -> bool:
    """Whether a definition is a class, or makes one, as namedtuple() does."""
    return isinstance(chunk.first, ast.ClassDef) or isinstance(getattr(chunk.first, "value", None), ast.Call)


def seeds(nodes: Iterable[ast.AST], names: Names) -> list[str]:
    """The calls that set where global generators of random numbers begin."""
    return [
        called for tree in nodes for node in running(tree, inside=isinstance(tree, DEFINITIONS))
        if isinstance(node, ast.Call) and SEEDS.search(called := names.dotted(node.func))
    ]  # fmt: skip


BUILTINS = set(dir(builtins))
