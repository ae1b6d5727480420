"""Attach, submit, register: the lines of a rendered README, word by word, against the workspace on loopback.

Asserted on what the workspace holds afterwards. The lines are read from the README: one that fails, fails here.
test_cli.py takes the documented lines from there as well, with the real `az ml`.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aml_rehearsal import Rehearsal
from tests.aml import call
from tests.conftest import Rehearse, names_of
from tests.environments import Environments
from tests.journeys.conftest import Installed
from tests.journeys.test_project import post, sample
from tests.renders.test_free_text import HOSTILE
from tests.repositories import commit, create_and_commit, git, update
from tests.support import (
    PROJECT,
    PYTHON,
    TEMPLATE,
    WORKSPACE,
    answer,
    files_of,
    rendered,
    run,
    served,
    shown_commands,
)

TRAVELS = "train.py score.py evaluation.py runtime/serving.py runtime/batch.py sample-request.json Dockerfile"
HERE, SERVED, IN_AZURE = "1. Train here", "2. Serve here", "3. Train in Azure ML"
LOCAL, CLOUD = 'make submit ARGS="-c train-local"', "make submit"
REGISTER = 'make register ARGS="--min accuracy=0.7 --better-than-current accuracy"'
NAMES = {"ID": "subscription_id", "GROUP": "resource_group", "NAME": "workspace_name"}


def follow(project: Path, lines: Iterable[str], **env: str) -> dict[str, str]:
    """Do what a README's lines say, each in the folder that the lines before it lead to; return what each printed."""
    folder, said = project, {}
    for line in lines:
        if line == "az login":  # "not in a rehearsal, there you are logged in"
            continue
        if line.startswith("cd "):
            folder /= line.removeprefix("cd ")
            continue
        # "Without the Azure CLI, azml stands for az ml in each of these lines."
        command = re.sub(r"^az ml ", "../../.venv/.tools/bin/azml ", line)
        if line.startswith("make attach"):
            for word, name in NAMES.items():
                command = re.sub(rf" {word}\b", f" {WORKSPACE[name]}", command)
        said[line] = run("sh", "-c", command, cwd=folder, expect=0, **env)
    return said


def run_of(rehearsal: Rehearsal, said: str) -> dict[str, Any]:
    """The run that a submission has named."""
    runs: dict[str, dict[str, Any]] = rehearsal.state()["runs"]
    (named,) = {run_id for run_id in runs if run_id in said}
    return runs[named]


def check_run(rehearsal: Rehearsal, model: Path, said: str, target: str, dataset: str = "model1-data") -> str:
    """The run that was submitted has completed on a target, with the model's folder as its snapshot, its log shown."""
    submitted = run_of(rehearsal, said)
    run_id: str = submitted["runId"]
    assert (submitted["status"], submitted["target"]) == ("Completed", target)
    snapshot = rehearsal.snapshot(run_id)
    assert set(TRAVELS.split()) <= set(snapshot)
    assert not [name for name in snapshot if name.startswith(("tests/", "outputs/", "mlruns/", "run.json"))]
    assert snapshot == {name: (model / name).read_bytes() for name in snapshot}
    metrics = json.loads(rehearsal.artifact(run_id, "outputs/metrics.json"))
    held = rehearsal.state()["metrics"][run_id]
    assert {name: held[name]["value"][-1]["data"][name] for name in metrics} == metrics
    learns = "Baseline" not in (model / "train.py").read_text()
    assert metrics["accuracy"] > 0.74 if learns else metrics["accuracy"] == pytest.approx(0.693, abs=0.001)
    assert "Trained on 1400 rows, tested on 600: accuracy" in said
    log = rehearsal.artifact(run_id, "user_logs/std_log.txt").decode()
    assert [line for line in log.splitlines() if line and line not in said] == []
    (read,) = submitted["inputDatasets"]
    assert read["inputDetails"]["inputName"] == "training"
    assert read["identifier"]["savedId"] == dataset_id(rehearsal, dataset)
    return run_id


def dataset_id(rehearsal: Rehearsal, name: str) -> str:
    return str(rehearsal.state()["datasets"][name][0]["latest"]["savedDatasetId"])


