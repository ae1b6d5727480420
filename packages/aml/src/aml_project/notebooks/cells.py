"""Take a notebook apart: its cells in order, IPython's syntax turned into calls by nbconvert's exporter for Python."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from aml_project.notebooks.notebook_file import Broken, first_line

# IPython takes these for magics without their sign, too.
WITHOUT_SIGN = re.compile(r"^([ \t]*)((?:pip3?|conda|mamba) install\b)", re.MULTILINE)


class Cell(NamedTuple):
    """A cell of a notebook, counted from 1 among all of them."""

    number: int
    is_code: bool
    source: str  # as it stands in the notebook
    python: str  # with calls of IPython in the place of its syntax
    tags: tuple[str, ...]


def take_apart(notebook: Any, to_python: Callable[[str], str]) -> list[Cell]:
    """Return the cells of a notebook of format 4."""
    cells = []
    for number, cell in enumerate(notebook.cells, 1):
        source = cell["source"].replace("\r\n", "\n").replace("\r", "\n")  # Python ends a line at either, too
        is_code = cell["cell_type"] == "code"
        try:
            python = to_python(source) if is_code else source
            if is_code and WITHOUT_SIGN.search(source) and not parses(python):
                source = WITHOUT_SIGN.sub(r"\1%\2", source)
                python = to_python(source)
        except Exception as error:  # IPython raises what it likes at what is no Python
            raise Broken(f"cell {number}: {first_line(error)}") from None
        cells.append(Cell(number, is_code, source, python, tags_of(cell)))
    return cells


def python_of_ipython() -> Callable[[str], str]:
    """How the exporter rewrites the code of a cell."""
    from nbconvert import PythonExporter

    exporter = PythonExporter()  # type: ignore[no-untyped-call]
    rewrite: Callable[[str], str] = exporter.environment.filters["ipython2python"]
    return rewrite


def parses(python: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(python)
    except (SyntaxError, ValueError):
        return False
    return True


def tags_of(cell: Any) -> tuple[str, ...]:
    tags = (cell.get("metadata") or {}).get("tags")
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
