"""Measure what a pipeline costs beside its steps: ours, and the same scripts one after the other in a shell script.

    python benchmarks/pipeline.py

Ten steps of 0.2 s in a chain; the same once more, when nothing has changed; and inputs of 10 GB, read by the first call
and not by the next one. The large input is a file with holes, which is read from no disk: what is measured is the hash.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from project import say

GOAL = 1.2  # times the shell script
UNCHANGED = 1.0  # seconds in which it is said that nothing has changed
STEPS, PAUSE = 10, 0.2
LARGE = 10  # GB
SCRIPT = """
import argparse, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--before")
parser.add_argument("--output-path")
args = parser.parse_args()
time.sleep(PAUSE)
pathlib.Path(args.output_path).mkdir(parents=True, exist_ok=True)
pathlib.Path(args.output_path, "NUMBER.txt").write_text("done")
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what a pipeline costs beside its steps.")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--large", type=float, default=LARGE, metavar="GB", help="inputs (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        rounds = []
        for _ in range(args.runs):
            shutil.rmtree(project / "models" / "quick" / "outputs", ignore_errors=True)
            rounds.append((timed(project, ["sh", "steps.sh"]), timed(project), timed(project)))
        shell, ours, again = (median(column) for column in zip(*rounds, strict=True))
        ratio = median(one / bare for bare, one, _ in rounds)
        with (project / "data" / "quick" / "large.bin").open("wb") as stream:
            stream.truncate(int(args.large * 1e9))
        time.sleep(2.1)  # what has changed just now may change again, and is not remembered
        read, known = timed(project), timed(project)
    say(
        f"{STEPS} steps of {PAUSE} s: by a shell script {shell:.2f} s, ours {ours:.2f} s,"
        f" {ratio:.2f} times that (at most {GOAL})"
    )
    say(f"unchanged: {again:.2f} s (at most {UNCHANGED:g})")
    say(f"inputs of {args.large:g} GB: the first call {read:.1f} s, the next one {known:.2f} s (at most {UNCHANGED:g})")
    return int(ratio > GOAL or max(again, known) > UNCHANGED)


def timed(project: Path, command: list[str] | None = None) -> float:
    began = time.perf_counter()
    ours = [sys.executable, "-m", "aml_project", "pipeline"]
    subprocess.run(command or ours, cwd=project, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def make_project(folder: Path) -> Path:
    """A project whose pipeline is a chain, and the shell script that runs the same scripts."""
    model, data = folder / "models" / "quick", folder / "data" / "quick"
    (model / "aml_config").mkdir(parents=True)
    data.mkdir(parents=True)
    (data / "data.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "quick").symlink_to(sys.prefix)
    steps, shell, before = ["steps:"], [f"cd {model}"], "data"
    for number in range(1, STEPS + 1):
        script = SCRIPT.replace("PAUSE", str(PAUSE)).replace("NUMBER", str(number))
        (model / f"step{number}.py").write_text(script, encoding="utf-8")
        reads, leaves = f"in: {{before: {before}}}", "out: {output-path: folder}"
        steps.append(f"  step{number}: {{run: step{number}.py, {reads}, {leaves}}}")
        shell.append(f"{sys.executable} step{number}.py --before {data} --output-path {folder / 'shell' / str(number)}")
        before = f"step{number}.output-path"
    (model / "pipeline.yml").write_text("\n".join(steps), encoding="utf-8")
    (folder / "steps.sh").write_text("set -e\n" + "\n".join(shell) + "\n", encoding="utf-8")
    return folder


if __name__ == "__main__":
    sys.exit(main())