def check_model(rehearsal: Rehearsal, key: str, run_id: str, dataset: str = "model1-data") -> dict[str, Any]:
    """A registered model leads back to its run, its files and its dataset, and carries its metrics."""
    models: dict[str, dict[str, Any]] = rehearsal.state()["models"]
    assert key in models, f"{key} is not among {sorted(models)}"
    model = models[key]
    assert model["runId"] == run_id
    assert [known["id"] for known in model["datasets"]] == [dataset_id(rehearsal, dataset)]
    metrics = json.loads(rehearsal.artifact(run_id, "outputs/metrics.json"))
    assert {name: float(model["kvTags"][name]) for name in metrics} == pytest.approx(metrics)
    asset = rehearsal.state()["assets"][model["url"].rpartition("/")[2]]
    assert asset["artifacts"][0]["prefix"] == f"ExperimentRun/dcid.{run_id}/outputs/model"
    return model


def submitted_as(model: Path) -> str:
    """The run that the model's run.json names."""
    return str(json.loads((model / "run.json").read_text())["run_id"])


@pytest.mark.full
@pytest.mark.parametrize("python_version", ["3.10", "3.12"])
def test_make_attach_submit_register(python_version: str, installed: Installed, rehearse: Rehearse) -> None:
    """The README's section on Azure ML, with the defaults, on the oldest and the newest Python of the client.

    `make demo` goes the same way on the Python at hand (test_demo.py), and the hostile answers below.
    """
    project = installed(python_version)
    rehearsal, model = rehearse(project, empty=True), project / "models" / "model1"
    env = rehearsal.environment()
    attached = (project / ".azureml" / "config.json").read_bytes()
    said = follow(project, shown_commands(project / "README.md")[IN_AZURE][0], **env)
    assert (project / ".azureml" / "config.json").read_bytes() == attached, "attaching again changes nothing"
    assert "my-workspace" in said["make attach ARGS=--check"]
    assert "version 1: registered" in said["make dataset"]
    assert "cpu-cluster" in said["make compute"]
    assert "2 runconfigs fine" in said["make check"]
    here = check_run(rehearsal, model, said[LOCAL], "local")
    submitted = check_run(rehearsal, model, said[CLOUD], "cpu-cluster")
    assert here != submitted == submitted_as(model)
    assert "model1:1" in said[REGISTER]
    check_model(rehearsal, "model1:1", submitted)

    listed = run("make", "environment", "ARGS=--list", cwd=project, expect=0, **env)
    assert "train-amlcompute.runconfig" in listed and "not registered: make environment" in listed
    assert "az group create" in run("make", "workspace", "ARGS=--location westeurope", cwd=project, expect=0)

    rules = "ARGS=--min accuracy=0.7 --tag by=me --property from=here"
    said[REGISTER] = run("make", "register", rules, cwd=project, expect=0, **env)
    assert "model1:1" in said[REGISTER]
    assert list(rehearsal.state()["models"]) == ["model1:1"], "the same run is registered once"
    again = run("make", "submit", "ARGS=-c train-local", cwd=project, expect=0, **env)
    run("make", "register", rules, cwd=project, expect=0, **env)
    registered = check_model(rehearsal, "model1:2", check_run(rehearsal, model, again, "local"))
    assert registered["kvTags"]["by"] == "me"
    assert registered["properties"]["from"] == "here"


class Walked(NamedTuple):
    """A project, the folder of its workspace, and what the lines of its README have printed."""

    project: Path
    workspace: Path
    said: dict[str, str]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Walked:
    """Every line of the sections 1 to 3, where all answers are hostile: texts, names that YAML misreads, the folder."""
    folder = tmp_path_factory.mktemp("walk") / "my repos é"
    folder.mkdir()
    texts = {"project_name": answer(HOSTILE[:80]), "description": answer(HOSTILE), "author": answer(HOSTILE)}
    names = {"project_slug": "hostile", "compute_name": "no", "dataset_name": "1e3", "model_name": "yes"}
    project = rendered(folder, python_version=PYTHON, **texts, **names)
    readme = project / "README.md"
    shown = shown_commands(readme)
    (here,), (serving,), (ours, documented) = shown[HERE], shown[SERVED], shown[IN_AZURE]
    said = follow(project, here[:1])
    environments.lend(project / ".venv" / "yes")
    said |= follow(project, here[1:])
    assert serving[0] == "make serve"
    with served(project, folder / "serve.log", ["sh", "-c", serving[0]]) as url:
        said |= follow(project, serving[1:], PORT=url.rpartition(":")[2])
    said |= follow(project, ours[:1])  # before the workspace starts: it takes its names from there
    assert "`make client` installs them" in readme.read_text(encoding="utf-8")
    follow(project, ["make client"])  # likewise: from a workspace on loopback of the tests, no package can be reached
    with Rehearsal(folder / "workspace", names=names_of(project)) as rehearsal:
        env = rehearsal.environment()
        said |= follow(project, ours[1:], **env)
        said |= follow(project, documented, **env)
    return Walked(project, folder / "workspace", said)


