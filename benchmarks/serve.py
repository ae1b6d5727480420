"""Measure what the rendered score.py answers per second, through the real inference server.

    python benchmarks/serve.py

The project's own server is measured beside Azure ML's, by its score.py. Three entry scripts take turns within one run:
one that returns its request, which is the floor of the server; the project's own, which uses ONNX; and the one that
comes to mind first, which gives a DataFrame to the pipeline. The last two must give the same answers before they are
measured: a fast wrong answer is worth nothing. That for a linear model and a forest, with one worker and two; then what
threads do to two workers, and what memory a worker takes.
"""

import argparse
import contextlib
import csv
import itertools
import json
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from inference_server import Load, Served, load, post, serve
from project import BOOSTING, FOREST, TREES, bin_of, model_of, run, say, train_other, trained

TOLERANCE = 1e-4  # of a probability, as in the project's runtime/saving.py
MOST_ROWS = 10_000  # as in the project's score.py
CLIENTS = (1, 8)
WORKERS = (1, 2)
GOALS = {"echo": 0.7, "DataFrame": 5.0}  # score.py's requests per second, as a multiple of theirs
OWN = "own server"  # score.py by runtime/server.py
OWN_GOAL = 2.0  # its requests per second, as a multiple of azmlinfsrv's echo
MEMORY_GOAL = 1.2  # a worker's memory beyond an echo's, as a multiple of what the model takes by itself
ROWS = 10_000  # that must get the pipeline's own answers

LOAD_ALONE = """
import sys, onnxruntime
def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
before = resident()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
print(resident() - before)
"""

ECHO = """
import json

def init():
    pass

def run(data):
    return json.loads(data)
"""

