"""Searches for hyperparameters: by the real client, and what the plans of a search come to."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from callers import Caller, Client, configuration

from aml_rehearsal import Rehearsal
from aml_rehearsal.addresses import API_HOST
from aml_rehearsal.sampling import Sampler
from aml_rehearsal.services import searches
from aml_rehearsal.stopping import Policy

# No azureml in the script: it tells by MLflow's protocol what it has, and starts at once.
TRAIN = """
import json, os, sys, time, urllib.request
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
address = os.environ["MLFLOW_TRACKING_URI"].replace("azureml://", "https://") + "/api/2.0/mlflow/runs/log-metric"
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
for value in given["--lr"].split(","):
    body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], "key": "acc", "value": float(value)}).encode()
    urllib.request.urlopen(urllib.request.Request(address, body, headers))
time.sleep(float(given.get("--wait", 0)))
"""
SEARCH = f"""
from azureml.train.hyperdrive import (BanditPolicy, GridParameterSampling, HyperDriveConfig, PrimaryMetricGoal, choice)
os.mkdir("src")
Path("src/train.py").write_text({TRAIN!r})
def config(sampling, **options):
    run = RunConfiguration()
    run.target, run.environment.python.user_managed_dependencies = "cpu-cluster", True
    run.environment.python.interpreter_path = {sys.executable!r}
    script = ScriptRunConfig("src", "train.py", ["--first", "1"], run_config=run)
    return HyperDriveConfig(run_config=script, hyperparameter_sampling=sampling, **{{"primary_metric_name": "acc",
        "primary_metric_goal": PrimaryMetricGoal.MAXIMIZE, "max_total_runs": 3, "max_concurrent_runs": 2}} | options)
experiment = Experiment(ws, "searches")
"""


def test_a_search_by_the_client(rehearsal: Rehearsal, client: Client) -> None:
    answer = client(
        SEARCH
        + """
space = {"--lr": choice(0.1, 0.3, 0.2), "n": choice(7)}
policy = BanditPolicy(slack_factor=0.1, evaluation_interval=2)
run = experiment.submit(config(GridParameterSampling(space), policy=policy))
run.wait_for_completion(show_output=True)
best = run.get_best_run_by_primary_metric()
details = run.get_details()
again = ws.get_run(run.id)
answer = {
    "id": run.id, "status": run.get_status(), "best": best.id,
    "arguments": best.get_details()["runDefinition"]["arguments"],
    "metrics": run.get_metrics(), "children": sorted(child.id for child in run.get_children()),
    "parents": [child.parent.id for child in run.get_children()], "hyperparameters": again.get_hyperparameters(),
    "sorted": [child["best_primary_metric"] for child in run.get_children_sorted_by_primary_metric()],
    "properties": details["properties"], "logs": list(details["logFiles"]),
    "again": [type(again).__name__, again.hyperdrive_config._max_total_runs, again.get_best_run_by_primary_metric().id],
    "space": again.hyperdrive_config._generator_config["parameter_space"],
}
try:
    experiment.submit(config(GridParameterSampling({})))
except Exception as error:
    answer["refused"] = str(error)
"""
    )
    one = answer["id"]
    assert one.startswith("HD_")
    assert (answer["status"], answer["best"]) == ("Completed", f"{one}_1")
    assert answer["arguments"] == ["--first", "1", "--lr", "0.3", "--n", "7"]
    assert {run: values["acc"] for run, values in answer["metrics"].items()} == {
        f"{one}_0": 0.1,
        f"{one}_1": 0.3,
        f"{one}_2": 0.2,
    }
    assert answer["children"] == [f"{one}_{number}" for number in range(3)]
    assert answer["parents"] == [one] * 3
    assert json.loads(answer["hyperparameters"][f"{one}_2"]) == {"--lr": 0.2, "n": 7}
    assert answer["sorted"] == [0.3, 0.2, 0.1]
    assert (answer["properties"]["score"], answer["properties"]["best_child_run_id"]) == ("0.3", f"{one}_1")
    assert answer["properties"]["space_size"] == "3"
    assert answer["logs"] == ["azureml-logs/hyperdrive.txt"]
    assert "The hyperparameter space is empty." in answer["refused"]
    assert answer["again"] == ["HyperDriveRun", 3, f"{one}_1"]
    assert answer["space"] == {"--lr": ["choice", [[0.1, 0.3, 0.2]]], "n": ["choice", [[7]]]}
    assert rehearsal.state()["runs"][f"{one}_0"]["rootRunId"] == one


def test_what_a_search_can_be_over_and_go_on_from(rehearsal: Rehearsal, client: Client) -> None:
    """A command; a pipeline; earlier searches, whose results count, and runs of them, which go on where they were."""
    answer = client(
        SEARCH
        + """
