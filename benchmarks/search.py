"""Measure what a search costs beside its trials: ours beside the same processes started by `xargs -P2`.

    python benchmarks/search.py

100 trials of a script that takes 0.1 s, two at a time; and how long it takes to the first trial of a search that has
10,000 behind it, beside one that has none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from project import say

GOAL = 1.25  # times xargs
MORE = 2.0  # seconds that 10,000 trials may cost at the start
PAST = 10_000 - 1  # a search has 10,000 at most
TRIALS, PARALLEL = 100, 2
# 0.1 s of a process that waits, so that what is measured on two cores is the search and not their number.
SCRIPT = """
import argparse, json, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
args = parser.parse_args()
time.sleep(0.1)
pathlib.Path("outputs").mkdir(exist_ok=True)
pathlib.Path("outputs", "metrics.json").write_text(json.dumps({"score": args.x}))
"""
SEARCH = """
metric: score
goal: maximize
trials: TRIALS
parallel: PARALLEL
parameters:
  x: {low: 0.0, high: 1.0}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what a search costs beside its trials.")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        ours, bare, none, many = [], [], [], []
        for _ in range(args.runs):
            bare.append(by_xargs(project))
            ours.append(searched(project, past=0, trials=TRIALS))
            none.append(to_first_trial(project, past=0))
            many.append(to_first_trial(project, past=PAST))
    ratio, more = median(ours) / median(bare), median(many) - median(none)
    say(f"{TRIALS} trials: {median(ours):.2f} s, by xargs {median(bare):.2f} s: {ratio:.2f} times (at most {GOAL})")
    say(f"to the first trial: {median(none):.2f} s, after {PAST:,} others {more:.2f} s more (at most {MORE:g})")
    return int(ratio > GOAL or more > MORE)


def make_project(folder: Path) -> Path:
    model = folder / "models" / "quick"
    (model / "aml_config").mkdir(parents=True)
    (model / "train.py").write_text(SCRIPT, encoding="utf-8")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "quick").symlink_to(sys.prefix)
    return folder


def by_xargs(project: Path) -> float:
    """The same processes, by a shell."""
    values = "\n".join(str(number / TRIALS) for number in range(TRIALS))
    began = time.perf_counter()
    subprocess.run(
        ["xargs", f"-P{PARALLEL}", "-I{}", sys.executable, "train.py", "--x={}"],
        cwd=project / "models" / "quick", input=values, text=True, check=True,
    )  # fmt: skip
    return time.perf_counter() - began


def searched(project: Path, past: int, trials: int) -> float:
    prepare(project, past, past + trials)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "aml_project", "search"], cwd=project, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def to_first_trial(project: Path, past: int) -> float:
    """Until the first trial runs, whatever comes behind it."""
    results = prepare(project, past, past + 1)
    began = time.perf_counter()
    search = subprocess.Popen(
        [sys.executable, "-m", "aml_project", "search"], cwd=project, stdout=subprocess.DEVNULL, env=dict(os.environ)
    )
    log = results / "trials" / f"{past + 1:04}" / "pid"
    while not log.exists():
        time.sleep(0.005)
    took = time.perf_counter() - began
    search.wait()
    return took


def prepare(project: Path, past: int, trials: int) -> Path:
    """A search that has so many trials behind it and so many to come."""
    model = project / "models" / "quick"
    text = SEARCH.replace("TRIALS", str(trials)).replace("PARALLEL", str(PARALLEL))
    (model / "search.yml").write_text(text, encoding="utf-8")
    results = model / "outputs" / "search"
    shutil.rmtree(model / "outputs", ignore_errors=True)
    results.mkdir(parents=True)
    lines = []
    for number in range(1, past + 1):
        x = number / (past + 1)
        lines.append({"number": number, "values": {"x": x}, "started": "2026-01-01T00:00:00+00:00"})
        lines.append({"number": number, "state": "complete", "metrics": {"score": x}, "seconds": 1.0})
    (results / "trials.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return results


if __name__ == "__main__":
    sys.exit(main())
