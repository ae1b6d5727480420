"""Measure score_batch.py: rows per second beside predict_proba on one ready frame, and memory beside the file's size.

    python benchmarks/batch.py                     # renders and installs the default project
    python benchmarks/batch.py --project P --rows 200000 --runs 3

What is compared takes turns; seconds are those of the processor, which other work changes least.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path
from statistics import median

from project import FOREST, TREES, bin_of, model_of, run, say, train_other, trained

SPEED_GOAL, MEMORY_GOAL = 0.8, 1.2
CONSTANT = 64  # MB that a file of any size may take beside the model and what it imports

# Makes a table of so many rows, as CSV and as Parquet, from the sample.
TABLE = """
import sys, pandas
sample = pandas.read_csv("../../data/model1/customers.csv")
rows = int(sys.argv[1])
table = sample.sample(rows, replace=True, random_state=0, ignore_index=True)
table.to_csv(sys.argv[2] + ".csv", index=False)
table.to_parquet(sys.argv[2] + ".parquet")
"""

# Prints the seconds that one way takes, once it is warm. Each has a process of its own: beside two frames of a million
# rows the same code takes half as long again, and the command has none.
SPEED = """
import sys, time
from pathlib import Path
from runtime.batch import workers
workers.one_thread()
import joblib, pandas, score_batch
from runtime import input_schema
from runtime.batch import files, scorer

way, table = sys.argv[1:]
sys.argv = [sys.argv[0], "--model=outputs/model"]
score_batch.init()
columns = score_batch.scorer.schema.columns

def score():
    chunks = files.read_chunks({"it": Path(table + way)}, columns)
    for _, lines in workers.work_on(chunks, scorer.writer, ("outputs/model",), 1):
        assert not lines.bad

if way == "ready":
    pipeline = joblib.load("outputs/model/model.pkl")
    ready = pandas.DataFrame(input_schema.to_table(pandas.read_csv(table + ".csv"), columns))
    act = lambda: pipeline.predict_proba(ready)
elif way == "frame":
    frame = pandas.read_csv(table + ".csv")
    act = lambda: score_batch.run(frame)
else:
    act = score
act()
began = time.process_time()
act()
print(time.process_time() - began)
"""
WAYS = {"frame": "run() on a DataFrame", ".csv": "CSV to CSV", ".parquet": "Parquet to CSV"}

# The most memory that a process took, in MB: the model and what scoring imports alone, or all of a file.
MEMORY = """
import resource, sys
from pathlib import Path
from runtime.batch import workers
workers.one_thread()
from runtime import input_schema
from runtime.batch import files, scorer

work = scorer.writer("outputs/model")
columns = input_schema.find("outputs/model")[1].columns
if len(sys.argv) > 1:
    for chunk in files.read_chunks({"it": Path(sys.argv[1])}, columns):
        work(chunk)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure scoring whole files.")
    parser.add_argument("--project", type=Path, help="a rendered and trained project (default: make one, for minutes)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = model_of(args.project.resolve() if args.project else trained(folder))
        python = bin_of(model) / "python"
        forest = train_other(model, FOREST.format(trees=TREES), folder)
        (forest / "outputs" / "model" / "model.onnx").unlink()
        table, large = folder / "table", folder / "large"
        run(python, model, "-c", TABLE, str(args.rows), table)
        missed = False
        for title, scored in (("linear, as ONNX", model), (f"forest of {TREES} trees, as a pipeline", forest)):
            say(f"\n{title}")
            missed |= speed(python, scored, table, args.rows, args.runs)
            processes(python, scored, table, max(args.runs // 2, 1))
        say("\nlinear, as ONNX")
        run(python, model, "-c", TABLE, str(args.rows * 10), large)
        missed |= memory(python, model, table, large)
    return int(missed)


def speed(python: Path, model: Path, table: Path, rows: int, runs: int) -> bool:
    """One process, one thread."""
    times: dict[str, list[float]] = {"ready": [], **{way: [] for way in WAYS}}
    for _ in range(runs):
        for way, taken in times.items():
            taken.append(float(run(python, model, "-c", SPEED, way, table)))
    ready = median(times["ready"])
    print(f"predict_proba on one ready DataFrame of {rows} rows: {rows / ready:,.0f} rows/s of a processor")
    missed = False
    for way, what in WAYS.items():
        ratio = ready / median(times[way])
        missed |= ratio < SPEED_GOAL
        print(f"{what}: {ratio:.2f} of its rows/s{verdict(ratio >= SPEED_GOAL, SPEED_GOAL)}", flush=True)
    return missed


def processes(python: Path, model: Path, table: Path, runs: int) -> None:
    """The whole command, from its start to its end."""
    seconds: dict[str, list[float]] = {"1": [], "2": []}
    timed = (
        "import sys, time, score_batch; b = time.time(); score_batch.main(sys.argv[1:]); print('TOOK', time.time() - b)"
    )
    for _ in range(runs):
        for count, taken in seconds.items():
            own = [f"--input={table}.csv", f"--output={table}-scores.csv", f"--processes={count}"]
            said = run(python, model, "-c", timed, *own)
            taken.append(float(re.search(r"TOOK ([\d.]+)", said)[1]))  # type: ignore[index]
    one, two = median(seconds["1"]), median(seconds["2"])
    print(f"the command, CSV to CSV: {one:.1f} s in one process, {two:.1f} s in two ({one / two:.2f} times as fast)")


def memory(python: Path, model: Path, table: Path, large: Path) -> bool:
    """Beside the model and its imports alone: a file, and one ten times as large."""
    own = float(run(python, model, "-c", MEMORY))
    missed = False
    for ending in (".csv", ".parquet"):
        small, big = (float(run(python, model, "-c", MEMORY, f"{path}{ending}")) for path in (table, large))
        allowed = MEMORY_GOAL * own + CONSTANT
        missed |= big > allowed
        print(f"memory: {own:.0f} MB with the model; {ending} {small:.0f} MB, ten times as large {big:.0f} MB"
              f"{verdict(big <= allowed, round(allowed))}")  # fmt: skip
    return missed


def verdict(reached: bool, goal: float) -> str:
    return f" (goal: {goal:g})" if reached else f"  MISSED the goal of {goal:g}"


if __name__ == "__main__":
    sys.exit(main())