def test_hostile_answers(hostile: Walked) -> None:
    project, workspace, said = hostile
    model = project / "models" / "yes"
    assert "Next: make train MODEL=yes" in said["make setup"]
    assert re.search(r"=+ \d+ passed in", said["make test"])
    assert re.search(r'"label": "(yes|no)"', said["make request"])
    assert "my-workspace" in said["make attach ARGS=--check"]
    assert "yes: 2 runconfigs fine" in said["make check"]
    with Rehearsal(workspace, names=names_of(project)) as rehearsal:
        targets = {
            LOCAL: "local",
            CLOUD: "no",
            "az ml run submit-script -c train-local -e yes": "local",
            "az ml run submit-script -c train-amlcompute -e yes -t run.json": "no",
        }
        runs = [check_run(rehearsal, model, said[line], target, "1e3") for line, target in targets.items()]
        assert list(rehearsal.state()["runs"]) == runs
        assert submitted_as(model) == runs[3]
        check_model(rehearsal, "yes:1", runs[1], "1e3")
        documented = check_model(rehearsal, "yes:2", runs[3], "1e3")
        assert documented["kvTags"]["stage"] == "test"
        assert documented["properties"]["owner"] == "me"


def test_a_second_model(hostile: Walked, environments: Environments, tmp_path: Path) -> None:
    """Of another framework, in the same repo and workspace: nothing of the two is mixed up."""
    project, workspace, _ = hostile
    first, second = project / "models" / "yes", project / "models" / "churn"
    kept, shown = files_of(first), shown_commands(project / "README.md")
    line = 'make model ARGS="add NAME"'
    assert f"**Another model:** `{line}`" in (project / "README.md").read_text()
    follow(project, [line.replace("NAME", f"churn framework=none python_version={PYTHON}")])
    assert "Models here: churn yes" in run("make", cwd=project)
    setup, *lines = (f"{line} MODEL=churn" for line in shown[HERE][0])
    follow(project, [setup])
    environments.lend(project / ".venv" / "churn")
    said = follow(project, lines)
    assert re.search(r"=+ \d+ passed in", said["make test MODEL=churn"])
    with served(project, tmp_path / "log", ["make", "serve", "MODEL=churn", "PORT={port}"]) as url:
        assert post(url, sample(project, "churn"))[0] == 200
    python, train = project / ".venv" / "churn" / "bin" / "python", second / "train.py"
    assert run(python, train, cwd=tmp_path, OMPI_COMM_WORLD_RANK="1") == ""
    assert [file.name for file in tmp_path.iterdir()] == ["log"], "the first process alone works"
    commands = {line: f"{line} MODEL=churn" for line in shown[IN_AZURE][0][3:]}
    refused = commands.pop(REGISTER)
    with Rehearsal(workspace, names=names_of(project)) as rehearsal:
        env = rehearsal.environment()
        said = follow(project, commands.values(), **env)
        assert "churn: 2 runconfigs fine" in said[commands["make check"]]
        assert "2 models: 4 runconfigs fine" in follow(project, ["make check"])["make check"]
        check_run(rehearsal, second, said[commands[LOCAL]], "local", "churn-data")
        cloud = check_run(rehearsal, second, said[commands[CLOUD]], "no", "churn-data")  # the cluster is the repo's
        assert submitted_as(second) == cloud
        assert files_of(first) == kept, "run.json and all else of the first model is as it was"

        assert "not >= 0.7" in run("sh", "-c", refused, cwd=project, expect=2, **env), "a baseline learns nothing"
        follow(project, ["make register MODEL=churn", "make register MODEL=yes"], **env)
        check_model(rehearsal, "churn:1", cloud, "churn-data")
        check_model(rehearsal, "yes:2", submitted_as(first), "1e3")
        assert sorted(rehearsal.state()["models"]) == ["churn:1", "yes:1", "yes:2"]
        assert [run_id.partition("_")[0] for run_id in rehearsal.state()["runs"]] == ["yes"] * 4 + ["churn"] * 2


