"""A pipeline on a rehearsal's cluster: submitted, followed, stopped and gone on with, whatever happens on the way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from search.cloud_search import TRAIN as LOGS

from aml_project.pipeline.azure_steps import PARTS, STARTER
from aml_rehearsal import Fault
from pipeline.cloud_pipeline import ON, REGISTER, TWO, Piper, project_of_pipeline
from tests.aml import aml
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


SEARCH = """
metric: score
goal: maximize
trials: 2
parallel: 2
algorithm: grid
parameters:
  x: [0.9, 0.4]
"""
TUNE = """
parameters: {n: 3}
steps:
  tune:
    search: search.yml
    arguments: {n: parameters.n}
    out: {model: outputs/model}
  keep:
    run: keep.py
    in: {model: tune.model}
    out: {kept: file.txt}
"""
KEEP = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--model", type=pathlib.Path)
parser.add_argument("--kept", type=pathlib.Path)
args = parser.parse_args()
args.kept.write_text((args.model / "x.txt").read_text())
"""


@pytest.mark.full
def test_a_search_is_a_step(piper: Piper) -> None:
    """Its trials are those of HyperDrive; what the best of them has left goes on."""
    for name, text in {"train.py": LOGS, "keep.py": KEEP, "search.yml": SEARCH, "pipeline.yml": TUNE}.items():
        (piper.folder / name).write_text(text)
    done = piper.pipeline()
    assert done.code == 0, done.err
    assert {name: run["status"] for name, run in piper.steps.items()} == dict.fromkeys(
        ("tune", "tune-best", "keep"), "Completed"
    )
    assert len([run for run in piper.runs.values() if run["runId"].startswith("HD_")]) == 3
    assert piper.handed_on("keep", "kept") == {"kept.txt": b"0.4"}
    listed = piper.out("pipeline", "--on", "cpu-cluster", "--list").splitlines()
    assert [line.split()[:2] for line in listed] == [["tune", "done"], ["keep", "done"]]


@pytest.mark.parametrize(
    ("how", "said", "reason"),
    [
        ("crash", "train  | ValueError: no such data", "the pipeline failed: train"),
        pytest.param(
            "nothing",
            "train  | train.py has left no outputs/model, which the step hands on",
            "the pipeline failed: train",
            marks=pytest.mark.full,
        ),
    ],
)
def test_a_step_that_fails_says_why(piper: Piper, how: str, said: str, reason: str) -> None:
    """And the same command begins a new run, in which what was done stays done."""
    piper.says(("fine", how), *([("outputs/model", "outputs/more")] if how == "nothing" else []), text=TWO)
    done = piper.pipeline()
    assert done.code == 1
    assert said.replace("outputs/model", "outputs/more") in done.err and reason in done.err
    assert {name: run["status"] for name, run in piper.steps.items()} == {"prepare": "Completed", "train": "Failed"}
    if how == "crash":
        piper.says(text=TWO)
        done = piper.pipeline()
        assert done.code == 0, done.err
        assert "prepare          as before" in done.out and "train            done" in done.out


@pytest.mark.parametrize(
    ("config", "line"),
    [
        pytest.param({"on": "other-cluster"}, "not submitted: ", marks=pytest.mark.full),
        ({"dataset": "none-such"}, "data: dataset none-such, version 1, is not in the workspace: make dataset"),
        pytest.param(
            {"nodes": "100"},
            "the pipeline failed: The run wants 100 nodes; 'cpu-cluster' has at most 4",
            marks=pytest.mark.full,
        ),
    ],
)
def test_what_the_workspace_refuses_is_said(piper: Piper, config: dict[str, str], line: str) -> None:
    runconfig = piper.folder / "aml_config" / "train-amlcompute.runconfig"
    text = runconfig.read_text()
    if "dataset" in config:
        runconfig.write_text(text.replace("quick-rows", config["dataset"]))
    if "nodes" in config:
        piper.says(("nodes: 1", "nodes: 100"))
    done = piper.call("pipeline", "--on", config.get("on", "cpu-cluster"), "--skip-check")
    assert done.code in (1, 3)
    [said] = [text for text in done.err.splitlines() if text.startswith("ERROR: ")]
    assert line in said
    assert [run["status"] for run in piper.parents] == (["Failed"] if "nodes" in config else [])


def test_ctrl_c_leaves_it_and_stop_ends_it(piper: Piper) -> None:
    piper.says(("fine", "hang"), text=TWO)
    process = piper.started()
    wait_for(lambda: piper.parents and piper.steps.get("train", {}).get("status") == "Running", process)
    done = piper.interrupt(process)
    assert done.code == 130
    assert (
        "The pipeline goes on in the workspace. To follow it: the same command again. To end it: with --stop."
        in done.err
    )
    assert piper.parents[0]["status"] == "Running"
    listed = piper.out("pipeline", "--on", "cpu-cluster", "--list").splitlines()
    assert [line.split()[:2] for line in listed] == [["prepare", "done"], ["train", "running"]]
    assert "Going on" not in piper.pipeline("--detach").out
    assert "Ending " in piper.out("pipeline", "--on", "cpu-cluster", "--stop")
    wait_for(lambda: piper.parents[0]["status"] == "Canceled")
    assert "no pipeline of quick is running" in piper.error("pipeline", "--on", "cpu-cluster", "--stop", code=1)
    assert len(piper.parents) == 1
    piper.says(text=TWO)
    done = piper.pipeline()
    assert done.code == 0, done.err
    assert len(piper.parents) == 2


