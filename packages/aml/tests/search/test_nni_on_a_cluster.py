"""NNI's training service for Azure ML on a rehearsal: the page of its documentation, from its fourth step on.

Steps 1 to 3 are an account and a login, which a rehearsal has; step 5's cluster is there; step 6's packages and the
usage's file are what this package makes of search.yml and of the attached workspace.
"""

import json
import os
import signal
from pathlib import Path

import pytest
import yaml

from aml_rehearsal import Fault
from search.cloud_search import Searcher
from search.quick_search import lives, rows_in
from search.test_nni import left
from tests.owner import PATIENCE, wait_for

pytestmark = pytest.mark.full


@pytest.fixture
def by_nni(searcher: Searcher, nni_client_environment: Path) -> Searcher:
    (searcher.project / ".venv" / ".nni").symlink_to(nni_client_environment)
    train = searcher.folder / "train.py"
    metrics = '(folder.parent / "metrics.json").write_text(json.dumps({"score": score}))\n'
    train.write_text(train.read_text().replace('if args.how == "hang"', f'{metrics}if args.how == "hang"'))
    conda = searcher.folder / "aml_config" / "train-conda.yml"
    conda.write_text(conda.read_text().replace("{pip: []}", "{pip: [azureml-core==1.61.0.post4]}"))
    return searcher


def test_the_page_from_its_fourth_step(by_nni: Searcher) -> None:
    by_nni.says(("trials: 4", "trials: 3"))
    done = by_nni.search("--engine", "nni")
    assert done.code == 0, done.err
    folder = by_nni.folder / "outputs" / "search" / "nni"
    service = yaml.safe_load((folder / "nni.yml").read_text())["trainingService"]
    attached = json.loads((by_nni.project / ".azureml" / "config.json").read_text())
    assert service == {
        "platform": "aml", "subscriptionId": attached["subscription_id"], "resourceGroup": attached["resource_group"],
        "workspaceName": attached["workspace_name"], "computeTarget": "cpu-cluster",
    }  # fmt: skip
    assert {runner["target"] for runner in by_nni.parents} == {"cpu-cluster"}
    wait_for(lambda: {runner["status"] for runner in by_nni.parents} <= {"Canceled", "Completed"})
    children = [run for run in by_nni.children if run["status"] == "Completed"]
    assert len(children) == 3
    for child in children:
        logged = by_nni.rehearsal.state()["metrics"][child["runId"]]
        assert isinstance(logged["score"]["value"][-1]["data"]["score"], float)
    assert by_nni.best_run() in {child["runId"] for child in children}
    assert "  | x is " in by_nni.out("search", "--engine", "nni", "--on", "cpu-cluster", "--show", "2")
    by_nni.out("register", "--require", "score>=0.1")
    by_nni.out("register", "--trial", "2", "--name", "second")
    for version in by_nni.rehearsal.state()["models"].values():
        tags, run = version["kvTags"], by_nni.runs[version["runId"]]
        assert tags["search"] == run["parentRunId"]
        assert {"x", "n"} <= set(tags)
        assert by_nni.rehearsal.artifact(version["runId"], "outputs/model/x.txt").decode() == tags["x"]


KILLS = [
    "before nni.yml", "after nni.yml", "after nni starts", "before trial noted", "after trial noted",
    "after trial ends", "before result noted", "after result noted", "after result noted:2", "before trials.csv",
    "after trials.csv", "after index.html",
]  # fmt: skip
NNI = ("--engine", "nni", "--trials", "2")


def goes_on_to_its_end(by_nni: Searcher) -> None:
    """The same command has both trials, each once, and leaves neither a process nor a run."""
    done = by_nni.search(*NNI)
    assert done.code == 0, done.err
    rows = rows_in(by_nni.folder / "outputs" / "search" / "nni")
    assert [(row["trial"], row["state"]) for row in rows] == [("1", "complete"), ("2", "complete")]
    assert len({(row["x"], row["n"]) for row in rows}) == 2
    assert not left(by_nni.project)
    over = {"Canceled", "Completed", "Failed"}
    wait_for(lambda: {run["status"] for run in by_nni.parents} <= over)
    known = (by_nni.folder / "outputs" / "search" / "nni" / "runs.txt").read_text().split()
    assert {run["runId"] for run in by_nni.parents} <= set(known), "a run that nobody knows of"


@pytest.mark.parametrize("at", KILLS)
def test_killed_anywhere_nothing_is_lost_doubled_or_left(by_nni: Searcher, at: str) -> None:
    by_nni.die("search", "--on", "cpu-cluster", "--skip-check", *NNI, at=at)
    wait_for(lambda: not left(by_nni.project))
    goes_on_to_its_end(by_nni)


def test_without_its_server_the_search_ends_and_goes_on(by_nni: Searcher) -> None:
    process = by_nni.started(*NNI)
    wait_for(lambda: any(run["status"] == "Running" for run in by_nni.children), process)
    [server] = [int(pid) for pid, line in left(by_nni.project).items() if "nni_node" in line and "main.js" in line]
    os.kill(server, signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "NNI no longer answers" in err
    assert not lives(server)
    goes_on_to_its_end(by_nni)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(r"POST .*/snapshotrun", status=429, headers={"Retry-After": "1"}),
        Fault(r"POST .*/snapshotrun", status=500),
        Fault(r"POST .*/snapshotrun", drop="before"),
        Fault(r"POST .*/snapshotrun", drop="after"),
        Fault(r"GET .*/history/", skip=5, times=3, status=503),
        Fault(r"GET .*/history/", skip=5, times=3, drop="before"),
    ],
    ids=["429", "500", "nothing arrives", "the answer is lost", "a 503 on the way", "a lost connection on the way"],
)
def test_trouble_makes_no_more_runs(by_nni: Searcher, fault: Fault) -> None:
    by_nni.rehearsal.faults.add(Fault(**vars(fault)))
    goes_on_to_its_end(by_nni)
    assert by_nni.rehearsal.faults.fired
    assert len(by_nni.parents) == 2, "a runner for each of the two at a time"
    assert sum(run["status"] == "Completed" for run in by_nni.children) == 2
