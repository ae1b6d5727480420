"""Measure how fast notebooks become scripts, beside nbconvert's exporter alone and its command.

    python benchmarks/notebooks.py --project DIR

One notebook: our command, a fresh process that only runs PythonExporter, and `jupyter nbconvert --to script`, by turns.
A hundred of them: one call of ours with the folder, and calls of nbconvert's command, of which some are timed and their
median counts a hundred times. Last the conversion alone, without formatting, of ever more cells.
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
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from project import render

BIN = Path(sys.executable).parent
NOTEBOOKS, CALLS = 100, 7  # in the folder; calls of nbconvert in each turn
EXPORTER = """import sys
from nbconvert import PythonExporter
text, _ = PythonExporter().from_filename(sys.argv[1])
open(sys.argv[2], "w", encoding="utf-8").write(text)
"""
SIZES, TURNS = (50, 500, 5000), 5  # code cells
GOALS = {
    "to PythonExporter": 1.3,
    "to jupyter nbconvert": 1.0,
    "to a hundred calls": 0.15,
    "5,000 to 500 cells": 1.2,  # a fifth is noise; what is quadratic gives ten
}
# The code of an analysis; _N makes the names of each round its own.
ANALYSIS = """\
%matplotlib inline
import json
import math
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
# %%
SEED_N = 42
TEST_SHARE_N = 0.2
COLUMNS_N = ['age', 'income', 'region']
DATA_N = 'data'
# %%
!pip install -q pandas scikit-learn
# %%
df_N = pd.read_csv(f'{DATA_N}/customers.csv', parse_dates=['since'])
df_N.head()
# %%
df_N.info()
df_N.describe()
# %%
df_N = df_N.dropna(subset=COLUMNS_N)
print(f'{len(df_N)} rows, {df_N.shape[1]} columns')
# %%
def share_N(part, whole):
    if not whole:
        return math.nan
    return part / whole

df_N['share'] = [share_N(a, b) for a, b in zip(df_N['age'], df_N['income'])]
# %%
fig_N, ax_N = plt.subplots(figsize=(8, 4))
df_N['age'].hist(ax=ax_N, bins=30)
ax_N.set_title('Age')
plt.show()
# %%
regions_N = json.load(open('data/regions.json'))
lookup_N = {r['id']: r['name'] for r in regions_N}
# %%
df_N['region'] = df_N['region'].map(lookup_N)
df_N.groupby('region')['income'].agg(['mean', 'median'])
# %%
df_N.plot.scatter(x='age', y='income', alpha=0.3)
# %%
class Scaler_N:
    def fit(self, x):
        self.mean, self.std = x.mean(0), x.std(0) or 1.0
        return self

    def transform(self, x):
        return (x - self.mean) / self.std
# %%
%%time
x_N = pd.get_dummies(df_N[COLUMNS_N]).to_numpy(dtype=float)
y_N = df_N['churned'].to_numpy()
# %%
rng_N = np.random.default_rng(SEED_N)
order_N = rng_N.permutation(len(x_N))
cut_N = int(len(x_N) * (1 - TEST_SHARE_N))
train_N, test_N = order_N[:cut_N], order_N[cut_N:]
# %%
model_N = RandomForestClassifier(n_estimators=200, random_state=SEED_N)
model_N.fit(x_N[train_N], y_N[train_N])
# %%
%time score_N = model_N.score(x_N[test_N], y_N[test_N])
score_N
# %%
for depth_N in range(2, 12, 2):
    candidate_N = RandomForestClassifier(max_depth=depth_N)
    candidate_N.fit(x_N[train_N], y_N[train_N])
    print(depth_N, candidate_N.score(x_N[test_N], y_N[test_N]))
# %%
importance_N = pd.Series(model_N.feature_importances_).sort_values()
importance_N.plot.barh()
plt.tight_layout()
# %%
OUT_N = Path('results')
OUT_N.mkdir(exist_ok=True)
# %%
df_N.to_csv(OUT_N / 'clean.csv', index=False)
plt.savefig('results/importance.png')
# %%
with open(os.path.join('results', 'metrics.json'), 'w') as file_N:
    json.dump({'accuracy': score_N}, file_N)
# %%
!ls -la results
# %%
text_N = '''
    %not a magic
!nor a command
'''
print(text_N, end='')
# %%
try:
    import shap
except ImportError:
    shap = None
else:
    explainer_N = shap.TreeExplainer(model_N)
