"""Make arguments of a notebook's parameters: of the cell tagged so, else of the constants that it begins with."""

from __future__ import annotations

import ast
import keyword
from collections import Counter
from collections.abc import Iterable, Set
from typing import Any, NamedTuple

from aml_project.notebooks.names import Names

SCALARS = {int: "int", float: "float", str: "str"}
TAKEN = {"help", "h", "data_path"}  # attributes that have their option


class Parameter(NamedTuple):
    """A constant of the notebook that is an argument of the script."""

    name: str
    option: str
    value: ast.expr  # where the constant stands
    default: Any
    tagged: bool

    @property
    def attribute(self) -> str:
        return attribute_of(self.option)

    def declared(self, default: str) -> str:
        """The line that declares it."""
        if isinstance(self.default, bool):
            rest = f"action=argparse.BooleanOptionalAction, default={default}"
        elif isinstance(self.default, (list, tuple)):
            rest = f'nargs="*", type={SCALARS[type(self.default[0])]}, default={default}'
        elif self.default is None:
            rest = "default=None"
        else:
            rest = f"type={SCALARS[type(self.default)]}, default={default}"
        return f'parser.add_argument("--{self.option}", {rest}, help="default: %(default)s")'


def find(
    cells: Iterable[tuple[list[ast.stmt], bool]], names: Names, taken: Set[str] = TAKEN
) -> tuple[list[Parameter], list[str]]:
    """Return the parameters, and what can be none in the tagged cells. A cell: its statements, and if it is tagged.

    `taken` are attributes of the arguments that the script has anyway.
    """
    cells = list(cells)
    if any(tagged for _, tagged in cells):
        constants = [(name, value) for body, tagged in cells if tagged for name, value in assigned(body)]
        wanted = dict(constants)  # the last one counts, as it does in the notebook
        left = [name for name, value in wanted.items() if not is_simple(value)]
        return named([(name, value) for name, value in wanted.items() if name not in left], taken, tagged=True), left
    found: list[tuple[str, ast.expr]] = []
    for body, _ in cells:
        found += [(name, value) for name, value in assigned(body) if is_simple(value) and not name.startswith("_")]
        if not all(is_head(statement) for statement in body):
            break
    return named([(name, value) for name, value in found if names.bound(name) == 1], taken, tagged=False), []


def assigned(body: list[ast.stmt]) -> list[tuple[str, ast.expr]]:
    """The names that get a value by a plain assignment."""
    found = []
    for statement in body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target: ast.expr = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        if isinstance(target, ast.Name) and statement.value is not None:
            found.append((target.id, statement.value))
    return found


def is_head(statement: ast.stmt) -> bool:
    """Whether a statement belongs to a notebook's head: imports, constants, settings."""
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Expr, ast.Pass)):
        return True
    return isinstance(statement, (ast.Assign, ast.AnnAssign)) and is_simple(statement.value)


def is_simple(value: ast.expr | None) -> bool:
    """Whether a value can be an argument's default: a number, a text, a switch, nothing, or a list of one kind."""
    try:
        constant = ast.literal_eval(value) if value is not None else ...
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    if isinstance(constant, (list, tuple)):
        kinds = {type(element) for element in constant}
        return len(kinds) == 1 and kinds <= set(SCALARS)
    return constant is None or type(constant) in {*SCALARS, bool}


def named(constants: list[tuple[str, ast.expr]], others: Set[str], *, tagged: bool) -> list[Parameter]:
    """Give each constant its option; where two would share one, and where one is taken, its own spelling."""
    options = Counter(option_of(name) for name, _ in constants)
    taken = {*others} | {attribute_of(option) for option in options if options[option] == 1}
    parameters = []
    for name, value in constants:
        option = option_of(name)
        attribute = attribute_of(option)
        if options[option] > 1 or attribute in others or keyword.iskeyword(attribute):
            option = f"x{name}" if name.startswith("_") else name
            while attribute_of(option) in taken or keyword.iskeyword(option):
                option += "_"
            taken.add(attribute_of(option))
        parameters.append(Parameter(name, option, value, ast.literal_eval(value), tagged))
    return parameters


def option_of(name: str) -> str:
    return (name.strip("_") or name).lower().replace("_", "-")


def attribute_of(option: str) -> str:
    """How argparse calls an option's value."""
    return option.replace("-", "_")
