"""HyperDrive on a rehearsal: what is submitted, followed, stopped and gone on with, whatever happens on the way."""

import json
import os
import re
import subprocess

import pytest
import yaml

from aml_project import files, patience
from aml_project.service import workspace
from aml_rehearsal import Fault
from search.cloud_search import Searcher
from tests.owner import wait_for
from tests.support import BIN


def test_a_search_on_the_cluster(searcher: Searcher) -> None:
    done = searcher.search()
    assert done.code == 0, done.err
    [parent] = searcher.parents
    assert (parent["status"], parent["runType"]) == ("Completed", "hyperdrive")
    assert len(searcher.children) == 4
    rows = searcher.rows()
    assert [(row["trial"], row["state"]) for row in rows] == [(str(number), "complete") for number in range(1, 5)]
    for row in rows:
        assert 0.1 <= float(row["x"]) <= 1.0
        assert int(row["n"]) in (3, 5, 7, 9)
        assert float(row["score"]) == pytest.approx(1 - (float(row["x"]) - 0.3) ** 2)
    best = max(rows, key=lambda row: float(row["score"]))
    assert f"Best of 4: trial {best['trial']}, score" in done.out
    assert searcher.best_run() == f"{parent['runId']}_{int(best['trial']) - 1}"
    assert (searcher.results / "index.html").is_file()
    listed = searcher.out("search", "--on", "cpu-cluster", "--list")
    assert len(listed.splitlines()) == 4 and "best" in listed.splitlines()[0]
    again = searcher.search()
    assert again.code == 0 and "Best of 4" in again.out
    assert len(searcher.parents) == 1, "all was done: nothing is submitted"


def test_the_commands_own_file_is_submitted_by_azml(searcher: Searcher) -> None:
    """The other spelling; both have the same space."""
    searcher.says(("algorithm: random", "algorithm: random\nstop: {policy: bandit, after: 2}"))
    searcher.out("search", "--write", "hyperdrive.yml", "--trials", "2")
    text = (searcher.project / "hyperdrive.yml").read_text()
    command = re.findall("^#   azml (.*)$", text, re.MULTILINE)[0].split()
    done = subprocess.run(
        [BIN / "azml", *command], cwd=searcher.project, env=os.environ | searcher.rehearsal.variables(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [parent] = searcher.parents
    assert parent["status"] == "Completed"
    assert len(searcher.children) == 2
    assert json.loads(parent["tags"]["generator_config"])["parameter_space"] == {
        "--x": ["loguniform", [pytest.approx(-2.302585), 0.0]],
        "--n": ["choice", [[3, 5, 7, 9]]],
    }
    assert json.loads(parent["tags"]["policy_config"]) == {
        "name": "Bandit", "properties": {"evaluation_interval": 1, "delay_evaluation": 2, "slack_factor": 0.1},
    }  # fmt: skip
    assert yaml.safe_load(text)["max_total_runs"] == 2


def test_detached_it_is_followed_by_the_next_call(searcher: Searcher) -> None:
    done = searcher.search("--detach")
    assert done.code == 0, done.err
    assert "with --stop" in done.out
    done = searcher.search()
    assert done.code == 0, done.err
    assert len(searcher.parents) == 1
    assert len(searcher.rows()) == 4


def test_ctrl_c_leaves_it_and_stop_ends_it(searcher: Searcher) -> None:
    searcher.says(("n: {low", "how: [hang]\n  n: {low"))
    process = searcher.started()
    wait_for(lambda: sum(run["status"] == "Running" for run in searcher.children) == 2, process)
    done = searcher.interrupt(process)
    assert done.code == 130
    assert "The search goes on: 0 of 4 trials are done. To follow it: the same command again" in done.err
    assert searcher.parents[0]["status"] == "Running"
    assert "running" in searcher.out("search", "--on", "cpu-cluster", "--list")
    assert "Ending HD_" in searcher.out("search", "--on", "cpu-cluster", "--stop")
    wait_for(lambda: searcher.parents[0]["status"] == "Canceled")
    assert "no search of quick is running" in searcher.error("search", "--on", "cpu-cluster", "--stop", code=1)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("before search", "The search goes on, if it was submitted. To follow it: the same command again."),
        ("after search", "The search goes on: 0 of 4 trials are done. To follow it: the same command again."),
        ("after searches.json", "The search goes on, if it was submitted. To follow it: the same command again."),
        ("before searches.json", "Interrupted; the same command goes on."),
    ],
)
def test_ctrl_c_on_the_way_there_says_what_becomes_of_it(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch, at: str, said: str
) -> None:
    with monkeypatch.context() as patched:
        interrupt_at(patched, at)
        done = searcher.search()
    assert (done.code, said in done.err) == (130, True), done.err
    done = searcher.search("--detach")
    assert done.code == 0, done.err
    assert len(searcher.parents) == 1


