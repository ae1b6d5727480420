"""Measure score_batch.py: rows per second beside predict_proba on one ready frame, in one process and in two; memory.

    python benchmarks/batch.py                     # renders and installs the default project
    python benchmarks/batch.py --project P --rows 200000 --runs 3
    python benchmarks/batch.py --rows 10000000 --memory

What is compared takes turns. Reading, scoring and writing go on side by side, which shows in seconds of the clock, so
nothing else may run meanwhile. The seconds of the processor are printed too: other work changes them least.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from project import FOREST, TREES, bin_of, model_of, run, say, train_other, trained

SPEED_GOAL, PROCESSES_GOAL = 1.0, 1.6
MEMORY_GOAL = 100  # MB that a file of any size may take beside the model and what it imports

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
from runtime import batch
batch.one_thread()
import joblib, pandas, score_batch
from runtime import input_schema

way, table = sys.argv[1:]
sys.argv = [sys.argv[0], "--model=outputs/model"]
score_batch.init()
columns = score_batch.scorer.schema.columns
steps = batch.writer("outputs/model", {})

def score():
    chunks = batch.read_chunks({"it": Path(table + way)}, columns)
    for _, lines in batch.work_on(chunks, lambda: steps, (), 1):
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
began, busy = time.perf_counter(), time.process_time()
act()
print(time.perf_counter() - began, time.process_time() - busy)
"""
WAYS = {"frame": "run() on a DataFrame", ".csv": "CSV to CSV", ".parquet": "Parquet to CSV"}

# Prints the seconds that the whole command takes, on so many processors.
COMMAND = """
import os, sys, time
if __name__ == "__main__":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
    import score_batch
    began = time.perf_counter()
    assert score_batch.main(sys.argv[2:]) == 0
    print("TOOK", time.perf_counter() - began)
"""
COUNTS = {"one process, one processor": (1, 1), "one process": (1, 2), "two processes": (2, 2)}

# The most memory that the process took, in MB: the model and what scoring imports alone, or all of a file.
MEMORY = """
import resource, sys
from pathlib import Path
from runtime import batch
batch.one_thread()
from runtime import input_schema

steps = batch.writer("outputs/model", {})
columns = input_schema.find("outputs/model")[1].columns
if len(sys.argv) > 1:
    for _ in batch.work_on(batch.read_chunks({"it": Path(sys.argv[1])}, columns), lambda: steps, (), 1):
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure scoring whole files.")
    parser.add_argument("--project", type=Path, help="a rendered and trained project (default: make one, for minutes)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--memory", action="store_true", help="measure the memory alone, of the linear model")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = model_of(args.project.resolve() if args.project else trained(folder))
        python = bin_of(model) / "python"
        table = folder / "table"
        run(python, model, "-c", TABLE, str(args.rows), table)
        if args.memory:
            return int(memory(python, model, table, args.rows))
        forest = train_other(model, FOREST.format(trees=TREES), folder)
        (forest / "outputs" / "model" / "model.onnx").unlink()
        large = folder / "large"  # else the linear model is done before a second process is there
        run(python, model, "-c", TABLE, str(args.rows * 10), large)
        missed = False
        for title, scored, longer, times in (
            ("linear, as ONNX", model, large, 10),
            (f"forest of {TREES} trees, as a pipeline", forest, table, 1),
        ):
            say(f"\n{title}")
            missed |= speed(python, scored, table, args.rows, args.runs)
            missed |= processes(python, scored, longer, args.rows * times, max(args.runs // 2, 1))
    return int(missed)


def speed(python: Path, model: Path, table: Path, rows: int, runs: int) -> bool:
    """One process, whose model has one thread."""
    taken: dict[str, list[tuple[float, float]]] = {"ready": [], **{way: [] for way in WAYS}}
    for _ in range(runs):
        for way, times in taken.items():
            clock, processor = run(python, model, "-c", SPEED, way, table).split()
            times.append((float(clock), float(processor)))
    clocks, busy = ({way: median(run[kind] for run in times) for way, times in taken.items()} for kind in (0, 1))
    print(f"predict_proba on one ready DataFrame of {rows} rows: {rows / clocks['ready']:,.0f} rows/s")
    missed = False
    for way, what in WAYS.items():
        ratio = clocks["ready"] / clocks[way]
        missed |= ratio < SPEED_GOAL
        print(f"{what}: {ratio:.2f} of its rows/s{verdict(ratio >= SPEED_GOAL, SPEED_GOAL)};"
              f" {busy['ready'] / busy[way]:.2f} of its rows in a second of a processor", flush=True)  # fmt: skip
    return missed


def processes(python: Path, model: Path, table: Path, rows: int, runs: int) -> bool:
    """The whole command, from its start to its end."""
    seconds: dict[str, list[float]] = {what: [] for what in COUNTS}
    with tempfile.TemporaryDirectory() as folder:
        command = Path(folder, "command.py")  # a file, for the other processes begin with it
        command.write_text(COMMAND)
        own = [f"--input={table}.csv", f"--output={table}-scores.csv"]
        for _ in range(runs):
            for what, (count, processors) in COUNTS.items():
                said = run(python, model, command, str(processors), *own, f"--processes={count}", PYTHONPATH=str(model))
                seconds[what].append(float(said.split("TOOK")[1]))
    took = {what: median(taken) for what, taken in seconds.items()}
    print(f"the command, CSV to CSV, {rows} rows:", ", ".join(f"{what} {taken:.1f} s" for what, taken in took.items()))
    alone, one, two = took.values()
    print(f"two processes {alone / two:.2f} times as fast as one on one processor;"
          f" {one / two:.2f} times as fast as one on both{verdict(one / two >= PROCESSES_GOAL, PROCESSES_GOAL)}",
          flush=True)  # fmt: skip
    return one / two < PROCESSES_GOAL


def memory(python: Path, model: Path, table: Path, rows: int) -> bool:
    """Beside the model and its imports alone."""
    own = float(run(python, model, "-c", MEMORY))
    print(f"memory with the model alone: {own:.0f} MB")
    missed = False
    for ending in (".csv", ".parquet"):
        more = float(run(python, model, "-c", MEMORY, f"{table}{ending}")) - own
        missed |= more > MEMORY_GOAL
        print(f"{ending} of {rows} rows: {more:.0f} MB more{verdict(more <= MEMORY_GOAL, MEMORY_GOAL)}", flush=True)
    return missed


def verdict(reached: bool, goal: float) -> str:
    return f" (goal: {goal:g})" if reached else f"  MISSED the goal of {goal:g}"


if __name__ == "__main__":
    sys.exit(main())
