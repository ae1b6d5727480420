"""The file of a sweep, in the loader of the client that submits it."""

import json
import subprocess
from pathlib import Path

import pytest

from search.cloud_search import project_of_search
from tests.aml import aml
from tests.owner import PythonWith

CLIENT = "azure-ai-ml==1.35.2"
LOAD = """
import json, sys
from azure.ai.ml import load_job
names = ("search_space", "objective", "limits", "early_termination", "sampling_algorithm")
sent = [load_job(file)._to_rest_object().properties for file in sys.argv[1:]]
print(json.dumps([{name: getattr(job, name) for name in names} | {"command": job.trial.command} for job in sent],
                 default=lambda model: model.as_dict() if hasattr(model, "as_dict") else vars(model)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project_of_search(tmp_path / "project")


def says(folder: Path, text: str) -> None:
    (folder / "models" / "quick" / "search.yml").write_text(text)


SPACE = """
metric: score
goal: minimize
trials: 40
parallel: 3
hours: 2
trial-minutes: 5
algorithm: random
stop: {policy: POLICY, after: 5}
parameters:
  reg-rate: {low: 1.0e-4, high: 10.0, log: true}
  units: {low: 2, high: 64, log: true}
  rate: {low: 0.0, high: 0.5}
  n: {low: 0, high: 9}
  step: {low: 0.1, high: 0.3, step: 0.1}
  solver: [lbfgs, saga]
"""


@pytest.mark.full
def test_the_clients_loader_takes_it(folder: Path, python_with: PythonWith) -> None:
    files = []
    for policy in ("median", "truncation", "bandit"):
        says(folder, SPACE.replace("POLICY", policy))
        done = aml(folder, "search", "--engine", "sweep", "--write", f"{policy}.yml")
        assert done.code == 0, done.err
        assert f"az ml job create -f {policy}.yml" in done.out
        files.append(folder / f"{policy}.yml")
    python = python_with(CLIENT)
    loaded = json.loads(subprocess.run([python, "-c", LOAD, *files], capture_output=True, text=True, check=True).stdout)
    sweep = loaded[0]
    low, high = -9.210340371976182, 2.302585092994046
    assert sweep["search_space"] == {
        "reg_rate": ["loguniform", [pytest.approx(low), pytest.approx(high)]],
        "units": ["qloguniform", [pytest.approx(0.405465), pytest.approx(4.166665, abs=1e-5), 1]],
        "rate": ["uniform", [0.0, 0.5]],
        "n": ["choice", [list(range(10))]],
        "step": ["choice", [[0.1, 0.2, 0.3]]],
        "solver": ["choice", [["lbfgs", "saga"]]],
    }
    assert sweep["objective"] == {"goal": "minimize", "primaryMetric": "score"}
    limits = {"maxTotalTrials": 40, "maxConcurrentTrials": 3, "timeout": "PT2H", "trialTimeout": "PT5M"}
    assert sweep["limits"].items() >= limits.items()
    assert sweep["sampling_algorithm"].items() >= {"seed": 42}.items()
    assert "--reg-rate ${{search_space.reg_rate}}" in sweep["command"]
    assert [each["early_termination"]["policyType"] for each in loaded] == [
        "MedianStopping", "TruncationSelection", "Bandit",
    ]  # fmt: skip


def test_it_has_what_the_runconfig_says(folder: Path) -> None:
    import yaml

    runconfig = folder / "models" / "quick" / "aml_config" / "train-amlcompute.runconfig"
    text = runconfig.read_text().replace("arguments: []", 'arguments: ["--data-path", "/data", "--name", "a b"]')
    data = "{training: {dataLocation: {dataset: {name: rows, version: 3}}, mechanism: mount, pathOnCompute: /data}}"
    runconfig.write_text(text + f"data: {data}\n")
    (folder / "jobs").mkdir()
    done = aml(folder, "search", "--write", "jobs/sweep.yml", "--on", "other")
    assert done.code == 0, done.err
    sweep = yaml.safe_load((folder / "jobs" / "sweep.yml").read_text())
    assert sweep["compute"] == "azureml:other"
    assert sweep["inputs"] == {"training": {"type": "uri_folder", "path": "azureml:rows:3", "mode": "ro_mount"}}
    assert sweep["trial"]["code"] == "../models/quick"
    assert sweep["trial"]["environment"]["conda_file"] == "../models/quick/aml_config/train-conda.yml"
    assert sweep["trial"]["command"] == (
        "python train.py --data-path ${{inputs.training}} --name 'a b' --x ${{search_space.x}} --n ${{search_space.n}}"
    )


def test_it_is_only_written(folder: Path) -> None:
    done = aml(folder, "search", "--engine", "sweep")
    assert (done.code, done.err.count("--write sweep.yml, then az ml job create -f sweep.yml")) == (1, 1)
    done = aml(folder, "search", "--write", "other.yml")
    assert (done.code, done.err.count("--engine with nni, hyperdrive, sweep")) == (2, 1)
