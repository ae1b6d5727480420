"""Measure training: the loop beside the shortest one by hand, two processes beside one, the start beside the import.

    python benchmarks/train.py                     # renders and installs every framework
    python benchmarks/train.py --frameworks pytorch --runs 9

What is compared takes turns within one run, and a ratio is one of medians. Each process has one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import median

from project import TEMPLATE, bin_of, make, model_of, render, run

CHOICES: list[str] = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["framework"]
FRAMEWORKS = [framework for framework in CHOICES if framework != "auto3dseg"]  # benchmarks/auto3dseg.py
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
LOOP_GOAL, PROCESSES_GOAL, START_GOAL = 1.1, 1.5, 1.3

# Runs in a model's folder and prints a pair of seconds for each run: train.py's loop, the loop by hand.
LOOP = """
import contextlib, io, sys, time, torch
from torch.nn.functional import cross_entropy
import network, train
from runtime import samples
from runtime.distributed import find

class Silence:
    def metrics(self, values, step=None): pass

torch.set_num_threads(1)
args = train.parse_args(["--data-path", "../../data/model1", "--epochs", "20"])
with contextlib.redirect_stdout(io.StringIO()):
    data = samples.read(args, train.load_data)

def fresh():
    torch.manual_seed(args.seed)
    return network.build(data.shape, data.outputs)

def ours():
    with contextlib.redirect_stdout(io.StringIO()):
        train.fit(fresh(), data, args, find(), Silence())

