"""The files that other clients take: azml's, submitted by azml, and those of az ml, in the loader of its client."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.cloud_pipeline import FOR_AZML, PIPELINE, Piper, azml, project_of_pipeline
from tests.aml import aml
from tests.owner import PythonWith

CLIENT = "azure-ai-ml==1.35.2"


def test_azml_submits_its_file(piper: Piper) -> None:
    """With another value of a parameter, which it hands on as a text."""
    piper.says(text=FOR_AZML)
    piper.out("pipeline", "--write", "azml.yml", "--on", "cpu-cluster")
    command = re.findall("^#   azml (.*)$", (piper.project / "azml.yml").read_text(), re.MULTILINE)[0].split()
    azml(piper, *command, "-p", "seed=7")
    piper.wait_for_end()
    assert {name: run["status"] for name, run in piper.steps.items()} == dict.fromkeys(
        ("prepare", "count", "train", "evaluate", "register"), "Completed"
    )
    model = json.loads(piper.handed_on("train", "model", "model")["model/model.json"])
    assert model == {"rows": 3, "seed": 7, "max-iter": 500, "fast": True}
    assert sorted(piper.handed_on("count", "counts", "counts")["counts.csv"].split()) == [b"a.csv,2", b"b.csv,1"]
    [registered] = piper.rehearsal.state()["models"].values()
    assert registered["runId"] == piper.steps["register"]["runId"]


@pytest.mark.full
def test_a_draft_is_submitted_and_published(piper: Piper) -> None:
    """As seed systems do it: draft, submit, publish, by the same file."""
    piper.says(text=FOR_AZML)
    piper.out("pipeline", "--write", "azml.yml", "--on", "cpu-cluster")
    names = piper.rehearsal.names
    place = ("-w", names.workspace_name, "-g", names.resource_group)
    made = azml(piper, "pipeline", "create-draft", *place, "-y", "azml.yml", "-n", "quick", "-e", "quick")
    [draft] = piper.rehearsal.state()["pipelines"]["PipelineDrafts"]
    assert draft in made
    azml(piper, "pipeline", "submit-draft", "-i", draft, *place)
    piper.wait_for_end()
    assert piper.parents[0]["status"] == "Completed"
    azml(piper, "pipeline", "publish-draft", "-i", draft, *place)
    assert len(piper.rehearsal.state()["pipelines"]["Pipelines"]) == 1


def test_what_azml_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    project = project_of_pipeline(tmp_path / "project")
    more = "  tune:\n    search: search.yml\n    in: {data-path: data}\n"
    (project / "models" / "quick" / "pipeline.yml").write_text(PIPELINE + more)
    done = aml(project, "pipeline", "--write", "azml.yml")
    assert done.code == 1
    assert [line.removeprefix("ERROR: ").partition(": ")[0] for line in done.err.splitlines()] == [
        "steps.score.in.model", "steps.score.after", "steps.tune",
    ]  # fmt: skip
    assert not (project / "azml.yml").exists()


LOAD = """
import json, sys
from azure.ai.ml import load_component, load_job
job = load_job(sys.argv[1])
found = {"inputs": sorted(job.inputs), "jobs": {}}
for name, node in job.jobs.items():
    found["jobs"][name] = {"type": node.type, "inputs": {key: str(value._data) for key, value in node.inputs.items()}}
for file in sys.argv[2:]:
    component = load_component(file)
    found[component.display_name] = [component.type, sorted(component.inputs), sorted(component.outputs)]
print(json.dumps(found))
"""
SEARCH = """
metric: score
goal: maximize
trials: 4
algorithm: random
parameters:
  x: {low: 0.1, high: 1.0, log: true}
  solver: [lbfgs, saga]
"""
FOR_V2 = (
    PIPELINE.replace("    after: [evaluate]\n", "")
    + """
  register:
    register: {model: train.model, metrics: evaluate.output-path, require: [accuracy>=0.2]}
  tune:
    search: search.yml
    in: {data-path: prepare.output-path}
    out: {model: outputs/model}
"""
)


def v2(folder: Path) -> Path:
    project = project_of_pipeline(folder / "project")
    (project / "models" / "quick" / "pipeline.yml").write_text(FOR_V2)
    (project / "models" / "quick" / "search.yml").write_text(SEARCH)
    (project / "azure_ml").mkdir()
    done = aml(project, "pipeline", "--write", "azure_ml/pipeline.yml", "--on", "cpu-cluster")
    assert done.code == 0, done.err
    assert "az ml job create -f azure_ml/pipeline.yml" in done.out
    return project / "azure_ml"


def test_a_component_is_the_script_with_its_folders(tmp_path: Path) -> None:
    folder = v2(tmp_path)
    train = yaml.safe_load((folder / "components" / "train.yml").read_text())
    assert train["command"] == (
        "python -m train --data-path ${{inputs.data_path}} --seed ${{inputs.seed}}"
        " $(echo ${{inputs.fast}} | grep -qi true && echo --fast) --max-iter=500"
        " && cp -r outputs/model ${{outputs.model}}/"
    )
    assert (folder / "components" / train["code"] / "train.py").is_file()
    assert (folder / "components" / train["environment"]["conda_file"]).is_file()
    evaluate = yaml.safe_load((folder / "components" / "evaluate.yml").read_text())
    assert "--model ${{inputs.model}}/model" in evaluate["command"]
    job = yaml.safe_load((folder / "pipeline.yml").read_text())
    assert job["inputs"]["data"]["path"] == "azureml:quick-rows:1"
    assert job["jobs"]["evaluate"]["inputs"] == {"model": "${{parent.jobs.train.outputs.model}}"}


@pytest.mark.full
def test_the_clients_loader_takes_all_of_it(tmp_path: Path, python_with: PythonWith) -> None:
    folder = v2(tmp_path)
    python, components = python_with(CLIENT), sorted(folder.glob("components/*.yml"))
    files = [folder / "pipeline.yml", *(file for file in components if not file.name.endswith("-conda.yml"))]
    done = subprocess.run([python, "-c", LOAD, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded["inputs"] == ["data", "fast", "seed"]
    assert {name: node["type"] for name, node in loaded["jobs"].items()} == {
        "prepare": "command", "train": "command", "evaluate": "command", "score": "parallel", "register": "command",
        "tune": "sweep",
    }  # fmt: skip
    assert loaded["score"] == ["parallel", ["input", "model"], ["scores"]]
    assert loaded["train"] == ["command", ["data_path", "fast", "seed"], ["model"]]
    assert loaded["tune"] == ["command", ["data_path", "solver", "x"], ["model"]]
