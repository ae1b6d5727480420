"""What stands between ${{ and }} in a job, a sweep, a component or a pipeline: is what it names there?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aml_project.plain_yaml import Place
from aml_project.runconfigs.schema import nearest
from aml_project.v2 import files
from aml_project.v2.files import File, section
from aml_project.v2.keys import Finding

BINDING = re.compile(r"\$\{\{\s*([^{}]*?)\s*\}\}")
ONE_BRACE = re.compile(r"(?<!\$)\$\{\s*((?:inputs|outputs|search_space|parent)\.[\w.]+)\s*\}(?!\})")
NO_DOLLAR = re.compile(r"(?<!\$)\{\{\s*((?:inputs|outputs|search_space|parent)\.[\w.]+)\s*\}\}")
OPTIONAL = re.compile(r"\$\[\[.*?\]\]", re.DOTALL)


def findings(file: File) -> Iterator[Finding]:
    said = file.content
    if file.kind == "commandJob":
        yield from job(said, ())
    elif file.kind == "sweepJob":
        trial = section(said, "trial")
        space = section(said, "search_space")
        yield from command(trial.get("command"), ("trial", "command"), scope(said, search_space=space))
    elif file.kind in ("commandComponent", "parallelComponent"):
        yield from component(said, ())
    elif file.kind in ("pipelineJob", "pipelineComponent"):
        yield from pipeline(file)


def scope(said: dict[str, Any], **more: Any) -> dict[str, Iterable[str]]:
    return {"inputs": section(said, "inputs"), "outputs": section(said, "outputs"), **more}


def job(said: dict[str, Any], place: Place) -> Iterator[Finding]:
    yield from command(said.get("command"), (*place, "command"), scope(said))


def component(said: dict[str, Any], place: Place) -> Iterator[Finding]:
    known = scope(said)
    yield from command(said.get("command"), (*place, "command"), known)
    task = section(said, "task")
    yield from command(task.get("program_arguments"), (*place, "task", "program_arguments"), known)
    yield from command(task.get("append_row_to"), (*place, "task", "append_row_to"), known)
    yield from command(said.get("input_data"), (*place, "input_data"), known)
    text = OPTIONAL.sub("", str(said.get("command") or ""))
    for name, entry in section(said, "inputs").items():
        if isinstance(entry, dict) and entry.get("optional") is True and f"inputs.{name}}}" in text.replace(" ", ""):
            yield Finding((*place, "command"), f"the input {name} is optional: put what takes it into $[[ … ]]")
        yield from number(entry, (*place, "inputs", str(name)))


def number(entry: Any, place: Place) -> Iterator[Finding]:
    """The default of an input is within its limits."""
    if not isinstance(entry, dict):
        return
    low, high, default = (value_of(entry.get(key)) for key in ("min", "max", "default"))
    if low is not None and high is not None and low > high:
        yield Finding((*place, "min"), f"is {low:g}, and max {high:g}: write {high:g} or less")
    elif default is not None:
        yield from within(default, entry, (*place, "default"))


def within(value: float, entry: dict[str, Any], place: Place) -> Iterator[Finding]:
    low, high = value_of(entry.get("min")), value_of(entry.get("max"))
    if low is not None and value < low:
        yield Finding(place, f"is {value:g}, and the least is {low:g}: write that or more")
    if high is not None and value > high:
        yield Finding(place, f"is {value:g}, and the most is {high:g}: write that or less")


def value_of(text: Any) -> float | None:
    try:
        return None if isinstance(text, bool) or text is None else float(text)
    except (TypeError, ValueError):
        return None


def command(text: Any, place: Place, known: dict[str, Iterable[str]]) -> Iterator[Finding]:
    """What a command line names is there."""
    if not isinstance(text, str):
        return
    for written in (*ONE_BRACE.findall(text), *NO_DOLLAR.findall(text)):
        yield Finding(place, f"{written}: is no name with these braces: write ${{{{{written}}}}}")
    for inner in dict.fromkeys(BINDING.findall(text)):
        first, _, rest = inner.partition(".")
        name = rest.partition(".")[0]
        if first not in known:
            near = nearest(first, list(known))
            mend = (
                f"write ${{{{{near}.{rest}}}}}" if near else f"write one of {', '.join(f'{one}.NAME' for one in known)}"
            )
            what = "a sweep has search_space, this has none" if first == "search_space" else "names nothing"
            yield Finding(place, f"${{{{{inner}}}}}: {what}: {mend}")
        elif name not in list(known[first]):
            there = list(map(str, known[first]))
            meant = nearest(name, there)
            mend = f"write ${{{{{first}.{meant}}}}}" if meant else f"write {name}: below {first}:"
            yield Finding(place, f"${{{{{inner}}}}}: no such {singular(first)}: {mend}")


def singular(first: str) -> str:
    return {"inputs": "input", "outputs": "output"}.get(first, first)


# Pipelines


class Steps(NamedTuple):
    """What a pipeline says, its steps, and what each takes and makes; None where only the service knows that."""

    said: dict[str, Any]
    jobs: dict[str, dict[str, Any]]
    takes: dict[str, dict[str, Any] | None]


def pipeline(file: File) -> Iterator[Finding]:
    """The steps: what each is handed is there, and what it wants is handed to it."""
    jobs = {str(name): node for name, node in section(file.content, "jobs").items() if isinstance(node, dict)}
    takes = {name: interface(file, node) for name, node in jobs.items()}
    steps = Steps(file.content, jobs, takes)
    for name, node in jobs.items():
        place = ("jobs", name)
        yield from bound(steps, name)
        if "command" in node and "component" not in node:
            yield from command(node["command"], (*place, "command"), scope(node))
        if "task" in node or "trial" in node:
            yield from step_of_another_kind(node, place)
        if isinstance(node.get("component"), dict):
            yield from component(node["component"], (*place, "component"))
        if takes[name] is not None and ("component" in node or isinstance(node.get("trial"), str)):
            yield from handed(node, takes[name] or {}, place)
        yield from file_named(file, node, place)
        if "compute" not in node and str(node.get("type") or "command") in ("command", "parallel", "sweep"):
            yield from without_compute(file, place)
    yield from circles(jobs)
    for name, output in section(file.content, "outputs").items():
        path = output if isinstance(output, str) else None
        for inner in BINDING.findall(path or ""):
            yield from reference(inner, steps, ("outputs", str(name)))


def without_compute(file: File, place: Place) -> Iterator[Finding]:
    said = file.content
    if file.kind != "pipelineJob" or "compute" in said or "default_compute" in section(said, "settings"):
        return
    if "resources" not in said.get("jobs", {}).get(place[-1], {}):
        yield Finding(
            (*place, "compute"), "missing, and settings.default_compute too: write azureml:NAME, or azureml:serverless"
        )


def step_of_another_kind(node: dict[str, Any], place: Place) -> Iterator[Finding]:
    trial = node.get("trial")
    if isinstance(trial, dict):
        space = section(node, "search_space")
        yield from command(trial.get("command"), (*place, "trial", "command"), scope(trial | node, search_space=space))
    elif "task" in node:
        known = scope(node)
        task = section(node, "task")
        yield from command(task.get("program_arguments"), (*place, "task", "program_arguments"), known)
        yield from command(task.get("append_row_to"), (*place, "task", "append_row_to"), known)
        yield from command(node.get("input_data"), (*place, "input_data"), known)


def component_file(file: File, node: dict[str, Any]) -> tuple[str, Path] | None:
    """The file that a node's component, or the trial of its sweep, is written in."""
    for key in ("component", "trial"):
        said = node.get(key)
        if isinstance(said, str) and not said.startswith("azureml:") and "${{" not in said:
            return key, (file.path.parent / said.removeprefix("file:")).resolve()
    return None


