"""Measure how fast the rendered commands answer, beside a bare Python that only imports argparse.

    python benchmarks/scripts.py --project DIR

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

from project import WORKSPACE, bin_of, model_of, render

GOAL = 2.0  # times the floor
FLOOR = ["-c", "import argparse"]
# arguments: the exit code that they have to end with
COMMANDS: dict[tuple[str, ...], int] = {
    ("attach_workspace.py", "--help"): 0,
    ("attach_workspace.py", "--dry-run"): 0,
    ("attach_workspace.py", "--workspace-name=x"): 2,
    ("submit_run.py", "--help"): 0,
    ("submit_run.py", "--dry-run"): 0,
    ("submit_run.py", "--model=none"): 2,
    ("register_model.py", "--help"): 0,
    ("register_model.py", "--dry-run"): 0,
    ("register_model.py", "--require=accuracy"): 2,
    ("register_dataset.py", "--help"): 0,
    ("register_dataset.py", "--dry-run"): 0,
    ("register_dataset.py", "--hours=0"): 2,
    ("create_compute.py", "--help"): 0,
    ("create_compute.py", "--dry-run"): 0,
    ("create_compute.py", "--max-nodes=0"): 2,
    ("register_environment.py", "--help"): 0,
    ("register_environment.py", "--dry-run"): 0,
    ("create_workspace.py", "--help"): 0,
    ("create_workspace.py", "--location=westeurope"): 0,
    ("convert_notebook.py", "--help"): 0,
    ("convert_notebook.py", "nowhere.ipynb"): 2,
    ("import_environment.py", "--help"): 0,
    ("import_environment.py", "packages.doc"): 2,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how fast the rendered commands answer.")
    parser.add_argument("--project", type=Path, help="a rendered and installed project (default: a fresh render)")
    parser.add_argument("--runs", type=int, default=21, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an owner's Python keeps what it has compiled
    with tempfile.TemporaryDirectory() as folder:
        project = args.project.resolve() if args.project else render(Path(folder), *WORKSPACE)
        model = model_of(project)
        own = bin_of(model) / "python"
        python = str(own if own.exists() else sys.executable)
        run_file = model / "run.json"
        if not run_file.exists():
            run_file.write_text(f'{{"_experiment_name": "{model.name}", "run_id": "{model.name}_1"}}\n')
        return report(measure(python, project, args.runs))


def measure(python: str, project: Path, runs: int) -> dict[tuple[str, ...], float]:
    """Time the floor and every command by turns; return the medians, in seconds."""
    times: dict[tuple[str, ...], list[float]] = {(): [], **{command: [] for command in COMMANDS}}
    for number in range(runs + 1):
        for command, taken in times.items():
            arguments = [f"scripts/{command[0]}", *command[1:]] if command else FLOOR
            began = time.perf_counter()
            done = subprocess.run([python, *arguments], cwd=project, capture_output=True, text=True)
            took = time.perf_counter() - began
            if done.returncode != (COMMANDS[command] if command else 0):
                sys.exit(f"ERROR: {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
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
