"""A run of several nodes and processes, submitted by the rendered commands to the workspace on loopback."""

import json
import os
from pathlib import Path

import pytest
import yaml

from aml_rehearsal import azurite, interpreters
from tests.conftest import Rehearse
from tests.environments import Environments
from tests.runconfigs import change, runconfig
from tests.support import PYTHON, WORKSPACE, rendered, run


def start_once(model: Path, environments: Environments) -> None:
    """Build the cluster's environment and let it compile its packages: else each of the four processes would do so."""
    wanted = yaml.safe_load((model / "aml_config" / "train-conda.yml").read_text(encoding="utf-8"))["dependencies"]
    python = interpreters.build(wanted, azurite.cache_folder(), dict(os.environ), lambda _: None)
    environments.lend(python.parents[1])
    assert "--epochs" in run(python, "train.py", "--help", cwd=model)


@pytest.mark.parametrize("launcher", ["pytorch", pytest.param("mpi", marks=pytest.mark.full)])
def test_two_nodes_of_two_processes_that_bring_their_data(
    tmp_path: Path, rehearse: Rehearse, environments: Environments, launcher: str
) -> None:
    """Downloaded by one process of each node, trained by four, logged by one.

    What MPI's launcher says to two computers, test_pytorch.py says as well; that the rehearsal says it, its own tests.
    """
    size = {"node_count": "2", "processes_per_node": "2", "data_access": "download", "launcher": launcher}
    project = rendered(tmp_path, framework="pytorch", python_version=PYTHON, **size, **WORKSPACE)
    environments.set_up(project)
    # One thread for each of the four: a cluster does not know the variables of this process.
    one = 'environmentVariables: {OMP_NUM_THREADS: "1"}'
    change(runconfig(project), "environment:\n", f"environment:\n  {one}\n")
    start_once(project / "models" / "model1", environments)
    rehearsal = rehearse(project)
    env = rehearsal.environment()
    assert "2 runconfigs fine" in run("make", "check", cwd=project, expect=0, **env)
    said = run("make", "submit", cwd=project, expect=0, **env)
    assert said.count("Downloading training to ") == 1 == said.count("epoch 10: ")
    assert "Trained on 1400 rows, tested on 600: accuracy 0.7" in said

    ((run_id, record),) = rehearsal.state()["runs"].items()
    assert record["status"] == "Completed"
    assert b"is built already" in rehearsal.artifact(run_id, "azureml-logs/20_image_build_log.txt")
    configuration = record["runDefinition"]
    assert configuration["nodeCount"] == 2
    assert configuration["data"]["training"]["mechanism"].lower() == "direct"
    metrics = json.loads(rehearsal.artifact(run_id, "outputs/metrics.json"))
    held = rehearsal.state()["metrics"][run_id]
    assert {name: held[name]["value"][-1]["data"][name] for name in metrics} == metrics
    assert len(held["loss"]["value"]) == 10, "each epoch is logged once"
