"""A pipeline on a rehearsal's cluster: submitted, followed, stopped and gone on with, whatever happens on the way."""

import json

import pytest

from aml_rehearsal import Fault
from pipeline.cloud_pipeline import REGISTER, Piper
from tests.owner import wait_for

MODEL = {"rows": 3, "seed": 42, "max-iter": 500, "fast": True}


def test_a_pipeline_on_the_cluster(piper: Piper) -> None:
    """Each step gets what it is to read, and hands on what it has left; the parallel one gets the items."""
    done = piper.pipeline()
    assert done.code == 0, done.err
    [parent] = piper.parents
    assert parent["status"] == "Completed"
    assert list(piper.steps) == ["prepare", "train", "evaluate", "score"]
    assert {run["status"] for run in piper.steps.values()} == {"Completed"}
    assert piper.handed_on("prepare", "output-path") == {"rows.csv": b"1\n2\n3"}
    assert json.loads(piper.handed_on("train", "model")["model/model.json"]) == MODEL
    assert json.loads(piper.handed_on("evaluate", "output-path")["metrics.json"]) == {"accuracy": 0.3}
    assert sorted(piper.handed_on("score", "scores")["scores.csv"].split()) == [b"a.csv,3", b"b.csv,3"]
    for name in piper.steps:
        assert f"{name:<16} done in " in done.out
    assert "The pipeline is done: 4 steps in" in done.out
    listed = piper.out("pipeline", "--on", "cpu-cluster", "--list").splitlines()
    assert [line.split()[:2] for line in listed] == [[name, "done"] for name in piper.steps]
    again = piper.pipeline("--set", "seed=7")
    assert again.code == 0, again.err
    assert "prepare          as before" in again.out, "the service knows it: same files, same data, same arguments"
    assert json.loads(piper.handed_on("train", "model")["model/model.json"]) == MODEL | {"seed": 7}
    assert len(piper.parents) == 2


def test_a_model_is_registered_that_keeps_the_conditions(piper: Piper) -> None:
    piper.says(more=REGISTER)
    done = piper.pipeline()
    assert done.code == 0, done.err
    assert "Registered: quick:1" in done.out
    [model] = piper.rehearsal.state()["models"].values()
    run = piper.steps["register"]
    assert (model["runId"], model["kvTags"]["accuracy"]) == (run["runId"], "0.3")
    assert model["properties"]["pipeline_run"] == piper.parents[0]["runId"]
    assert json.loads(piper.rehearsal.artifact(run["runId"], "model/model.json")) == MODEL
    piper.says(("seed: 42", "seed: 1"), more=REGISTER.replace("0.2", "0.9"))
    done = piper.pipeline()
    assert done.code == 1
    assert "not registered: accuracy is 0.3, not >= 0.9" in done.err
    assert "the pipeline failed: register" in done.err
    assert len(piper.rehearsal.state()["models"]) == 1
