"""Pipelines of the first generation: by the real client, their steps really run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from callers import Caller, Client

from aml_rehearsal import Rehearsal

BUILD = f"""
from azureml.core.runconfig import RunConfiguration
from azureml.data import OutputFileDatasetConfig
from azureml.data.data_reference import DataReference
from azureml.pipeline.core import (Pipeline, PipelineData, PipelineEndpoint, PipelineParameter, PipelineRun,
    PublishedPipeline, Schedule, ScheduleRecurrence)
from azureml.pipeline.steps import PythonScriptStep
os.mkdir("src")
Path("src/copy.py").write_text('''
import os, shutil, sys
from pathlib import Path
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print("given", given)
if given.get("--fail") == "yes":
    sys.exit("no luck")
place = Path(given.get("--in", "nowhere"))
found = [place] if place.is_file() else sorted(place.rglob("*.csv"))
os.makedirs(given["--out"], exist_ok=True)
text = "".join(file.read_text() for file in found) + given.get("--say", "")
Path(given["--out"], "made.csv").write_text(text + os.environ.get("AML_PARAMETER_extra", ""))
''')
run_config = RunConfiguration()
run_config.environment.python.user_managed_dependencies = True
run_config.environment.python.interpreter_path = {sys.executable!r}
store = ws.get_default_datastore()
def step(name, arguments, **options):
    return PythonScriptStep("copy.py", name=name, source_directory="src", compute_target="cpu-cluster",
                            runconfig=run_config, arguments=arguments, **{{"allow_reuse": False}} | options)
def content(step_run, output):
    step_run.get_output_data(output).download(f"got-{{step_run.id}}")
    return [file.read_text() for file in Path(f"got-{{step_run.id}}").rglob("*") if file.is_file()]
experiment = Experiment(ws, "pipelines")
"""


def test_steps_hand_on_what_they_make(rehearsal: Rehearsal, client: Client) -> None:
    answer = client(
        BUILD
        + """
say = PipelineParameter("say", default_value="from the default")
first, second = PipelineData("first", datastore=store), OutputFileDatasetConfig("second", (store, "kept/{run-id}"))
numbers = Dataset.get_by_name(ws, "numbers").as_named_input("numbers")
one = step("one", ["--in", numbers.as_mount(), "--out", first, "--say", say], outputs=[first])
two = step("two", ["--in", first, "--out", second.register_on_complete("made-by-two")], inputs=[first])
third = PipelineData("third", datastore=store)
three = step("three", ["--in", second.as_input("read"), "--out", third, "--say", "!"], outputs=[third])
pipeline = Pipeline(ws, [three])
answer["errors"] = pipeline.validate()
run = experiment.submit(pipeline, pipeline_parameters={"say": "hello"})
answer["status"] = run.wait_for_completion(show_output=True)
answer["details"] = run.get_details()["properties"]
steps = {child.name: child for child in run.get_steps()}
answer["steps"] = {name: child.get_status() for name, child in steps.items()}
answer["first"], answer["second"] = content(steps["one"], "first"), content(steps["two"], "second")
answer["third"] = content(steps["three"], "third")
answer["outputs"] = {name: sorted(child.get_outputs()) for name, child in steps.items()}
answer["registered"] = Dataset.get_by_name(ws, "made-by-two").version
answer["graph"] = sorted(node.name for node in run.get_graph().nodes)
answer["run"] = run.id
"""
    )
    assert answer["errors"] == []
    assert answer["status"] == "Finished"
    assert answer["details"]["azureml.parameters"] == '{"say": "hello"}'
    assert answer["steps"] == {"one": "Finished", "two": "Finished", "three": "Finished"}
    made = "x\n1\nx\n2\nhello"
    assert (answer["first"], answer["second"]) == ([made], [made])
    assert answer["third"] == [f"{made}!"]
    assert answer["outputs"] == {"one": ["first"], "two": ["second"], "three": ["third"]}
    assert answer["registered"] == 1
    assert answer["graph"] == ["numbers", "one", "three", "two"]
    runs = rehearsal.state()["runs"]
    assert runs[answer["run"]]["status"] == "Completed"
    assert {run["runType"] for run in runs.values() if run["rootRunId"] == answer["run"]} == {
        "azureml.PipelineRun",
        "azureml.StepRun",
    }


@pytest.mark.full
def test_a_step_that_ran_before_is_reused(client: Client) -> None:
    """With the same files and the same parameters; what reads from it reads what it made then."""
    answer = client(
        BUILD
        + """
