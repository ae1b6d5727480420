"""Would the steps of a pipeline do what its file says? pipeline.yml beside the scripts that they run.

What is wrong in the file itself (unknown names, circles) definition.py finds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from aml_project import local_imports
from aml_project.checks.script_arguments import Argument, arguments, misfit, refusal
from aml_project.pipeline import definition
from aml_project.pipeline.definition import Finding, Pipeline, Step
from aml_project.runconfigs.schema import nearest
from aml_project.search import definition as searches
from aml_project.service.registration_rules import parse_requirement
from aml_project.snapshot.whole import Snapshot
from aml_project.values import Value

TRAINING = "train.py"  # what a search runs
METRICS = "metrics.json"
SOMEWHERE = "outputs"  # any path


def findings(folder: Path, taken: Snapshot) -> Iterator[str]:
    """What is wrong with a model's pipeline.yml, a line each with the mend; nothing where there is none."""
    if not (folder / definition.FILE).exists():
        return
    pipeline, found = definition.examine(folder)
    yield from map(str, found)
    if pipeline is not None:
        for step in pipeline.steps.values():
            yield from map(str, _step(pipeline, step, folder, taken))


def notes(folder: Path) -> Iterator[str]:
    """What a pipeline names and has no use for: right, and maybe not meant."""
    pipeline, _ = definition.examine(folder)
    if pipeline is None:
        return
    sources = [source for step in pipeline.steps.values() for source in step.inputs.values()]
    values = [value for step in pipeline.steps.values() for value in step.arguments.values()]
    for name in pipeline.parameters:
        if definition.Reference(name) not in values:
            yield str(pipeline.finding(("parameters", name), "no step takes it"))
    for name in pipeline.inputs:
        if name != definition.DATA and definition.Source(name) not in sources:
            yield str(pipeline.finding(("inputs", name), "no step reads it"))
    for step in pipeline.steps.values():
        for name in step.outputs if pipeline.downstream(step.name) else ():  # what the last ones make is the result
            if not pipeline.readers(step.name, name):
                yield str(pipeline.finding(("steps", step.name, "out", name), "no step reads it"))


def scripts(folder: Path) -> set[str]:
    """The files that the steps run."""
    pipeline, _ = definition.examine(folder)
    steps = pipeline.steps.values() if pipeline else ()
    return {script_of(step) for step in steps if step.kind != "register"}


def script_of(step: Step) -> str:
    return TRAINING if step.kind == "search" else step.script


def _step(pipeline: Pipeline, step: Step, folder: Path, taken: Snapshot) -> Iterator[Finding]:
    place = ("steps", step.name)
    if step.conda and not (folder / step.conda).is_file():
        there = sorted(file.relative_to(folder).as_posix() for file in folder.glob("aml_config/*.yml"))
        same = (file for file in there if PurePosixPath(file).name == PurePosixPath(step.conda).name)
        mend = next(same, nearest(step.conda, there)) or "its path from there, as in aml_config/train-conda.yml"
        yield pipeline.finding((*place, "conda"), f"{step.conda}: no such file in the model's folder: write {mend}")
    if step.kind == "register":
        yield from _registration(pipeline, step, folder)
        return
    key = "search" if step.kind == "search" else "run"
    for file in dict.fromkeys((step.script, script_of(step))):
        if not (folder / file).is_file():
            known = [name for name in taken.files if name.endswith(PurePosixPath(file).suffix)]
            mend = f"write {nearest(file, known) or 'its path from there'}"
            yield pipeline.finding((*place, key), f"{file}: no such file in the model's folder: {mend}")
            return
        if taken.complete and file not in taken.files:
            mend = "take it out of .amlignore"
            yield pipeline.finding((*place, key), f"{file}: the ignore file keeps it from a run: {mend}")
    if step.kind == "parallel":
        yield from _entry(pipeline, step, folder)
    else:
        yield from _arguments(pipeline, step, folder)
    if step.kind == "search":
        yield from _search(pipeline, step, folder)
    yield from _written(pipeline, step, folder)


def _entry(pipeline: Pipeline, step: Step, folder: Path) -> Iterator[Finding]:
    """What a parallel step calls: init() once in each process, run() with some of the items."""
    tree = _parsed(folder / step.script)
    if tree is None:
        return
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    place = ("steps", step.name, "run")
    # run() may take a second argument, what is told of the mini-batch.
    for called, numbers in (("init()", (0,)), ("run(mini_batch)", (1, 2))):
        name = called.partition("(")[0]
        if name in functions:
            given = functions[name].args
            least = len(given.args) - len(given.defaults)
            if not given.vararg and not any(least <= number <= len(given.args) for number in numbers):
                yield pipeline.finding(place, f"{step.script}: a parallel step calls {called}: let it take so much")
        elif name not in imported:
            yield pipeline.finding(place, f"{step.script}: has no {called}, which a parallel step calls: write it")


