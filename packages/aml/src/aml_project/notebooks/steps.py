"""Make the steps of a pipeline of a notebook: a script for each, and what one hands on to another.

What a step binds, and a later one reads, goes by file. Imports, definitions, constants and settings are repeated in
the scripts that need them; what several need goes to a module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from aml_project.notebooks.cells import Cell, take_apart
from aml_project.notebooks.file_calls import READ
from aml_project.notebooks.flow import Change, Effect, Flow, closure, names_in, part_of
from aml_project.notebooks.magics import Finding
from aml_project.notebooks.notebook_file import Broken, read
from aml_project.notebooks.parts import (
    NESTED,
    Chunk,
    Parts,
    is_class,
    seeds,
)
from aml_project.notebooks.script import Conversion
from aml_project.notebooks.sections import Section, divide, lines_of
from aml_project.notebooks.tracing import HEAD, WHOLE

HANDOVER, COMMON = "handover", "common"  # modules beside the scripts
OUTPUT = "output-path"
CALLS = ("save", "load", "is_there", "bring", "save_random_state", "load_random_state")  # of handover.py
# What no file can hold, by what makes it.
MADE_BY = {
    **dict.fromkeys(("open", "io.open", "gzip.open", "bz2.open", "lzma.open", "codecs.open", ".open"), "an open file"),
    **dict.fromkeys(("zipfile.ZipFile", "h5py.File", "pandas.ExcelWriter", "pandas.HDFStore"), "an open file"),
    **dict.fromkeys(("csv.reader", "csv.writer", "csv.DictReader", "csv.DictWriter"), "a reader or writer of a file"),
    **dict.fromkeys(("iter", "map", "filter", "zip", "enumerate", "reversed", "os.scandir"), "an iterator"),
    **dict.fromkeys((".iterdir", ".glob", ".rglob", "itertools.cycle", "itertools.chain", "glob.iglob"), "an iterator"),
    **dict.fromkeys(("sqlite3.connect", ".connect", ".cursor", "sqlalchemy.create_engine"), "a connection"),
    **dict.fromkeys(("threading.Lock", "threading.RLock", "threading.Event", "multiprocessing.Lock"), "a lock"),
    **dict.fromkeys(("threading.Thread", "multiprocessing.Process", "subprocess.Popen"), "a process or thread"),
    **dict.fromkeys(("concurrent.futures.ThreadPoolExecutor", "concurrent.futures.ProcessPoolExecutor"), "a pool"),
    **dict.fromkeys(("multiprocessing.Pool", "socket.socket"), "a pool or socket"),
    **dict.fromkeys(("matplotlib.pyplot.figure", "matplotlib.pyplot.subplots", "matplotlib.pyplot.axes"), "a figure"),
    **dict.fromkeys(("matplotlib.pyplot.gca", "matplotlib.pyplot.gcf", "matplotlib.pyplot.subplot"), "a figure"),
    **dict.fromkeys((".add_subplot", ".subplots", ".gca", ".twinx", "matplotlib.pyplot.subplot_mosaic"), "a figure"),
}  # fmt: skip
UNKNOWN = ("exec", "eval", "globals", "locals", "vars")


@dataclass
class Handed:
    """Names whose values one step hands on together: an object that two of them share stays one."""

    names: tuple[str, ...]

    @property
    def key(self) -> str:
        return "_and_".join(self.names)

    @property
    def value(self) -> str:
        return self.names[0] if len(self.names) == 1 else f"({', '.join(self.names)})"


@dataclass
class Step:
    """One step on its way to a script."""

    section: Section
    code: list[Chunk]
    effect: Effect
    needs: dict[str, str] = field(default_factory=dict)  # name: the step that hands it on
    saves: list[Handed] = field(default_factory=list)
    unsure: set[str] = field(default_factory=set)  # handed on where it is bound
    absent: dict[str, str] = field(default_factory=dict)  # what it would need and can't get, and why
    brings: dict[str, list[str]] = field(default_factory=dict)  # step: patterns of files
    random_from: str = ""  # the step whose random state it goes on with
    saves_random: bool = False
    text: str = ""
    arguments: list[str] = field(default_factory=list)  # parameters that it takes
    reads_data: bool = False

    @property
    def name(self) -> str:
        return self.section.name

    @property
    def sources(self) -> list[str]:
        """The steps that it is handed something by, without an order."""
        more = [self.random_from] if self.random_from else []
        return [*self.needs.values(), *self.brings, *more]


class Plan:
    """The steps of one notebook: the code of each, and what goes from one to another."""

    def __init__(
        self,
        path: Path,
        to_python: Callable[[str], str],
        wanted: list[str],
        *,
        modules: Mapping[str, str],
        data: Path | None,
        data_path: str,
        model: str,
    ) -> None:
        cells = take_apart(read(path), to_python)
        imported = {
            name
            for cell in cells
            if cell.is_code
            for name in re.findall(r"^\s*(?:import|from)\s+(\w+)", cell.python, re.MULTILINE)
        }
        self.sections = divide(cells, wanted, imported | {HANDOVER, COMMON})
        taken = [attribute(f"{section.name}-path") for section in self.sections]
        self.data_path, self.notebook, self.model = data_path, path.name, model
        self.conversion = Conversion(
            cells, path.parent, to_python, shown=(path.name, "train.py", data_path),
            modules=modules, is_module=False, data=data, taken=[attribute(OUTPUT), *taken],
        )  # fmt: skip
        self.names, self.script = self.conversion.names, self.conversion.script
        self.used = replace(self.conversion.used, output="output_path_of_step")
        self.calls = {name: self.names.free(name) for name in CALLS}
        self.main = self.names.free("main")
        beside = {file.stem for file in path.parent.glob("*.py")} | set(modules.values())
        self.flow = Flow(self.names, beside)
        self.parts = Parts(self.conversion, self.flow)
        self._drop_headings(cells)
        self.steps = self._divided()
        self._hand_on()
        self._bring_files()
        self._hand_on_random_state()
        self._note_unknown()
        self.script.findings = sorted(dict.fromkeys(self.script.findings), key=lambda finding: finding.cell)

    def _say(self, cell: int, line: str) -> None:
        self.script.findings.append(Finding(cell, " ".join(line.split())[:300]))

    # --- which code belongs to which step ---

    def _drop_headings(self, cells: list[Cell]) -> None:
        """The headings of the steps are their scripts' first lines; they are no comments as well."""
        titles = {f"# {line}".rstrip() for section in self.sections for line in self._heading_lines(cells, section)}
        for chunk in self.parts.chunks:
            kept = [line for line in chunk.before.split("\n") if line.rstrip() not in titles]
            chunk.before = "\n".join(kept).strip("\n")

    def _heading_lines(self, cells: list[Cell], section: Section) -> list[str]:
        source = next(cell.source for cell in cells if cell.number == section.begin)
        return [line for line in source.split("\n") if line.strip() and any(True for _ in lines_of(line))][:1]

    def _divided(self) -> list[Step]:
        """The sections with code of their own; what stands before the first one is part of it."""
        code: dict[str, list[Chunk]] = {section.name: [] for section in self.sections}
        places = [(section.begin, section.name) for section in self.sections]
        self._keep_in_place(places)
        first = next(
            (self._section(chunk, places) for chunk in self.parts.of("code") if self._section(chunk, places)), ""
        )
        for chunk in self.parts.chunks:
            if not self.parts.repeated(chunk):
                name = self._section(chunk, places) or first or places[0][1]
                code[name].append(chunk)
        steps = []
        for section in self.sections:
            chunks = code[section.name]
            if any(chunk.kind == "code" for chunk in chunks):
                effect = self.flow.effect(statement for chunk in chunks for statement in chunk.statements)
                steps.append(Step(section, chunks, effect))
        for step in steps:
            step.code = [chunk for chunk in step.code if not self._is_for_others(chunk, step)]
        if len(steps) < 2:
            titles = ", ".join(section.title for section in self.sections)
            raise Broken(f"fewer than two of its steps have code that runs ({titles}): convert it without --steps")
        for step in steps:
            step.effect = self.flow.effect(statement for chunk in step.code for statement in chunk.statements)
        return steps

    def _is_for_others(self, chunk: Chunk, step: Step) -> bool:
        """Whether a step has a function of the notebook in it that it never calls: the one that does repeats it."""
        function = chunk.first
        plain = isinstance(function, ast.FunctionDef) and not function.decorator_list and not function.args.defaults
        return chunk.kind == "definition" and plain and not chunk.names & step.effect.mentions

    def _keep_in_place(self, places: list[tuple[int, str]]) -> None:
        """A constant that its own part alone uses stays where it stands."""
        with_code = {self._section(chunk, places) for chunk in self.parts.of("code")}
        for chunk in reversed(self.parts.of("constant")):
            here = self._section(chunk, places)
            users = [other for other in self.parts.chunks if other.reads & chunk.names and other is not chunk]
            if here in with_code and here and all(self._section(o, places) == here and o.kind == "code" for o in users):
                chunk.kind = "code"

    def _section(self, chunk: Chunk, places: list[tuple[int, str]]) -> str:
        before = [name for begin, name in places if begin <= chunk.cell]
        return before[-1] if before else ""

    # --- what goes from one to another ---

    def _hand_on(self) -> None:
        """Find which step reads what another one has bound or changed."""
        definitions = {name for chunk in self.parts.of("definition") for name in chunk.names}
        repeated = {name for chunk in self.parts.chunks if self.parts.repeated(chunk) for name in chunk.names}
        values = {name for step in self.steps for name in step.effect.bound} - definitions - repeated
        self.values = values
        needs = [{name for name in step.effect.needs if name in values} for step in self.steps]
        bound = [set(step.effect.bound) & values for step in self.steps]
        changed = [step.effect.changed & values for step in self.steps]
        there: list[set[str]] = [set()]
        for step in self.steps:
            there.append((there[-1] | (set(step.effect.bound) & values)) - set(step.effect.deleted))
        self._note_out_of_order(needs, there)
        units: list[tuple[str, ...]] = []
        while True:
            live = self._live(needs, bound, there)
            grown = self._grown(needs, changed, live, there, units)
            if not grown:
                break
        for k, step in enumerate(self.steps):
            for name in sorted(needs[k] & there[k]):
                reason = self._cannot(name, k)
                if reason:
                    step.absent[name] = reason
                else:
                    step.needs[name] = self._latest(name, k, bound, changed, live).name
        for k, step in enumerate(self.steps):
            wanted = {
                name for later in self.steps[k + 1 :] for name, source in later.needs.items() if source == step.name
            }
            order = self._in_order(wanted)
            for name in order:
                if not any(name in handed.names for handed in step.saves):
                    unit = next((unit for unit in units if name in unit), (name,))
                    step.saves.append(Handed(tuple(each for each in order if each in unit)))
            self._note_unsure(step, order)
        for step in self.steps:  # what is handed on together is taken together
            for name, source in list(step.needs.items()):
                handed = next(each for each in self._step(source).saves if name in each.names)
                step.needs |= {other: source for other in handed.names if other not in step.needs}
        self._note_parts(needs, live)

    def _live(self, needs: list[set[str]], bound: list[set[str]], there: list[set[str]]) -> list[set[str]]:
        """What is wanted after each step; a name that a step may bind, and may not, is needed by it as well."""
        live: list[set[str]] = [set() for _ in self.steps]
        wanted: set[str] = set()
        for k in reversed(range(len(self.steps))):
            live[k] = set(wanted)
            sure = self.steps[k].effect.sure
            needs[k] |= (wanted & bound[k] & there[k]) - sure
            wanted = needs[k] | (wanted - sure - set(self.steps[k].effect.deleted))
        return live

    def _grown(
        self,
        needs: list[set[str]],
        changed: list[set[str]],
        live: list[set[str]],
        there: list[set[str]],
        units: list[tuple[str, ...]],
    ) -> bool:
        """Have names that share an object go together, where one of them is changed later; whether that adds any."""
        edges: list[tuple[str, str]] = []
        grown = False
        for k, step in enumerate(self.steps):
            touched = closure(changed[k], edges) & live[k] & there[k]
            united = closure(touched, edges) & there[k] & (live[k] | needs[k]) if touched else set()
            if touched and len(united) > 1:
                for one in list(units):
                    if set(one) & united:
                        units.remove(one)
                        united |= set(one)
                unit = tuple(self._in_order(united))
                units.append(unit)
                more = united & there[k]
                if not more <= needs[k] or not (more & live[k]) <= changed[k]:
                    needs[k] |= more
                    changed[k] |= more & live[k]
                    grown = True
            fresh = [edge for chunk in step.code for each in chunk.statements for edge in self.flow.shared(each)]
            fresh = [edge for edge in fresh if set(edge) <= self.values]
            shared = closure(changed[k], fresh) & {name for edge in fresh for name in edge} & live[k] & there[k + 1]
            if len(shared) > 1 and not any(shared <= set(unit) for unit in units):
                units.append(tuple(self._in_order(shared)))
                grown = True
            for unit in units:  # an object that two names get to share here leaves with both
                together = {name for edge in fresh for name in edge} & set(unit) & live[k] & there[k + 1]
                if together - changed[k] - set(step.effect.bound):
                    changed[k] |= together
                    needs[k] |= together & there[k]
                    grown = True
            edges += fresh
        return grown

    def _in_order(self, names: Iterable[str]) -> list[str]:
        """Names in the order in which the notebook binds them."""
        order = [name for step in self.steps for name in step.effect.bound]
        return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))

    def _latest(self, name: str, k: int, bound: list[set[str]], changed: list[set[str]], live: list[set[str]]) -> Step:
        """The step before this one that has last bound or changed a name."""
        return next(self.steps[i] for i in reversed(range(k)) if name in bound[i] | (changed[i] & live[i]))

    def _step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def _cell(self, node: ast.AST) -> int:
        while not isinstance(node, (ast.stmt, ast.expr)):
            node = self.names.parents[node]
        return self.conversion.cell_of(node)

    def _cannot(self, name: str, k: int) -> str:
        """Why a name's value can't be handed on, if so: with the cell that makes it."""
        for step in reversed(self.steps[:k]):
            for chunk in reversed(step.code):
                for statement in reversed(chunk.statements):
                    for node in ast.walk(statement):
                        if what := self._made(node, name):
                            line = f"{name} is {what}, which no file can hand on to {self.steps[k].name}"
                            self._say(chunk.cell, f"{line}: make it in the part that uses it")
                            return f"{name} of cell {chunk.cell} is {what}: make it here"
                    if name in self.flow.effect([statement]).bound:
                        return ""
        return ""

    def _made(self, node: ast.AST, name: str) -> str:
        """What is bound to a name here, if it is something that no file holds."""
        values: list[ast.expr] = []
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            values = [node.value for target in targets if name in names_in(target)]
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            values = [
                i.context_expr for i in node.items if i.optional_vars is not None and name in names_in(i.optional_vars)
            ]
        for value in values:
            if isinstance(value, ast.GeneratorExp):
                return "a generator"
            if isinstance(value, ast.Call):
                for definition in self.flow.definitions.get(getattr(value.func, "id", ""), []):
                    if not isinstance(definition, (ast.ClassDef, ast.Lambda)) and yields(definition):
                        return "a generator"
                if what := MADE_BY.get(self.names.dotted(value.func)):
                    return what
        return ""

    # --- what has to be said of it ---

    def _note_out_of_order(self, needs: list[set[str]], there: list[set[str]]) -> None:
        for k, step in enumerate(self.steps):
            for name in sorted(needs[k] - there[k]):
                at = self._cell(step.effect.needs[name])
                gone = [each for each in self.steps[:k] if name in each.effect.deleted]
                later = [each for each in self.steps[k + 1 :] if name in each.effect.bound]
                if gone:
                    cell = self._cell(gone[-1].effect.deleted[name])
                    self._say(at, f"{name} is read here, and cell {cell} has deleted it: keep it, or make it again")
                elif later and name not in step.effect.bound:
                    cell = self._cell(later[0].effect.bound[name])
                    self._say(at, f"{name} is read here, and bound in cell {cell} only: move that before")

    def _note_unsure(self, step: Step, handed: list[str]) -> None:
        for name in handed:
            if name in step.effect.bound and name not in step.effect.likely and name not in step.needs:
                step.unsure.add(name)
                cell = self._cell(step.effect.bound[name])
                self._say(cell, f"{name} is bound on one way only: it is handed on where it is bound; bind it on each")
            elif name in step.needs and name in self._step(step.needs[name]).unsure:
                step.unsure.add(name)

    def _note_parts(self, needs: list[set[str]], live: list[set[str]]) -> None:
        """Name what is changed in place where another name may be a part of it: between steps they are two."""
        parts: list[tuple[str, str, int]] = []
        for k, step in enumerate(self.steps):
            sure = [change for change in step.effect.changes if change.is_sure and not is_fit(change)]
            for name, whole, cell in parts:
                for one, other in ((name, whole), (whole, name)):
                    found = [change for change in sure if change.name == one]
                    if found and other in needs[k] | live[k]:
                        line = f"{one} is changed in place here, and {other} (cell {cell}) may share its memory"
                        self._say(
                            self._cell(found[0].at), f"{line}: between steps they are two; take {name} anew after it"
                        )
            for chunk in step.code:
                for statement in chunk.statements:
                    held = part_of(statement.value) if isinstance(statement, ast.Assign) else None
                    if isinstance(statement, ast.Assign) and held is not None and held in self.values:
                        targets = {each for target in statement.targets for each in names_in(target)}
                        parts += [(each, held, chunk.cell) for each in sorted(targets & self.values) if each != held]

    def _note_unknown(self) -> None:
        for node in self.names.nodes:
            if isinstance(node, ast.Call) and self.names.dotted(node.func) in UNKNOWN:
                called = self.names.dotted(node.func)
                self._say(self._cell(node), f"{called}(): which names this reads or binds is not known; write them out")
        for chunk in self.parts.of("definition"):
            values = sorted(name for name, _ in self.flow.through(min(chunk.names)) if name in self.values)
            if is_class(chunk) and chunk.level == NESTED and values:
                line = (
                    f"class {min(chunk.names)} reads {', '.join(values)}: its objects keep what that is when handed on"
                )
                self._say(chunk.cell, f"{line}; give it to __init__ instead")

    # --- files, and random numbers ---

    def _bring_files(self) -> None:
        """Find which step reads a file that an earlier one has written."""
        written: list[tuple[int, str, str]] = []
        wanted: list[tuple[int, str, str]] = []
        folders: list[tuple[int, str]] = []
        for lead in self.conversion.paths.leads:
            if lead.role == READ:
                continue
            rest = lead.rest if lead.how != WHOLE else lead.rest.rstrip("/")
            for use in lead.uses:
                for k in self._steps_of(use.path):
                    appends = self._appends(use.path)
                    wanted += [(k, rest, lead.how)] if use.role == READ or appends else []
                    written += [(k, rest, lead.how)] if use.role != READ or appends else []
                    folders += [(k, rest)] if use.makes_folder else []
        for k, rest, _ in written:
            for i, folder in folders:
                if i < k and f"{rest}/".startswith(f"{folder.rstrip('/')}/"):
                    self._bring(k, i, folder.rstrip("/"))
        for k, rest, how in wanted:
            for i, other, other_how in written:
                if i < k and overlap((rest, how), (other, other_how)):
                    self._bring(k, i, pattern_of(rest, how))
        for step in self.steps:
            step.brings = {each.name: step.brings[each.name] for each in self.steps if each.name in step.brings}

    def _bring(self, k: int, i: int, pattern: str) -> None:
        patterns = self.steps[k].brings.setdefault(self.steps[i].name, [])
        if pattern not in patterns:
            patterns.append(pattern)

    def _appends(self, path: ast.AST) -> bool:
        call = self.names.parents.get(path)
        given = [*call.args, *(key.value for key in call.keywords)] if isinstance(call, ast.Call) else []
        modes = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        return any(re.fullmatch(r"[arw]b?\+b?|a[bt]?", mode) for mode in modes if not mode.startswith("w"))

    def _steps_of(self, node: ast.AST) -> list[int]:
        """The steps that run a node: the one that it stands in, or those that call what it stands in."""
        while not isinstance(node, ast.Module) and not isinstance(
            self.names.parents.get(node, self.names.tree), ast.Module
        ):
            node = self.names.parents[node]
        for k, step in enumerate(self.steps):
            if any(node in chunk.statements and chunk.kind == "code" for chunk in step.code):
                return [k]
        names = {name for chunk in self.parts.chunks if node in chunk.statements for name in chunk.names}
        return [k for k, step in enumerate(self.steps) if names & self.mentions(step)]

    def mentions(self, step: Step) -> set[str]:
        """The names that a step reads, also in the functions and constants that it uses."""
        found, todo = set[str](), set(step.effect.mentions)
        while todo:
            found |= todo
            todo = {
                other for name in todo for chunk in self.parts.binders.get(name, []) if chunk.kind != "code"
                for other in chunk.reads
            } - found  # fmt: skip
        return found

    def _hand_on_random_state(self) -> None:
        """Where a notebook sets a seed, each later step goes on with the numbers that follow."""
        has_begun = False
        for k, step in enumerate(self.steps):
            if has_begun:
                step.random_from = self.steps[k - 1].name
            trees: list[ast.AST] = [statement for chunk in step.code for statement in chunk.statements]
            trees += [node for name in self.mentions(step) for node in self.flow.definitions.get(name, [])]
            found = seeds(trees, self.names)
            for called in found:
                if called.split(".")[0] in ("tensorflow", "keras"):
                    chunk = next(chunk for chunk in step.code)
                    self._say(
                        chunk.cell, f"{called}(): TensorFlow's random state is not handed on: set a seed in each part"
                    )
            has_begun = has_begun or bool(found)
            step.saves_random = has_begun and k + 1 < len(self.steps)


def yields(function: ast.AST) -> bool:
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(function))


def is_fit(change: Change) -> bool:
    return (
        isinstance(change.at, ast.Call) and isinstance(change.at.func, ast.Attribute) and "fit" in change.at.func.attr
    )


def overlap(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two paths, each with how much of it is known, may be one."""
    (first, how), (second, other_how) = one, other
    if how == other_how == WHOLE and first == second:
        return True
    whole = [(a, b) for a, b, b_how in ((first, second, other_how), (second, first, how)) if b_how != WHOLE or b == "."]
    return any(b == "." or a.startswith(b.rstrip("/")) for a, b in whole) or f"{first}/".startswith(
        f"{second.rstrip('/')}/"
    )


def pattern_of(rest: str, how: str) -> str:
    """A pattern of the files that a path leads to."""
    if how == WHOLE:
        return rest
    return f"{rest}*" if how == HEAD else "**/*" if rest == "." else f"{rest.rstrip('/')}/**/*"


def attribute(option: str) -> str:
    return option.replace("-", "_")