def test_ctrl_c_before_it_is_found_again_says_that_it_goes_on(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert searcher.search("--detach").code == 0
    monkeypatch.setattr(workspace, "open_workspace", interrupted)
    done = searcher.search()
    assert (done.code, done.out) == (130, "")
    assert "The search goes on, if it was submitted. To follow it: the same command again." in done.err


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def interrupt_at(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    """Press Ctrl-C at a named point."""

    def reached(point: str) -> None:
        if point == wanted:
            raise KeyboardInterrupt

    for module in (patience, files):
        monkeypatch.setattr(module, "reached", reached)


def test_trials_that_fail_are_told(searcher: Searcher) -> None:
    searcher.says(("n: {low", "how: [nothing]\n  n: {low"))
    line = searcher.error("search", "--on", "cpu-cluster", "--skip-check", code=1)
    assert "none of 4 trials has a score: trial 1 logged no score that is a number; it has no number" in line
    assert {row["state"] for row in searcher.rows()} == {"failed"}


TROUBLES = {
    "429": Fault(r"POST .*/hdruns/", status=429, headers={"Retry-After": "1"}),
    "500": Fault(r"POST .*/hdruns/", status=500),
    "nothing arrives": Fault(r"POST .*/hdruns/", drop="before"),
    "the answer is lost": Fault(r"POST .*/hdruns/", drop="after"),
    "a 503 while it is followed": Fault(r"GET .*/details|POST .*runs:query|/children", skip=3, status=503),
    "a lost connection while it is followed": Fault(r"GET .*/history/.*HD_", skip=3, drop="before"),
}


NIGHTLY = {"429", "nothing arrives", "a lost connection while it is followed"}


@pytest.mark.parametrize(
    "trouble", [pytest.param(name, marks=pytest.mark.full if name in NIGHTLY else ()) for name in TROUBLES]
)
def test_trouble_makes_one_search(searcher: Searcher, trouble: str) -> None:
    searcher.rehearsal.faults.add(Fault(**vars(TROUBLES[trouble])))
    done = searcher.search("--trials", "2")
    assert done.code == 0, done.err
    assert searcher.rehearsal.faults.fired
    assert len(searcher.parents) == 1
    assert len(searcher.children) == len(searcher.rows()) == 2


POINTS = [
    "before searches.json", "after searches.json", "before search", "after search",
    *(f"{when} {what}:{time}" for what in ("trial noted", "result noted") for when in ("before", "after")
      for time in (1, 2)),
    "before searches.json:2", "after searches.json:2", "before trials.csv", "after trials.csv", "before index.html",
    "after index.html", "before run.json", "after run.json",
]  # fmt: skip


@pytest.mark.parametrize("at", [pytest.param(at, marks=() if at in POINTS[2:4] else pytest.mark.full) for at in POINTS])
def test_killed_anywhere_nothing_is_lost_or_doubled(searcher: Searcher, at: str) -> None:
    searcher.die("search", "--on", "cpu-cluster", "--skip-check", "--trials", "2", at=at)
    done = searcher.search("--trials", "2")
    assert done.code == 0, done.err
    assert len(searcher.parents) == 1
    assert len(searcher.children) == 2
    assert [row["trial"] for row in searcher.rows()] == ["1", "2"]
    assert {row["state"] for row in searcher.rows()} == {"complete"}
    assert searcher.best_run() in {run["runId"] for run in searcher.children}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ([("algorithm: random", "algorithm: tpe")], "algorithm: HyperDrive has no tpe: write random, grid or bayesian"),
        ([("algorithm: random", "algorithm: bayesian")], "parameters.x: HyperDrive has no log in a bayesian search"),
        (
            [("random", "bayesian"), (", log: true", ""), ("parallel: 2", "parallel: 2\nstop: {policy: median}")],
            "stop: HyperDrive ends no trial of a bayesian search early",
        ),
        ([("x: {", "m: [a, b]\n  x: {when: {m: a}, ")], "parameters.x: HyperDrive has no parameters on a condition"),
        ([("n: {", "fast: [true, false]\n  n: {")], "parameters.fast: HyperDrive gives it as --fast True"),
        ([("trials: 4", "trials: 1001")], "trials: HyperDrive has 1000 at most, not 1001: write 1000"),
        ([("step: 2", "step: 1"), ("high: 9", "high: 90000")], "89,998 values are more than HyperDrive can be told"),
    ],
)
def test_what_it_lacks_is_said_before_anything_starts(
    searcher: Searcher, changes: list[tuple[str, str]], line: str
) -> None:
    searcher.says(*changes)
    before = len(searcher.rehearsal.server.requests)
    assert line in searcher.error("search", "--on", "cpu-cluster", code=1)
    assert len(searcher.rehearsal.server.requests) == before


