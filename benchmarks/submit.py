"""Measure the time from the command to the first line of the run's log: ours beside the bare SDK.

    python benchmarks/submit.py

Both submit the same run to the same workspace on loopback, by turns. The bare call is the one of the documentation:
load the runconfig, submit, wait_for_completion(show_output=True). Ours has checked the project before it submits.
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

from project import WORKSPACE, bin_of, make, model_of, render, say, tools_of

from aml_rehearsal import Rehearsal

GOAL = 1.1  # times the bare call
LINE = "the first line of the log"
BARE = """
import sys
from azureml.core import Experiment, RunConfiguration, ScriptRunConfig, Workspace

model, config = sys.argv[1:]
workspace = Workspace.from_config(model)
source = ScriptRunConfig(source_directory=model, run_config=RunConfiguration.load(model, config))
run = Experiment(workspace, "bare").submit(source)
run.wait_for_completion(show_output=True)
"""
# The run says one line and stays long enough for a client that looks every two seconds.
SCRIPT = f"""
import argparse
import time

parser = argparse.ArgumentParser()
parser.add_argument("--data-path")
parser.parse_args()
print("{LINE}", flush=True)
time.sleep(5)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the time to the first line of a run's log.")
    parser.add_argument("--project", type=Path, help="a project that is attached, after make setup client")
    parser.add_argument("--runs", type=int, default=9, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an owner's Python keeps what it has compiled
    with tempfile.TemporaryDirectory() as folder:
        project = args.project.resolve() if args.project else make_project(Path(folder))
        model = model_of(project)
        kept = (model / "train.py").read_text(encoding="utf-8")
        (model / "train.py").write_text(SCRIPT, encoding="utf-8")
        try:
            return report(measure(Path(folder), project, model, args.runs))
        finally:
            (model / "train.py").write_text(kept, encoding="utf-8")


def make_project(folder: Path) -> Path:
    """Render and install the default project."""
    say("Installing a project")
    project = render(folder, *WORKSPACE)
    make(project, "setup", "client")  # the bare call needs the SDK as well
    return project


def measure(folder: Path, project: Path, model: Path, runs: int) -> dict[str, list[float]]:
    python = tools_of(project) / "python"  # where the client is, for both
    (folder / "bare.py").write_text(BARE, encoding="utf-8")
    aml = tools_of(project) / "aml"
    found: dict[str, list[float]] = {}
    with Rehearsal(folder / "rehearsal", project=project) as rehearsal:
        env = rehearsal.environment() | {"PATH": f"{bin_of(model)}{os.pathsep}{os.environ['PATH']}"}
        for turn in range(runs + 1):
            for config in ("train-local", "train-amlcompute"):
                commands: dict[str, list[str | Path]] = {
                    f"bare {config}": [python, folder / "bare.py", model, config],
                    f"ours {config}": [aml, "submit", "-c", config, "--docker=no"],
                }
                for name, command in sorted(commands.items(), reverse=bool(turn % 2)):
                    seconds = first_line([str(part) for part in command], project, env)
                    if turn:  # the first turn builds the environment and warms the caches
                        found.setdefault(name, []).append(seconds)
            print(f"  turn {turn} of {runs}", file=sys.stderr, flush=True)
    return found


def first_line(command: list[str], project: Path, env: dict[str, str]) -> float:
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=project, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    seconds, said = 0.0, []
    for line in process.stdout:
        said.append(line)
        if LINE in line and not seconds:
            seconds = time.monotonic() - started
    if process.wait() or not seconds:
        raise SystemExit(f"ERROR: exit {process.returncode}: {' '.join(command)}\n{''.join(said[-20:])}")
    return seconds


def report(found: dict[str, list[float]]) -> int:
    print("| command to first log line | bare SDK, median s | ours, median s | ratio |\n|---|---|---|---|")
    worst = 0.0
    for config in ("train-local", "train-amlcompute"):
        bare, ours = median(found[f"bare {config}"]), median(found[f"ours {config}"])
        worst = max(worst, ours / bare)
        print(f"| {config} | {bare:.2f} | {ours:.2f} | {ours / bare:.2f} |")
    print(f"Goal: at most {GOAL}: {'reached' if worst <= GOAL else 'missed'}")
    return worst > GOAL


if __name__ == "__main__":
    sys.exit(main())
