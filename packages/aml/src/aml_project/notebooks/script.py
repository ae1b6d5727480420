"""Make a script of a notebook: plain Python that runs without IPython, with arguments, from data to outputs/.

Every edit is made on the syntax tree; what no edit concerns is the notebook's own text.
"""

from __future__ import annotations

import ast
import bisect
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aml_project.notebooks import awaits, display, figures, header, parameters
from aml_project.notebooks.cells import Cell, take_apart
from aml_project.notebooks.edits import Source
from aml_project.notebooks.file_calls import READ
from aml_project.notebooks.file_paths import Paths, beginning, clean, strip_up
from aml_project.notebooks.magics import Finding, as_comment, to_plain
from aml_project.notebooks.names import Names
from aml_project.notebooks.notebook_file import read
from aml_project.notebooks.rewriting import Rewriter, repr_of
from aml_project.notebooks.tracing import WHOLE


class Move(NamedTuple):
    """A path that leads elsewhere now."""

    cell: int
    text: str  # as it stands in the notebook, or how it begins
    how: str
    is_read: bool
    rest: str  # below --data-path or outputs/


@dataclass
class Script:
    """A converted notebook, and what there is to say of it."""

    text: str
    findings: list[Finding] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    roots: dict[bool, str] = field(default_factory=dict)  # what --data-path was: of absolute paths, and of others
    comments: int = 0
    imports: set[str] = field(default_factory=set)  # modules by name, for what lies beside the notebook


