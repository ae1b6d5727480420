"""Write the scripts of a notebook's steps, the modules that they share, and the pipeline.yml that runs them."""

from __future__ import annotations

import ast
import json
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aml_project.notebooks import header
from aml_project.notebooks.display import DRAWING
from aml_project.notebooks.edits import inside_strings
from aml_project.notebooks.flow import DEFINITIONS
from aml_project.notebooks.parts import FREE, NESTED, SCRIPT, Chunk, is_class, mentioned_alone, used_in
from aml_project.notebooks.script import Script
from aml_project.notebooks.steps import COMMON, HANDOVER, OUTPUT, Plan, Step, attribute


@dataclass
class Steps:
    """What a notebook becomes: files by name, and what there is to say."""

    files: dict[str, str]
    script: Script
    steps: list[Step]


def convert(
    path: Path,
    to_python: Callable[[str], str],
    *,
    wanted: Iterable[str] = (),
    modules: Mapping[str, str] | None = None,
    data: Path | None = None,
    data_path: str = "../../data",
    model: str = "",
) -> Steps:
    """Convert the notebook at a path to the steps that its headings name, or those that are `wanted`.

    `modules` lie beside the scripts, by the names of their files; the rest is as for a script.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook's own code
        plan = Plan(path, to_python, list(wanted), modules=modules or {}, data=data, data_path=data_path, model=model)
        return Steps(Scripts(plan).files, plan.script, plan.steps)


class Scripts:
    """The files that the steps of a plan become."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.common = self._common()
        for step in plan.steps:
            self._write(step)
        self.files = self._files()

    def _common(self) -> list[Chunk]:
        """The functions and classes that several steps use, or that may be part of what is handed on."""
        trees: list[ast.AST] = list(self.plan.names.tree.body)
        chosen: list[Chunk] = []
        for chunk in self.plan.parts.of("definition"):
            if chunk.level == FREE:
                users = [step for step in self.plan.steps if chunk.names & self.plan.mentions(step)]
                travels = is_class(chunk) or any(mentioned_alone(trees, name) for name in chunk.names)
                if len(users) > 1 or (travels and any(step.saves for step in users)):
                    chosen.append(chunk)
        while True:
            needed = {name for chunk in chosen for name in chunk.reads}
            more = [
                chunk for chunk in self.plan.parts.of("definition", "constant")
                if chunk not in chosen and chunk.names & needed and chunk.level == FREE
            ]  # fmt: skip
            if not more:
                break
            chosen += more
        names = {name for chunk in chosen for name in chunk.names}
        if chosen:
            chosen += [chunk for chunk in self.plan.parts.of("setting") if chunk.level == FREE and chunk.reads & names]
        return sorted(chosen, key=lambda chunk: chunk.begin)

    def _write(self, step: Step) -> None:
        """Compose the script of a step."""
        body = self._main(step)
        main = indented(body) if body.strip() else "    pass"
        top = self._top(step, used_in(body))
        names = used_in(body + "\n" + "\n".join(chunk.text for chunk in top))
        used = self._used(names)
        arguments = self._arguments(step, used, "\n".join([body, *(chunk.text for chunk in top)]))
        from_common = sorted(names & {name for chunk in self.common for name in chunk.names})
        calls = [original for original, name in self.plan.calls.items() if name in names]
        own = [f"from {COMMON} import {', '.join(from_common)}"] if from_common else []
        own += (
            [f"from {HANDOVER} import " + ", ".join(sorted(imported_as(each, self.plan.calls[each]) for each in calls))]
            if calls
            else []
        )
        late = Imports(self.plan, names)
        early = [chunk.text for chunk in top if chunk.kind == "setting" and is_early(chunk)]
        rest = [with_comment(chunk) for chunk in top if chunk.text not in early]
        title = plain_text(step.section.title)
        usage = " ".join(
            [f"python {step.name}.py", *(f"--{name} outputs/{source}" for name, source in self._inputs(step))]
        )
        lines = [
            f'"""{title}: a step of the notebook {plain_text(self.plan.notebook)}.', "", f"    {usage}", '"""', "",
            *(["# ruff: noqa: E402 (the settings come first)", ""] if early else []),
            *self.plan.used.future, *([""] if self.plan.used.future else []),
            *late.standard(used, arguments), *(["", *early] if early else []),
            *late.others(used), *(["", *own] if own else []), *late.blocks(),
            *(["", 'matplotlib.use("Agg")'] if used.draws else []),
            *header.definitions(used), "", *arguments, "", *rest, "", "",
            f"def {self.plan.main}() -> None:", main, "", "",
            'if __name__ == "__main__":', f"    {self.plan.main}()", "",
        ]  # fmt: skip
        step.text = "\n".join(lines)
        compile(step.text, f"{step.name}.py", "exec", dont_inherit=True)

    def _main(self, step: Step) -> str:
        """The lines of main(): what it takes, the notebook's code, what it leaves."""
        args, calls = self.plan.used.own["args"], self.plan.calls
        output = f"{args}.{attribute(OUTPUT)}"
        lines: list[str] = []
        shared = sorted(
            {name for chunk in step.code for name in globals_and_awaited(chunk)}
            & (self.plan.values | set(step.effect.bound))
        )
        shared += sorted({name for chunk in self._nested(step) for name in globals_and_awaited(chunk)} - set(shared))
        if shared:
            lines.append(f"global {', '.join(shared)}")
        for source, patterns in step.brings.items():
            lines.append(f"{calls['bring']}({self._path(source)}, {output}, {', '.join(map(quoted, patterns))})")
        lines += self._loads(step)
        if step.random_from:
            lines.append(f"{calls['load_random_state']}({self._path(step.random_from)})")
        lines += [f"# {reason}" for _, reason in sorted(step.absent.items())]
        for chunk in self._nested(step):
            lines.append(chunk.text)
        if lines:
            lines.append("")
        position = len(lines)
        for chunk in step.code:
            lines += gap(self.plan.conversion.source.data, chunk) if len(lines) > position else []
            lines += [chunk.before] if chunk.before else []
            lines.append(chunk.text)
        if step.saves or step.saves_random:
            lines.append("")
        sure = [handed for handed in step.saves if not step.unsure & set(handed.names)]
        if sure:
            given = ", ".join(f"{handed.key}={handed.value}" for handed in sure)
            lines.append(f"{calls['save']}({output}, {given})")
        for handed in step.saves:
            if handed not in sure:
                there = " and ".join(f'"{name}" in locals()' for name in handed.names if name in step.unsure)
                lines.append(f"if {there}:\n    {calls['save']}({output}, {handed.key}={handed.value})")
        if step.saves_random:
            lines.append(f"{calls['save_random_state']}({output})")
        return "\n".join(lines).strip("\n")

    def _loads(self, step: Step) -> list[str]:
        lines, calls = list[str](), self.plan.calls
        for each in self.plan.steps:
            taken = [handed for handed in each.saves if any(step.needs.get(name) == each.name for name in handed.names)]
            plain = [handed for handed in taken if not each.unsure & set(handed.names)]
            if plain:
                targets = ", ".join(handed.value for handed in plain)
                targets = targets[1:-1] if len(plain) == 1 and targets.startswith("(") else targets
                given = ", ".join(quoted(handed.key) for handed in plain)
                lines.append(f"{targets} = {calls['load']}({self._path(each.name)}, {given})")
            for handed in taken:
                if handed not in plain:
                    given = f"{self._path(each.name)}, {quoted(handed.key)}"
                    lines.append(f"if {calls['is_there']}({given}):\n    {handed.value} = {calls['load']}({given})")
        return lines

    def _nested(self, step: Step) -> list[Chunk]:
        """The functions of earlier parts that read what main() has, and that this one calls: the last of each name."""
        order = self.plan.parts.chunks.index(step.code[0])
        found: list[Chunk] = []
        for chunk in self.plan.parts.of("definition"):
            is_before = chunk not in step.code and self.plan.parts.chunks.index(chunk) < order
            if chunk.level == NESTED and is_before and chunk.names & step.effect.needs.keys():
                found = [each for each in found if each.names != chunk.names] + [chunk]
        return found

    def _top(self, step: Step, names: set[str]) -> list[Chunk]:
        """What stands above main(): constants, settings and definitions that are needed there."""
        common = {name for chunk in self.common for name in chunk.names}
        chosen: list[Chunk] = []
        earlier = self.plan.steps[: self.plan.steps.index(step)]
        for chunk in self.plan.parts.of("definition"):
            travels = is_class(chunk) or any(mentioned_alone(self.plan.names.tree.body, name) for name in chunk.names)
            handed = any(each.saves and chunk.names & self.plan.mentions(each) for each in earlier)
            if chunk.level == SCRIPT and travels and handed and step.needs:
                chosen.append(chunk)
        while True:
            needed = names | {name for chunk in chosen for name in chunk.reads}
            more = [
                chunk for chunk in self.plan.parts.of("definition", "constant")
                if self.plan.parts.repeated(chunk) and chunk not in chosen and chunk.names & (needed - common)
            ]  # fmt: skip
            more += [
                chunk for chunk in self.plan.parts.of("setting")
                if chunk not in chosen and chunk not in self.common and self._sets(chunk, needed, step)
            ]  # fmt: skip
            if not more:
                return sorted(chosen, key=lambda chunk: chunk.begin)
            chosen += more

    def _sets(self, chunk: Chunk, needed: set[str], step: Step) -> bool:
        """Whether a setting matters to a step: what it is handed may be of a package that it does not name.

        Only what draws is named where it does, and a class of the notebook's where it is used.
        """
        imports = self.plan.names.imports
        packages = {imports[name].split(".")[0] for name in chunk.reads if name in imports}
        used = {imports[name].split(".")[0] for name in needed if name in imports}
        definitions = chunk.reads & self.plan.flow.definitions.keys()
        if chunk.begin > step.code[-1].begin or (definitions and not definitions & needed):
            return False
        return not packages <= {*DRAWING, "plotly"} or bool(packages & used)

    def _used(self, names: set[str]) -> header.Used:
        """What the head of a script holds."""
        own = self.plan.used.own
        drawing = [name for name in names if self.plan.names.imports.get(name, "").split(".")[0] in DRAWING]
        draws = self.plan.used.draws and (own["save_figures"] in names or bool(drawing))
        shows = own["display"] in names
        return replace(
            self.plan.used, ipython={name: what for name, what in self.plan.used.ipython.items() if name in names},
            shows_values=shows, draws=draws, writes=own["output_path"] in names or draws,
            waits=own["loop"] in names, arguments=[],
        )  # fmt: skip

    def _arguments(self, step: Step, used: header.Used, text: str) -> list[str]:
        """The lines that declare and read the arguments."""
        parser, kind, args = self.plan.used.own["parser"], self.plan.used.own["Path"], self.plan.used.own["args"]
        attributes = {
            node.attr for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == args
        }  # fmt: skip
        lines = [f"{parser} = argparse.ArgumentParser(allow_abbrev=False)"]
        step.reads_data = "data_path" in attributes
        if step.reads_data:
            lines.append(
                f'{parser}.add_argument("--data-path", type={kind}, default="{self.plan.data_path}",'
                ' help="folder of the data")'
            )
        for name, source in self._inputs(step):
            told = f'help="what the step {source} has left"'
            lines.append(f'{parser}.add_argument("--{name}", type={kind}, default="outputs/{source}", {told})')
        if used.writes or attribute(OUTPUT) in attributes:
            told = 'help="folder of what this step leaves"'
            lines.append(f'{parser}.add_argument("--{OUTPUT}", type={kind}, default="outputs/{step.name}", {told})')
        step.arguments = []
        for parameter, default in self.plan.conversion.parameters:
            if parameter.attribute in attributes:
                lines.append(parameter.declared(default).replace("parser.", f"{parser}.", 1))
                step.arguments.append(parameter.option)
        return [*lines, f"{args} = {parser}.parse_args()"]

    def _inputs(self, step: Step) -> list[tuple[str, str]]:
        """The arguments that lead to what earlier steps have left, each with its step."""
        return [
            (f"{each.name}-path".replace("_", "-"), each.name) for each in self.plan.steps if each.name in step.sources
        ]

    def _path(self, source: str) -> str:
        return f"{self.plan.used.own['args']}.{attribute(f'{source}-path')}"

    def _files(self) -> dict[str, str]:
        files = {f"{step.name}.py": step.text for step in self.plan.steps}
        if self.common:
            files[f"{COMMON}.py"] = self._common_text()
        if any(step.sources for step in self.plan.steps):
            files[f"{HANDOVER}.py"] = (
                Path(__file__)
                .with_name(f"{HANDOVER}.py")
                .read_text(encoding="utf-8")
                .replace("# mypy: ignore-errors\n\n", "")
            )
        files["pipeline.yml"] = self._pipeline()
        return files

    def _common_text(self) -> str:
        names = {name for chunk in self.common for name in chunk.reads}
        imports = Imports(self.plan, names)
        lines = [
            f'"""What several steps of the notebook {plain_text(self.plan.notebook)} use."""', "",
            *self.plan.used.future, "",
            *imports.standard(None), *imports.others(None), *imports.blocks(), "",
            *(with_comment(chunk) for chunk in self.common), "",
        ]  # fmt: skip
        return "\n".join(lines)

    def _pipeline(self) -> str:
        """The text of pipeline.yml."""
        parameters = {}
        for parameter, default in self.plan.conversion.parameters:
            value = yaml_value(default)
            if value is not None and any(parameter.option in step.arguments for step in self.plan.steps):
                parameters[parameter.option] = value
        place = f"models/{self.plan.model}/pipeline.yml: " if self.plan.model else ""
        lines = [f"# {place}the steps of the notebook {plain_text(self.plan.notebook)}"]
        if parameters:
            lines += ["parameters:", *(f"  {name}: {value}" for name, value in parameters.items())]
        lines.append("steps:")
        for step in self.plan.steps:
            lines += [f"  {step.name}:", f"    run: {step.name}.py"]
            inputs = {"data-path": "data"} if step.reads_data else {}
            inputs |= {name: f"{source}.{OUTPUT}" for name, source in self._inputs(step)}
            if inputs:
                lines.append(f"    in: {{{', '.join(f'{name}: {source}' for name, source in inputs.items())}}}")
            if f'"--{OUTPUT}"' in step.text:
                lines.append(f"    out: {{{OUTPUT}: folder}}")
            given = [name for name in step.arguments if name in parameters]
            if given:
                lines += ["    arguments:", *(f"      {name}: parameters.{name}" for name in given)]
        return "\n".join(lines) + "\n"