TROUBLES = {
    "429": Fault(r"POST .*/pipelines/", times=2, status=429, headers={"Retry-After": "1"}),
    "500 as it is prepared": Fault(r"POST .*/CreationInfoWithGraph", status=500),
    "500 as it is submitted": Fault(r"POST .*/PipelineRuns/Submit/", status=500),
    "nothing arrives": Fault(r"POST .*/PipelineRuns/Submit/", drop="before"),
    "the answer is lost": Fault(r"POST .*/PipelineRuns/Submit/", drop="after"),
    "a 503 while it is followed": Fault(r"GET .*/history/.*runs/", skip=3, status=503),
    "a lost connection while it is followed": Fault(r"(GET|POST) .*/history/", skip=4, drop="before"),
    "a token that has expired": Fault(r"POST .*/PipelineRuns/Submit/", expire_tokens=True),
}
DAILY = {"the answer is lost"}


@pytest.mark.parametrize(
    "trouble", [pytest.param(name, marks=() if name in DAILY else pytest.mark.full) for name in TROUBLES]
)
def test_trouble_makes_one_run(piper: Piper, trouble: str) -> None:
    piper.says(text=TWO)
    piper.rehearsal.faults.add(Fault(**vars(TROUBLES[trouble])))
    done = piper.pipeline()
    assert done.code == 0, done.err
    assert piper.rehearsal.faults.fired
    assert len(piper.parents) == 1
    assert [run["status"] for run in piper.steps.values()] == ["Completed", "Completed"]


POINTS = [
    "before run", "after run", "before steps.jsonl", "after steps.jsonl", "before pipeline", "after pipeline",
    "before done noted", "after done noted", "before done noted:2", "after done noted:2", "before run noted",
    "after run noted",
]  # fmt: skip


@pytest.mark.parametrize(
    "at", [pytest.param(at, marks=() if at == "after pipeline" else pytest.mark.full) for at in POINTS]
)
def test_killed_anywhere_nothing_runs_twice(piper: Piper, at: str) -> None:
    piper.says(text=TWO)
    piper.die("pipeline", *ON, at=at)
    done = piper.pipeline()
    assert done.code == 0, done.err
    assert len(piper.parents) == (2 if at == "after run noted" else 1)
    ran = [run for run in piper.runs.values() if run["parentRunId"] and "azureml.isreused" not in run["properties"]]
    assert sorted(run["name"] for run in ran) == ["prepare", "train"]
    assert {run["status"] for run in piper.runs.values()} == {"Completed"}


def test_what_a_cluster_can_not_do_is_said_before_anything_starts(tmp_path: Path) -> None:
    project = project_of_pipeline(tmp_path / "project")
    file = project / "models" / "quick" / "pipeline.yml"
    file.write_text(file.read_text().replace("    after: [evaluate]", "    arguments: {mini-batch-size: 3}"))
    done = aml(project, "pipeline", *ON, "--from", "train")
    assert done.code == 1
    assert "steps.score: --mini-batch-size is an argument of ParallelRunStep's own: rename it" in done.err
    assert "--from: on a cluster each step is done again that has changed, and what follows from it" in done.err
    text = file.read_text().replace("    arguments: {mini-batch-size: 3}\n", "").replace("input: data", "input: more")
    file.write_text(f"{text}inputs: {{more: {{path: ../../data}}}}\n")
    done = aml(project, "pipeline", "--engine", "v2", "--write", "pipeline.yml")
    assert (done.code, done.err) == (
        1, "ERROR: inputs.more: on a cluster it is a registered dataset: add dataset: NAME\n",
    )  # fmt: skip


def test_the_step_calls_a_script_as_it_is_called_here(tmp_path: Path) -> None:
    """What starts a step, by itself: parts, flags, values with signs, a script in a folder, its exit code."""
    (tmp_path / "own").mkdir()
    script = "import json, sys; open('seen.json', 'w').write(json.dumps(sys.argv[1:])); sys.exit(int(sys.argv[-1]))"
    (tmp_path / "own" / "said.py").write_text(script)

    def call(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(PARTS / STARTER), "--run:own/said.py", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    words = ["--in:model:model.pkl", "in", "--value:lr", "-1e-05", "--flag:fast", "true", "--flag:slow", "false"]
    assert call(*words, "--n=1", "7").returncode == 7
    assert json.loads((tmp_path / "seen.json").read_text()) == [
        "--model",
        "in/model.pkl",
        "--lr=-1e-05",
        "--fast",
        "--n=1",
        "7",
    ]
    done = call("--keep:seen.json", "there", "0")
    assert done.returncode == 0 and (tmp_path / "there" / "seen.json").is_file()
    done = call("--keep:none.json", "there", "0")
    assert done.returncode == 1 and done.stderr == "own/said.py has left no none.json, which the step hands on\n"
    done = call("--out:rows:rows.csv", "given", "0")
    assert done.returncode == 1 and done.stderr == "own/said.py has left nothing at --rows, which the step hands on\n"


def test_what_would_fail_there_is_refused_here(piper: Piper) -> None:
    """By the check of the files, which --skip-check leaves out."""
    (piper.folder / "pipeline.yml").write_text(
        (piper.folder / "pipeline.yml").read_text().replace("max-iter", "maximum")
    )
    done = piper.call("pipeline", "--on", "cpu-cluster")
    assert done.code == 1
    assert "maximum" in done.err
    assert not piper.parents