def test_a_search(hostile: Walked) -> None:
    """The lines of docs/search.md: three trials, each a run in MLflow, and the best one's model is registered."""
    project, workspace, _ = hostile
    model = project / "models" / "yes"
    (lines,) = shown_commands(TEMPLATE / "docs" / "search.md")["In four lines"]
    add, check, search, register = (f"{line} MODEL=yes" for line in lines)
    follow(project, [add, check])
    file = model / "search.yml"
    file.write_text(file.read_text().replace("trials: 20", "trials: 3"))
    said = follow(project, [search])[search]
    best = re.search(r"^Best of 3: trial (\d), roc_auc 0\.8\d+: regularization=", said, flags=re.MULTILINE)
    assert best, said
    parents = [tag.read_text() for tag in model.glob("mlruns/*/*/tags/mlflow.parentRunId")]
    assert len(parents) == 3 and len(set(parents)) == 1
    (search_run,) = model.glob(f"mlruns/*/{parents[0]}")
    assert (search_run / "tags" / "aml.best_trial").read_text() == best[1]
    assert (search_run / "metrics" / "roc_auc").exists()
    with Rehearsal(workspace, names=names_of(project)) as rehearsal:
        before = set(rehearsal.state()["models"])
        follow(project, [register], **rehearsal.environment())
        ((key, registered),) = ((key, one) for key, one in rehearsal.state()["models"].items() if key not in before)
    assert key.startswith("yes:") and registered["runId"].startswith(f"yes_trial_{best[1]}_")
    assert {"regularization", "max-iter", "search"} <= registered["kvTags"].keys()


@pytest.mark.full
def test_after_an_update(template: Path, tmp_path: Path, rehearse: Rehearse) -> None:
    """A project from before there was anything to submit, attached and installed then, with a change of its owner's."""
    script = f"{PROJECT.name}/scripts/submit_run.py"
    *_, added = git(template, "log", "--diff-filter=A", "--format=%H", "--", script).splitlines()
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"python_version": PYTHON} | WORKSPACE))
    old = create_and_commit(
        template, tmp_path / "old", "--checkout", f"{added}~1", "--extra-context-file", str(answers)
    )
    attached = (old / ".azureml" / "config.json").read_bytes()
    run("make", "setup", cwd=old)
    train = old / "models" / "model1" / "train.py"
    train.write_text(train.read_text().replace('print(f"Trained on', 'print(f"Ours. Trained on'))
    commit(old)
    update(old)
    (old / "local.mk").write_text(f"AML_TEMPLATE := {TEMPLATE}\n")  # its address on GitHub has nothing of today yet
    run("make", "setup", "check", cwd=old)

    rehearsal, model = rehearse(old, empty=True), train.parent
    said = follow(old, shown_commands(old / "README.md")[IN_AZURE][0][2:], **rehearsal.environment())
    assert (old / ".azureml" / "config.json").read_bytes() == attached
    assert "Ours. Trained on" in said[LOCAL]
    check_run(rehearsal, model, said[LOCAL], "local")
    check_model(rehearsal, "model1:1", check_run(rehearsal, model, said[CLOUD], "cpu-cluster"))


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

    def ask(**env: str) -> str:
        done = call(project, "attach", "--check", **(rehearsal.environment() | env))
        assert done.code == 3
        (line,) = (line for line in done.err.splitlines() if line.startswith("ERROR"))
        return line

    wrong = ask(AZUREML_SERVICE_PRINCIPAL_PASSWORD="not the secret")
    assert "log" in wrong.lower() or "credential" in wrong.lower()
    assert "not the secret" not in wrong
    assert "my-workspace" in ask(**rehearsal.variables("stranger"))
    other = rehearse(project, names=type(rehearsal.workspace.names)(WORKSPACE["subscription_id"], "my-group", "other"))
    assert "my-workspace" in ask(**other.environment())
    rehearsal.server.shutdown()
    rehearsal.server.server_close()
    assert ask()