def test_what_is_missing_goes_on_from_the_earlier_search(searcher: Searcher) -> None:
    assert searcher.search("--trials", "2").code == 0
    done = searcher.search()
    assert done.code == 0, done.err
    first, second = searcher.parents
    wanted = json.loads(second["properties"]["resume_from"])
    assert [one["run_id"] for one in wanted] == [first["runId"]]
    assert [row["trial"] for row in searcher.rows()] == ["1", "2", "3", "4"]
    assert len({(row["x"], row["n"]) for row in searcher.rows()}) == 4
    assert [run["parentRunId"] for run in searcher.children].count(second["runId"]) == 2


def test_a_search_that_was_ended_goes_on(searcher: Searcher) -> None:
    """What was cut short with it is tried again; what has a result is not."""
    searcher.says(("n: {low", "how: [hang]\n  n: {low"))
    assert searcher.search("--detach").code == 0
    wait_for(lambda: sum(run["status"] == "Running" for run in searcher.children) == 2)
    searcher.out("search", "--on", "cpu-cluster", "--stop")
    wait_for(lambda: searcher.parents[0]["status"] == "Canceled")
    searcher.says()
    done = searcher.search()
    assert done.code == 0, done.err
    assert len([row for row in searcher.rows() if row["state"] == "complete"]) == 4


def test_what_it_found_is_registered_through_the_gate(searcher: Searcher) -> None:
    assert searcher.search("--trials", "2").code == 0
    rows = {row["trial"]: row for row in searcher.rows()}
    best, other = sorted(rows, key=lambda number: float(rows[number]["score"]), reverse=True)
    assert f"  | x is {rows[other]['x']}" in searcher.out("search", "--on", "cpu-cluster", "--show", other)
    assert searcher.error("register", "--require", "score>1", code=1).startswith("ERROR: not registered: score is ")
    searcher.out("register", "--require", "score>=0.1", "--tag", "stage=test")
    searcher.out("register", "--trial", other)
    [parent] = searcher.parents
    versions = sorted(searcher.rehearsal.state()["models"].values(), key=lambda model: int(model["version"]))
    for number, version in zip((best, other), versions, strict=True):
        tags = version["kvTags"]
        assert version["runId"] == f"{parent['runId']}_{int(number) - 1}"
        assert (tags["search"], tags["n"]) == (parent["runId"], rows[number]["n"])
        assert float(tags["x"]) == float(rows[number]["x"])
        assert searcher.rehearsal.artifact(version["runId"], "outputs/model/x.txt") == rows[number]["x"].encode()
    assert versions[0]["kvTags"]["stage"] == "test"
    assert len(searcher.runs) == 3, "a trial in the workspace is a run already"
