"""Measure what a search costs beside its trials: ours, the same processes by `xargs -P2`, Optuna by hand, and NNI.

    python benchmarks/search.py

100 trials of a script that takes 0.1 s, two at a time; and how long it takes to the first trial of a search that has
10,000 behind it, beside one that has none.

By hand is what Optuna's tutorial says, in a process of its own: `study.optimize(…, n_jobs=2)`, each trial a process of
the same Python in a folder of its own, and the study in a journal file. Optuna has each line of it on the disk before
it goes on, ours what a trial has reached as soon as the next one runs. No page is drawn by hand, and nothing ends with
it when it is killed.

NNI is `make search ARGS="--engine nni"`: the release that the engine takes and the YAML that it writes, from start to
end, without the installation. It takes minutes, and runs once. Of the processors only what the search itself used is
counted there: NNI's server is no child of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from project import say

from aml_project.search.nni_environment import RELEASE, environment

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
BY_HAND = f"""
import json, pathlib, subprocess, sys
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
optuna.logging.set_verbosity(optuna.logging.ERROR)
def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    folder = pathlib.Path("outputs", f"trial-{{trial.number}}")
    folder.mkdir(parents=True)
    subprocess.run([sys.executable, sys.argv[1], f"--x={{x}}"], cwd=folder, check=True)
    return json.loads((folder / "outputs" / "metrics.json").read_text())["score"]
study = optuna.create_study(
    storage=JournalStorage(JournalFileBackend("study.log")), direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=42, constant_liar=True),
)
study.optimize(objective, n_trials={TRIALS}, n_jobs={PARALLEL})
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what a search costs beside its trials.")
    parser.add_argument("--runs", type=int, default=5, help="runs of each but NNI (default: %(default)s)")
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an owner's Python keeps what it has compiled
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        rounds, none, many = [], [], []
        for _ in range(args.runs):
            rounds.append([timed(way, project) for way in (by_xargs, searched, by_hand)])
            none.append(to_first_trial(project, past=0))
            many.append(to_first_trial(project, past=PAST))
        environment(project)
        nni = timed(by_nni, project)
    xargs, ours, hand = zip(*rounds, strict=True)
    for name, taken in (("xargs", xargs), ("ours", ours), ("Optuna by hand", hand), (RELEASE, [nni])):
        clock, processor = (median(column) for column in zip(*taken, strict=True))
        a_minute = TRIALS * 60 / clock
        say(f"{name:15} {clock:6.2f} s, {a_minute:4.0f} trials a minute, {processor:5.2f} s of the processors")
    ratio = median(ours[0] / bare[0] for bare, ours, _ in rounds)
    beside = median(hand[0] / ours[0] for _, ours, hand in rounds)
    than_nni = nni[0] / median(clock for clock, _ in ours)
    more = median(many) - median(none)
    say(f"ours is {ratio:.2f} times xargs (at most {GOAL})")
    say(f"ours is {beside:.2f} times as fast as by hand and {than_nni:.1f} times as fast as NNI (at least 1)")
    say(f"to the first trial: {median(none):.2f} s, after {PAST:,} others {more:.2f} s more (at most {MORE:g})")
    return int(ratio > GOAL or beside < 1 or than_nni < 1 or more > MORE)


def timed(way: Callable[[Path], None], project: Path) -> tuple[float, float]:
    """Seconds by the clock and of the processors."""
    shutil.rmtree(project / "models" / "quick" / "outputs", ignore_errors=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    way(project)
    clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_project(folder: Path) -> Path:
    model = folder / "models" / "quick"
    (model / "aml_config").mkdir(parents=True)
    (model / "train.py").write_text(SCRIPT, encoding="utf-8")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "quick").symlink_to(sys.prefix)
    return folder


def by_xargs(project: Path) -> None:
    """The same processes, by a shell."""
    values = "\n".join(str(number / TRIALS) for number in range(TRIALS))
    subprocess.run(
        ["xargs", f"-P{PARALLEL}", "-I{}", sys.executable, "train.py", "--x={}"],
        cwd=project / "models" / "quick", input=values, text=True, check=True,
    )  # fmt: skip


def searched(project: Path) -> None:
    search(project)


def by_nni(project: Path) -> None:
    search(project, "--engine", "nni")
    table = project / "models" / "quick" / "outputs" / "search" / "nni" / "trials.csv"
    assert table.read_text(encoding="utf-8").count(",complete,") == TRIALS


def search(project: Path, *options: str) -> None:
    prepare(project, 0, TRIALS)
    command = [sys.executable, "-m", "aml_project", "search", *options]
    subprocess.run(command, cwd=project, check=True, stdout=subprocess.DEVNULL)


def by_hand(project: Path) -> None:
    """What Optuna's tutorial says for scripts of one's own, on two threads."""
    with tempfile.TemporaryDirectory() as folder:
        script = project / "models" / "quick" / "train.py"
        subprocess.run([sys.executable, "-c", BY_HAND, script], cwd=folder, check=True)


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