from azureml.pipeline.core import Pipeline, PipelineParameter
from azureml.pipeline.steps import PythonScriptStep
Path("src/train.py").write_text(Path("src/train.py").read_text() + '''
from pathlib import Path
if "--resume-from" in given:
    print("resumed", Path(given["--resume-from"], "kept.txt").read_text())
Path("outputs", "kept.txt").write_text("state of " + given["--lr"])
''')
def done(settings, **options):
    run = experiment.submit(settings, **options)
    try:
        run.wait_for_completion(show_output=False)
    except Exception as error:
        print(error)
    return run
def log_of(run):
    return Path(run.download_file("user_logs/std_log.txt", "log.txt") or "log.txt").read_text()
by_command = config(GridParameterSampling({"--lr": choice(1, 2)}), custom_run_id="own-id")
by_command._run_config.command = ["python", "train.py", "--first", "1"]
by_command._run_config.script = by_command._run_config.arguments = None
first = done(by_command)
answer["command"] = [first.id, first.get_status(), first.get_best_run_by_primary_metric().id]
best = first.get_best_run_by_primary_metric()
second = done(config(GridParameterSampling({"--lr": choice(0.5)}), resume_from=first, resume_child_runs=best))
answer["again"] = second.get_status()
answer["points"] = {run[len(second.id):]: text for run, text in second.get_hyperparameters().items()}
answer["log"] = log_of(next(run for run in second.get_children() if run.id.endswith("_0")))
third = done(config(GridParameterSampling({"--lr": choice(0.5)}), resume_from=first))
answer["inherited"] = [third.get_best_run_by_primary_metric().id,
                       third.get_best_run_by_primary_metric(include_resume_from_runs=False).id[len(third.id):]]
lr = PipelineParameter("lr", default_value="0")
os.mkdir("step")
Path("step/step.py").write_text('''
import sys
from azureml.core import Run
parent = Run.get_context().parent
parent.log("acc", float(sys.argv[1]))
parent.flush()
''')
own = RunConfiguration()
own.environment.python.user_managed_dependencies, own.environment.python.interpreter_path = True, sys.executable
one = PythonScriptStep("step.py", arguments=[lr], source_directory="step", compute_target="cpu-cluster", runconfig=own)
over = HyperDriveConfig(
    pipeline=Pipeline(ws, [one]), hyperparameter_sampling=GridParameterSampling({"lr": choice(3, 4)}), max_total_runs=2,
    primary_metric_name="acc", primary_metric_goal=PrimaryMetricGoal.MINIMIZE)
run = done(over)
answer["pipeline"] = [run.get_status(), run.get_best_run_by_primary_metric().id[len(run.id):],
                      sorted(child.type for child in run.get_children())]
