"""aml register after a search here: the best trial's model, through the same gate as a run's."""

import csv
import json
import os

import pytest

from aml_project.search.engines import local
from aml_project.search.record import Record
from aml_rehearsal.services import metrics
from service.quick_model import Trainer

SEARCH = """
metric: accuracy
goal: maximize
parameters:
  x: {low: 0.0, high: 1.0}
  kind: [a, b]
"""

# As a train.py of the template cross-validates: the mean of its folds, beside the accuracy of the held-out rows.
CROSS_VALIDATES = """
import argparse, json, pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=0.5)
parser.add_argument("--folds", type=int)
args = parser.parse_args()
metrics = {"accuracy": args.x}
if args.folds:
    metrics |= {f"{name}_folds_mean": 1 - (args.x - 0.25) ** 2 for name in list(metrics)}
model = pathlib.Path("outputs", "model")
model.mkdir(parents=True)
(model / "x.txt").write_text(str(args.x))
pathlib.Path("outputs", "metrics.json").write_text(json.dumps(metrics))
"""
METRIC = "accuracy_folds_mean"
GRID = f"""
metric: {METRIC}
goal: maximize
algorithm: grid
parameters:
  x: [0.0, 0.25, 1.0]
  folds: [3]
"""


def searched(trainer: Trainer, where: str = "") -> Record:
    """Leave a model as a search of three trials does, the last of which has failed."""
    model = trainer.project / "models" / "quick"
    (model / "search.yml").write_text(SEARCH)
    kept = Record(model / "outputs" / "search" / where)
    for number, accuracy in enumerate((0.7, 0.9, None), 1):
        trial = kept.begun(
            number, {"x": number / 4, "kind": "a"}, "2026-01-01T00:00:00+00:00", where and f"job{number}"
        )
        trial.state = "complete" if accuracy else "failed"
        trial.metrics = {"accuracy": accuracy, "loss": 0.25} if accuracy else {}
        kept.over(trial)
        folder = kept.folder / "trials" / f"{number:04}" / "outputs"
        (folder / "model").mkdir(parents=True)
        (folder / "model" / "weights.txt").write_text(f"weights {number}{where}")
        (folder / "metrics.json").write_text(json.dumps(trial.metrics))
    return kept


def test_the_best_trial_is_registered_through_the_gate(trainer: Trainer) -> None:
    searched(trainer)
    refused = trainer.error("register", "--min", "accuracy=0.95", code=1)
    assert refused == "ERROR: not registered: accuracy is 0.9, not >= 0.95"
    assert trainer.versions("quick") == []
    done = trainer.call("register", "--require", "accuracy>=0.8", "--tag", "stage=test")
    assert done.code == 0, done.err
    assert (
        "trial 2 is the best of the search since the last run; -f run.json takes the run, --trial another" in done.err
    )
    [model] = trainer.rehearsal.state()["models"].values()
    tags = model["kvTags"]
    assert {name: tags[name] for name in ("x", "kind", "accuracy", "loss", "stage")} == {
        "x": "0.5", "kind": "a", "accuracy": "0.9", "loss": "0.25", "stage": "test",
    }  # fmt: skip
    assert tags["search"] == "quick, trial 2: maximize accuracy, tpe"
    [(run_id, run)] = trainer.runs.items()
    assert (run_id.rpartition("_")[0], run["status"]) == ("quick_trial_2", "Completed")
    assert trainer.rehearsal.artifact(run_id, "outputs/model/weights.txt") == b"weights 2"
    again = trainer.call("register", "--require", "accuracy>=0.8")
    assert again.code == 0
    assert "is registered from this run already" in again.err
    assert len(trainer.runs) == len(trainer.versions("quick")) == 1


def test_another_trial_is_registered_by_its_number(trainer: Trainer) -> None:
    searched(trainer)
    said = trainer.out("register", "--trial", "1", "--dry-run")
    assert said.startswith("Would register outputs/model of trial 1 of the last search as quick")
    assert "Model quick, version 1" in trainer.out("register", "--trial", "1")
    assert trainer.rehearsal.artifact(next(iter(trainer.runs)), "outputs/model/weights.txt") == b"weights 1"
    assert trainer.error("register", "--trial", "3", code=1) == (
        "ERROR: --trial: trial 3 is failed; take one that went to its end"
    )
    assert trainer.error("register", "--trial", "9", code=1).startswith("ERROR: --trial: there is no trial 9: ")
    assert trainer.error("register", "--trial", "1", "-f", "run.json", code=2).startswith("ERROR: --trial: it is of")