def file_named(file: File, node: dict[str, Any], place: Place) -> Iterator[Finding]:
    found = component_file(file, node)
    if found and not found[1].is_file():
        yield Finding((*place, found[0]), f"{node[found[0]]}: no such file: its path begins at this file's folder")


def interface(file: File, node: dict[str, Any]) -> dict[str, Any] | None:
    """What a step takes and makes; None where only the service knows that."""
    found = component_file(file, node)
    if found:
        read = files.read(found[1]) if found[1].is_file() else None
        return read.content if read and read.kind else None
    if isinstance(node.get("component"), dict):
        return dict(node["component"])
    if isinstance(node.get("component"), str) or isinstance(node.get("trial"), str):
        return None
    return node if str(node.get("type") or "command") in ("command", "parallel", "sweep") else None


def bound(steps: Steps, name: str) -> Iterator[Finding]:
    for part in ("inputs", "outputs"):
        for key, value in section(steps.jobs[name], part).items():
            text = str(value.get("path") if isinstance(value, dict) else value)
            for inner in BINDING.findall(text):
                yield from reference(inner, steps, ("jobs", name, part, str(key)), name)
            for written in (*ONE_BRACE.findall(text), *NO_DOLLAR.findall(text)):
                problem = f"{written}: is no name with these braces: write ${{{{{written}}}}}"
                yield Finding(("jobs", name, part, str(key)), problem)