# Missing categories are "" in training. Filling them in before pandas is the cheapest way: the comparison is fair.
DATAFRAME = """
import json
import os
from pathlib import Path

import joblib
import pandas as pd

def init():
    global pipeline, categories
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    pipeline = joblib.load(folder / "model.pkl")
    columns = json.loads((folder / "schema.json").read_text(encoding="utf-8"))["columns"]
    categories = [column["name"] for column in columns if column["type"] == "category"]

def run(data):
    frame = pd.DataFrame(json.loads(data)["data"])
    frame[categories] = frame[categories].fillna("")
    probabilities = pipeline.predict_proba(frame)
    labels = pipeline.classes_[probabilities.argmax(axis=1)]
    return {
        "predictions": [
            {"label": label, "probabilities": dict(zip(pipeline.classes_, row))}
            for label, row in zip(labels.tolist(), probabilities.tolist())
        ]
    }
"""

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure score.py, an echo and the DataFrame way side by side.")
    parser.add_argument("--project", type=Path, help="a rendered and trained project (default: make one, for minutes)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="measurements of each (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=3, help="starts of each server (default: %(default)s)")
    parser.add_argument("--trees", type=int, default=TREES, help="of the forest (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        project = args.project.resolve() if args.project else trained(work)
        linear = model_of(project)
        if not (linear / "outputs" / "model" / "model.onnx").exists():
            sys.exit(f"ERROR: {linear} has no outputs/model/model.onnx: is it trained, and did the export succeed?")
        server = bin_of(linear) / "azmlinfsrv"
        bench = Bench(project, server, work, args.seconds, args.rounds, args.starts)
        forest = train_other(linear, FOREST.format(trees=args.trees), work)
        models = {"linear": linear, f"forest of {args.trees} trees": forest}
        for title, model in models.items():
            for workers in WORKERS:
                if not bench.compare(title, model, workers):
                    return 1
        bench.threads(train_other(linear, BOOSTING, work))
        bench.memory(forest)
    return 0


class Bench(NamedTuple):
    """A project to measure, and how."""

    project: Path
    server: Path  # azmlinfsrv, beside its Python
    work: Path
    seconds: float
    rounds: int  # for each start: the processors that a server runs on are luck, and stay for its life
    starts: int

    def compare(self, title: str, model: Path, workers: int) -> bool:
        """Measure the three entry scripts with one model; False where the answers differ."""
        print(f"\n{title}, workers: {workers}")
        scripts = {
            "echo": self.work / "echo.py",
            "score.py": model / "score.py",
            "DataFrame": self.work / "dataframe.py",
        }
        scripts["echo"].write_text(ECHO)
        scripts["DataFrame"].write_text(DATAFRAME)
        outputs = model / "outputs" / "model"
        rows = read_rows(self.project / "data" / "model1" / "customers.csv", outputs / "schema.json")
        found = Found()
        for start in range(self.starts):
            with contextlib.ExitStack() as stack:
                servers = {
                    script: stack.enter_context(serve(self.server, path, outputs, workers=workers))
                    for script, path in scripts.items()
                }
                own = serve(self.server, scripts["score.py"], outputs, workers=workers, own=True)
                servers[OWN] = stack.enter_context(own)
                if start == 0 and workers == 1:
                    for port in (servers["score.py"].port, servers[OWN].port):
                        if not same_answers(port, servers["DataFrame"].port, rows):
                            return False
                found.measure(servers, rows[0], self.seconds, self.rounds)
        report(found)
        return True

    def threads(self, model: Path) -> None:
        """Measure two workers with the threads that the project sets, and with those that come by default."""
        print("\nboosting as a pipeline, as where ONNX can't express a model, workers: 2")
        outputs = model / "outputs" / "model"
        (outputs / "model.onnx").unlink()
        rows = read_rows(self.project / "data" / "model1" / "customers.csv", outputs / "schema.json")
        found = Found()
        with contextlib.ExitStack() as stack:
            servers = {
                title: stack.enter_context(serve(self.server, model / "score.py", outputs, workers=2, threads=threads))
                for title, threads in (("one thread", "1"), ("default", ""))
            }
            found.measure(servers, rows[0], self.seconds, self.rounds)
        show(found)
        for clients in CLIENTS:
            ratio = found.ratio("one thread", "default", clients)
            print(f"one thread each / default threads, {clients} client(s): {ratio:.1f}")

    def memory(self, model: Path) -> None:
        """Compare what a worker takes beyond an echo with what the model takes in a process of its own."""
        outputs = model / "outputs" / "model"
        alone = int(run(self.server.with_name("python"), model, "-c", LOAD_ALONE, outputs / "model.onnx"))
        rows = read_rows(self.project / "data" / "model1" / "customers.csv", outputs / "schema.json")
        taken = {}
        for script in (self.work / "echo.py", model / "score.py"):
            with serve(self.server, script, outputs) as server:
                for row in rows[:1000]:
                    post(server.port, json.dumps({"data": [row]}).encode())
                taken[script.stem] = sum(server.memory().values())
        beyond = taken["score"] - taken["echo"]
        print(
            f"\nmemory, MB: the forest by itself {alone / 1024:.0f}; after 1,000 requests a worker of it"
            f" {taken['score'] / 1024:.0f}, of an echo {taken['echo'] / 1024:.0f}: {beyond / 1024:.0f} more"
            f" (goal: {MEMORY_GOAL} x the model, plus a constant)"
        )


def read_rows(data: Path, schema: Path) -> list[Row]:
    """Read the sample table as requests hold it: without the label, and null where a value is missing."""
    columns = json.loads(schema.read_text(encoding="utf-8"))["columns"]
    types = {column["name"]: float if column["type"] == "number" else str for column in columns}
    with data.open(encoding="utf-8", newline="") as file:
        return [
            {name: kind(row[name]) if row[name] else None for name, kind in types.items()}
            for row in csv.DictReader(file)
        ]


def same_answers(onnx: int, dataframe: int, rows: list[Row]) -> bool:
    """Compare the labels and probabilities of both servers: sample rows, 10,000 mixed ones, small and full requests."""
    nothing = dict.fromkeys(rows[0])
    unseen = {name: "never seen" if isinstance(value, str) else value for name, value in rows[0].items()}
    odd = [nothing, unseen, *({**rows[0], name: None} for name in rows[0])]
    gaps = [row for row in rows if None in row.values()]
    full = list(itertools.islice(itertools.chain(odd, mixed(rows)), ROWS))
    requests = [[row] for row in odd + gaps[:50] + rows[:50]] + [rows[at : at + 100] for at in range(0, len(rows), 100)]
    labels, largest = 0, 0.0
    for request in [*requests, odd + rows, full]:
        body = json.dumps({"data": request}).encode()
        ours, theirs = (post(port, body)["predictions"] for port in (onnx, dataframe))
        if not len(ours) == len(theirs) == len(request):
            say(f"  {len(request)} rows were answered by {len(ours)} and {len(theirs)}")
            return False
        for our, their in zip(ours, theirs, strict=True):
            labels += our["label"] != their["label"]
            if our["probabilities"].keys() != their["probabilities"].keys():
                say(f"  classes differ: {our} and {their}")
                return False
            largest = max(
                largest, *(abs(p - their["probabilities"][label]) for label, p in our["probabilities"].items())
            )
    say(
        f"  {len(rows)} rows ({len(gaps)} with gaps) and {len(odd)} odd ones, in {len(requests) + 2} requests of"
        f" 1 to {len(full)}: {labels} labels differ; largest difference of a probability {largest:.1e}"
        f" (at most {TOLERANCE:.0e})"
    )
    return not labels and largest <= TOLERANCE


def mixed(rows: list[Row]) -> Iterator[Row]:
    """Rows of values from the sample, each drawn by itself; some missing, some categories never seen."""
    chance = random.Random(1)  # noqa: S311 - no secret
    seen = {name: [row[name] for row in rows] for name in rows[0]}
    while True:
        row = {name: chance.choice(values) for name, values in seen.items()}
        for name, value in row.items():
            if chance.random() < 0.05:
                row[name] = None if chance.random() < 0.5 or not isinstance(value, str) else f"never seen {value}"
        yield row


class Found:
    """What each script did with each number of clients, round by round."""

    def __init__(self) -> None:
        self.loads: defaultdict[tuple[str, int], list[Load]] = defaultdict(list)

    def measure(self, servers: dict[str, Served], row: Row, seconds: float, rounds: int) -> None:
        """Load the servers by turns, round after round."""
        body = json.dumps({"data": [row]}).encode()
        with ProcessPoolExecutor(max(CLIENTS)) as pool:
            for server in servers.values():
                load(pool, server, body, max(CLIENTS), 0.5)  # starts the pool's processes, and warms the server
            for _, clients, title in itertools.product(range(rounds), CLIENTS, servers):
                self.loads[title, clients].append(load(pool, servers[title], body, clients, seconds))

    def medians(self) -> dict[tuple[str, int], Load]:
        return {cell: Load(*map(median, zip(*loads, strict=True))) for cell, loads in self.loads.items()}

    def ratio(self, one: str, other: str, clients: int) -> float:
        """The median of the rounds' ratios: within a round both met the same spell of the machine."""
        pairs = zip(self.loads[one, clients], self.loads[other, clients], strict=True)
        return float(median(first.rate / second.rate for first, second in pairs))

    def work_ratio(self, one: str, other: str, clients: int) -> float:
        """The same of what the workers do in a processor's second: what the clients take of it does not count."""
        pairs = zip(self.loads[one, clients], self.loads[other, clients], strict=True)
        return float(median(second.work / first.work for first, second in pairs))


def show(found: Found) -> None:
    """Print every cell."""
    print(f"{'':14}{'clients':>8}{'req/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'worker ms':>11}")
    for (title, clients), cell in found.medians().items():
        print(f"{title:14}{clients:8}{cell.rate:8.0f}{cell.p50:9.2f}{cell.p99:9.2f}{cell.work:11.3f}", flush=True)


def report(found: Found) -> None:
    """Print every cell, then score.py beside the others: requests per second, and per second of the workers' work."""
    show(found)
    print(
        f"{'score.py /':12}{'per second':>12}" + "".join(f"{clients:6} client(s)" for clients in CLIENTS) + "    goal"
    )
    ratios = "".join(f"{found.ratio(OWN, 'echo', clients):16.2f}" for clients in CLIENTS)
    print(f"own / echo {'of time':>13}{ratios}{OWN_GOAL:8.2f}", flush=True)
    for other, goal in GOALS.items():
        for kind, ratio in (("of time", found.ratio), ("of work", found.work_ratio)):
            ratios = "".join(f"{ratio('score.py', other, clients):16.2f}" for clients in CLIENTS)
            print(f"{other:12}{kind:>12}{ratios}" + (f"{goal:8.2f}" if ratio == found.ratio else ""), flush=True)


if __name__ == "__main__":
    sys.exit(main())
