"""Components and pipeline jobs of the second generation, as its client makes, submits, follows and collects them."""

from __future__ import annotations

from typing import Any

import pytest
from callers import Caller, Client

from aml_rehearsal import Rehearsal

SETUP = """
Path("conda.yml").write_text("dependencies: [python=3.11]")
Path("src").mkdir(); Path("data").mkdir(); Path("data/a.csv").write_text("1")
Path("src/prepare.py").write_text('''
import os, sys
from pathlib import Path
data, rate, out, *words = sys.argv[1:]
Path(out, "rows.txt").write_text(f"{rate} {words} {sorted(os.listdir(data))}")
''')
Path("src/train.py").write_text('''
import json, os, sys, urllib.request
from pathlib import Path
rows, rate, out = sys.argv[1:]
address = os.environ["MLFLOW_TRACKING_URI"].replace("azureml://", "https://") + "/api/2.0/mlflow/runs/log-metric"
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], "key": "loss", "value": float(rate)}).encode()
urllib.request.urlopen(urllib.request.Request(address, body, headers))
Path(out, "model.txt").write_text(f"{rate} of " + Path(rows, "rows.txt").read_text() + os.environ.get("LEVEL", ""))
''')
ENVIRONMENT = "environment: {image: mcr.microsoft.com/azureml/base, conda_file: conda.yml}"
Path("prepare.yml").write_text('''
type: command
name: prepare
version: "1"
display_name: Prepare
description: rows
inputs:
  data: {type: uri_folder}
  rate: {type: number, default: 0.5, min: 0, max: 1}
  words: {type: string, optional: true}
outputs: {rows: {type: uri_folder}}
code: ./src
command: >-
  python prepare.py ${{inputs.data}} ${{inputs.rate}} ${{outputs.rows}} $[[${{inputs.words}}]]
''' + ENVIRONMENT)
Path("train.yml").write_text('''
type: command
name: train
version: "1"
inputs: {rows: {type: uri_folder}, rate: {type: number}}
outputs: {model: {type: uri_folder}}
code: ./src
command: python train.py ${{inputs.rows}} ${{inputs.rate}} ${{outputs.model}}
''' + ENVIRONMENT)
Path("pipeline.yml").write_text('''
type: pipeline
experiment_name: pipelines
display_name: both
inputs: {data: {type: uri_folder, path: ./data}, rate: 0.25}
outputs: {model: {type: uri_folder}, best: {type: uri_folder}}
settings: {default_compute: azureml:cpu-cluster}
jobs:
  train:
    type: command
    component: ./train.yml
    inputs: {rows: "${{parent.jobs.prepare.outputs.rows}}", rate: "${{parent.inputs.rate}}"}
    outputs: {model: "${{parent.outputs.model}}"}
    environment_variables: {LEVEL: " 3"}
  prepare:
    type: command
    component: ./prepare.yml
    inputs: {data: "${{parent.inputs.data}}"}
  search:
    type: sweep
    trial: ./train.yml
    inputs: {rows: "${{parent.jobs.prepare.outputs.rows}}"}
    outputs: {model: "${{parent.outputs.best}}"}
    search_space: {rate: {type: choice, values: [0.75, 0.125]}}
    sampling_algorithm: grid
    objective: {goal: minimize, primary_metric: loss}
    limits: {max_total_trials: 2, max_concurrent_trials: 2}
''')
def steps(name):
    return {one.display_name: one for one in ml.jobs.list(parent_job_name=name)}
"""


def test_components_have_versions(ml_client: Client) -> None:
    answer = ml_client(f"""{SETUP}
made = ml.components.create_or_update(load_component("prepare.yml"))
answer["made"] = made.name, made.version, made.display_name, sorted(made.inputs), made.description
again = ml.components.create_or_update(load_component("prepare.yml"))
answer["again"] = again.version
Path("other.yml").write_text(Path("prepare.yml").read_text().replace("prepare.py", "train.py"))
answer["other"] = refused(ml.components.create_or_update, load_component("other.yml"))
ml.components.create_or_update(load_component("other.yml"), version="2")
answer["latest"] = ml.components.get("prepare", label="latest").version
answer["first"] = ml.components.get("prepare", "1").command
answer["versions"] = [one.version for one in ml.components.list(name="prepare")]
answer["names"] = [one.name for one in ml.components.list()]
ml.components.archive("prepare", version="1")
answer["active"] = [one.version for one in ml.components.list(name="prepare")]
ml.components.restore("prepare", version="1")
answer["missing"] = refused(ml.components.get, "prepare", "7")[:2]
""")
    assert answer["made"] == ["prepare", "1", "Prepare", ["data", "rate", "words"], "rows"]
    assert answer["again"] == "1"
    assert answer["other"][:2] == [400, "UserError"]
    assert "a version 1 with other content" in answer["other"][2]
    assert answer["latest"] == "2"
    assert "prepare.py" in answer["first"]
    assert answer["versions"] == ["2", "1"]
    assert answer["names"].count("prepare") == 1
    assert "azureml_anonymous" not in answer["names"]
    assert answer["active"] == ["2"]
    assert answer["missing"] == [404, "UserError"]