def _arguments(pipeline: Pipeline, step: Step, folder: Path) -> Iterator[Finding]:
    """The script takes what it is given, and is given what it can't do without."""
    script = folder / script_of(step)
    known = arguments(script)
    if known is None:  # its text does not say for certain what it takes
        return
    options = {argument.name: argument for argument in known}
    outputs = {name for name, output in step.outputs.items() if output.is_argument}
    values = step.values(pipeline.parameters)
    told = False
    for part, names in (("in", step.inputs), ("out", outputs), ("arguments", values)):
        for name in names:
            problem = _problem(script.name, name, options, values.get(name, SOMEWHERE))
            if problem:
                told = True
                yield pipeline.finding(("steps", step.name, part, name), problem)
    if told or step.kind == "search":  # whose own parameters are arguments as well
        return
    given = [f"--{name}={SOMEWHERE}" for name in (*step.inputs, *sorted(outputs))]
    tree = ast.parse(script.read_bytes())
    if refused := refusal(tree, [*given, *step.words(pipeline.parameters)], lenient=False, folder=folder):
        said = f"{script.name} refuses what it is given: {refused}: python {script.name} --help lists what it takes"
        yield pipeline.finding(("steps", step.name), said)


def _problem(script: str, name: str, options: dict[str, Argument], value: Value) -> str:
    if name in options:
        return misfit(value, options[name], flag="true or false")
    near = nearest(name, list(options))
    return f"{script} has no --{name}: " + (f"write {near}" if near else f"python {script} --help lists what it takes")


def _search(pipeline: Pipeline, step: Step, folder: Path) -> Iterator[Finding]:
    try:
        search, lines = searches.parse((folder / step.script).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        search, lines = None, ["no text in UTF-8"]
    place = ("steps", step.name)
    if search is None and step.script != searches.FILE:  # what is wrong in that is told for itself
        for line in lines:
            yield pipeline.finding((*place, "search"), f"{step.script}: {line}")
    for parameter in search.parameters if search else ():
        for part, names in (("in", step.inputs), ("arguments", step.arguments)):
            if parameter.name in names:
                said = f"{step.script} searches --{parameter.name}: remove it in one of them"
                yield pipeline.finding((*place, part, parameter.name), said)


def _written(pipeline: Pipeline, step: Step, folder: Path) -> Iterator[Finding]:
    """Each path at which a script is to leave something is one that its code speaks of."""
    code = _code(step, folder)
    for name, output in step.outputs.items():
        if output.is_argument or (folder / output.path).exists():
            continue
        last = PurePosixPath(output.path).name
        if code and not local_imports.mentions(code, last):
            said = f"{script_of(step)} speaks of no {last}: write the path at which it leaves it"
            yield pipeline.finding(("steps", step.name, "out", name), said)


def _registration(pipeline: Pipeline, step: Step, folder: Path) -> Iterator[Finding]:
    """The conditions are about metrics that a step writes."""
    source = step.inputs.get("metrics")
    if source is None or not source.step:
        return
    writer = pipeline.steps[source.step]
    code, place = _code(writer, folder), ("steps", step.name, "register")
    if not code:
        return
    if not local_imports.mentions(code, METRICS):
        said = f"{script_of(writer)} writes no {METRICS}: name the output of a step that does"
        yield pipeline.finding((*place, "metrics"), said)
        return
    require = step.registration.require if step.registration else ()
    for number, text in enumerate(require):
        metric = parse_requirement(text).metric
        if not local_imports.mentions(code, f'"{metric}"', f"'{metric}'", f"{metric}="):
            said = f"{script_of(writer)} writes no {metric}: name a key of its {METRICS}"
            yield pipeline.finding((*place, "require", str(number)), said)


def _code(step: Step, folder: Path) -> list[Path]:
    """The script of a step, and what it imports of the model's folder; nothing of one that can't be read."""
    script = folder / script_of(step)
    return list(local_imports.closure(script, [])) if _parsed(script) else []


def _parsed(script: Path) -> ast.Module | None:
    """The code of a script; what does not compile is told for itself."""
    try:
        return ast.parse(script.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
