"""Measure how fast the commands answer, beside a bare Python that only imports argparse.

    python benchmarks/commands.py --project DIR

--help, a dry run and a wrong argument need nothing of Azure ML, whose import takes a second or two. The floor and all
commands take turns within one run; a ratio is one of medians.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from project import WORKSPACE, make, model_of, render, tools_of

GOAL = 2.0  # times the floor
FLOOR = ["-c", "import argparse"]
# arguments: the exit code that they have to end with
COMMANDS: dict[tuple[str, ...], int] = {
    ("attach", "--help"): 0,
    ("attach", "--dry-run"): 0,
    ("attach", "--workspace-name=x"): 2,
    ("submit", "--help"): 0,
    ("submit", "--dry-run"): 0,
    ("submit", "--model=none"): 2,
    ("register", "--help"): 0,
    ("register", "--dry-run"): 0,
    ("register", "--require=accuracy"): 2,
    ("dataset", "--help"): 0,
    ("dataset", "--dry-run"): 0,
    ("dataset", "--hours=0"): 2,
    ("compute", "--help"): 0,
    ("compute", "--dry-run"): 0,
    ("compute", "--max-nodes=0"): 2,
    ("environment", "--help"): 0,
    ("environment", "--dry-run"): 0,
    ("workspace", "--help"): 0,
    ("workspace", "--location=westeurope"): 0,
    ("notebook", "--help"): 0,
    ("notebook", "nowhere.ipynb"): 2,
    ("requirements", "--help"): 0,
    ("requirements", "packages.doc"): 2,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how fast the commands answer.")
    parser.add_argument("--project", type=Path, help="a rendered project (default: a fresh render)")
    parser.add_argument("--runs", type=int, default=21, help="runs of each (default: %(default)s)")
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


def measure(project: Path, runs: int) -> dict[tuple[str, ...], float]:
    """Time the floor and every command by turns; return the medians, in seconds."""
    tools = tools_of(project)
    times: dict[tuple[str, ...], list[float]] = {(): [], **{command: [] for command in COMMANDS}}
    for number in range(runs + 1):
        for command, taken in times.items():
            arguments = [str(tools / "aml"), *command] if command else [str(tools / "python"), *FLOOR]
            began = time.perf_counter()
            done = subprocess.run(arguments, cwd=project, capture_output=True, text=True)
            took = time.perf_counter() - began
            if done.returncode != (COMMANDS[command] if command else 0):
                sys.exit(f"ERROR: aml {' '.join(command)} ended with {done.returncode}: {done.stderr}")
            if number:  # the first round compiles
                taken.append(took)
    return {command: median(taken) for command, taken in times.items()}


def report(medians: dict[tuple[str, ...], float]) -> int:
    """Print each command beside the floor; fail if one misses the goal."""
    floor = medians.pop(())
    print(f"{'bare Python and argparse':40}{floor * 1000:7.1f} ms")
    for command, taken in medians.items():
        ratio = taken / floor
        missed = "" if ratio <= GOAL else f"  above the goal of {GOAL:g}"
        print(f"{' '.join(command):40}{taken * 1000:7.1f} ms{ratio:7.2f} x{missed}")
    return int(any(taken / floor > GOAL for taken in medians.values()))


if __name__ == "__main__":
    sys.exit(main())