say, made = PipelineParameter("say", default_value="a"), PipelineData("made", datastore=store)
one = step("one", ["--out", made, "--say", say], outputs=[made], allow_reuse=True)
two = step("two", ["--in", made, "--out", "outputs"], inputs=[made])
pipeline = Pipeline(ws, [two])
seen = []
for parameter, regenerate in (("a", False), ("a", False), ("b", False), ("a", True)):
    run = experiment.submit(pipeline, pipeline_parameters={"say": parameter}, regenerate_outputs=regenerate)
    run.wait_for_completion(show_output=False)
    steps = {child.name: child for child in run.get_steps()}
    reused = steps["one"].get_details()["properties"].get("azureml.reusedrunid")
    seen.append(steps["one"].id)
    answer.setdefault("seen", []).append([steps["one"].get_status(), seen.index(reused) if reused else None,
                                          content(steps["one"], "made"), steps["two"].get_status()])
"""
    )
    assert answer["seen"] == [
        ["Finished", None, ["a"], "Finished"],
        ["Finished", 0, ["a"], "Finished"],
        ["Finished", None, ["b"], "Finished"],
        ["Finished", None, ["a"], "Finished"],
    ]


@pytest.mark.full
def test_published_pipelines(client: Client) -> None:
    answer = client(
        BUILD
        + """
import requests
say, out = PipelineParameter("say", default_value="default"), PipelineData("out", datastore=store)
def published(text):
    one = step("one", ["--out", out, "--say", say, "--text", text], outputs=[out])
    return Pipeline(ws, [one]).publish(f"published {text}", "what it does", version="1")
first, second = published("a"), published("b")
def done(run):
    return [run.wait_for_completion(show_output=False), *content(run.find_step_run("one")[0], "out")]
known = PublishedPipeline.get(ws, first.id)
answer["known"] = [known.name, known.status, known.total_run_steps]
answer["submitted"] = done(known.submit(ws, "pipelines", pipeline_parameters={"say": "client"}))
headers = login.get_authentication_header()
def by_rest(**body):
    return requests.post(first.endpoint, headers=headers, json=body)
told = by_rest(ExperimentName="pipelines", ParameterAssignments={"say": "rest"})
answer["rest"] = done(PipelineRun(experiment, told.json()["Id"]))
answer["wrong"] = [by_rest(ExperimentName="pipelines", ParameterAssignments={"none": "1"}).json()["error"]["message"],
                   by_rest().status_code]
endpoint = PipelineEndpoint.publish(ws, "endpoint", "of two", first)
endpoint.add_default(second)
endpoint = PipelineEndpoint.get(ws, name="endpoint")
answer["endpoint"] = [endpoint.default_version, sorted(one.name for one in endpoint.list_pipelines())]
answer["by endpoint"] = done(endpoint.submit("pipelines", pipeline_parameters={"say": "endpoint"}))
schedule = Schedule.create(ws, "daily", first.id, "pipelines", recurrence=ScheduleRecurrence("Day", 1))
answer["schedules"] = [[one.name, one.status, one.recurrence.frequency] for one in Schedule.list(ws)]
schedule.disable()
answer["disabled"] = [Schedule.get(ws, schedule.id).status, Schedule.list(ws)]
first.disable()
answer["listed"] = [one.name for one in PublishedPipeline.list(ws)]
answer["refused"] = by_rest(ExperimentName="pipelines").json()["error"]["message"]
"""
    )
    assert answer["known"] == ["published a", "Active", 1]
    assert answer["submitted"] == ["Finished", "client"]
    assert answer["rest"] == ["Finished", "rest"]
    assert answer["wrong"] == ["The pipeline has no parameter none.", 400]
    assert answer["endpoint"] == ["1", ["published a", "published b"]]
    assert answer["by endpoint"] == ["Finished", "endpoint"]
    assert answer["schedules"] == [["daily", "Active", "Day"]]
    assert answer["disabled"] == ["Disabled", []]
    assert answer["listed"] == ["published b"]
    assert "disabled" in answer["refused"]


@pytest.mark.full
def test_steps_that_fail_and_runs_that_are_cancelled(client: Client) -> None:
    answer = client(
        BUILD
        + """
def result(run):
    try:
        ended = run.wait_for_completion(show_output=False)
    except Exception as error:
        ended = str(error)
    nodes = run._pipeline_run_provider.get_node_statuses(run.id).values()
    return [ended, {child.name: child.get_status() for child in run.get_steps()},
            sorted(node.status_code for node in nodes)]
out = [PipelineData(f"out{number}", datastore=store) for number in range(3)]
fails = step("fails", ["--fail", "yes"])
after = step("after", ["--out", "outputs"])
after.run_after(fails)
late = step("late", ["--out", out[0]], outputs=[out[0]])
later = step("later", ["--in", out[0], "--out", "outputs"], inputs=[out[0]])
pipeline = Pipeline(ws, [fails, after, late, later])
answer["stops"] = result(experiment.submit(Pipeline(ws, [fails, after])))
answer["goes on"] = result(experiment.submit(pipeline, continue_on_step_failure=True))
Path("src/copy.py").write_text("import time; time.sleep(300)")
run = experiment.submit(Pipeline(ws, [step("waits", ["1"])]))
while not list(run.get_steps()):
    pass
