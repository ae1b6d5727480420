"""Attach, submit, register: the project's own commands, from the README, against the workspace on loopback.

Asserted on what the workspace holds afterwards. test_cli.py walks the same way with `az ml` and `azml`.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from aml_rehearsal import Rehearsal

from tests.conftest import Rehearse
from tests.support import PYTHON, run
from tests.tier3.conftest import WORKSPACE, Installed

TRAVELS = "train.py score.py evaluation.py input_schema.py onnx_export.py tables.py sample-request.json Dockerfile"


def last_run(rehearsal: Rehearsal) -> dict[str, Any]:
    runs: dict[str, dict[str, Any]] = rehearsal.state()["runs"]
    return max(runs.values(), key=lambda run: int(run["runNumber"]))


def model_registered(rehearsal: Rehearsal, key: str) -> dict[str, Any]:
    models: dict[str, dict[str, Any]] = rehearsal.state()["models"]
    assert key in models, f"{key} is not among {sorted(models)}"
    return models[key]


def check_run(rehearsal: Rehearsal, project: Path, said: str, target: str) -> dict[str, Any]:
    """The newest run has completed on a target, with the model's folder as its snapshot, and its log was shown."""
    submitted = last_run(rehearsal)
    assert (submitted["status"], submitted["target"]) == ("Completed", target)
    model = project / "models" / "model1"
    snapshot = rehearsal.snapshot(submitted["runId"])
    assert set(TRAVELS.split()) <= set(snapshot)
    assert not [name for name in snapshot if name.startswith(("tests/", "outputs/", "mlruns/", "run.json"))]
    assert snapshot == {name: (model / name).read_bytes() for name in snapshot}
    metrics = json.loads(rehearsal.artifact(submitted["runId"], "outputs/metrics.json"))
    held = rehearsal.state()["metrics"][submitted["runId"]]
    assert {name: held[name]["value"][-1]["data"][name] for name in metrics} == metrics
    assert metrics["accuracy"] > 0.74
    assert "Trained on 1400 rows, tested on 600: accuracy" in said
    log = rehearsal.artifact(submitted["runId"], "user_logs/std_log.txt").decode()
    assert [line for line in log.splitlines() if line and line not in said] == []
    assert submitted["inputDatasets"][0]["inputDetails"]["inputName"] == "training"
    return submitted


def check_model(rehearsal: Rehearsal, model: dict[str, Any], submitted: dict[str, Any]) -> None:
    """A registered model leads back to its run, its files and its dataset, and carries its metrics."""
    assert model["runId"] == submitted["runId"]
    dataset = rehearsal.state()["datasets"]["model1-data"][0]
    assert [known["id"] for known in model["datasets"]] == [dataset["latest"]["savedDatasetId"]]
    metrics = json.loads(rehearsal.artifact(submitted["runId"], "outputs/metrics.json"))
    assert {name: float(model["kvTags"][name]) for name in metrics} == pytest.approx(metrics)
    asset = rehearsal.state()["assets"][model["url"].rpartition("/")[2]]
    assert asset["artifacts"][0]["prefix"] == f"ExperimentRun/dcid.{submitted['runId']}/outputs/model"


@pytest.mark.parametrize("python_version", dict.fromkeys([PYTHON, "3.10", "3.11", "3.12"]))
def test_make_attach_submit_register(python_version: str, installed: Installed, rehearse: Rehearse) -> None:
    """The README's section on Azure ML, word by word, on each Python."""
    project = installed(python_version)
    rehearsal = rehearse(project)
    env = rehearsal.environment()

    attached = (project / ".azureml" / "config.json").read_bytes()
    run("make", "attach", cwd=project)
    assert (project / ".azureml" / "config.json").read_bytes() == attached, "attaching again changes nothing"
    assert "my-workspace" in run("make", "attach", "ARGS=--check", cwd=project, expect=0, **env)
    run("make", "check", cwd=project)

    said = run("make", "submit", cwd=project, expect=0, **env)
    submitted = check_run(rehearsal, project, said, "cpu-cluster")
    run_file = project / "models" / "model1" / "run.json"
    assert json.loads(run_file.read_text())["run_id"] == submitted["runId"]
    rules = "ARGS=--require 'accuracy>=0.7' --tag by=me --property from=here"
    said = run("make", "register", rules, cwd=project, expect=0, **env)
    assert "model1:1" in said
    model = model_registered(rehearsal, "model1:1")
    check_model(rehearsal, model, submitted)
    assert model["kvTags"]["by"] == "me"
    assert model["properties"]["from"] == "here"

    said = run("make", "submit", "ARGS=-c train-local", cwd=project, expect=0, **env)
    again = check_run(rehearsal, project, said, "local")
    assert again["runId"] != submitted["runId"]
    assert json.loads(run_file.read_text())["run_id"] == again["runId"]
    run("make", "register", cwd=project, expect=0, **env)
    check_model(rehearsal, model_registered(rehearsal, "model1:2"), again)

    said = run("make", "register", cwd=project, expect=0, **env)
    assert "model1:2" in said
    assert sorted(rehearsal.state()["models"]) == ["model1:1", "model1:2"], "the same run is registered once"


def test_a_project_that_is_not_attached(installed: Installed) -> None:
    """Attach later, as the hook's last line says; until then, one line says what is missing."""
    project = installed(PYTHON)
    config = project / ".azureml" / "config.json"
    kept = config.read_bytes()
    config.unlink()
    try:
        said = run("make", "submit", cwd=project, expect=2)
        assert "make attach" in said
        assert "Traceback" not in said
        names = " ".join(f"--{name.replace('_', '-')} {text}" for name, text in WORKSPACE.items())
        run("make", "attach", f"ARGS={names}", cwd=project)
        assert config.read_bytes() == kept
    finally:
        config.write_bytes(kept)


def test_attach_says_what_is_wrong(installed: Installed, rehearse: Rehearse) -> None:
    """--check: one line each for a wrong secret, no right, no such workspace, no service."""
    project = installed(PYTHON)
    rehearsal = rehearse(project)
    python = project / ".venv" / "model1" / "bin" / "python"
    command = (python, project / "scripts" / "attach_workspace.py", "--check")

    def ask(**env: str) -> str:
        said = run(*command, cwd=project, expect=3, **(rehearsal.environment() | env))
        lines = [line for line in said.splitlines() if line.startswith("ERROR")]
        assert len(lines) == 1 and "Traceback" not in said, said
        return lines[0]

    wrong = ask(AZUREML_SERVICE_PRINCIPAL_PASSWORD="not the secret")
    assert "log" in wrong.lower() or "credential" in wrong.lower()
    assert "not the secret" not in wrong
    assert "my-workspace" in ask(**rehearsal.variables("stranger"))
    other = rehearse(project, names=type(rehearsal.workspace.names)(WORKSPACE["subscription_id"], "my-group", "other"))
    assert "my-workspace" in ask(**other.environment())
    rehearsal.server.shutdown()
    rehearsal.server.server_close()
    assert ask()