def by_hand(**options):
    net = fresh()
    optimizer = torch.optim.Adam(net.parameters(), lr=args.learning_rate, **options)
    rows, labels = torch.from_numpy(data.rows[data.split.train]), torch.from_numpy(data.labels[data.split.train])
    for _ in range(args.epochs):
        for batch in torch.randperm(len(rows)).split(args.batch_size):
            loss = cross_entropy(net(rows[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

for _ in range(int(sys.argv[1]) + 1):
    for loop in (ours, by_hand, lambda: by_hand(fused=True)):
        began = time.process_time()
        loop()
        print(time.process_time() - began, end=" ")
    print()
"""
# Runs train.py until its first step is done; an epoch is one step.
START = """
import sys, train
def stop(*args, **kwargs):
    raise SystemExit(0)
where = sys.argv.pop(1)
module = getattr(train, "checkpoints", train)
setattr(module, where, stop)
train.main()
"""
# What the framework is, for a model that fits it: the modules that its train.py imports of it.
IMPORTS = {
    "sklearn": "import sklearn.compose, sklearn.impute, sklearn.linear_model, sklearn.pipeline",
    "pytorch": "import torch",
    "tensorflow": "import tensorflow",
    "none": "import pandas",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure training.")
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS, help="default: all")
    parser.add_argument("--runs", type=int, default=7, help="runs of each (default: %(default)s)")
    args = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for framework in args.frameworks:
            project = render(Path(folder), f"framework={framework}", f"project_slug={framework}")
            make(project, "setup")
            model = model_of(project)
            if framework == "pytorch":
                missed |= loop(model, args.runs)
                missed |= processes(model, max(args.runs // 2, 2))
            if framework in ("pytorch", "tensorflow"):
                reading(model, framework, max(args.runs // 2, 2))
            missed |= start(model, framework, args.runs)
    return int(missed)


def loop(model: Path, runs: int) -> bool:
    """20 epochs on the sample table: processor time, which other work on this computer changes least."""
    said = run(bin_of(model) / "python", model, "-c", LOOP, str(runs), **ONE_THREAD)
    times = [list(map(float, line.split())) for line in said.splitlines()[1:]]
    ours, by_hand, fused = (median(row[place] for row in times) for place in range(3))
    ratio = ours / by_hand
    print(f"pytorch: train.py's loop / the shortest by hand: {ratio:.2f}{verdict(ratio <= LOOP_GOAL, LOOP_GOAL)}")
    print(f"  ({ours / fused:.2f} where the one by hand has the fused optimizer, too)")
    return ratio > LOOP_GOAL


def processes(model: Path, runs: int) -> bool:
    """Images, the same global batch."""
    data = model / "outputs" / "images"
    draw(data, 600)
    own = ["train.py", f"--data-path={data}", "--epochs=6", "--batch-size=64", "--workers=0"]
    both = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *own]
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(runs):
        for count, command in ((1, own), (2, both)):
            times[count].append(epochs(model, command))
    ratio = median(times[1]) / median(times[2])
    print(
        f"pytorch: one process / two, same global batch: {ratio:.2f}{verdict(ratio >= PROCESSES_GOAL, PROCESSES_GOAL)}"
    )
    return ratio < PROCESSES_GOAL


def reading(model: Path, framework: str, runs: int) -> None:
    """Large images for a small network: read when they are due, or ahead of it."""
    data = model / "outputs" / "large images"
    draw(data, 100, 512)
    own = ["train.py", f"--data-path={data}", "--epochs=6", "--image-size=32"]
    times: dict[int, list[float]] = {0: [], 2: []}
    for _ in range(runs):
        for workers, taken in times.items():
            taken.append(epochs(model, [*own, f"--workers={workers}"]))
    print(f"{framework}: images read when due / by two workers ahead: {median(times[0]) / median(times[2]):.2f}")


def epochs(model: Path, command: list[str]) -> float:
    """Seconds of all epochs but the first two: after the first one MLflow is imported."""
    python = bin_of(model) / "python"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ends = []
    with subprocess.Popen(
        [str(python), *command],
        cwd=model,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        ends = [time.perf_counter() for line in process.stdout if re.match(r"epoch \d+:", line)]
    if process.returncode or len(ends) < 3:
        sys.exit(f"ERROR: {' '.join(command)} ended with {process.returncode}")
    return ends[-1] - ends[1]


def start(model: Path, framework: str, runs: int) -> bool:
    """From the start of train.py to its first step, beside the bare import."""
    times: dict[str, list[float]] = {"import": [], "start": []}
    network = (model / "runtime" / "checkpoints.py").exists()
    options = ["--data-path=../../data/model1", *(["--epochs=1", "--batch-size=100000"] if network else [])]
    commands = {
        "import": ["-c", IMPORTS.get(framework, f"import {framework}")],
        "start": ["-c", START, "save" if network else "build_model", *options],
    }
    if framework == "pytorch":
        times["optimizer"], commands["optimizer"] = [], ["-c", "import torch, torch._dynamo"]
    for number in range(runs + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            run(bin_of(model) / "python", model, *command, **ONE_THREAD)
            if number:  # the first round compiles
                times[name].append(time.perf_counter() - began)
    ratio = median(times["start"]) / median(times["import"])  # of the bare framework
    what = f"{framework}: start of train.py to its first step / {commands['import'][1]}"
    print(f"{what}: {ratio:.2f}{verdict(ratio <= START_GOAL, START_GOAL)}  ({median(times['import']):.2f} s)")
    if "optimizer" in times:
        ratio = median(times["start"]) / median(times["optimizer"])
        print(f"  ({ratio:.2f} beside {commands['optimizer'][1]}: an optimizer imports that in its first step)")
    return ratio > START_GOAL


def verdict(reached: bool, goal: float) -> str:
    return f" (goal: {goal:g})" if reached else f"  MISSED the goal of {goal:g}"


def draw(folder: Path, count: int, size: int = 64) -> None:
    """Images of two classes: bright above, or bright below. Written with the standard library."""
    chance = random.Random(0)  # noqa: S311 (no secret)
    for label in ("above", "below"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            rows = [chance.randrange(128) + 127 * ((row < size / 2) == (label == "above")) for row in range(size)]
            pixels = b"".join(b"\0" + bytes([value] * size * 3) for value in rows)
            (folder / label / f"{number}.png").write_bytes(png(size, size, pixels))


def png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    sys.exit(main())
