"""Sweep jobs of the second generation, as its client submits, follows and collects them."""

from __future__ import annotations

import pytest
from callers import Caller, Client

from aml_rehearsal import Rehearsal

# The script tells by MLflow's protocol what it has, and starts at once.
SETUP = """
Path("conda.yml").write_text("dependencies: [python=3.11]")
Path("src").mkdir(); Path("data").mkdir(); Path("data/a.csv").write_text("1")
Path("src/train.py").write_text('''
import json, os, sys, urllib.request
from pathlib import Path
data, rate, depth, out = sys.argv[1:]
address = os.environ["MLFLOW_TRACKING_URI"].replace("azureml://", "https://") + "/api/2.0/mlflow/runs/log-metric"
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
value = float(rate) * int(depth)
body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], "key": "loss", "value": value}).encode()
urllib.request.urlopen(urllib.request.Request(address, body, headers))
Path(out, "model.txt").write_text(f"{rate} {depth} {os.listdir(data)}")
''')
SWEEP = '''
type: sweep
experiment_name: sweeps
trial:
  code: ./src
  command: >-
    python train.py ${{inputs.data}} ${{search_space.rate}} ${{search_space.depth}} ${{outputs.model}}
  environment: {image: mcr.microsoft.com/azureml/base, conda_file: conda.yml}
inputs: {data: {type: uri_folder, path: ./data}}
outputs: {model: {type: uri_folder}}
compute: azureml:cpu-cluster
search_space:
  rate: {type: choice, values: [0.5, 0.25]}
  depth: {type: choice, values: [2, 4]}
sampling_algorithm: grid
objective: {goal: minimize, primary_metric: loss}
limits: {max_total_trials: 3, max_concurrent_trials: 2, timeout: 7200, trial_timeout: 600}
early_termination: {type: median_stopping, delay_evaluation: 5, evaluation_interval: 2}
'''
Path("sweep.yml").write_text(SWEEP)
"""


def test_a_sweep_file_is_run_streamed_and_downloaded(rehearsal: Rehearsal, ml_client: Client) -> None:
    answer = ml_client(f"""{SETUP}
made = ml.jobs.create_or_update(load_job("sweep.yml"))
answer["id"], answer["made"] = made.name, [made.type, made.status]
answer["log"] = streamed(made.name)
job = ml.jobs.get(made.name)
answer["job"] = [job.status, job.objective.primary_metric, job.properties["best_child_run_id"], job.properties["score"]]
answer["trials"] = sorted(one.name for one in ml.jobs.list(parent_job_name=made.name))
trial = ml.jobs.get(made.name + "_0")
answer["trial"] = [trial.type, trial.status, trial.command]
ml.jobs.download(made.name, download_path="best", output_name="model")
answer["best"] = Path("best/named-outputs/model/model.txt").read_text()
ml.jobs.update(made.name, tags={{"seen": "yes"}})
answer["tag"] = ml.jobs.get(made.name).tags["seen"]
reader = load_job("sweep.yml")
Path("src/train.py").write_text("import sys; print(open(sys.argv[1] + '/model.txt').read())")
following = ml.jobs.create_or_update(command(
    code="src", command="python train.py ${{{{inputs.model}}}}", environment=reader.trial.environment,
    inputs={{"model": Input(type="uri_folder", path=f"azureml://jobs/{{made.name}}/outputs/model")}}))
answer["following"] = streamed(following.name)
""")
    name = answer["id"]
    assert answer["made"] == ["sweep", "Running"]
    assert answer["job"] == ["Completed", "loss", f"{name}_2", "0.5"]
    assert "All jobs are generated: 3." in answer["log"]
    assert answer["trials"] == [f"{name}_{number}" for number in range(3)]
    assert answer["trial"][:2] == ["command", "Completed"]
    assert answer["trial"][2] == "python train.py ${{inputs.data}} 0.5 2 ${{outputs.model}}"
    assert answer["best"] == "0.25 2 ['a.csv']"
    assert answer["tag"] == "yes"
    assert "0.25 2 ['a.csv']" in answer["following"]  # on serverless nodes: it names no compute
    state = rehearsal.state()
    assert state["runs"][f"{name}_1"]["rootRunId"] == name
    assert list(state["metrics"][f"{name}_1"]) == ["loss"]


def test_a_sweep_is_canceled_with_its_trials(rehearsal: Rehearsal, ml_client: Client) -> None:
    answer = ml_client(f"""{SETUP}
Path("src/train.py").write_text("import time; time.sleep(600)")
made = ml.jobs.create_or_update(load_job("sweep.yml"))
import time
while "Running" not in [one.status for one in ml.jobs.list(parent_job_name=made.name)]:
    time.sleep(0.1)
ml.jobs.begin_cancel(made.name).result()
answer["statuses"] = [ml.jobs.get(made.name).status, *(one.status for one in ml.jobs.list(parent_job_name=made.name))]
""")
    assert answer["statuses"] == ["Canceled"] * 3


PLAIN = {
    "jobType": "Sweep",
    "trial": {"command": "echo ${{search_space.a}}", "environmentId": "azureml:AzureML-Minimal@latest"},
    "computeId": "x/computes/cpu-cluster",
    "searchSpace": {"a": ["choice", [[1]]]},
    "samplingAlgorithm": {"samplingAlgorithmType": "Random"},
    "objective": {"goal": "minimize", "primaryMetric": "loss"},
    "limits": {"maxTotalTrials": 2, "maxConcurrentTrials": 1},
}
BAYESIAN = {"samplingAlgorithmType": "Bayesian"}


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"searchSpace": {}}, "${{search_space.a}} is no input"),
        ({"searchSpace": {"a": ["choice", [[]]]}}, "a: choice can't be drawn from [[]]"),
        ({"searchSpace": {"a": ["normal", [1, 2]]}, "samplingAlgorithm": BAYESIAN}, "has no 'normal'"),
        ({"samplingAlgorithm": {"samplingAlgorithmType": "Best"}}, "samplingAlgorithm: Random, Grid, Bayesian"),
        ({"earlyTermination": {"policyType": "Soon"}}, "earlyTermination: Bandit"),
        ({"objective": {"goal": "best", "primaryMetric": "loss"}}, "a goal, maximize or minimize"),
        ({"limits": {"maxTotalTrials": 2000}}, "max_total_jobs is from 1 to 1000"),
        ({"computeId": "x/computes/none"}, "Unknown compute target 'none'"),
        ({"inputs": {"a": {"jobInputType": "uri_file", "uri": "azureml:none:1"}}}, "data/none"),
    ],
)  # fmt: skip
def test_what_azure_refuses_of_a_sweep_is_refused(caller: Caller, wish: dict[str, object], told: str) -> None:
    status, answer = caller.arm("PUT", "SCOPE/jobs/refused-sweep", {"properties": PLAIN | wish})
    assert (status, told in answer["error"]["message"]) == (400, True), answer
    assert caller.arm("GET", "SCOPE/jobs/refused-sweep")[0] == 404