class Imports:
    """The imports that a script has at its top: those whose names it uses, in the order of a formatter."""

    def __init__(self, plan: Plan, names: set[str]) -> None:
        self.plain: set[str] = set()
        self.of_modules: dict[str, set[str]] = {}
        self.block: list[str] = []
        own = plan.used.own
        read_at_all = set().union(*(chunk.reads for chunk in plan.parts.chunks))
        packages = {plan.names.imports[name].split(".")[0] for name in names if name in plan.names.imports}
        for chunk in plan.parts.of("import"):
            node = chunk.first
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                self.block += [chunk.text] if chunk.names & names else []
                continue
            if not chunk.text.strip() or chunk.text.strip() == "pass":
                continue
            for alias in node.names:
                name = alias.asname or alias.name.split(".")[0]
                module = alias.name if isinstance(node, ast.Import) else f"{'.' * node.level}{node.module or ''}"
                for_nobody = name not in read_at_all and module.split(".")[0] in packages
                if name in names or alias.name == "*" or for_nobody:
                    told = alias.name + (f" as {alias.asname}" if alias.asname else "")
                    if isinstance(node, ast.Import):
                        self.plain.add(told)
                    else:
                        self.of_modules.setdefault(module, set()).add(told)
        self.own = own

    def standard(self, used: header.Used | None, arguments: Iterable[str] = ()) -> list[str]:
        plain = {each for each in self.plain if is_standard(each)}
        if used is not None:
            plain |= {"argparse"} | ({"asyncio"} if used.waits else set()) | ({"atexit"} if used.draws else set())
        modules = {module: set(names) for module, names in self.of_modules.items() if is_standard(module)}
        if used is not None and (used.writes or any(f"type={used.own['Path']}," in line for line in arguments)):
            self._add(header.imported("Path", used), plain, modules)
        if used is not None and used.draws:
            self._add(header.imported("itertools", used), plain, modules)
        return [*self._lines(plain, modules)]

    def others(self, used: header.Used | None) -> list[str]:
        plain = {each for each in self.plain if not is_standard(each)}
        modules = {module: set(names) for module, names in self.of_modules.items() if not is_standard(module)}
        if used is not None and used.draws:
            plain.add("matplotlib")
            self._add(header.imported("pyplot", used), plain, modules)
        lines = self._lines(plain, modules)
        return ["", *lines] if lines else []

    def blocks(self) -> list[str]:
        return ["", *self.block] if self.block else []

    def _add(self, line: str, plain: set[str], modules: dict[str, set[str]]) -> None:
        if line.startswith("import "):
            plain.add(line.removeprefix("import "))
        else:
            module, _, name = line.removeprefix("from ").partition(" import ")
            modules.setdefault(module, set()).add(name)

    def _lines(self, plain: set[str], modules: dict[str, set[str]]) -> list[str]:
        lines = [f"import {each}" for each in sorted(plain)]
        for module in sorted(modules):
            stars = {"*"} & modules[module]
            rest = sorted(modules[module] - stars, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))
            lines += [f"from {module} import *  # noqa: F403"] if stars else []
            lines += [f"from {module} import {', '.join(rest)}"] if rest else []
        return lines


