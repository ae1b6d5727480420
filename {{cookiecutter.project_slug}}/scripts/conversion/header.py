"""The head of a converted script: its arguments, and what stands for IPython and a screen. Only what is used."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@dataclass
class Used:
    """What a script needs of its head, and how it calls it."""

    args: str
    output: str
    display: str
    show: str
    loop: str
    is_module: bool = False
    future: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)  # their declarations
    ipython: dict[str, str] = field(default_factory=dict)  # names of IPython.display that the script calls
    shows_values: bool = False
    writes: bool = False
    draws: bool = False
    waits: bool = False


def write(notebook: str, script: str, used: Used) -> str:
    """The head of the script of this name that is made from the notebook of that name."""
    shown = "".join(c if c.isprintable() else "?" for c in notebook).replace("\\", "/").replace('"""', "'''")
    lines = [f'"""Made from the notebook {shown}.', ""]
    lines += [f"    python {script} --data-path ../../data", '"""', "", *used.future]
    lines += ["# ruff: noqa: E402 (a notebook imports where it needs to)", "", "import argparse"]
    lines += [f"import {module}" for module, needed in imports(used) if needed]
    lines += ["from pathlib import Path", ""]
    if used.draws:
        lines += ["import matplotlib", "from matplotlib import pyplot", "", 'matplotlib.use("Agg")', ""]
    return "\n".join([*lines, *definitions(used), *arguments(used), ""])


def imports(used: Used) -> list[tuple[str, bool]]:
    return [("asyncio", used.waits), ("atexit", used.draws), ("itertools", used.draws)]


def definitions(used: Used) -> list[str]:
    """The functions that the script calls, under names that it does not use otherwise."""
    renamed = {"output_path": used.output, "save_figures": used.show, "display": used.display}
    found = [function("output_path", renamed)] if used.writes else []
    if used.draws:
        saves = [f"pyplot.show = {used.show}", f"atexit.register({used.show})"]
        found += [function("save_figures", renamed), "", "figure_numbers = itertools.count(1)", *saves]
    if used.shows_values or "display" in used.ipython.values():
        found.append(function("display", renamed))
    for name, original in used.ipython.items():
        if original == "display":
            found += [f"{name} = {used.display}"] if name != used.display else []
        else:
            stand_in = "clear_output" if original == "clear_output" else "as_text"
            found.append(function(stand_in, {stand_in: name}))
    if used.waits:
        found += ["", f"{used.loop} = asyncio.new_event_loop()  # one for all cells, as in the notebook"]
    return found


def function(name: str, renamed: dict[str, str]) -> str:
    """The text of a function of runtime.py, with the names that it has in the script."""
    text = functions()[name]
    for old, new in renamed.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return f"\n{text}\n"


@cache
def functions() -> dict[str, str]:
    text = Path(__file__).with_name("runtime.py").read_text(encoding="utf-8")
    text = text.replace("  # type: ignore[no-untyped-def]", "")
    tree = ast.parse(text)
    return {
        node.name: ast.get_source_segment(text, node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)
    }


def arguments(used: Used) -> list[str]:
    parse = "parse_known_args()[0]" if used.is_module else "parse_args()"
    why = "  # of the script that imports this one" if used.is_module else ""
    return [
        "",
        "parser = argparse.ArgumentParser(allow_abbrev=False)",
        'parser.add_argument("--data-path", type=Path, default="../../data", help="folder of the data")',
        *used.arguments,
        f"{used.args} = parser.{parse}{why}",
        "",
    ]