def test_a_pipeline_file_is_run_streamed_and_downloaded(
    rehearsal: Rehearsal, ml_client: Client, caller: Caller
) -> None:
    answer = ml_client(f"""{SETUP}
made = ml.jobs.create_or_update(load_job("pipeline.yml"))
answer["id"], answer["made"] = made.name, [made.type, made.display_name, made.experiment_name]
answer["log"] = streamed(made.name)
job = ml.jobs.get(made.name)
answer["job"] = [job.status, sorted(job.jobs), job.settings.default_compute, str(job.inputs["rate"]._data)]
answer["steps"] = {{name: [one.name, one.status] for name, one in steps(made.name).items()}}
ml.jobs.download(made.name, download_path="down", output_name="model")
answer["model"] = Path("down/named-outputs/model/model.txt").read_text()
answer["best"] = job.outputs["best"].path
second = ml.jobs.create_or_update(load_job("pipeline.yml"))
streamed(second.name)
answer["second"] = {{name: one.name for name, one in steps(second.name).items()}}
answer["same"] = ml.jobs.get(second.name).outputs["model"].path == job.outputs["model"].path
forced = load_job("pipeline.yml")
forced.settings.force_rerun = True
third = ml.jobs.create_or_update(forced)
answer["third"] = wait(third.name).status
answer["anew"] = {{name: one.name for name, one in steps(third.name).items()}}
ml.jobs.archive(made.name)
answer["archived"] = made.name in [one.name for one in ml.jobs.list()]
""")
    runs = rehearsal.state()["runs"]
    assert answer["made"] == ["pipeline", "both", "pipelines"]
    assert runs[answer["id"]]["status"] == "Completed", runs[answer["id"]]["error"]
    assert answer["job"] == ["Completed", ["prepare", "search", "train"], "cpu-cluster", "0.25"]
    assert {name: status for name, (_, status) in answer["steps"].items()} == dict.fromkeys(
        ("prepare", "search", "train"), "Completed"
    )
    assert answer["model"] == "0.25 of 0.5 [] ['a.csv'] 3"
    best = rehearsal.workspace.blobs.read("azureml-blobstore", answer["best"].partition("/paths/")[2] + "/model.txt")
    assert best == b"0.125 of 0.5 [] ['a.csv']"
    assert "The pipeline run is Completed." in answer["log"]
    reused = [runs[run]["properties"].get("azureml.reusedrunid") for run in answer["second"].values()]
    assert sorted(reused) == sorted(run for run, _ in answer["steps"].values())
    assert answer["same"]
    assert answer["third"] == "Completed"
    assert not any("azureml.isreused" in runs[run]["properties"] for run in answer["anew"].values())
    assert not answer["archived"]
    status, seen = caller.ask("GET", f"/pipelines/v1.0SCOPE/PipelineRuns/{answer['id']}")  # as the older client does
    assert (status, seen["Status"]["StatusCode"]) == (200, "Finished")
    assert (seen["RunHistoryExperimentName"], seen["ParameterAssignments"]) == ("pipelines", {"rate": "0.25"})
    search = answer["steps"]["search"][0]
    assert {run["rootRunId"] for run in runs.values() if run["parentRunId"] == search} == {answer["id"]}


def test_pipelines_within_pipelines(rehearsal: Rehearsal, ml_client: Client) -> None:
    """A step that is a pipeline itself, whose output the next one reads; a step that fails ends all."""
    answer = ml_client(f"""{SETUP}
Path("inner.yml").write_text('''
type: pipeline
name: inner
version: "1"
inputs: {{data: {{type: uri_folder}}, rate: {{type: number, default: 0.125}}}}
outputs: {{rows: {{type: uri_folder}}}}
jobs:
  one:
    type: command
    component: ./prepare.yml
    inputs: {{data: "${{{{parent.inputs.data}}}}", rate: "${{{{parent.inputs.rate}}}}", words: hello}}
    outputs: {{rows: "${{{{parent.outputs.rows}}}}"}}
''')
Path("outer.yml").write_text('''
type: pipeline
inputs: {{data: {{type: uri_folder, path: ./data}}}}
outputs: {{model: {{type: uri_folder, path: "azureml://datastores/workspaceblobstore/paths/made/${{{{name}}}}/"}}}}
settings: {{default_compute: azureml:cpu-cluster, continue_on_step_failure: true}}
jobs:
  inner:
    type: pipeline
    component: ./inner.yml
    inputs: {{data: "${{{{parent.inputs.data}}}}"}}
  train:
    type: command
    component: ./train.yml
    inputs: {{rows: "${{{{parent.jobs.inner.outputs.rows}}}}", rate: 1}}
    outputs: {{model: "${{{{parent.outputs.model}}}}"}}
  failing:
    type: command
    component: ./train.yml
    inputs: {{rows: "${{{{parent.inputs.data}}}}", rate: 1}}
  never:
    type: command
    component: ./train.yml
    inputs: {{rows: "${{{{parent.jobs.failing.outputs.model}}}}", rate: 1}}
''')
made = ml.jobs.create_or_update(load_job("outer.yml"))
answer["id"], answer["status"] = made.name, wait(made.name).status
answer["steps"] = {{name: [one.name, one.status] for name, one in steps(made.name).items()}}
""")
    assert answer["status"] == "Failed"
    statuses = {name: status for name, (_, status) in answer["steps"].items()}
    assert statuses == {"inner": "Completed", "train": "Completed", "failing": "Failed"}
    made = rehearsal.workspace.blobs.read("azureml-blobstore", f"made/{answer['id']}/model.txt")
    assert made == b"1 of 0.125 ['hello'] ['a.csv']"