answer["values"] = {name[len(run.id):]: values for name, values in run.get_metrics().items()}
"""
    )
    assert answer["command"] == ["own-id", "Completed", "own-id_1"]
    assert answer["again"] == "Completed"
    assert answer["points"] == {"_0": '{"--lr": 2}', "_1": '{"--lr": 0.5}'}
    assert answer["log"] == "resumed state of 2\n"
    assert answer["inherited"] == ["own-id_1", "_0"]
    assert answer["pipeline"] == ["Completed", "_0", ["azureml.PipelineRun"] * 2]
    assert answer["values"] == {"_0": {"acc": 3.0}, "_1": {"acc": 4.0}}
    assert rehearsal.state()["runs"]["own-id_0"]["runDefinition"]["command"] == "python train.py --first 1 --lr 1"


def wish(snapshot: str, **changes: Any) -> dict[str, Any]:
    """What the client sends, as far as the service reads it."""
    overrides = configuration(arguments=changes.pop("arguments", []), target=changes.pop("target", "cpu-cluster"))
    return {
        "name": "searches",
        "platform": "AML",
        "generator_config": {"name": "GRID", "parameter_space": {"--lr": ["choice", [["1", "3", "2"]]]}},
        "policy_config": {"name": "Default"},
        "primary_metric_config": {"name": "acc", "goal": "maximize"},
        "max_total_jobs": 10,
        "max_concurrent_jobs": 2,
        "max_duration_minutes": 60,
        "platform_config": {"Definition": {"Overrides": overrides, "SnapshotId": snapshot}},
    } | changes


def searched(caller: Caller, script: str = TRAIN, place: str = "runs", **changes: Any) -> tuple[int, Any]:
    """Submit a search; return the status and the parent's id, or what was said."""
    snapshot = caller.snapshot({"train.py": script.encode()})[1]["id"]
    text = json.dumps(wish(snapshot, **changes))
    head = 'Content-Disposition: form-data; name="config"; filename="config.json"'
    body = f"--border\r\n{head}\r\n\r\n{text}\r\n--border--\r\n".encode()
    headers = {"Authorization": f"Bearer {caller.token}", "Content-Type": "multipart/form-data; boundary=border"}
    path = f"https://{API_HOST}/hyperdrive/v1.0{caller.scope}/experiments/searches/{place}"
    status, answer = caller.send("POST", path, body, headers)
    return status, answer["result"]["platform_config"]["ParentRunId"] if status == 201 else answer


def statuses(rehearsal: Rehearsal, parent: str) -> list[str]:
    return [run["status"] for run in rehearsal.state()["runs"].values() if run["parentRunId"] == parent]


def test_a_policy_ends_what_lags_behind(rehearsal: Rehearsal, caller: Caller) -> None:
    """The second run would wait for ever; a delay keeps the first of its values from being judged."""
    script = TRAIN.replace('given.get("--wait", 0)', '300 * given["--lr"].startswith("4")')
    _, parent = searched(
        caller,
        script,
        max_concurrent_jobs=1,
        generator_config={"name": "GRID", "parameter_space": {"--lr": ["choice", [["5,9", "4,4", "1"]]]}},
        policy_config={"name": "Bandit", "properties": {"slack_amount": 1, "delay_evaluation": 2}},
    )
    assert caller.wait(parent)["status"] == "Completed"
    assert statuses(rehearsal, parent) == ["Completed", "Canceled", "Completed"]
    assert f"{parent}_1 is cancelled by the policy Bandit".encode() in rehearsal.artifact(parent, searches.LOG)
    row = rehearsal.state()["metrics"][parent][searches.BEST]["value"][-1]["data"]
    assert (row["run_id"], row["metric_value"], row["final"]) == (f"{parent}_0", 9.0, True)


def test_a_search_that_is_cancelled(rehearsal: Rehearsal, caller: Caller) -> None:
    _, parent = searched(caller, arguments=["--wait", "300"])
    caller.wait(f"{parent}_1", "Running")
    assert caller.ask("POST", f"/hyperdrive/v1.0SCOPE/experiments/searches/runs/{parent}/cancel")[1]["result"] == "ok"
    assert caller.wait(parent)["status"] == "Canceled"
    assert statuses(rehearsal, parent) == ["Canceled", "Canceled"]


