"""A pipeline that others call: published once, behind an address that stays, on a schedule."""

import json
from datetime import datetime
from typing import Any

import pytest

from aml_project.pipeline.publishing import parse_when
from aml_rehearsal import Fault
from pipeline.cloud_pipeline import ON, TWO, Piper, azml
from tests.owner import wait_for

NOW = datetime(2030, 7, 1, 10, 30, 59)  # a Monday


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("every day at 06:00", "Day 1 07-02 06:00"),
        ("every day at 18:15", "Day 1 07-01 18:15"),
        ("every 6 hours", "Hour 6 07-01 16:30"),
        ("every 15 minutes", "Minute 15 07-01 10:45"),
        ("every Monday", "Week 1 07-08 10:30"),
        ("every monday at 11:00", "Week 1 07-01 11:00"),
        ("every friday at 7:30", "Week 1 07-05 07:30"),
        ("every 2 weeks at 09:00", "Week 2 07-02 09:00"),
        ("daily", "Day 1 07-02 10:30"),
        ("every month", "Month 1 07-31 10:30"),
    ],
)
def test_when_it_runs(text: str, when: str) -> None:
    frequency, interval, first = parse_when(text, NOW)
    assert f"{frequency} {interval} {first:%m-%d %H:%M}" == when


@pytest.mark.parametrize("text", ["", "often", "every", "every 0 days", "every hour at 06:00", "at 06:00", "each day"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it as every day at 06:00, every monday, every 6 hours, or never"):
        parse_when(text, NOW)


def published(piper: Piper) -> list[dict[str, Any]]:
    return list(piper.rehearsal.state()["pipelines"]["Pipelines"].values())


def endpoints(piper: Piper) -> list[dict[str, Any]]:
    return list(piper.rehearsal.state()["pipelines"]["PipelineEndpoints"].values())


def test_an_endpoint_stays_while_pipelines_come(piper: Piper) -> None:
    """Submitted, published, called with other data and another parameter, published again, scheduled."""
    first = piper.out("pipeline", *ON, "--endpoint", "batch")
    assert "Published: quick, version" in first and "parameters: data, seed, fast" in first
    again = piper.out("pipeline", *ON, "--endpoint", "batch")
    assert again == first, "nothing has changed: nothing is made"
    assert not piper.parents, "published without a run"
    [endpoint] = endpoints(piper)
    assert endpoint["Url"] in first
    place = endpoint["Url"].partition("/pipelines/")[2]
    more = piper.rehearsal.workspace
    more.blobs.write("azureml-blobstore", "more/c.csv", b"x\n5\n6\n7\n8\n")
    from aml_rehearsal.services import datasets

    with more.state.lock:
        saved = datasets.created(more, "more-rows", "workspaceblobstore", "more")["latest"]["savedDatasetId"]
    call = {
        "ExperimentName": "called",
        "ParameterAssignments": {"seed": "7"},
        "DataSetDefinitionValueAssignments": {"data": {"SavedDataSetReference": {"Id": saved}}},
    }
    assert piper.ask(endpoint["Url"], call)["Id"] == piper.parents[0]["runId"]
    wait_for(lambda: piper.parents[0]["status"] in ("Completed", "Failed"))
    model = json.loads(piper.handed_on("train", "model")["model/model.json"])
    assert (model["rows"], model["seed"]) == (4, 7)
    assert piper.handed_on("score", "scores") == {"scores.csv": b"c.csv,4\n"}

    (piper.folder / "prepare.py").write_text((piper.folder / "prepare.py").read_text() + "\n")
    second = piper.out("pipeline", *ON, "--endpoint", "batch", "--schedule", "every day at 06:00")
    assert "Scheduled every day at 06:00, in UTC" in second
    [endpoint] = endpoints(piper)
    assert place in second, "the address stays"
    assert len(published(piper)) == 2
    assert endpoint["PipelineVersionList"][-1]["Version"] == endpoint["DefaultVersion"]
    [schedule] = piper.rehearsal.state()["pipelines"]["Schedules"].values()
    assert (schedule["PipelineEndpointId"], schedule["EntityStatus"]) == (endpoint["Id"], "0")
    piper.rehearsal.put_clock_forward(days=1)
    wait_for(lambda: len(piper.parents) == 2)
    ended = piper.out("pipeline", *ON, "--endpoint", "batch", "--schedule", "never")
    assert ended == "batch no longer runs by itself\n"
    line = piper.error("pipeline", *ON, "--endpoint", "batch", "--schedule", "often", code=2)
    assert line.startswith("ERROR: --schedule: write it as every day at 06:00")


# The two pipelines of an earlier template, which are files of azml and of Python there: a training, and a batch that
# divides files among two processes. Its scripts take no path of a model: they ask the workspace for its name.
SEED = {
    "train": """
steps:
  train-model:
    run: train_seed.py
    in: {data-path: data}
    out: {model: outputs}
""",
    "batch": """
steps:
  batch-scoring:
    run: score_seed.py
    in: {files: data}
    out: {batch-predictions: file.txt}
    arguments: {model_name: demo-model}
    parallel: {over: files, nodes: 1, processes: 2, items: 1, error-threshold: 0}
""",
}
SEED_SCRIPTS = {
    "train_seed.py": """
import argparse, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--data-path")
args = parser.parse_args()
os.makedirs("./outputs", exist_ok=True)
pathlib.Path("outputs", "model.pkl").write_text(" ".join(sorted(os.listdir(args.data_path))))
""",
    "score_seed.py": """
import argparse, os
def init():
    global model_name
    parser = argparse.ArgumentParser()
    parser.add_argument("--model_name", dest="model_name", required=True)
    model_name = parser.parse_known_args()[0].model_name
def run(file_list):
    return [f"{os.path.basename(file)},{model_name}" for file in file_list]
""",
}
MADE = {
    "train": ("train-model", "model", {"outputs/model.pkl": b"a.csv b.csv"}),
    "batch": ("batch-scoring", "batch-predictions", {"batch-predictions.txt": b"a.csv,demo-model\nb.csv,demo-model\n"}),
}


@pytest.mark.full
@pytest.mark.parametrize("name", SEED)
def test_the_pipelines_of_an_earlier_template(piper: Piper, name: str) -> None:
    """By the client's own objects, by azml's file, and by the address that stays."""
    for file, text in SEED_SCRIPTS.items():
        (piper.folder / file).write_text(text)
    piper.says(text=SEED[name])
    step, output, wanted = MADE[name]

    def check(port: str = "") -> None:
        piper.wait_for_end()
        made = piper.handed_on(step, output, port)
        assert {file: b"".join(sorted(text.splitlines(keepends=True))) for file, text in made.items()} == wanted

    assert piper.pipeline().code == 0
    check()
    piper.out("pipeline", "--write", "azml.yml", "--on", "cpu-cluster")
    azml(piper, "run", "submit-pipeline", "-y", "azml.yml", "-n", "quick")
    check(output.replace("-", "_"))
    piper.out("pipeline", *ON, "--endpoint", name)
    [endpoint] = endpoints(piper)
    piper.ask(endpoint["Url"], {"ExperimentName": "called"})
    check()
    assert len(piper.parents) == 3


TROUBLES = {
    "429": Fault(r"POST .*/Pipelines/Create", status=429, headers={"Retry-After": "1"}),
    "500": Fault(r"POST .*/Pipelines/Create", status=500),
    "nothing arrives": Fault(r"POST .*/PipelineEndpoints/Create", drop="before"),
    "the answer about the pipeline is lost": Fault(r"POST .*/Pipelines/Create", drop="after"),
    "the answer about the endpoint is lost": Fault(r"POST .*/PipelineEndpoints/Create", drop="after"),
    "the answer about the schedule is lost": Fault(r"POST .*/Schedules/Create", drop="after"),
}
WISH = ("--on", "cpu-cluster", "--skip-check", "--endpoint", "batch", "--schedule", "every day at 06:00")


def check_once(piper: Piper) -> None:
    assert len(published(piper)) == len(endpoints(piper)) == 1
    assert len(piper.rehearsal.state()["pipelines"]["Schedules"]) == 1


@pytest.mark.full
@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_publishes_once(piper: Piper, trouble: str) -> None:
    piper.says(text=TWO)
    piper.rehearsal.faults.add(Fault(**vars(TROUBLES[trouble])))
    piper.out("pipeline", *WISH)
    assert piper.rehearsal.faults.fired
    check_once(piper)


POINTS = [f"{when} {what}" for what in ("published pipeline", "endpoint", "schedule") for when in ("before", "after")]


@pytest.mark.full
@pytest.mark.parametrize("at", POINTS)
def test_killed_anywhere_it_is_published_once(piper: Piper, at: str) -> None:
    piper.says(text=TWO)
    piper.die("pipeline", *WISH, at=at)
    piper.out("pipeline", *WISH)
    check_once(piper)


@pytest.mark.full
@pytest.mark.parametrize("at", ["before default version", "after default version"])
def test_killed_as_the_address_leads_elsewhere(piper: Piper, at: str) -> None:
    piper.says(text=TWO)
    piper.out("pipeline", *WISH)
    piper.says(("seed: 1", "seed: 2"), text=TWO)
    piper.die("pipeline", *WISH, at=at)
    piper.out("pipeline", *WISH)
    assert len(published(piper)) == 2
    [endpoint] = endpoints(piper)
    assert [version["Version"] for version in endpoint["PipelineVersionList"]] == ["0", "1"]
    assert endpoint["DefaultVersion"] == "1"
