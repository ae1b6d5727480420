"""Measure Auto3DSeg: train.py beside AutoRunner called directly on the same data, and the check of a long datalist.

    python benchmarks/auto3dseg.py                  # renders and installs a project
    python benchmarks/auto3dseg.py --runs 5 --epochs 60

What is compared takes turns within one run, and the ratio is one of medians of CPU seconds, since others may use the
machine. train.py judges the algorithms, draws and logs: that costs seconds, whatever the data, so the training has to
last as long as a short one really does.
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

from project import bin_of, make, model_of, render, run

from aml_project.auto3dseg import datalist

GOAL, CHECK_GOAL = 1.05, 2.0
ENTRIES = 10_000
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
DIRECTLY = """
import os, sys
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
from monai.apps.auto3dseg import AutoRunner
runner = AutoRunner(work_dir="outputs", input="task.yaml", not_use_cache=True)
runner.set_training_params({"num_epochs": int(sys.argv[1])})
runner.run()
"""


def seconds(python: Path, model: Path, *command: str) -> float:
    shutil.rmtree(model / "outputs", ignore_errors=True)
    began = spent()
    run(python, model, *command, **THREADS)
    return spent() - began


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
    parser.add_argument("--runs", type=int, default=3, help="of each (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=100, help="of each algorithm and fold (default: %(default)s)")
    parser.add_argument("--project", type=Path, help="one that is installed and has its sample (default: a new one)")
    args = parser.parse_args()
    os.environ.setdefault("UV_TORCH_BACKEND", "cpu")
    with tempfile.TemporaryDirectory() as folder:
        project = args.project
        if not project:
            project = render(Path(folder), "framework=auto3dseg")
            make(project, "setup")
        model = model_of(project)
        python = bin_of(model) / "python"
        seconds(python, model, "train.py", "--epochs", "1")  # the sample, and what is compiled once
        epochs, pairs = str(args.epochs), []
        for _ in range(args.runs):
            ours = seconds(python, model, "train.py", "--epochs", epochs)
            pairs.append((ours, seconds(python, model, "-c", DIRECTLY, epochs)))
    wrapped, direct = (median(side) for side in zip(*pairs, strict=True))
    took = check()
    print(f"CPU seconds: train.py {wrapped:.1f}, AutoRunner itself {direct:.1f}: {wrapped / direct:.3f} (goal {GOAL})")
    print(f"the check of {ENTRIES} entries: {took:.2f} s (goal {CHECK_GOAL})")
    return int(wrapped / direct > GOAL or took > CHECK_GOAL)


if __name__ == "__main__":
    sys.exit(main())