def test_of_two_searches_the_last_is_meant(trainer: Trainer) -> None:
    """NNI's here as well: its trials are no runs yet, though they have ids of NNI's."""
    earlier = searched(trainer)
    searched(trainer, "nni")
    os.utime(earlier.file, (1, 1))
    trainer.out("register")
    [version] = trainer.rehearsal.state()["models"].values()
    assert trainer.rehearsal.artifact(version["runId"], "outputs/model/weights.txt") == b"weights 2nni"
    assert version["kvTags"]["x"] == "0.5"


def test_killed_while_the_trial_is_sent_the_same_command_goes_on(trainer: Trainer) -> None:
    searched(trainer)
    for at in ("before run", "after run", "after asset", "before model"):
        trainer.die("register", at=at)
    assert "Model quick, version 1" in trainer.out("register")
    assert len(trainer.runs) == len(trainer.versions("quick")) == 1


def test_the_whole_search_is_a_run_with_its_trials_as_children(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(trainer)
    monkeypatch.setattr(local, "run", lambda _: 0)  # all of it is over
    done = trainer.call("search", "--track", "--skip-check")
    assert done.code == 0, done.err
    assert "in experiment quick has the 3 trials as children" in done.out
    runs = {run_id.rpartition("_")[0]: run for run_id, run in trainer.runs.items()}
    assert sorted(runs) == ["quick_search", "quick_trial_1", "quick_trial_2", "quick_trial_3"]
    [parent] = [run_id for run_id in trainer.runs if "_search_" in run_id]
    children = [run for name, run in runs.items() if "trial" in name]
    assert {run["parentRunId"] for run in children} == {parent}
    assert [run["status"] for _, run in sorted(runs.items())] == ["Completed", "Completed", "Completed", "Failed"]
    assert (runs["quick_trial_2"]["tags"]["x"], runs["quick_search"]["tags"]["best_trial"]) == ("0.5", "2")
    assert trainer.call("search", "--track", "--skip-check").code == 0
    assert len(trainer.runs) == 4, "sent once"
    assert "Model quick, version 1" in trainer.out("register", "--require", "accuracy>=0.8")
    [model] = trainer.rehearsal.state()["models"].values()
    assert model["runId"].startswith("quick_trial_2_") and len(trainer.runs) == 4
    assert trainer.rehearsal.artifact(model["runId"], "outputs/model/weights.txt") == b"weights 2"


def test_a_grid_search_cross_validates_each_combination_in_a_child_run(trainer: Trainer) -> None:
    """With its values and its score; the table of all is trials.csv, and the best by its folds is registered."""
    model = trainer.project / "models" / "quick"
    (model / "train.py").write_text(CROSS_VALIDATES)
    (model / "search.yml").write_text(GRID.replace("  folds: [3]\n", ""))
    assert trainer.error("search", code=1).endswith("where it is told the folds: add folds: [5] to parameters")
    (model / "search.yml").write_text(GRID)
    said = trainer.out("search", "--track")
    assert f"Best of 3: trial 2, {METRIC} 1: x=0.25" in said
    [parent] = [run_id for run_id in trainer.runs if "_search_" in run_id]
    children = [run for run_id, run in sorted(trainer.runs.items()) if "_trial_" in run_id]
    assert {run["parentRunId"] for run in children} == {parent}
    assert [(run["tags"]["x"], run["tags"]["folds"]) for run in children] == [("0.0", "3"), ("0.25", "3"), ("1.0", "3")]
    with (model / "outputs" / "search" / "trials.csv").open() as stream:
        rows = [(float(row["x"]), float(row[METRIC])) for row in csv.DictReader(stream)]
    with trainer.tables():
        logged = [metrics.of_run(trainer.rehearsal.workspace, run["runId"])[METRIC] for run in children]
    scores = [metric["value"][0]["data"][METRIC] for metric in logged]
    assert rows == list(zip((0.0, 0.25, 1.0), scores, strict=True)) == [(0.0, 0.9375), (0.25, 1.0), (1.0, 0.4375)]
    trainer.out("register", "--require", f"{METRIC}>=0.9")
    [version] = trainer.rehearsal.state()["models"].values()
    assert version["kvTags"]["x"] == "0.25"


def test_a_run_after_the_search_is_what_is_registered(trainer: Trainer) -> None:
    searched(trainer)
    assert trainer.submit("train-local").code == 0
    done = trainer.call("register")
    assert done.code == 0, done.err
    assert "trial" not in done.err
    [version] = trainer.rehearsal.state()["models"].values()
    assert "trial" not in version["runId"]