def reference(inner: str, steps: Steps, place: Place, own: str = "") -> Iterator[Finding]:
    """A ${{parent.…}}: what it names is there."""
    parts = inner.split(".")
    if parts[0] in ("search_space", "name", "default_datastore"):
        return
    if parts[0] != "parent" or len(parts) < 3:
        near = nearest(parts[0], ["parent"])
        mend = "write ${{parent.inputs.NAME}} or ${{parent.jobs.STEP.outputs.NAME}}"
        if near:
            mend = f"write ${{{{{'.'.join([near, *parts[1:]])}}}}}"
        yield Finding(place, f"${{{{{inner}}}}}: names nothing: {mend}")
        return
    kind, name = parts[1], parts[2]
    if kind in ("inputs", "outputs"):
        there = list(map(str, section(steps.said, kind)))
        if name not in there:
            near = nearest(name, there)
            mend = f"write ${{{{parent.{kind}.{near}}}}}" if near else f"write {name}: below {kind}: of the pipeline"
            yield Finding(place, f"${{{{{inner}}}}}: the pipeline has no such {singular(kind)}: {mend}")
    elif kind != "jobs":
        near = nearest(kind, ["inputs", "outputs", "jobs"]) or "jobs"
        yield Finding(place, f"${{{{{inner}}}}}: names nothing: write ${{{{parent.{near}.{'.'.join(parts[2:])}}}}}")
    elif name not in steps.jobs:
        step = nearest(name, list(steps.jobs))
        mend = f"name one of {', '.join(steps.jobs)}"
        if step:
            mend = f"write ${{{{parent.jobs.{'.'.join([step, *parts[3:]])}}}}}"
        yield Finding(place, f"${{{{{inner}}}}}: no such step: {mend}")
    elif name == own and place[2:3] == ("inputs",):
        yield Finding(place, f"${{{{{inner}}}}}: the step waits for itself: name another one")
    elif len(parts) < 5 or parts[3] not in ("outputs", "inputs"):
        yield Finding(place, f"${{{{{inner}}}}}: names no output: write ${{{{parent.jobs.{name}.outputs.NAME}}}}")
    elif steps.takes[name] is not None:
        made = sorted(
            {*map(str, section(steps.takes[name] or {}, parts[3])), *map(str, section(steps.jobs[name], parts[3]))}
        )
        if parts[4] not in made:
            meant = nearest(parts[4], made)
            mend = (
                f"write ${{{{parent.jobs.{name}.{parts[3]}.{meant}}}}}"
                if meant
                else f"{name} has {', '.join(made) or 'none'}"
            )
            yield Finding(place, f"${{{{{inner}}}}}: {name} has no such {singular(parts[3])}: {mend}")


def handed(node: dict[str, Any], takes: dict[str, Any], place: Place) -> Iterator[Finding]:
    """The inputs of a step are those of its component."""
    wanted, given = section(takes, "inputs"), section(node, "inputs")
    drawn = section(node, "search_space")
    missing = {
        str(name)
        for name, entry in wanted.items()
        if isinstance(entry, dict) and entry.get("optional") is not True and "default" not in entry
    } - {*map(str, given), *map(str, drawn)}
    for name, value in given.items():
        here = (*place, "inputs", str(name))
        if name not in wanted:
            near = nearest(str(name), list(map(str, wanted)))
            missing.discard(near or "")
            yield Finding(here, f"the component has no such input: {f'write {near}' if near else 'remove it'}")
        elif isinstance(wanted[name], dict) and (amount := value_of(value)) is not None:
            yield from within(amount, wanted[name], here)
        elif (
            isinstance(wanted[name], dict)
            and wanted[name].get("type") in ("integer", "number")
            and isinstance(value, str)
            and "${{" not in value
        ):
            yield Finding(here, f"is {value!r}, and the component takes a number: write one")
    for name in sorted(missing):
        yield Finding((*place, "inputs", name), f"missing, and the component wants it: write {name}: below inputs:")
    made = section(takes, "outputs")
    for name in section(node, "outputs"):
        if name not in made:
            near = nearest(str(name), list(map(str, made)))
            yield Finding(
                (*place, "outputs", str(name)),
                f"the component has no such output: {f'write {near}' if near else 'remove it'}",
            )


def circles(jobs: dict[str, Any]) -> Iterator[Finding]:
    """Steps that wait for each other."""
    before = {
        name: {match[1] for match in re.finditer(r"parent\.jobs\.(\w+)\.", str(section(node, "inputs")))} - {name}
        for name, node in jobs.items()
    }
    done: set[str] = set()
    while ready := [name for name in before if name not in done and before[name] & before.keys() <= done]:
        done.update(ready)
    if waiting := [name for name in before if name not in done]:
        yield Finding(("jobs", waiting[0]), f"{', '.join(waiting)} wait for each other: take one of their inputs away")
