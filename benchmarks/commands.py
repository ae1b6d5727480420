"""Measure how fast the verbs of aml answer, beside a bare Python that makes a parser with argparse.

    python benchmarks/commands.py --project DIR

--help, wrong use and a dry run need nothing of Azure ML, whose import takes a second or two. All take turns within one
run. What counts is the least time of a processor: whatever else the computer does can only add to it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from project import WORKSPACE, make, model_of, render, tools_of

from aml_project.cli import VERBS

GOAL = 2.0  # times the floor
HELP, MODULE, WRONG, DRY_RUN = "--help", "python -m", "wrong use", "--dry-run"
HANDED_ON = ("train", "test", "batch", "image")  # an option that they don't know is another program's
# What a dry run is asked with. notebook's needs nbconvert, which is installed when it is first needed.
DRY_RUNS = {
    "requirements": (),
    "request": (),
    "model": ("rename", "{model}", "another"),
    "init": (),
    "workspace": ("--location=westeurope",),
    "attach": (),
    "dataset": (),
    "compute": (),
    "environment": (),
    "submit": (),
    "register": (),
    "deploy": ("--target=aci",),
    "setup": (),
    "vendor": (),
}
# Their dry runs do all of the work but writing: they parse code and YAML, and no goal is set for that.
WORK = ("requirements", "init", "deploy")


class Call(NamedTuple):
    """A way of calling a verb."""

    verb: str
    how: str


# What a bare Python runs: the floor, and what it is without the parser.
FLOOR, IMPORT = Call("", "import argparse; argparse.ArgumentParser()"), Call("", "import argparse")


class Taken(NamedTuple):
    """Seconds of a processor."""

    least: float
    median: float

    def beside(self, other: Taken) -> str:
        return f"{self.least / other.least:.2f} ({self.median / other.median:.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how fast the verbs of aml answer.")
    parser.add_argument("--project", type=Path, help="a rendered project (default: a fresh render)")
    parser.add_argument("--runs", type=int, default=11, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an owner's Python keeps what it has compiled
    with tempfile.TemporaryDirectory() as folder:
        project = args.project.resolve() if args.project else render(Path(folder), *WORKSPACE)
        model = model_of(project)
        make(project, "tools")
        run_file = model / "run.json"
        if not run_file.exists():
            run_file.write_text(f'{{"_experiment_name": "{model.name}", "run_id": "{model.name}_1"}}\n')
        return report(measure(project, args.runs))


def commands(project: Path) -> dict[Call, tuple[str, ...]]:
    """The floor, and how every verb is called, from the project's folder."""
    aml, python, model = str(tools_of(project) / "aml"), str(tools_of(project) / "python"), model_of(project).name
    found: dict[Call, tuple[str, ...]] = {bare: (python, "-c", bare.how) for bare in (FLOOR, IMPORT)}
    for verb in VERBS:
        found[Call(verb, HELP)] = (aml, verb, "--help")
        found[Call(verb, MODULE)] = (python, "-m", "aml_project", verb, "--help")
        found[Call(verb, WRONG)] = (aml, verb, "--model=nowhere" if verb in HANDED_ON else "--no-such-option")
        if verb in DRY_RUNS:
            more = [word.format(model=model) for word in DRY_RUNS[verb]]
            found[Call(verb, DRY_RUN)] = (aml, verb, *more, "--dry-run")
    return found


def measure(project: Path, runs: int) -> dict[Call, Taken]:
    """Time the floor and every call by turns."""
    called = commands(project)
    times: dict[Call, list[float]] = {call: [] for call in called}
    for number in range(runs + 1):
        for call, words in called.items():
            took = seconds(words, project, 2 if call.how == WRONG else 0)
            if number:  # the first round compiles
                times[call].append(took)
    return {call: Taken(min(some), median(some)) for call, some in times.items()}


def seconds(command: tuple[str, ...], project: Path, code: int) -> float:
    """The seconds of a processor that a command takes, which has to end with a code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != code:
        sys.exit(f"ERROR: {' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(taken: dict[Call, Taken]) -> int:
    """Print each verb beside the floor, by the least times and by the medians; fail if one misses the goal."""
    floor, ways = taken[FLOOR], (HELP, MODULE, WRONG, DRY_RUN)
    print(f"bare Python and a parser: {floor.least * 1000:.1f} ms of a processor ({floor.median * 1000:.1f} ms)")
    print(f"only importing argparse: {taken[IMPORT].beside(floor)} of that. By the least times (by the medians):")
    print(f"{'':14}{''.join(f'{how:15}' for how in ways)}".rstrip())
    missed = []
    for verb in VERBS:
        cells = []
        for how in ways:
            one = taken.get(Call(verb, how))
            works = how == DRY_RUN and verb in WORK
            cells.append(f"{one.beside(floor)}{'*' if works else ''}" if one else "")
            if one and not works and one.least > GOAL * floor.least:
                missed.append(f"above the goal of {GOAL:g}: aml {verb}, {how}")
        print(f"{verb:14}{''.join(f'{cell:15}' for cell in cells)}".rstrip())
    print("* does all of its work but writing: no goal")
    print("\n".join(missed) or f"all within the goal of {GOAL:g}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