@pytest.mark.parametrize(
    ("script", "most", "reason", "children"),
    [
        ("raise ValueError", 9, "The first 3 jobs have failed", ["Failed"] * 3),
        ("import sys\n'3' in sys.argv and sys.exit(1)", 2, "at least one of the child runs", ["Completed", "Failed"]),
        ("", 1, "", ["Completed"]),
    ],
)
def test_how_a_search_can_end(
    rehearsal: Rehearsal, caller: Caller, *, script: str, most: int, reason: str, children: list[str]
) -> None:
    """None of these logs the metric: there is no best run."""
    run = caller.wait(searched(caller, script, max_total_jobs=most)[1])
    assert run["status"] == ("Failed" if reason else "Completed")
    assert reason in str(run["error"])
    assert statuses(rehearsal, run["runId"]) == children
    assert run["properties"]["best_metric_status"] == "Failed"


def test_what_is_no_number_is_never_the_best(rehearsal: Rehearsal, caller: Caller) -> None:
    """Nor does it keep a policy from judging."""
    space = {"--lr": ["choice", [["nan,1,1", "2,2,2", "nan"]]]}
    policy = {"name": "MedianStopping", "properties": {}}
    run = caller.wait(
        searched(caller, generator_config={"name": "GRID", "parameter_space": space}, policy_config=policy)[1]
    )
    assert run["status"] == "Completed"
    assert (run["properties"]["best_child_run_id"], run["properties"]["score"]) == (f"{run['runId']}_1", "2.0")


def test_one_run_of_a_search_is_cancelled(rehearsal: Rehearsal, caller: Caller) -> None:
    """The others go on, and so does the search."""
    script = TRAIN.replace('given.get("--wait", 0)', '300 * (given["--lr"] == "3")')
    _, parent = searched(caller, script)
    caller.wait(f"{parent}_1", "Running")
    caller.ask("POST", f"/execution/v1.0SCOPE/experiments/searches/runId/{parent}_1/cancel")
    assert caller.wait(parent)["status"] == "Completed"
    assert statuses(rehearsal, parent) == ["Completed", "Canceled", "Completed"]


def test_a_search_has_its_time(rehearsal: Rehearsal, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "MINUTE", 2)
    run = caller.wait(searched(caller, arguments=["--wait", "300"], max_duration_minutes=1)[1])
    assert run["status"] == "Canceled"
    assert statuses(rehearsal, run["runId"]) == ["Canceled"] * 2
    assert b"longer than 1 minutes" in rehearsal.artifact(run["runId"], searches.LOG)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"generator_config": {"name": "GRID", "parameter_space": {}}}, 400, "space is empty"),
        ({"generator_config": {"name": "GRID", "parameter_space": {"x": ["uniform", [0, 1]]}}}, 400, "no 'uniform'"),
        ({"generator_config": {"name": "RANDOM", "parameter_space": {"x": ["uniform", [0]]}}}, 400, "can't be drawn"),
        ({"generator_config": {"name": "OTHER", "parameter_space": {"x": ["choice", [[1]]]}}}, 400, "sampling method"),
        ({"policy_config": {"name": "Other"}}, 400, "Unknown policy"),
        ({"primary_metric_config": {"name": "", "goal": "maximize"}}, 400, "primary metric"),
        ({"max_total_jobs": 1001}, 400, "max_total_jobs"),
        ({"target": "none"}, 400, "Unknown compute target"),
        ({"resume_from": [{"run_id": "none"}]}, 400, "There is no run none to go on from"),
    ],
)
def test_what_is_refused(caller: Caller, changes: dict[str, Any], status: int, reason: str) -> None:
    answered, said = searched(caller, **changes)
    assert answered == said["code"] == status
    assert reason in said["message"]


def test_an_id_of_the_callers_own(rehearsal: Rehearsal, caller: Caller) -> None:
    assert searched(caller, "", place="hdruns/mine", max_total_jobs=1) == (201, "mine")
    assert searched(caller, "", place="hdruns/mine")[0] == 409
    caller.wait("mine")
    assert statuses(rehearsal, "mine") == ["Completed"]