def test_a_pipeline_is_canceled_with_its_steps(ml_client: Client) -> None:
    answer = ml_client(f"""{SETUP}
Path("src/prepare.py").write_text("import time; time.sleep(600)")
made = ml.jobs.create_or_update(load_job("pipeline.yml"))
import time
while "Running" not in [one.status for one in steps(made.name).values()]:
    time.sleep(0.1)
ml.jobs.begin_cancel(made.name).result()
answer["statuses"] = {{name: one.status for name, one in steps(made.name).items()}}
answer["status"] = ml.jobs.get(made.name).status
""")
    assert (answer["status"], answer["statuses"]) == ("Canceled", {"prepare": "Canceled"})


SPEC = {
    "type": "command",
    "command": "echo ${{inputs.a}} ${{inputs.n}}",
    "environment": "azureml:AzureML-Minimal@latest",
    "inputs": {"a": {"type": "uri_folder"}, "n": {"type": "integer", "default": "1", "min": "0", "max": "9"}},
    "outputs": {"out": {"type": "uri_folder"}},
}
INPUT = {"job_input_type": "uri_folder", "uri": "azureml://datastores/workspaceblobstore/paths/x"}


def literal(text: str) -> dict[str, str]:
    return {"job_input_type": "literal", "value": text}


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({}, "the input a is required"),
        ({"inputs": {"b": INPUT, "a": INPUT}}, "no input b"),
        ({"inputs": {"a": INPUT, "n": literal("10")}}, "at most 9"),
        ({"inputs": {"a": INPUT, "n": literal("1.5")}}, "of the type integer"),
        ({"inputs": {"a": literal("${{parent.inputs.none}}")}}, "no input none"),
        ({"inputs": {"a": literal("${{parent.jobs.none.outputs.out}}")}}, "no step none"),
        ({"inputs": {"a": literal("${{parent.jobs.one.outputs.none}}")}}, "the step one has no output none"),
        ({"inputs": {"a": literal("${{parent.jobs.one.outputs.out}}")}}, "one wait for each other"),
        ({"inputs": {"a": INPUT}, "outputs": {"none": {}}}, "no output none"),
        ({"inputs": {"a": INPUT}, "outputs": {"out": literal("${{parent.outputs.none}}")}}, "no output none"),
        ({"inputs": {"a": INPUT}, "computeId": "x/computes/none"}, "Unknown compute target 'none'"),
        ({"inputs": {"a": INPUT}, "componentId": "azureml:none:1"}, "components/none"),
        ({"componentId": None}, "names no component"),
    ],
)
def test_what_azure_refuses_of_a_pipeline_is_refused(caller: Caller, step: dict[str, Any], told: str) -> None:
    path = "SCOPE/components/refusals/versions/1"
    assert caller.arm("PUT", path, {"properties": {"componentSpec": SPEC}})[0] in {200, 201}
    step = {"type": "command", "componentId": "azureml:refusals:1"} | step
    wish = {"jobType": "Pipeline", "jobs": {"one": step}, "settings": {"default_compute": "x/computes/cpu-cluster"}}
    status, answer = caller.arm("PUT", "SCOPE/jobs/refused-pipeline", {"properties": wish})
    assert status in {400, 404}
    assert told in answer["error"]["message"]
    assert caller.arm("GET", "SCOPE/jobs/refused-pipeline")[0] == 404


def test_what_is_not_played_of_a_pipeline_is_named(caller: Caller) -> None:
    wish = {"jobType": "Pipeline", "jobs": {"one": {"type": "spark"}}}
    status, answer = caller.arm("PUT", "SCOPE/jobs/not-played", {"properties": wish})
    assert (status, "steps of the type spark: one" in answer["error"]["message"]) == (501, True)
