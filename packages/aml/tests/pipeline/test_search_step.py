"""A search as a step of a pipeline here: with the step's inputs, and its best trial's model as the output."""

import json
from pathlib import Path

import pytest

from pipeline.quick_pipeline import PIPELINE, Quick
from tests.aml import aml

SEARCH = """
metric: accuracy
goal: maximize
trials: 3
parallel: 2
algorithm: grid
parameters:
  x: [0.1, 0.5, 0.3]
"""
TRAIN = """
import argparse, json, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--data-path")
parser.add_argument("--x", type=float)
args = parser.parse_args()
with open(pathlib.Path("aml_config").resolve().parents[2] / "starts.log", "a") as log:
    log.write(f"trial-{args.x}\\n")
folder = pathlib.Path("outputs", "model")
folder.mkdir(parents=True)
(folder / "model.txt").write_text(pathlib.Path(args.data_path, "parts.txt").read_text() + f", {args.x}")
(folder.parent / "metrics.json").write_text(json.dumps({"accuracy": args.x}))
"""
STEP = """  train:
    search: search.yml
    in: {data-path: prepare.output-path}
"""


@pytest.fixture
def quick(tmp_path: Path) -> Quick:
    quick = Quick(tmp_path / "project")
    (quick.folder / "search.yml").write_text(SEARCH)
    (quick.folder / "train.py").write_text(TRAIN)
    before, _, rest = PIPELINE.partition("  train:\n")
    quick.says(f"{before}{STEP}  evaluate:\n{rest.partition('  evaluate:')[2]}")
    return quick


def test_the_best_trials_model_is_what_a_search_hands_on(quick: Quick) -> None:
    called = aml(quick.root, "pipeline")
    assert called.code == 0, called.err
    best = json.loads(quick.output("train", "outputs", "best-trial.json").read_text())
    assert best == {"trial": 2, "x": 0.5}
    text = (quick.folder / "outputs" / "model" / "model.txt").read_text()
    assert text == "part 0 part 1 part 2 part 3 part 4, 0.5"
    assert "Best of 3" in quick.output("train", "log.txt").read_text()
    quick.starts(forget=True)
    quick.edit("search.yml", "trials: 3", "trials: 3\nseed: 1")
    assert aml(quick.root, "pipeline").code == 0
    assert sorted(quick.starts()) == ["trial-0.1", "trial-0.3", "trial-0.5"], "another search, the same model"
    assert quick.states()["evaluate"] == "as before"