def points(method: str, space: dict[str, Any], count: int, value: Any = None) -> list[dict[str, Any]]:
    sampler = Sampler(method, space, "seed", maximize=True)
    found: list[dict[str, Any]] = []
    for _ in range(count):
        point = sampler.next([(known, value(known)) for known in found] if value else [])
        if point is None:
            break
        found.append(point)
    return found


def test_what_is_drawn() -> None:
    space = {
        "choice": ["choice", [["a", "b"]]],
        "randint": ["randint", [3]],
        "uniform": ["uniform", [2, 4]],
        "quniform": ["quniform", [1, 9, 2]],
        "loguniform": ["loguniform", [0, 1]],
        "normal": ["normal", [100, 1]],
        "qnormal": ["qnormal", [100, 1, 10]],
        "lognormal": ["lognormal", [0, 0]],
    }
    found = points("RANDOM", space, 50)
    assert len({json.dumps(point) for point in found}) == 50
    assert {point["choice"] for point in found} == {"a", "b"}
    assert {point["randint"] for point in found} == {0, 1, 2}
    assert all(2 <= point["uniform"] <= 4 and 1 <= point["loguniform"] <= 2.72 for point in found)
    assert {point["quniform"] for point in found} <= {0, 2, 4, 6, 8, 10}
    assert all(90 < point["normal"] < 110 and point["lognormal"] == 1 for point in found)
    assert {point["qnormal"] for point in found} == {100}
    assert points("RANDOM", space, 50) == found  # of the same seed


def test_no_point_is_tried_twice() -> None:
    space = {"a": ["choice", [[1, 2, 3]]], "b": ["randint", [2]]}
    assert len(points("RANDOM", space, 100)) == 6
    grid = points("GRID", {"a": ["choice", [[1, 2]]], "b": ["choice", [["x", "y"]]]}, 100)
    assert [tuple(point.values()) for point in grid] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_a_bayesian_search_goes_where_the_results_are_good() -> None:
    found = points("BayesianOptimization", {"x": ["uniform", [0, 1]]}, 40, lambda point: -abs(point["x"] - 0.8))
    assert sum(abs(point["x"] - 0.8) < 0.2 for point in found[20:]) > 12  # by chance alone, 8 of 20


THREE = {"a": [1.0], "b": [0.81], "c": [0.79]}


@pytest.mark.parametrize(
    ("name", "properties", "histories", "ended"),
    [
        ("Default", {}, {"a": [9.0], "b": [1.0]}, []),
        ("Bandit", {"slack_factor": 0.25}, THREE, ["c"]),
        ("Bandit", {"slack_amount": 0.2}, THREE, ["c"]),
        ("Bandit", {"slack_amount": 0.2, "delay_evaluation": 2}, THREE, []),
        ("Bandit", {"slack_amount": 0.2, "evaluation_interval": 2}, {"a": [2.0, 1.0], "b": [0.0, 2.0, 0.0]}, []),
        ("MedianStopping", {}, {"a": [1.0, 3.0], "b": [2.0, 2.0], "c": [1.0, 1.0]}, ["c"]),
        ("TruncationSelection", {"truncation_percentage": 50}, THREE, ["c"]),
        ("TruncationSelection", {"truncation_percentage": 20}, THREE, []),
    ],
)
def test_what_a_policy_ends(
    name: str, properties: dict[str, Any], histories: dict[str, list[float]], ended: list[str]
) -> None:
    policy = Policy({"name": name, "properties": properties}, maximize=True)
    assert policy.ended(histories, list(histories)) == ended
    assert policy.ended(histories, list(histories)) == []  # each interval is looked at once


def test_less_may_be_better() -> None:
    policy = Policy({"name": "Bandit", "properties": {"slack_factor": 0.25}}, maximize=False)
    assert policy.ended({"a": [1.0], "b": [1.24], "c": [1.26]}, ["a", "b", "c"]) == ["c"]