def convert(
    path: Path,
    to_python: Callable[[str], str],
    *,
    notebook: str = "",
    script: str = "train.py",
    modules: Mapping[str, str] | None = None,
    is_module: bool = False,
    data: Path | None = None,
    data_path: str = "../../data",
) -> Script:
    """Convert the notebook at a path; not yet formatted. `notebook` and `script` are the names that the text shows.

    `modules` are the files that become modules beside the script, by name; a module reads the arguments of the script
    that imports it. `data` is where files that lay beside the notebook may lie now,
    `data_path` how the script calls that folder.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook's own code
        shown = (notebook or path.name, script, data_path)
        cells = take_apart(read(path), to_python)
        return Conversion(
            cells, path.parent, to_python, shown=shown, modules=modules or {}, is_module=is_module, data=data
        ).script


class Conversion:
    """One notebook on its way to a script."""

    def __init__(
        self,
        cells: list[Cell],
        folder: Path,
        to_python: Callable[[str], str],
        *,
        shown: tuple[str, str, str],
        modules: Mapping[str, str],
        is_module: bool,
        data: Path | None,
        taken: Iterable[str] = (),
    ) -> None:
        self.script = Script("")
        self.taken = {*parameters.TAKEN, *taken}  # attributes that no parameter may have
        self.tagged: set[int] = set()
        self.silent: set[int] = set()
        self.captured: dict[str, int] = {}
        text = self._joined(cells, modules, to_python)
        self.source = Source(text)
        self.names = Names(self.source.tree)
        self.by_cell: dict[int, list[ast.stmt]] = {number: [] for _, number in self.cells}
        for statement in self.source.tree.body:
            self.by_cell[self.cell_of(statement)].append(statement)

        self.used = used = header.Used(self._own_names(), is_module)
        used.future = self._future_imports()
        display.without_ipython(self.source, self.names, used)
        for name in self.captured.keys() & self.names.used:
            line = f"%%capture {name}: only IPython keeps what is printed; a script has no {name}"
            self.script.findings.append(Finding(self.captured[name], line, is_error=True))
        self.paths = Paths(self.names, folder, data)
        self._rewrite(self.paths)
        for number, body in self.by_cell.items():
            if number not in self.silent:
                display.show_last(self.source, self.names, body, used)
        figures.save_all(self.source, self.names, list(self.by_cell.values()), used)
        awaits.wrap(self.source, [self.by_cell[number] for _, number in self.cells], used)
        self.script.imports = {dotted.split(".")[0] for dotted in self.names.imports.values()}
        self.script.imports |= {
            node.module.split(".")[0]
            for node in self.names.nodes
            if isinstance(node, ast.ImportFrom) and node.module and not node.level
        }
        self.script.text = header.write(*shown, used) + self.source.edited().strip("\n") + "\n"
        self.script.findings.sort(key=lambda finding: finding.cell)
        compile(self.script.text, shown[1], "exec", dont_inherit=True)

    def _joined(self, cells: list[Cell], modules: Mapping[str, str], to_python: Callable[[str], str]) -> str:
        """All cells as one text; `self.cells` says on which line each code cell begins."""
        pieces: list[str] = []
        line = 1
        self.cells: list[tuple[int, int]] = []
        self.first_lines: dict[int, int] = {}  # of each cell, code or text
        for cell in cells:
            self.first_lines[cell.number] = line
            if cell.is_code:
                plain = to_plain(cell, dict(modules), to_python)
                self.script.findings += plain.findings
                self.script.comments += plain.comments
                if plain.ends_in_ipython:
                    self.silent.add(cell.number)
                if plain.captured:
                    self.captured[plain.captured] = cell.number
                piece = plain.code.strip("\n")
                if "parameters" in cell.tags:
                    self.tagged.add(cell.number)
                self.cells.append((line, cell.number))
            else:
                text = cell.source.strip().replace("\f", " ")
                piece = as_comment(text.split("\n")) if text else ""
            if piece.strip():
                pieces.append(piece)
                line += piece.count("\n") + 2
        self.begins = [begin for begin, _ in self.cells]
        return "\n\n".join(pieces) + "\n"

    def cell_of(self, node: ast.stmt | ast.expr) -> int:
        """The number of the cell that a node stands in."""
        return self.cells[max(bisect.bisect_right(self.begins, node.lineno) - 1, 0)][1]

    def _future_imports(self) -> list[str]:
        """The imports from __future__, which can stand at the top only."""
        found = []
        for statement in self.source.tree.body:
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                found.append(self.source.of(statement))
                self.source.replace(statement, "")
        return list(dict.fromkeys(found))

    def _own_names(self) -> dict[str, str]:
        """How the script calls what its head brings: as the head does, unless the notebook calls something else so."""
        known = header.IMPORTED | {"display": "IPython.display.display"}
        same = {name for name, dotted in known.items() if self.names.imports.get(name) == dotted}
        same |= {"display"} if not self.names.bound("display") else set()
        return {name: name if name in same else self.names.free(name) for name in (*header.OWN, *header.IMPORTED)}

    # --- arguments and paths ---

    def _rewrite(self, paths: Paths) -> None:
        """Make arguments of the parameters, and lead every path to its place."""
        in_order = [(self.by_cell[number], number in self.tagged) for _, number in self.cells]
        found, left = parameters.find(in_order, self.names, self.taken)
        for name in left:
            self._say(min(self.tagged), f"parameter {name}: no argument can have this value; it stays in the script")
        self.parameters: list[tuple[parameters.Parameter, str]] = []  # each with its default as it is written
        leads = {id(lead.literal): lead for lead in paths.leads}
        rewriter = Rewriter(self.source, self.names, f"{self.used.own['args']}.data_path", self.used.own["output_path"])
        of_parameters: set[int] = set()
        for parameter in found:
            lead = leads.get(id(parameter.value))
            holds = [leads[id(node)] for node in ast.walk(parameter.value) if id(node) in leads]
            is_data = parameter.name.lower() == "data_path" and bool(holds)
            if holds and (is_data or not parameter.tagged or not lead):
                continue  # it names files: --data-path is its argument
            value = f"{self.used.own['args']}.{parameter.attribute}"
            default = self.source.of(parameter.value)
            if lead:
                of_parameters.add(id(parameter.value))
                default = repr_of(lead.rest)
                rewriter.lead(lead, value)
            else:
                value = f"tuple({value})" if isinstance(parameter.default, tuple) else value
                self.source.replace(parameter.value, value)
            self.parameters.append((parameter, default))
            self.used.arguments.append(parameter.declared(default))
            self.script.arguments.append(f"--{parameter.option} ({default})")
        for lead in paths.leads:
            done = id(lead.literal) in of_parameters or rewriter.lead(lead)
            cell, shown = self.cell_of(lead.literal), lead.text + ("…" if lead.how != WHOLE else "")
            if not done:
                self._say(cell, f"{shown}: this path is left as it is; lead it to --data-path or outputs/ by hand")
            else:
                self.script.moves.append(
                    Move(cell, lead.text, lead.how, lead.role == READ, "" if lead.rest == "." else lead.rest)
                )
        self._lead_mixed(paths, rewriter)
        self.used.writes |= rewriter.writes
        self._say_of_paths(paths)

    def _lead_mixed(self, paths: Paths, rewriter: Rewriter) -> None:
        """Write elsewhere what goes to a place that is read from as well."""
        for literal, how, writing in paths.mixed:
            text = beginning(literal)
            led = [rewriter.write_elsewhere(use, text, how) for use in writing]
            if all(led):
                self.script.moves.append(Move(self.cell_of(literal), text, how, False, strip_up(clean(text))))
            else:
                line = f"{text} is read from and written to; what is written has to go to outputs/"
                self._say(self.cell_of(literal), line)

    def _say_of_paths(self, paths: Paths) -> None:
        """Name what is left as it is."""
        for url in paths.urls.values():
            self._say(self.cell_of(url), f"{self.source.of(url)} is an address: it is left as it is")
        for use in paths.lost:
            self._say(
                self.cell_of(use.path),
                f"{self.source.of(use.path)}: where this leads is not known; it is left as it is",
            )
        for call in paths.moving:
            self._say(self.cell_of(call), f"{self.source.of(call)}: a run starts in a folder of its own, without data")
        self.script.roots = paths.roots

    def _say(self, cell: int, line: str) -> None:
        self.script.findings.append(Finding(cell, " ".join(line.split())[:300]))