run.cancel()
answer["cancelled"] = result(run)
"""
    )
    said, steps, nodes = answer["stops"]
    assert "Pipeline has some failed steps." in said
    assert (steps, nodes) == ({"fails": "Failed"}, ["Failed", "NotStarted"])
    said, steps, nodes = answer["goes on"]
    assert "Pipeline has some failed steps." in said
    assert steps == {"fails": "Failed", "late": "Finished", "later": "Finished"}
    assert nodes == ["Failed", "Finished", "Finished", "NotStarted"]
    assert answer["cancelled"] == ["Canceled", {"waits": "Canceled"}, ["Canceled"]]


HYPERDRIVE = """
sampling: {type: random, parameter_space: [{name: --lr, expression: uniform, values: [0.01, 0.1]}]}
policy: {type: BanditPolicy, slack_factor: 0.1, evaluation_interval: 1, delay_evaluation: 0}
primary_metric_name: acc
primary_metric_goal: MAXIMIZE
max_total_runs: 2
max_concurrent_runs: 2
max_duration_minutes: 30
"""
RUNCONFIG = f"""
framework: Python
communicator: None
nodeCount: 1
environment:
  python: {{userManagedDependencies: true, interpreterPath: {sys.executable}}}
  docker: {{enabled: false}}
"""
STEPS = """
pipeline:
  description: tiny
  default_compute: cpu-cluster
  parameters: {lr: {type: string, default: "0.1"}} # azml hands on texts only
  data_references: {mydata: {datastore: workspaceblobstore, path_on_datastore: for-azml}}
  steps:
    prepare:
      type: PythonScriptStep
      name: prepare
      source_directory: src
      runconfig: runconfig.yml
      script_name: copy.py
      allow_reuse: false
      arguments: [--in, input:x, --out, output:result]
      inputs: {x: {source: mydata, bind_mode: mount}}
      outputs: {result: {destination: out, datastore: workspaceblobstore, bind_mode: mount}}
    train:
      type: PythonScriptStep
      name: train
      source_directory: src
      runconfig: runconfig.yml
      script_name: copy.py
      allow_reuse: false
      parameters: {lr: {source: lr}}
      arguments: [--say, parameter:lr, --in, input:y, --out, outputs]
      inputs: {y: {source: out, bind_mode: mount}}
"""


@pytest.mark.full
def test_by_the_command_line(rehearsal: Rehearsal, client: Client, client_python: Path, tmp_path: Path) -> None:
    """azml's own files, in a folder that is attached to the workspace."""
    rehearsal.workspace.blobs.write("azureml-blobstore", "for-azml/a.csv", b"data ")
    names = rehearsal.workspace.names
    (tmp_path / "src").mkdir()
    script = BUILD.partition("write_text('''")[2].partition("'''")[0]
    for name, text in {
        "src/copy.py": script,
        "src/empty.py": "",
        "src/hyperdrive.yml": HYPERDRIVE,
        "src/train.runconfig": f"script: empty.py\ntarget: cpu-cluster\n{RUNCONFIG}",
        "runconfig.yml": RUNCONFIG,
        "pipeline.yml": STEPS,
    }.items():
        (tmp_path / name).write_text(text)

    def azml(*words: str) -> None:
        command = [str(client_python.parent / "azml"), *words]
        own = rehearsal.environment()
        done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=200)
        # From Python 3.10 on, azml can't print what it has done.
        assert done.returncode == 0 or "cannot import name 'Iterator'" in done.stderr, done.stderr[-2000:]

    place = ["-w", names.workspace_name, "-g", names.resource_group, "--subscription-id", names.subscription_id]
    azml("folder", "attach", *place, "-e", "by-azml")
    azml("run", "submit-pipeline", "-y", "pipeline.yml", "-n", "by-azml", "-p", "lr=0.5")
    search = ["--hyperdrive-configuration-name", "src/hyperdrive.yml", "-c", "train", "--path", "src"]
    azml("run", "submit-hyperdrive", *search, "-e", "by-azml")
    experiment = rehearsal.state()["experiments"]["by-azml"]["experimentId"]
    own = {name: run for name, run in rehearsal.state()["runs"].items() if run["experimentId"] == experiment}
    caller = Caller(rehearsal)
    for kind, children in (("azureml.PipelineRun", ["prepare", "train"]), ("hyperdrive", [None, None])):
        parent = caller.wait(next(name for name, run in own.items() if run["runType"] == kind))
        assert parent["status"] == "Completed", parent["error"]
        made = [run for run in rehearsal.state()["runs"].values() if run["parentRunId"] == parent["runId"]]
        assert [run["name"] for run in made] == children
    runs = rehearsal.state()["runs"].items()
    train = next(name for name, run in runs if (run["name"], run["experimentId"]) == ("train", experiment))
    assert b"'--say': '0.5'" in rehearsal.artifact(train, "user_logs/std_log.txt")