"""
CELLS = ANALYSIS.split("\n# %%\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how fast notebooks become scripts.")
    parser.add_argument("--project", type=Path, help="a rendered project, of which a copy is used (default: a new one)")
    parser.add_argument("--runs", type=int, default=15, help="runs of each with one notebook (default: %(default)s)")
    args = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an owner's Python keeps what it has compiled
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ |= {"JUPYTER_CONFIG_DIR": str(work / "jupyter"), "IPYTHONDIR": str(work / "ipython")}
        project = work / "project"
        shutil.copytree(args.project or render(work), project, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
        ratios = one(project, work, args.runs) | hundred(project, work) | cells(project, work)
    missed = [name for name, goal in GOALS.items() if ratios[name] > goal]
    for name in missed:
        print(f"missed: {name} {ratios[name]:.2f}, the goal is at most {GOALS[name]:g}")
    return int(bool(missed))


def notebook(path: Path, cells: int) -> Path:
    """Write a notebook with so many cells of code, and a text above every fourth."""
    found: list[dict[str, Any]] = []
    for number in range(cells):
        if number % 4 == 0:
            found.append({"cell_type": "markdown", "metadata": {}, "source": f"## Step {number}\n\nWhat *follows*."})
        source = CELLS[number % len(CELLS)].replace("_N", f"_{number // len(CELLS)}")
        found.append({"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None})
    metadata = {
        "kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"},
        "language_info": {"name": "python", "file_extension": ".py"},
    }
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": metadata, "cells": found}))
    return path


def ours(project: Path, *args: str | Path) -> float:
    return timed([sys.executable, "-m", "aml_project", "notebook", *args], project)


def nbconvert(notebook: Path, folder: Path) -> float:
    return timed([BIN / "jupyter", "nbconvert", "--to", "script", notebook, "--output-dir", folder], folder)


def timed(command: list[str | Path], cwd: Path) -> float:
    """The seconds of a whole process, which has to succeed."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"ERROR: {' '.join(map(str, command[:4]))} ended with {done.returncode}: {done.stderr[-1000:]}")
    return took


def one(project: Path, work: Path, runs: int) -> dict[str, float]:
    """One notebook, by three commands that take turns."""
    source, out = notebook(work / "analysis.ipynb", len(CELLS)), work / "out"
    out.mkdir()
    contenders: dict[str, Callable[[], float]] = {
        "ours": lambda: ours(project, source, "-o", out / "ours.py", "--no-data"),
        "PythonExporter": lambda: timed([sys.executable, "-c", EXPORTER, source, out / "exported.py"], out),
        "jupyter nbconvert": lambda: nbconvert(source, out),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(runs + 1):
        for name, contender in contenders.items():
            for script in out.glob("*.py"):
                script.unlink()
            took = contender()
            if number:  # the first round compiles
                times[name].append(took)
    medians = {name: median(taken) for name, taken in times.items()}
    print(f"one notebook of {len(CELLS)} cells, medians of {runs}")
    for name, taken in medians.items():
        print(f"  {name:20}{taken * 1000:8.0f} ms{medians['ours'] / taken:7.2f} ours", flush=True)
    return {f"to {name}": medians["ours"] / taken for name, taken in medians.items()}


def hundred(project: Path, work: Path) -> dict[str, float]:
    """A folder of notebooks into a model; nbconvert is called anew for each."""
    folder, out = work / "experiments", work / "exported"
    folder.mkdir()
    out.mkdir()
    names = ["train", *(f"analysis_{number}" for number in range(1, NOTEBOOKS))]
    notebooks = [notebook(folder / f"{name}.ipynb", len(CELLS)) for name in names]
    model = next(project.glob("models/*/train.py")).parent
    mine: list[float] = []
    theirs: list[float] = []
    for turn in range(3):
        for script in model.glob("analysis_*.py"):
            script.unlink()
        shutil.rmtree(project / "notebooks", ignore_errors=True)
        mine.append(ours(project, folder, "--model", model.name, "--force"))
        theirs += [nbconvert(source, out) for source in notebooks[turn * CALLS : (turn + 1) * CALLS]]
    if len(list(model.glob("analysis_*.py"))) != NOTEBOOKS - 1:
        sys.exit("ERROR: the folder has not become a script for each notebook")
    calls = NOTEBOOKS * median(theirs)
    ratio = median(mine) / calls
    print(f"a folder of {NOTEBOOKS} notebooks of {len(CELLS)} cells, median of {len(mine)}")
    print(f"  {'ours, in one call':40}{median(mine):8.2f} s")
    print(
        f"  {f'{NOTEBOOKS} calls of jupyter nbconvert':40}{calls:8.2f} s  (the median of {len(theirs)} x {NOTEBOOKS})"
    )
    print(f"  ratio {ratio:.3f}", flush=True)
    return {"to a hundred calls": ratio}


def cells(project: Path, work: Path) -> dict[str, float]:
    """The conversion in this process: does a cell cost more where there are more of them?"""
    sys.path.insert(0, str(project / "scripts"))
    from aml_project.notebooks.cells import python_of_ipython
    from aml_project.notebooks.formatting import formatted
    from aml_project.notebooks.script import convert

    to_python = python_of_ipython()
    sources = {size: notebook(work / f"cells-{size}.ipynb", size) for size in SIZES}
    convert(sources[SIZES[0]], to_python)
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    formats: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(TURNS):
        for size, source in sources.items():
            began = time.process_time()  # one thread, that waits for nothing: what else runs does not count
            script = convert(source, to_python)
            times[size].append(time.process_time() - began)
            began = time.perf_counter()
            formatted(script.text)
            formats[size].append(time.perf_counter() - began)
    each = {size: median(taken) / size for size, taken in times.items()}
    print(f"the conversion alone, seconds of CPU, medians of {TURNS}")
    for size in SIZES:
        line = f"  {size:5,} cells{median(times[size]):8.2f} s{each[size] * 1000:8.3f} ms a cell"
        print(f"{line}  (ruff, apart: {median(formats[size]):.2f} s)", flush=True)
    ratio = each[SIZES[-1]] / each[SIZES[-2]]
    print(f"  a cell among {SIZES[-1]:,} costs {ratio:.2f} times one among {SIZES[-2]:,}")
    return {"5,000 to 500 cells": ratio}


if __name__ == "__main__":
    sys.exit(main())
