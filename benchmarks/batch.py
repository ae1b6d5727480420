"""Measure score_batch.py: rows per second beside predict_proba on one ready frame, and memory beside the file's size.

    python benchmarks/batch.py                     # renders and installs the default project
    python benchmarks/batch.py --rows 200000 --runs 3

What is compared takes turns within one process; seconds are those of the processor, which other work changes least.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

TEMPLATE = Path(__file__).resolve().parents[1]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SPEED_GOAL, MEMORY_GOAL = 0.8, 1.2
CONSTANT = 64  # MB that a file of any size may take beside the model and what it imports

# Makes a table of so many rows, as CSV and as Parquet, from the sample.
TABLE = """
import sys, pandas
sample = pandas.read_csv("../../data/customers.csv")
rows = int(sys.argv[1])
table = sample.sample(rows, replace=True, random_state=0, ignore_index=True)
table.to_csv(sys.argv[2] + ".csv", index=False)
table.to_parquet(sys.argv[2] + ".parquet")
"""

# Prints a line for each round: seconds of predict_proba, of run() on the same frame, of CSV to CSV, of Parquet to CSV.
SPEED = """
import sys, time
from pathlib import Path
import batch_workers
batch_workers.one_thread()
import joblib, pandas
import batch_files, batch_scorer, input_schema, score_batch

sys.argv, table, rounds = [sys.argv[0], "--model=outputs/model"], sys.argv[1], int(sys.argv[2])
score_batch.init()
columns = score_batch.scorer.columns
pipeline = joblib.load("outputs/model/model.pkl")
frame = pandas.read_csv(table + ".csv")
ready = pandas.DataFrame(input_schema.to_table(frame, columns))

def files(ending):
    chunks = batch_files.read_chunks({"it": Path(table + ending)}, columns)
    for _, lines in batch_workers.work_on(chunks, batch_scorer.writer, ("outputs/model",), 1):
        assert not lines.bad

ways = [
    lambda: pipeline.predict_proba(ready),
    lambda: score_batch.run(frame),
    lambda: files(".csv"),
    lambda: files(".parquet"),
]
for _ in range(rounds + 1):
    for way in ways:
        began = time.process_time()
        way()
        print(time.process_time() - began, end=" ")
    print()
"""

# The most memory that a process took, in MB: the model and what scoring imports alone, or all of a file.
MEMORY = """
import resource, sys
from pathlib import Path
import batch_workers
batch_workers.one_thread()
import batch_files, batch_scorer, input_schema

work = batch_scorer.writer("outputs/model")
columns = input_schema.find("outputs/model")[1]
if len(sys.argv) > 1:
    for chunk in batch_files.read_chunks({"it": Path(sys.argv[1])}, columns):
        work(chunk)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure scoring whole files.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = install(Path(folder))
        table, large = f"{folder}/table", f"{folder}/large"
        run(model, "-c", TABLE, str(args.rows), table)
        missed = speed(model, table, args.rows, args.runs)
        processes(model, table, max(args.runs // 2, 1))
        run(model, "-c", TABLE, str(args.rows * 10), large)
        missed |= memory(model, table, large)
    return int(missed)


def install(folder: Path) -> Path:
    """Render, install and train the default project; return its model's folder."""
    cookiecutter = str(Path(sys.executable).with_name("cookiecutter"))
    answers = ["project_slug=batch", f"python_version={PYTHON}"]
    command = [cookiecutter, "--no-input", "-o", str(folder), str(TEMPLATE), *answers]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["make", "setup", "train"], cwd=folder / "batch", check=True, capture_output=True)
    return folder / "batch" / "models" / "model1"


def run(model: Path, *command: str) -> str:
    """Run the model's own Python."""
    python = model.parents[1] / ".venv" / "model1" / "bin" / "python"
    done = subprocess.run([str(python), *command], cwd=model, env=os.environ, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"ERROR: {' '.join(command)[:80]} ended with {done.returncode}: {done.stderr}")
    return done.stdout + done.stderr


def speed(model: Path, table: str, rows: int, runs: int) -> bool:
    """One process, one thread."""
    lines = run(model, "-c", SPEED, table, str(runs)).splitlines()[1:]
    times = [list(map(float, line.split())) for line in lines]
    ready, frame, csv, parquet = (median(row[place] for row in times) for place in range(4))
    print(f"predict_proba on one ready DataFrame of {rows} rows: {rows / ready:,.0f} rows/s of a processor")
    missed = False
    for what, seconds in (("run() on a DataFrame", frame), ("CSV to CSV", csv), ("Parquet to CSV", parquet)):
        ratio = ready / seconds
        missed |= ratio < SPEED_GOAL
        print(f"{what}: {ratio:.2f} of its rows/s{verdict(ratio >= SPEED_GOAL, SPEED_GOAL)}")
    return missed


def processes(model: Path, table: str, runs: int) -> None:
    """The whole command, from its start to its end."""
    seconds: dict[str, list[float]] = {"1": [], "2": []}
    timed = (
        "import sys, time, score_batch; b = time.time(); score_batch.main(sys.argv[1:]); print('TOOK', time.time() - b)"
    )
    for _ in range(runs):
        for count, taken in seconds.items():
            own = [f"--input={table}.csv", f"--output={table}-scores.csv", f"--processes={count}"]
            said = run(model, "-c", timed, *own)
            taken.append(float(re.search(r"TOOK ([\d.]+)", said)[1]))  # type: ignore[index]
    one, two = median(seconds["1"]), median(seconds["2"])
    print(f"the command, CSV to CSV: {one:.1f} s in one process, {two:.1f} s in two ({one / two:.2f} times as fast)")


def memory(model: Path, table: str, large: str) -> bool:
    """Beside the model and its imports alone: a file, and one ten times as large."""
    own = float(run(model, "-c", MEMORY))
    missed = False
    for ending in (".csv", ".parquet"):
        small, big = (float(run(model, "-c", MEMORY, path + ending)) for path in (table, large))
        allowed = MEMORY_GOAL * own + CONSTANT
        missed |= big > allowed
        print(f"memory: {own:.0f} MB with the model; {ending} {small:.0f} MB, ten times as large {big:.0f} MB"
              f"{verdict(big <= allowed, round(allowed))}")  # fmt: skip
    return missed


def verdict(reached: bool, goal: float) -> str:
    return f" (goal: {goal:g})" if reached else f"  MISSED the goal of {goal:g}"


if __name__ == "__main__":
    sys.exit(main())
