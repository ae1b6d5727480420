"""Would a script take the arguments that a runconfig gives it? Found without running it.

The calls of add_argument in its text make the same parser again, with those of the functions of runtime/ that it is
handed to, and of those that these hand it on to. What can't be read there for certain (a parser that is handed to
others, a loop, another library) is left alone: silence, no guess.
"""

from __future__ import annotations

import argparse
import ast
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from aml_project.values import Value

TYPES: dict[str, Any] = {"int": int, "float": float, "str": str}
PLAIN = ("dest", "nargs", "const", "default", "required", "choices", "action", "version")


class Undecidable(Exception):
    """The text does not say enough."""


class Refused(Exception):
    """What the parser says to the arguments."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(message)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:  # noqa: ARG002
        raise Refused(f"they end it at once: {message or '--help or --version'}".strip())

    def _print_message(self, message: str, file: Any = None) -> None:
        """Say nothing: --help among the arguments must not print here."""


@dataclass(frozen=True)
class Argument:
    """An option of a script, as far as its text says what it is."""

    name: str  # as in --name
    kind: type | None  # int, float or str; None where the script converts it by a function of its own
    default: Any
    choices: tuple[Any, ...]
    takes_value: bool


def arguments(script: Path) -> list[Argument] | None:
    """The options that a script takes; None where its text does not say for certain."""
    try:
        tree = ast.parse(script.read_bytes())
        parser = _parser_of(tree, script.parent, lenient=False, unused=False)
    except (Undecidable, OSError, SyntaxError, ValueError, TypeError, RecursionError, argparse.ArgumentError):
        return None
    return [
        Argument(flag[2:], action.kind, action.written, tuple(action.choices or ()), action.nargs != 0)  # type: ignore[attr-defined]
        for action in parser._actions
        for flag in action.option_strings
        if flag.startswith("--") and flag != "--help"
    ]


def misfit(value: Value, argument: Argument, flag: str = "[true, false]") -> str:
    """Why an option does not take a value as it is meant, with the mend; `flag` is how a file writes one."""
    option = f"--{argument.name}"
    if isinstance(value, bool):
        return f"{option} takes a value: write '{str(value).lower()}' in quotes" if argument.takes_value else ""
    if not argument.takes_value:
        return f"{option} takes no value: write {flag}"
    kind = argument.kind
    if kind in (int, float):
        try:
            kind(str(value))
        except ValueError:
            return f"{option} takes {'whole numbers' if kind is int else 'numbers'}, and not {value!r}: remove it"
    if argument.choices and str(value) not in map(str, argument.choices):
        return f"{option} takes one of {', '.join(map(str, argument.choices))}, and not {value!r}"
    return ""


def refusal(tree: ast.Module, arguments: list[str], *, lenient: bool, folder: Path | None = None) -> str | None:
    """What the script of this folder would say to the arguments, or None. Lenient: their values are filled in later."""
    try:
        _parser_of(tree, folder, lenient=lenient).parse_args(arguments)
    except Undecidable:
        return None
    except Refused as refused:
        return str(refused)
    except Exception:  # argparse itself fails on some parsers, with what error depends on its version
        return None
    return None


def _parser_of(tree: ast.Module, folder: Path | None, *, lenient: bool, unused: bool = True) -> argparse.ArgumentParser:
    """The script's parser; with what it takes and has no use for, as runtime/arguments.py says, or without."""
    certain = list(_certain_calls(tree.body))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    runtime = _runtime_functions(tree, calls, folder, unused=unused) if folder else {}
    added_elsewhere = [more for call in certain for more in runtime.get(_called(call), [])]
    calls = [call for call in calls if _called(call) not in runtime]
    made = [call for call in calls if _called(call) == "ArgumentParser"]
    short = _short_names(tree)
    added = [call for call in calls if _called(call) in short]
    if len(made) != 1 or any(call not in certain for call in [*made, *added]):
        raise Undecidable
    if any(_called(call) in ("parse_known_args", "add_subparsers", "parse_intermixed_args") for call in calls):
        raise Undecidable
    if _handed_on(tree, calls, made[0]):
        raise Undecidable
    if made[0].args or any(
        word.arg in (None, "parents", "prefix_chars", "fromfile_prefix_chars", "argument_default", "conflict_handler")
        for word in made[0].keywords
    ):
        raise Undecidable
    help_wanted = next((_literal(word.value) for word in made[0].keywords if word.arg == "add_help"), True)
    abbreviations = next((_literal(word.value) for word in made[0].keywords if word.arg == "allow_abbrev"), True)
    parser = _Parser(prog="", add_help=bool(help_wanted), allow_abbrev=bool(abbreviations))
    for call in added:
        _add(parser, call, lenient=lenient)
    for call in added_elsewhere:
        with suppress(argparse.ArgumentError):  # the script's own goes first
            _add(parser, call, lenient=lenient)
    return parser


