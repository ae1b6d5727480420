"""Measure Auto3DSeg: train.py beside AutoRunner called directly on the same data, and the check of a long datalist.

    python benchmarks/auto3dseg.py                  # renders and installs a project
    python benchmarks/auto3dseg.py --runs 5 --epochs 20

The tiny algorithm trains on the sample, on one fold. What is compared takes turns within one run. The ratio is one of
medians of CPU seconds, since others may use the machine; those by the clock stand beside it.

AutoRunner alone, on the same task.yaml, does all up to the masks: it analyses the data, generates the algorithm, trains
as many epochs, and has the ensemble draw the volumes for testing. train.py calls it for the same. What it adds is what
the ratio is about: that a stopped training goes on, the Dice of each volume, figures, MLflow, the folder of the model.
That costs a second or two, however long the training is, so it has to last as long as a short one really does.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from project import bin_of, make, model_of, render, run

from aml_project.auto3dseg import datalist

GOAL, CHECK_GOAL = 1.05, 2.0
ENTRIES = 10_000
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
DIRECTLY = """
import os, sys
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
from monai.apps.auto3dseg import AutoRunner
runner = AutoRunner(work_dir="outputs", input="measured.yaml", not_use_cache=True)
runner.set_training_params({"num_epochs": int(sys.argv[1])})
runner.run()
"""


class Took(NamedTuple):
    """Seconds of the processors, and by the clock."""

    cpu: float
    clock: float


def seconds(python: Path, model: Path, *command: str) -> Took:
    shutil.rmtree(model / "outputs", ignore_errors=True)
    began, at = spent(), time.perf_counter()
    run(python, model, *command, **THREADS)
    return Took(spent() - began, time.perf_counter() - at)


def spent() -> float:
    """Seconds of CPU of all that was started and is over."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check() -> float:
    """How long the check of many entries takes, their files looked for."""
    entries = [{"image": f"i{n}.nii.gz", "label": f"l{n}.nii.gz", "fold": n % 5} for n in range(ENTRIES)]
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries:
            for key in ("image", "label"):
                Path(folder, str(entry[key])).touch()
        began = time.perf_counter()
        lists = {"training": entries}
        assert not datalist.problems(lists) and not datalist.missing(lists, datalist.in_folder(Path(folder)), "data")
        return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Auto3DSeg beside AutoRunner called directly.")
    parser.add_argument("--runs", type=int, default=2, help="of each (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=100, help="of each fold (default: %(default)s)")
    parser.add_argument("--folds", type=int, default=1, help="that are trained (default: %(default)s)")
    parser.add_argument("--project", type=Path, help="one that is installed and has its sample (default: a new one)")
    args = parser.parse_args()
    os.environ.setdefault("UV_TORCH_BACKEND", "cpu")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an owner's Python keeps what it has compiled
    with tempfile.TemporaryDirectory() as folder:
        project = args.project
        if not project:
            project = render(Path(folder), "framework=auto3dseg")
            make(project, "setup")
        model = model_of(project)
        python = bin_of(model) / "python"
        task = (model / "task.yaml").read_text(encoding="utf-8")
        (model / "measured.yaml").write_text(f"{task}\nnum_fold: {args.folds}\n", encoding="utf-8")
        train = ["train.py", "--task", "measured.yaml"]
        seconds(python, model, *train, "--epochs", "1")  # the sample, and what is compiled once
        epochs, pairs = str(args.epochs), []
        for _ in range(args.runs):
            ours = seconds(python, model, *train, "--epochs", epochs)
            pairs.append((ours, seconds(python, model, "-c", DIRECTLY, epochs)))
            print(f"train.py {ours.cpu:.1f} s, AutoRunner itself {pairs[-1][1].cpu:.1f} s", flush=True)
    wrapped, direct = (median(took.cpu for took in side) for side in zip(*pairs, strict=True))
    clock = [median(took.clock for took in side) for side in zip(*pairs, strict=True)]
    took = check()
    print(f"CPU seconds: train.py {wrapped:.1f}, AutoRunner itself {direct:.1f}: {wrapped / direct:.3f} (goal {GOAL})")
    print(f"by the clock: {clock[0]:.0f} s, {clock[1]:.0f} s: {clock[0] / clock[1]:.3f}")
    print(f"the check of {ENTRIES} entries: {took:.2f} s (goal {CHECK_GOAL})")
    return int(wrapped / direct > GOAL or took > CHECK_GOAL)


if __name__ == "__main__":
    sys.exit(main())