def is_standard(module: str) -> bool:
    return module.split(".", maxsplit=1)[0].split(" ", maxsplit=1)[0] in sys.stdlib_module_names


def imported_as(original: str, name: str) -> str:
    return original if original == name else f"{original} as {name}"


def is_early(chunk: Chunk) -> bool:
    """Whether a setting has to come before the imports that it concerns."""
    return bool({"os", "sys"} & chunk.reads) and chunk.level == FREE


def with_comment(chunk: Chunk) -> str:
    """A chunk with the comment right above it."""
    comment = chunk.before.split("\n\n")[-1] if chunk.before and not chunk.before.endswith("\n") else ""
    return (
        f"\n\n{comment}\n{chunk.text}"
        if comment and not comment.startswith("# #")
        else f"\n\n{chunk.text}"
        if isinstance(chunk.first, DEFINITIONS)
        else chunk.text
    )


def gap(data: bytes, chunk: Chunk) -> list[str]:
    """An empty line where the notebook has one."""
    above = data[: chunk.begin].decode().removesuffix(chunk.before)
    return [""] if re.search(r"\n[ \t]*\n[ \t]*$", above.rstrip(" \t")) or chunk.before.startswith("# ") else []


def globals_and_awaited(chunk: Chunk) -> set[str]:
    """The names that a chunk's functions declare as global: those have to be so in main() as well."""
    return {name for node in ast.walk(ast.parse(chunk.text)) if isinstance(node, ast.Global) for name in node.names}


def indented(text: str) -> str:
    kept = inside_strings(ast.parse(text))
    lines = text.split("\n")
    return "\n".join(line if number in kept or not line else f"    {line}" for number, line in enumerate(lines, 1))


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def plain_text(text: str) -> str:
    """A text as a docstring may hold it."""
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown.replace("\\", "/").replace('"""', "'''").strip('"')


def yaml_value(default: str) -> str | None:
    """A default as pipeline.yml has it; nothing for what that can't say: a list, none, a switch that is on."""
    value = ast.literal_eval(default)
    if (
        value is True
        or not isinstance(value, (bool, int, float, str))
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        return None
    return json.dumps(value, ensure_ascii=False)
