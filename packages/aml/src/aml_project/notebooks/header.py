"""The head of a converted script: its arguments, and what stands for IPython and a screen. Only what is used."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

# What the head brings: names of its own, and what it imports and uses when the script runs.
OWN = ("args", "parser", "output_path", "save_figures", "figure_numbers", "display", "loop", "awaited")
IMPORTED = {"Path": "pathlib.Path", "itertools": "itertools", "pyplot": "matplotlib.pyplot"}


@dataclass
class Used:
    """What a script needs of its head, and how it calls it."""

    own: dict[str, str]
    is_module: bool = False
    future: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)  # their declarations
    ipython: dict[str, str] = field(default_factory=dict)  # names of IPython.display that the script calls
    shows_values: bool = False
    writes: bool = False
    output: str = "output_path"  # which function of stand_ins.py gives the paths of what is written
    draws: bool = False
    waits: bool = False


def write(notebook: str, script: str, data: str, used: Used) -> str:
    """The head of a script that is made from a notebook: their names, and where the data lies by default."""
    shown = "".join(c if c.isprintable() else "?" for c in notebook).replace("\\", "/").replace('"""', "'''")
    lines = [f'"""Made from the notebook {shown}.', "", f"    python {script} --data-path {data}", '"""', ""]
    lines += ["# ruff: noqa: E402 (a notebook imports where it needs to)", *used.future, "", "import argparse"]
    lines += ["import asyncio"] if used.waits else []
    lines += ["import atexit", imported("itertools", used)] if used.draws else []
    lines += [imported("Path", used)]
    if used.draws:
        lines += ["", "import matplotlib", imported("pyplot", used), "", 'matplotlib.use("Agg")']
    return "\n".join([*lines, "", *definitions(used), "", *arguments(data, used), ""])


def imported(name: str, used: Used) -> str:
    """The line that imports something of the head's, under the name that it has there."""
    module, dot, what = IMPORTED[name].rpartition(".")
    line = f"from {module} import {what}" if dot else f"import {what}"
    return line if used.own[name] == name else f"{line} as {used.own[name]}"


def definitions(used: Used) -> list[str]:
    """The functions that the script calls."""
    found = [function(used.output)] if used.writes else []
    if used.draws:
        found += [function("save_figures"), "", "figure_numbers = itertools.count(1)"]
        found += ["pyplot.show = save_figures", "atexit.register(save_figures)"]
    if used.shows_values or "display" in used.ipython.values():
        found.append(function("display"))
    if used.waits:
        found += ["", "loop = asyncio.new_event_loop()  # one for all cells, as in the notebook"]
    found = [renamed(text, {used.output: "output_path"} | used.own) for text in found]
    for name, original in used.ipython.items():
        stand_in = original if original in ("display", "clear_output") else "as_text"
        if stand_in == "display":
            found += [f"{name} = {used.own['display']}"] if name != used.own["display"] else []
        else:
            found.append(renamed(function(stand_in), {stand_in: name}))
    return found


def renamed(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = re.sub(rf"\b{old}\b", new, text)
    return text


def function(name: str) -> str:
    """The text of a function of stand_ins.py."""
    return f"\n{functions()[name]}\n"


@cache
def functions() -> dict[str, str]:
    text = Path(__file__).with_name("stand_ins.py").read_text(encoding="utf-8")
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_source_segment(text, node) or "" for node in found}


def arguments(data: str, used: Used) -> list[str]:
    """The lines that read the command line; a module reads that of the script which imports it."""
    parser, kind = used.own["parser"], used.own["Path"]
    data_path = f'{parser}.add_argument("--data-path", type={kind}, default="{data}", help="folder of the data")'
    parsed = f"{parser}.parse_known_args()[0]  # of the script" if used.is_module else f"{parser}.parse_args()"
    declared = [line.replace("parser.", f"{parser}.", 1) for line in used.arguments]
    return [
        f"{parser} = argparse.ArgumentParser(allow_abbrev=False)",
        data_path,
        *declared,
        f"{used.own['args']} = {parsed}",
    ]
