"""What the statements of a notebook do with its names: which they read, bind, delete and change in place.

Where it can't be told, more is assumed: a name may be read, and what it stands for may be changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from aml_project.notebooks.names import Names
from aml_project.notebooks.tracing import given_to

Definition: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda"
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
ENDS = (ast.Raise, ast.Return, ast.Continue, ast.Break)
# Methods that change their object, whatever it is.
CHANGES = {
    *("append", "extend", "insert", "add", "update", "pop", "popitem", "remove", "discard", "clear", "sort", "reverse"),
    *("setdefault", "appendleft", "extendleft", "popleft", "rotate", "fill", "put", "resize", "partition", "itemset"),
    *("shuffle", "fit", "partial_fit", "fit_transform", "fit_predict", "fit_resample", "load_state_dict", "step"),
    *("compile", "set_params", "subtract", "difference_update", "intersection_update"),
}
TAKES_IN = {"append", "add", "insert", "extend", "appendleft", "setdefault", "update"}
# Methods that leave it as it is, unless they are told `inplace`.
KEEPS = {
    *("mean", "sum", "std", "var", "min", "max", "median", "mode", "count", "nunique", "unique", "value_counts", "abs"),
    *("head", "tail", "describe", "info", "copy", "groupby", "agg", "aggregate", "apply", "map", "applymap", "pivot"),
    *("pivot_table", "melt", "merge", "join", "drop", "dropna", "fillna", "rename", "replace", "assign", "astype"),
    *("sort_values", "sort_index", "reset_index", "set_index", "isna", "isnull", "notna", "notnull", "isin", "query"),
    *("sample", "nlargest", "nsmallest", "corr", "quantile", "idxmax", "idxmin", "cumsum", "diff", "shift", "rolling"),
    *("round", "clip", "select_dtypes", "to_numpy", "to_list", "tolist", "to_dict", "to_frame", "to_csv", "to_json"),
    *("to_parquet", "to_string", "to_markdown", "to_html", "to_pickle", "to_excel", "items", "keys", "values", "get"),
    *("index", "split", "rsplit", "splitlines", "strip", "lower", "upper", "startswith", "endswith", "format", "title"),
    *("encode", "decode", "find", "predict", "predict_proba", "predict_log_proba", "decision_function", "transform"),
    *("inverse_transform", "score", "get_params", "get_feature_names_out", "argmax", "argmin", "argsort", "all", "any"),
    *(
        "reshape",
        "ravel",
        "flatten",
        "squeeze",
        "transpose",
        "dot",
        "conj",
        "nonzero",
        "item",
        "numpy",
        "detach",
        "cpu",
    ),
    *("plot", "hist", "boxplot", "iterrows", "itertuples", "equals", "eq", "ne", "lt", "gt", "le", "ge", "tobytes"),
    *("exists", "is_file", "is_dir", "glob", "rglob", "iterdir", "read_text", "read_bytes", "with_suffix", "with_name"),
    *("union", "intersection", "difference", "issubset", "issuperset", "most_common", "elements", "duplicated"),
    *("drop_duplicates", "explode", "stack", "unstack", "nlargest", "pct_change", "strftime", "isoformat", "summary"),
    *("state_dict", "parameters", "named_parameters", "savefig", "match", "search", "findall", "sub", "fullmatch"),
}
# Functions that change what they are given: the positions of it.
CHANGE_ARGUMENTS = {
    **dict.fromkeys(("random.shuffle", "numpy.random.shuffle", "numpy.fill_diagonal", "numpy.put", "numpy.copyto"), 0),
    **dict.fromkeys(("numpy.place", "numpy.putmask", "heapq.heappush", "heapq.heappop", "heapq.heapify", "next"), 0),
    **dict.fromkeys(("heapq.heapreplace", "heapq.heappushpop", "bisect.insort", "bisect.insort_left", "setattr"), 0),
    **dict.fromkeys(("bisect.insort_right", "delattr", ".shuffle"), 0),
}  # fmt: skip
CHANGED_KEYWORDS = {"out", "rng", "generator", "random_state", "seed"}  # a generator of random numbers moves on
# What gives back what it is given, or something that holds it.
HOLDS = {
    *("make_pipeline", "make_union", "make_column_transformer", "list", "dict", "tuple", "set", "zip", "enumerate"),
    *("asarray", "asanyarray", "iter", "reversed", "partial", "chain"),
}
SAME_OBJECT = {"fit", "partial_fit", "set_params", "to", "cuda", "eval", "train", "compile", "requires_grad_"}


class Change(NamedTuple):
    """What a name stands for is changed in place."""

    name: str
    at: ast.AST
    is_sure: bool  # and not only possible, by a method that nobody knows
    is_inside: bool = False  # of what it holds: rows[0].append(1)


@dataclass
class Effect:
    """What some statements do with the names of the notebook, as they run one after another."""

    needs: dict[str, ast.AST] = field(default_factory=dict)  # read, or kept, before they are surely bound
    sure: set[str] = field(default_factory=set)  # surely bound at the end
    likely: set[str] = field(default_factory=set)  # the same, if every loop runs and nothing is raised
    bound: dict[str, ast.AST] = field(default_factory=dict)  # somewhere; and where last
    deleted: dict[str, ast.AST] = field(default_factory=dict)  # at the end
    direct: list[Change] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)  # those, and of names that may share the object
    mentions: set[str] = field(default_factory=set)  # every name that is read, also by functions that are called

    @property
    def changed(self) -> set[str]:
        return {change.name for change in self.changes}


class Flow:
    """The effects of a notebook's statements; `own_modules` lie beside it: what they do with arguments isn't known."""

    def __init__(self, names: Names, own_modules: Iterable[str] = ()) -> None:
        self.names = names
        self.own_modules = set(own_modules)
        self.definitions: dict[str, list[Definition]] = {}
        for statement in names.tree.body:
            for name, node in defined(statement):
                self.definitions.setdefault(name, []).append(node)
        self._reached: dict[int, tuple[set[str], set[str], list[Change]]] = {}
        self._given: dict[int, set[str]] = {}

    def effect(self, statements: Iterable[ast.stmt]) -> Effect:
        effect = Effect()
        statements = list(statements)
        self._run(statements, effect, effect.sure, effect.likely)
        edges = [edge for statement in statements for edge in self.shared(statement)]
        for statement in statements:
            found = [change for change in self.changes_in(statement) if change.name not in self.names.imports]
            effect.direct += found
            for change in found:
                effect.changes.append(change)
                effect.changes += [
                    Change(name, change.at, False) for name in closure({change.name}, edges) - {change.name}
                ]
        for name in effect.mentions & self.definitions.keys():
            within = [change for node in self.definitions[name] for change in self.reach(node)[2]]
            effect.direct += within
            effect.changes += within
        return effect

    # --- what is read and bound ---

    def _run(self, statements: Iterable[ast.stmt], effect: Effect, sure: set[str], likely: set[str]) -> bool:
        """Note what statements do; `sure` and `likely` grow. Whether what follows them is reached."""
        return all(self._run_one(statement, effect, sure, likely) for statement in statements)

    def _run_one(self, node: ast.stmt, effect: Effect, sure: set[str], likely: set[str]) -> bool:
        if isinstance(node, ast.If):
            self._read(node.test, effect, sure, likely)
            branches = [node.body] if is_main(node.test) else [node.body, node.orelse]
            return self._branch(branches, effect, sure, likely)
        if isinstance(node, ast.Match):
            self._read(node.subject, effect, sure, likely)
            for case in node.cases:
                self._bind_pattern(case.pattern, effect)
                self._read(case.guard, effect, sure, likely)
            has_rest = any(
                isinstance(c.pattern, ast.MatchAs) and not c.pattern.pattern and not c.guard for c in node.cases
            )
            return self._branch([case.body for case in node.cases] + ([] if has_rest else [[]]), effect, sure, likely)
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            inner = set(sure)
            if isinstance(node, ast.While):
                self._read(node.test, effect, sure, likely)
            else:
                self._read(node.iter, effect, sure, likely)
                self._bind(node.target, effect, inner, likely)
            self._run(node.body, effect, inner, likely)
            self._run(node.orelse, effect, set(sure), likely)
            if not isinstance(node, ast.While) and runs_once(node.iter) and not leaves(node.body):
                sure |= inner
            return True
        if isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                self._read(item.context_expr, effect, sure, likely)
                if item.optional_vars:
                    self._bind(item.optional_vars, effect, sure, likely)
            return self._run(node.body, effect, sure, likely)
        if isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            return self._try(node, effect, sure, likely)  # type: ignore[arg-type]
        self._simple(node, effect, sure, likely)
        return not isinstance(node, ENDS) and not self._exits(node)

    def _exits(self, node: ast.stmt) -> bool:
        call = node.value if isinstance(node, ast.Expr) else None
        return isinstance(call, ast.Call) and self.names.dotted(call.func) in ("sys.exit", "exit", "quit", "os._exit")

    def _branch(self, branches: list[list[ast.stmt]], effect: Effect, sure: set[str], likely: set[str]) -> bool:
        """Run each of these or another one: what all of them bind is bound."""
        ends: list[tuple[set[str], set[str]]] = []
        for branch in branches:
            inner, inner_likely = set(sure), set(likely)
            if self._run(branch, effect, inner, inner_likely):
                ends.append((inner, inner_likely))
        if not ends:
            return False
        for known, found in zip((sure, likely), zip(*ends, strict=True), strict=True):
            known.clear()
            known.update(set.intersection(*found))
        return True

    def _try(self, node: ast.Try, effect: Effect, sure: set[str], likely: set[str]) -> bool:
        before = set(sure)
        inner = set(sure)
        goes_on = self._run([*node.body, *node.orelse], effect, inner, likely)
        ends = [inner] if goes_on else []
        for handler in node.handlers:
            self._read(handler.type, effect, sure, likely)
            caught, caught_likely = before | ({handler.name} if handler.name else set()), set(likely)
            if self._run(handler.body, effect, caught, caught_likely):
                ends.append(caught - {handler.name or ""})
        if ends:
            sure |= set.intersection(*ends)
        return self._run(node.finalbody, effect, sure, likely) and bool(ends)

    def _simple(self, node: ast.stmt, effect: Effect, sure: set[str], likely: set[str]) -> None:
        """Note what a statement without a block of its own does."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            now = [*node.decorator_list]
            if isinstance(node, ast.ClassDef):
                now += [*node.bases, *(key.value for key in node.keywords)]
                for name in reads_of_body(node):
                    self._read_name(name, node, effect, sure, likely)
            else:
                now += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            for each in now:
                self._read(each, effect, sure, likely)
            self._bound(node.name, node, effect, sure, likely)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                self._bound(alias.asname or alias.name.split(".")[0], node, effect, sure, likely)
        elif isinstance(node, ast.Delete):
            self._delete(node, effect, sure, likely)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            self._assign(node, effect, sure, likely)
        else:
            for child in ast.iter_child_nodes(node):
                self._read(child, effect, sure, likely)

    def _delete(self, node: ast.Delete, effect: Effect, sure: set[str], likely: set[str]) -> None:
        for inner in (each for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)):
            self._read_name(inner.id, inner, effect, sure, likely)
            if isinstance(inner.ctx, ast.Del):
                sure.discard(inner.id)
                likely.discard(inner.id)
                effect.deleted[inner.id] = inner

    def _assign(
        self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, effect: Effect, sure: set[str], likely: set[str]
    ) -> None:
        self._read(node.value, effect, sure, likely)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(node, ast.AugAssign) and isinstance(target, ast.Name):
                self._read_name(target.id, target, effect, sure, likely)
            if not isinstance(node, ast.AnnAssign) or node.value is not None:
                self._bind(target, effect, sure, likely)

    def _bind(self, target: ast.expr, effect: Effect, sure: set[str], likely: set[str]) -> None:
        if isinstance(target, ast.Name):
            self._bound(target.id, target, effect, sure, likely)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._bind(element, effect, sure, likely)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, effect, sure, likely)
        else:
            self._read(target, effect, sure, likely)

    def _bind_pattern(self, pattern: ast.pattern, effect: Effect) -> None:
        for node in ast.walk(pattern):
            name = getattr(node, "name", None) or getattr(node, "rest", None)
            if isinstance(node, (ast.MatchAs, ast.MatchStar, ast.MatchMapping)) and name:
                effect.bound[name] = node

    def _bound(self, name: str, at: ast.AST, effect: Effect, sure: set[str], likely: set[str]) -> None:
        sure.add(name)
        likely.add(name)
        effect.bound[name] = at
        effect.deleted.pop(name, None)

    def _read(self, node: ast.AST | None, effect: Effect, sure: set[str], likely: set[str]) -> None:
        """Note the names that an expression reads, and those that it binds by :=."""
        if node is None:
            return
        for name in sorted(reads(node)):
            self._read_name(name, node, effect, sure, likely)
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr) and isinstance(inner.target, ast.Name):
                effect.bound[inner.target.id] = inner
                likely.add(inner.target.id)
                if inner is node:
                    sure.add(inner.target.id)

    def _read_name(self, name: str, at: ast.AST, effect: Effect, sure: set[str], likely: set[str]) -> None:
        effect.mentions.add(name)
        for other, is_bound in [(name, False), *self.through(name)]:
            effect.mentions.add(other)
            if other not in sure:
                effect.needs.setdefault(other, at)
            if is_bound:
                effect.bound[other] = at
                likely.add(other)

    def through(self, name: str) -> list[tuple[str, bool]]:
        """The names that a function or class of the notebook reads when it runs, and whether it binds them."""
        found: dict[str, bool] = {}
        for node in self.definitions.get(name, []):
            read, written, _ = self.reach(node)
            found |= dict.fromkeys(read, False)
            found |= dict.fromkeys(written, True)
        return sorted(found.items())

    def reach(self, node: Definition) -> tuple[set[str], set[str], list[Change]]:
        """What a definition reads, binds and changes outside of itself, also through those that it calls."""
        if id(node) not in self._reached:
            done: dict[int, Definition] = {}
            todo = [node]
            read: set[str] = set()
            while todo:
                each = todo.pop()
                done[id(each)] = each
                outside = reads(each)
                read |= outside
                todo += [other for name in outside for other in self.definitions.get(name, []) if id(other) not in done]
            written = {name for each in done.values() for name in globals_of(each)}
            changes = [
                change
                for each in done.values()
                for change in self.changes_in(each, inside=True)
                if change.name in read and change.name not in self.names.imports
            ]
            self._reached[id(node)] = (read, written, changes)
        return self._reached[id(node)]

    # --- what is changed in place ---

    def changes_in(self, node: ast.AST, *, inside: bool = False) -> Iterator[Change]:
        """The names whose objects may be changed when this runs; `inside` of a function, when it is called."""
        for each in running(node, inside=inside):
            targets: list[ast.expr] = []
            if isinstance(each, ast.Assign):
                targets = each.targets
            elif isinstance(each, ast.AugAssign):
                targets = [each.target]
            elif isinstance(each, ast.Delete):
                targets = each.targets
            for target in targets:
                for part in ast.walk(target) if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                    is_part = isinstance(part, (ast.Subscript, ast.Attribute)) and not isinstance(part.ctx, ast.Load)
                    if (is_part or isinstance(each, ast.AugAssign)) and (name := root(part)):
                        inner = part.value if isinstance(part, (ast.Subscript, ast.Attribute)) else part
                        yield Change(name, each, True, not isinstance(inner, ast.Name))
            if isinstance(each, (ast.For, ast.AsyncFor)):
                yield from self._elements_changed(each)
            if isinstance(each, ast.Call):
                yield from self._changed_by(each)

    def _elements_changed(self, loop: ast.For | ast.AsyncFor) -> Iterator[Change]:
        targets = {name.id for name in ast.walk(loop.target) if isinstance(name, ast.Name)}
        held = {name for name in reads(loop.iter) if name not in self.names.imports}
        for statement in loop.body:
            for change in self.changes_in(statement):
                if change.name in targets and change.is_sure:
                    yield from (Change(name, change.at, False) for name in sorted(held))

    def _changed_by(self, call: ast.Call) -> Iterator[Change]:
        called = self.names.dotted(call.func)
        if isinstance(call.func, ast.Attribute):
            method, name = call.func.attr, root(call.func.value)
            in_place = any(key.arg == "inplace" for key in call.keywords) or method.endswith("_")
            through_call = any(isinstance(part, ast.Call) for part in chain(call.func.value))
            if name and name not in self.names.imports:
                is_inside = not isinstance(call.func.value, ast.Name)
                if method in CHANGES or in_place:
                    yield Change(name, call, True, is_inside)
                elif method not in KEEPS and not through_call:
                    yield Change(name, call, False, is_inside)
        elif isinstance(call.func, ast.Name) and called == call.func.id and call.func.id not in self.definitions:
            yield Change(call.func.id, call, False)  # a model that is called
        positions = [
            CHANGE_ARGUMENTS[key] for key in (called, f".{called.rpartition('.')[2]}") if key in CHANGE_ARGUMENTS
        ]
        given = [call.args[position] for position in positions if position < len(call.args)]
        given += [key.value for key in call.keywords if key.arg in CHANGED_KEYWORDS]
        is_sure = True
        if called.split(".")[0] in self.own_modules:
            given, is_sure = [*call.args, *(key.value for key in call.keywords)], False
        elif isinstance(call.func, ast.Name):
            for definition in self.definitions.get(call.func.id, []):
                given += self._changed_arguments(definition, call)
        for node in given:
            if name := root(node):
                yield Change(name, call, is_sure)

    def _changed_arguments(self, definition: Definition, call: ast.Call) -> list[ast.expr]:
        """What a call of the notebook's own function gives to parameters that it changes."""
        if isinstance(definition, ast.ClassDef):
            return []
        if id(definition) not in self._given:
            self._given[id(definition)] = set()  # while it is looked at: it may call itself
            body = [definition.body] if isinstance(definition, ast.Lambda) else definition.body
            edges = [edge for statement in body for edge in self.shared(statement)]
            names = {change.name for change in self.changes_in(definition, inside=True)}
            self._given[id(definition)] = {name for each in names for name in closure({each}, edges)}
        parameters = [arg.arg for arg in arguments_of(definition)]
        return [
            node for name in parameters if name in self._given[id(definition)]
            for node in given_to(definition, name, [call], is_method=False)
        ]  # fmt: skip

    # --- which names may stand for one object ---

    def shared(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        """Pairs of names of which one may be the other, or hold it, once this has run."""
        for each in running(node):
            if isinstance(each, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and each.value is not None:
                for target, value in pairs(each):
                    yield from ((one, other) for one in names_in(target) for other in self.held(value) if one != other)
            elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in TAKES_IN:
                name = root(each.func.value)
                given = {other for argument in each.args for other in self.held(argument)}
                yield from ((name, other) for other in given if name and name != other)

    def alike(self, node: ast.AST, *, with_contents: bool) -> Iterator[tuple[str, str]]:
        """Pairs of names of which a change of one may change the other: also parts, and what loops go through.

        Without contents: a list that is appended to leaves what it holds as it is.
        """
        for each in running(node):
            if isinstance(each, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and each.value is not None:
                for target, value in pairs(each):
                    holds = isinstance(value, (ast.List, ast.Tuple, ast.Dict, ast.Set))
                    is_left = self._is_of_library(value) or (holds and not with_contents)
                    others = (set() if is_left else self.held(value)) | ({part_of(value) or ""} - {""})
                    yield from ((one, other) for one in names_in(target) for other in others if one != other)
            elif isinstance(each, (ast.For, ast.AsyncFor)):
                yield from ((one, other) for one in names_in(each.target) for other in reads(each.iter))
        if with_contents:
            yield from self.shared(node)

    def _is_of_library(self, value: ast.AST) -> bool:
        """Whether a call makes an object of a class that is not the notebook's: it may hold a list, and leaves it."""
        return isinstance(value, ast.Call) and root(value.func) in self.names.imports

    def held(self, value: ast.AST) -> set[str]:
        """The names whose objects an expression gives, or holds."""
        if isinstance(value, ast.Name):
            return {value.id} - self.names.imports.keys() - self.definitions.keys()
        if isinstance(value, (ast.Tuple, ast.List, ast.Set)):
            return {name for element in value.elts for name in self.held(element)}
        if isinstance(value, ast.Dict):
            return {name for element in value.values for name in self.held(element)}
        if isinstance(value, ast.IfExp):
            return self.held(value.body) | self.held(value.orelse)
        if isinstance(value, ast.BoolOp):
            return {name for element in value.values for name in self.held(element)}
        if isinstance(value, (ast.Starred, ast.NamedExpr, ast.Await)):
            return self.held(value.value)
        if isinstance(value, ast.Call):
            given = [*value.args, *(key.value for key in value.keywords)]
            called = self.names.dotted(value.func).rpartition(".")[2]
            if isinstance(value.func, ast.Attribute) and called in SAME_OBJECT:
                return self.held(value.func.value)
            if isinstance(value.func, ast.Name) and value.func.id in self.definitions:
                return self._kept_by(value, self.definitions[value.func.id])
            if called in HOLDS or called[:1].isupper():
                return {name for each in given for name in self.held(object_of(each))}
        return set()

    def _kept_by(self, call: ast.Call, definitions: list[Definition]) -> set[str]:
        """The arguments that the notebook's own function gives back, or its own class keeps."""
        found: set[str] = set()
        for definition in definitions:
            if isinstance(definition, ast.ClassDef):
                given = [*call.args, *(key.value for key in call.keywords)]
                found |= {name for each in given for name in self.held(each)}
                continue
            given_back = {
                name
                for node in running(definition, inside=True)
                for value in ([node.value] if isinstance(node, ast.Return) and node.value else [])
                for name in self.held(value)
            }
            for arg in arguments_of(definition):
                if arg.arg in given_back:
                    found |= {
                        name
                        for node in given_to(definition, arg.arg, [call], is_method=False)
                        for name in self.held(node)
                    }
        return found


def object_of(value: ast.expr) -> ast.expr:
    """What is given to a call: of Adam(model.parameters()) it is the model."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr.endswith("parameters"):
        return value.func.value
    return value


def pairs(node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment, each with its value; of tuples that are written out, element by element."""
    assert node.value is not None
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        both = [each.elts if isinstance(each, (ast.Tuple, ast.List)) else [] for each in (target, node.value)]
        plain = not any(isinstance(each, ast.Starred) for side in both for each in side)
        if len(both[0]) == len(both[1]) > 0 and plain:
            yield from zip(*both, strict=True)
        else:
            yield target, node.value


def part_of(value: ast.AST | None) -> str | None:
    """The name of what an expression takes a part of, which may be a view: X[:, 0], table["a"], model.weights, X.T."""
    if isinstance(value, (ast.Subscript, ast.Attribute)):
        return root(value) if not any(isinstance(each, ast.Call) for each in chain(value)) else None
    return None


def defined(statement: ast.stmt) -> Iterator[tuple[str, Definition]]:
    """The functions and classes that a statement of the module defines."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name, statement
    elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Lambda):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.value


def running(node: ast.AST, *, inside: bool = False) -> Iterator[ast.AST]:
    """The nodes that run when a statement does; `inside` of a function or class, when that does."""
    todo = [node]
    while todo:
        each = todo.pop()
        yield each
        if each is node and inside:
            todo += ast.iter_child_nodes(each)
        elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
            todo += [*each.decorator_list, *each.args.defaults, *filter(None, each.args.kw_defaults)]
            if inside:
                todo += each.body
        else:
            todo += ast.iter_child_nodes(each)


def reads(node: ast.AST, local: frozenset[str] = frozenset()) -> set[str]:
    """The names that an expression or a definition takes from outside."""
    if isinstance(node, ast.Name):
        return {node.id} - local if not isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, COMPREHENSIONS):
        inner = local | {name for each in node.generators for name in names_in(each.target)}
        first = reads(node.generators[0].iter, local)
        rest = [*ast.iter_child_nodes(node)]
        return first | {name for child in rest for name in reads(child, inner)}
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        own = local | bound_in(node)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        now = [] if isinstance(node, ast.Lambda) else node.decorator_list
        now = [*now, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        return {n for each in now for n in reads(each, local)} | {
            n for each in body for n in reads(each, frozenset(own))
        }
    if isinstance(node, ast.ClassDef):
        now = [*node.decorator_list, *node.bases, *(key.value for key in node.keywords)]
        found = {name for each in now for name in reads(each, local)}
        own = local | bound_in(node)
        for each in node.body:
            is_function = isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
            found |= reads(each, local if is_function else frozenset(own))
        return found
    if isinstance(node, ast.arg):
        return set()
    return {name for child in ast.iter_child_nodes(node) for name in reads(child, local)}


def reads_of_body(node: ast.ClassDef) -> set[str]:
    """The names that a class reads as it is defined."""
    own = frozenset(bound_in(node))
    statements = [each for each in node.body if not isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))]
    decorated = [one for each in node.body for one in getattr(each, "decorator_list", [])]
    return {name for each in [*statements, *decorated] for name in reads(each, own)}


def bound_in(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef) -> set[str]:
    """The names of a function's, or a class's, own."""
    found = set() if isinstance(node, ast.ClassDef) else {arg.arg for arg in arguments_of(node)}
    outside: set[str] = set()
    todo: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    while todo:
        each = todo.pop()
        if isinstance(each, (ast.Global, ast.Nonlocal)):
            outside |= set(each.names)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.add(each.id)
        elif isinstance(each, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.split(".")[0] for alias in each.names}
        elif isinstance(each, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and each.name:
            found.add(each.name)
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(each.name)
        elif isinstance(each, COMPREHENSIONS):
            todo += [inner.target for inner in ast.walk(each) if isinstance(inner, ast.NamedExpr)]
        elif not isinstance(each, ast.Lambda):
            todo += ast.iter_child_nodes(each)
    return found - outside


def globals_of(node: ast.AST) -> set[str]:
    """The names of the module that a function binds."""
    return {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}


def arguments_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    given = node.args
    more = [each for each in (given.vararg, given.kwarg) if each]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *more]


def names_in(target: ast.AST) -> list[str]:
    """The names that a target binds."""
    return [each.id for each in ast.walk(target) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]


def chain(node: ast.AST) -> Iterator[ast.AST]:
    """An expression, and what each of its attributes, indices and calls is of."""
    while True:
        yield node
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        else:
            return


def root(node: ast.AST) -> str | None:
    """The name that an expression begins with."""
    last = list(chain(node))[-1]
    return last.id if isinstance(last, ast.Name) else None


def closure(names: set[str], edges: Iterable[tuple[str, str]]) -> set[str]:
    """Names, and all that may share an object with one of them."""
    edges, found = list(edges), set(names)
    while more := {name for edge in edges if found & set(edge) for name in edge} - found:
        found |= more
    return found


def is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def runs_once(values: ast.expr) -> bool:
    """Whether a loop over this runs at least once: it is written out, or a range of a number."""
    if isinstance(values, (ast.List, ast.Tuple)):
        return any(not isinstance(element, ast.Starred) for element in values.elts)
    numbers = values.args if isinstance(values, ast.Call) and getattr(values.func, "id", "") == "range" else []
    try:
        return bool(numbers) and len(range(*[ast.literal_eval(number) for number in numbers])) > 0
    except (ValueError, TypeError):
        return False


def leaves(body: list[ast.stmt]) -> bool:
    return any(isinstance(node, (ast.Break, ast.Continue)) for statement in body for node in ast.walk(statement))
