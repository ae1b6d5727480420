"""The graph of a pipeline: as text, and as one page that needs nothing else, with times, states and links to logs."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from aml_project.pipeline.definition import Pipeline, Step
from aml_project.pipeline.record import (
    DONE,
    FAILED,
    KEPT,
    LEFT_OUT,
    RUNNING,
    STOPPED,
    WAITING,
    Record,
    StepRun,
    state_of,
    took,
)  # fmt: skip

LAYOUT = Path(__file__).with_name("page.html")
MARKS = {DONE: "●", KEPT: "●", RUNNING: "◐", FAILED: "✗", WAITING: "○", LEFT_OUT: "○", STOPPED: "○"}
BOX, HEIGHT, GAP_X, GAP_Y = 190, 54, 70, 26  # pixels of a step's box, and between them
INPUT = "in:"  # before the name of an input, which may be that of a step
ROUNDS = 4  # in which steps are moved beside what they stand on


def as_text(pipeline: Pipeline, record: Record, is_running: bool) -> list[str]:
    """A line for each step: its place in the graph, its state, its time, and the inputs that it reads."""
    left = {name: {step.name for step in pipeline.steps.values() if name in step.needs} for name in pipeline.steps}
    columns: list[str] = []  # whose line goes on in which column; "" is a free one
    drawn = []
    for step in pipeline.order():
        needed = [at for at, name in enumerate(columns) if name in step.needs]
        place = needed[-1] + 1 if needed else 0
        while place < len(columns) and columns[place]:
            place += 1
        for name in step.needs:
            left[name].discard(step.name)
        row = ""
        for at in range(max(len(columns), place + 1)):
            name = columns[at] if at < len(columns) else ""
            reaches = bool(needed) and needed[0] <= at < place  # a line to the step goes on to the right of it
            if at == place:
                row += MARKS[state_of(record.steps.get(step.name, StepRun(step.name)), is_running)]
            elif at in needed:
                row += joint(ends=not left[name], passed=at > needed[0])
            else:
                row += ("┼" if name else "─") if reaches else ("│" if name else " ")
            row += "─" if reaches else " "
        columns += [""] * (place + 1 - len(columns))
        columns = [name if name and left.get(name) else "" for name in columns]
        columns[place] = step.name if left[step.name] else ""
        drawn.append((row.rstrip(), step))
    wide = max((len(row) for row, _ in drawn), default=0)
    name_wide = max(map(len, pipeline.steps), default=0)
    lines = []
    for row, step in drawn:
        run = record.steps.get(step.name, StepRun(step.name))
        inputs = [str(source) for source in step.inputs.values() if not source.step]
        reads = f"  ← {', '.join(dict.fromkeys(inputs))}" if inputs else ""
        said = f"{row:{wide}}  {step.name:{name_wide}}  {state_of(run, is_running):11}  {took(run):>9}{reads}"
        lines.append(said.rstrip())
    return lines


def joint(*, ends: bool, passed: bool) -> str:
    """Where a line turns to a step: whether it ends there, and another one comes from the left."""
    if ends:
        return "┴" if passed else "╰"
    return "┼" if passed else "├"


def text(title: str, pipeline: Pipeline, record: Record, is_running: bool) -> str:
    """The page."""
    steps = [record.steps.get(name, StepRun(name)) for name in pipeline.steps]
    counted: dict[str, int] = {}
    for step in steps:
        state = state_of(step, is_running)
        counted[state] = counted.get(state, 0) + 1
    order = [step.name for step in pipeline.order()]
    longest = max((step.seconds for step in steps), default=0.0)
    rows = (row(record.steps.get(name, StepRun(name)), pipeline, is_running, longest) for name in order)
    parameters = ", ".join(f"{name}: {value}" for name, value in pipeline.parameters.items())
    return Template(LAYOUT.read_text(encoding="utf-8")).substitute(
        title=html.escape(f"The pipeline of {title}"),
        again='<meta http-equiv="refresh" content="3">' if is_running else "",
        summary=", ".join(f"{count} {state}" for state, count in counted.items()),
        parameters=html.escape(f"Parameters: {parameters}." if parameters else ""),
        graph=drawing(pipeline, record, is_running),
        rows="".join(rows),
    )


def row(step: StepRun, pipeline: Pipeline, is_running: bool, longest: float) -> str:
    state = state_of(step, is_running)
    script = pipeline.steps[step.name].script or pipeline.steps[step.name].kind
    share = round(100 * step.seconds / longest) if longest else 0
    link = f'<a href="{html.escape(step.folder)}/log.txt">log</a>' if step.folder else ""
    if step.url:
        link = f'<a href="{html.escape(step.url)}">run</a>'
    files = f'<a href="{html.escape(step.folder)}/">files</a>' if step.folder else ""
    began = step.started[:19].replace("T", " ")
    return (
        f'<tr class="{css(state)}"><td>{html.escape(step.name)}</td><td>{html.escape(script)}</td><td>{state}</td>'
        f'<td class="number">{took(step)}</td><td class="bar"><i style="width:{share}%"></i></td>'
        f"<td>{html.escape(began)}</td><td>{link} {files}</td><td>{html.escape(step.why)}</td></tr>\n"
    )


def css(state: str) -> str:
    return state.replace(" ", "-")


@dataclass
class Node:
    """A step, an input, or a place that a line passes between them."""

    name: str
    layer: int
    shown: bool = True
    at: float = 0.0  # from the top, in boxes


def layers_of(pipeline: Pipeline) -> tuple[list[list[Node]], list[list[Node]]]:
    """Steps and inputs in columns, each right of what it needs; and each line, by the places that it goes through."""
    depth: dict[str, int] = {}
    edges: list[tuple[str, str]] = []
    for step in pipeline.order():
        inputs = [INPUT + source.name for source in step.inputs.values() if not source.step]
        needs = list(dict.fromkeys([*inputs, *step.needs]))
        depth |= dict.fromkeys(inputs, 0)
        depth[step.name] = max((depth[name] + 1 for name in needs), default=0)
        edges += [(name, step.name) for name in needs]
    for name in [name for name in depth if name.startswith(INPUT)]:  # beside what reads it first
        depth[name] = min(depth[end] for begin, end in edges if begin == name) - 1
    nodes = {name: Node(name, layer) for name, layer in depth.items()}
    columns: list[list[Node]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes.values():
        columns[node.layer].append(node)
    lines = []
    for begin, end in edges:
        line = [nodes[begin]]
        for layer in range(nodes[begin].layer + 1, nodes[end].layer):
            line.append(Node(f"{begin}>{end}", layer, shown=False))
            columns[layer].append(line[-1])
        lines.append([*line, nodes[end]])
    return columns, lines


def arrange(columns: list[list[Node]], lines: list[list[Node]]) -> None:
    """Order each column so that lines are short, and centre it."""
    beside: dict[int, list[Node]] = {}
    for line in lines:
        for one, other in itertools.pairwise(line):
            beside.setdefault(id(one), []).append(other)
            beside.setdefault(id(other), []).append(one)
    centre(columns)
    for turn in range(ROUNDS):
        for column in columns if turn % 2 == 0 else columns[::-1]:
            column.sort(key=lambda node: mean(beside.get(id(node), [node])))
            centre(columns)


def centre(columns: Iterable[list[Node]]) -> None:
    for column in columns:
        for index, node in enumerate(column):
            node.at = index - (len(column) - 1) / 2


def mean(nodes: list[Node]) -> float:
    return sum(node.at for node in nodes) / len(nodes)


def drawing(pipeline: Pipeline, record: Record, is_running: bool) -> str:
    """The graph as SVG."""
    columns, lines = layers_of(pipeline)
    arrange(columns, lines)
    tallest = max(map(len, columns), default=0)
    width = len(columns) * (BOX + GAP_X) - GAP_X + 8
    height = tallest * (HEIGHT + GAP_Y) - GAP_Y + 8

    def x(node: Node) -> float:
        return 4 + node.layer * (BOX + GAP_X)

    def y(node: Node) -> float:
        return height / 2 + node.at * (HEIGHT + GAP_Y)

    parts = [path_of([(x(node), y(node)) for node in line]) for line in lines]
    shown = [node for column in columns for node in column if node.shown]
    parts += [
        input_box(node.name, x(node), y(node))
        if node.name.startswith(INPUT)
        else box(pipeline.steps[node.name], record.steps, (x(node), y(node)), is_running)
        for node in shown
    ]
    return f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">{"".join(parts)}</svg>'


def path_of(places: list[tuple[float, float]]) -> str:
    """A line from box to box, straight past the boxes between."""
    (begin_x, begin_y), *rest = places
    path = f"M{begin_x + BOX:g} {begin_y:g}"
    for end_x, end_y in rest:
        path += f" C{end_x - GAP_X / 2:g} {begin_y:g} {end_x - GAP_X / 2:g} {end_y:g} {end_x:g} {end_y:g}"
        if (end_x, end_y) != rest[-1]:
            path += f" H{end_x + BOX:g}"
        begin_y = end_y
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def input_box(name: str, x: float, y: float) -> str:
    return (
        f'<g class="input"><rect x="{x:g}" y="{y - HEIGHT / 2:g}" width="{BOX}" height="{HEIGHT}" rx="{HEIGHT / 2:g}"/>'
        f'<text x="{x + BOX / 2:g}" y="{y + 5:g}" class="middle">{html.escape(name.removeprefix(INPUT))}</text></g>'
    )


def box(step: Step, steps: Mapping[str, StepRun], place: tuple[float, float], is_running: bool) -> str:
    (x, y), run = place, steps.get(step.name, StepRun(step.name))
    state = state_of(run, is_running)
    said = f"{state}, {took(run)}" if run.seconds else state
    shape = (
        f'<g class="{css(state)}"><title>{html.escape(run.why or step.script or step.kind)}</title>'
        f'<rect x="{x:g}" y="{y - HEIGHT / 2:g}" width="{BOX}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x + 14:g}" y="{y - 5:g}" class="name">{html.escape(short(step.name))}</text>'
        f'<text x="{x + 14:g}" y="{y + 15:g}">{html.escape(said)}</text></g>'
    )
    return f'<a href="{html.escape(run.folder)}/log.txt">{shape}</a>' if run.folder else shape


def short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