def _runtime_functions(
    tree: ast.Module, calls: list[ast.Call], folder: Path, *, unused: bool
) -> dict[str, list[ast.Call]]:
    """What each function that is imported from runtime/ and called adds to a parser, for certain."""
    found: dict[str, list[ast.Call]] = {}
    called = {_called(call) for call in calls}
    for node in [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]:
        module = node.module or ""
        file = folder / f"{module.replace('.', '/')}.py"
        wanted = {alias.asname or alias.name: alias.name for alias in node.names}
        if not called & wanted.keys() or not module.startswith("runtime.") or not file.is_file():
            continue
        code = ast.parse(file.read_bytes())
        own = {function.name: function for function in code.body if isinstance(function, ast.FunctionDef)}

        found |= {
            name: _added_by(own[wanted[name]], code, own, folder, unused=unused)
            for name in called & wanted.keys()
            if wanted[name] in own
        }
    return found


def _added_by(
    function: ast.FunctionDef, code: ast.Module, beside: dict[str, ast.FunctionDef], folder: Path, *, unused: bool
) -> list[ast.Call]:
    """What a function of runtime/ adds to a parser, itself and by others of its module or of another one."""
    certain, short = _certain_calls(function.body), _short_names(code)
    theirs = {parameter.arg for parameter in function.args.args}
    added = [call for call in certain if _called(call) in short and (unused or _is_added_to(call, theirs))]
    elsewhere = _runtime_functions(code, certain, folder, unused=unused)
    beside = {name: other for name, other in beside.items() if other is not function}
    for call in certain:
        added += elsewhere.get(_called(call), [])
        if other := beside.get(_called(call)):
            added += _added_by(other, code, beside, folder, unused=unused)
    return added


def _is_added_to(call: ast.Call, parsers: set[str]) -> bool:
    """Whether a call adds to one of some parsers, and not to another one."""
    of = call.func.value if isinstance(call.func, ast.Attribute) else None
    return not isinstance(of, ast.Name) or of.id in parsers


def _short_names(tree: ast.Module) -> set[str]:
    """What add_argument is called: by its own name, and by another after `add = parser.add_argument`."""
    found = {"add_argument"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr == "add_argument":
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return found


def _certain_calls(code: list[ast.stmt]) -> list[ast.Call]:
    """The calls that run whenever their function does: outside of branches and loops."""
    found: list[ast.Call] = []

    def look(body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.With) or (
                isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test)
            ):
                look(statement.body)
            elif isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign | ast.Return):
                found.extend(node for node in ast.walk(statement) if isinstance(node, ast.Call))

    look(code)
    return found


def _handed_on(tree: ast.Module, calls: list[ast.Call], made: ast.Call) -> bool:
    """Whether something else may add to the parser: it is an argument of a call, or comes from a function."""
    names: set[str] = set()
    makers = ("ArgumentParser", "add_argument_group", "add_mutually_exclusive_group")
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if _called(node.value) in makers:
                names.update(target.id for target in targets if isinstance(target, ast.Name))
    handed = [part for call in calls for part in (*call.args, *(word.value for word in call.keywords))]
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    if any(isinstance(part, ast.Name) and part.id in names for part in (*handed, *returned)):
        return True
    return any(part is made for part in (*handed, *returned)) or not names


def _add(parser: argparse.ArgumentParser, call: ast.Call, *, lenient: bool) -> None:
    """Repeat a call of add_argument."""
    flags = [_literal(part) for part in call.args]
    words: dict[str, Any] = {}
    kind: type | None = str
    for word in call.keywords:
        if word.arg is None:
            raise Undecidable
        if word.arg == "type":
            name = word.value.id if isinstance(word.value, ast.Name) else ""
            kind = TYPES.get(name)
            words["type"] = str if lenient else TYPES.get(name, str)
            if name not in TYPES:
                words["unknown type"] = True
        elif word.arg in ("choices", "default") and not _is_literal(word.value):
            continue  # any value may be right
        elif word.arg in PLAIN:
            words[word.arg] = _literal(word.value)
    if words.pop("unknown type", False) or lenient:
        words.pop("choices", None)  # they are compared after the conversion
    written = words.get("default")
    if isinstance(written, str):
        words["default"] = None  # argparse would convert it, which is the script's affair
    action = parser.add_argument(*flags, **words)
    action.kind, action.written = kind, action.default if written is None else written  # type: ignore[attr-defined]


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_literal(node: ast.expr) -> bool:
    try:
        _literal(node)
    except Undecidable:
        return False
    return True


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise Undecidable from None
