"""The documented commands of the first generation, on today's Azure CLI and with azml: packages/az, installed.

The real az and the real azureml-core, unmodified, against a workspace on loopback; in the full run on every Python that
both run on.
"""

import json
import os
import shlex
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aml_rehearsal import Names, Rehearsal
from tests.conftest import Bake, Rehearse
from tests.environments import Environments
from tests.journeys.conftest import Installed
from tests.support import BIN, PYTHON, TEMPLATE, WORKSPACE, copy_of, files_of, heartbeat, run, shown_commands

PYTHONS = ["3.11", pytest.param("3.10", marks=pytest.mark.full), pytest.param("3.12", marks=pytest.mark.full)]
AZML = ".venv/.tools/bin/azml"
# How far to walk: with the cluster, and what is refused, in the full run.
FAR = pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.full)], ids=["short", "whole"])

Command = Callable[..., str]


@pytest.fixture(scope="session", params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def azure_cli(python: str, tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> dict[str, str]:
    """Today's Azure CLI; what it needs in the environment."""
    folder = tmp_path_factory.mktemp(f"az-{python}")
    return {
        "PATH": f"{environments.azure_cli(python)}{os.pathsep}{os.environ['PATH']}",
        "AZURE_EXTENSION_DIR": str(folder / "extensions"),
        "AZURE_CONFIG_DIR": str(folder / "config"),
        "AZURE_CORE_COLLECT_TELEMETRY": "0",
    }


@pytest.fixture(scope="session")
def equipped(python: str, installed: Installed, azure_cli: dict[str, str]) -> Path:
    """An installed project after `make client`, on a computer that has az."""
    project = installed(python)
    run("make", "client", cwd=project, expect=0, **azure_cli)
    return project


@pytest.fixture
def project(equipped: Path) -> Iterator[Path]:
    """The project, not attached: that is for the tests to do. Afterwards it is as it was."""
    attached, aside = equipped / ".azureml", equipped / ".venv" / "azureml-aside"
    attached.rename(aside)
    kept = files_of(equipped / "models")
    yield equipped
    shutil.rmtree(attached, ignore_errors=True)
    aside.rename(attached)
    for name in files_of(equipped / "models"):
        if name not in kept:
            (equipped / "models" / name).unlink()


@pytest.fixture
def rehearsal(project: Path, rehearse: Rehearse) -> Rehearsal:
    return rehearse(project, names=Names(**WORKSPACE))


@pytest.fixture
def azml(project: Path, rehearsal: Rehearsal) -> Command:
    def call(*args: str, cwd: Path, expect: int = 0, **env: str) -> str:
        return run(project / AZML, *args, cwd=cwd, expect=expect, **rehearsal.variables() | env)

    return call


@pytest.fixture
def az(azure_cli: dict[str, str], rehearsal: Rehearsal) -> Command:
    """`az ml`, not logged in yet: what it has noted of its commands is kept."""
    Path(azure_cli["AZURE_CONFIG_DIR"], "azureProfile.json").unlink(missing_ok=True)
    variables = without_login(rehearsal) | azure_cli

    def call(*args: str, cwd: Path, expect: int = 0, **env: str) -> str:
        return run("az", *args, cwd=cwd, expect=expect, **variables | env)

    return call


def without_login(rehearsal: Rehearsal) -> dict[str, str]:
    return {key: value for key, value in rehearsal.variables().items() if "SERVICE_PRINCIPAL" not in key}


def error_of(said: str) -> str:
    """The one line that a failing command ends in."""
    assert "Traceback" not in said, said
    last = said.rstrip().splitlines()[-1]
    assert last.startswith("ERROR: "), said[-3000:]
    return last.removeprefix("ERROR: ")


@FAR
def test_az(az: Command, azure_cli: dict[str, str], project: Path, rehearsal: Rehearsal, whole: bool) -> None:
    def ml(*args: str, **options: Any) -> str:
        return az("ml", *args, **options)

    attach = ("folder", "attach", "-g", WORKSPACE["resource_group"], "-w", WORKSPACE["workspace_name"])
    assert "not logged in: `az login`" in error_of(ml(*attach, cwd=project, expect=1))
    who = rehearsal.variables()
    secret = who["AZUREML_SERVICE_PRINCIPAL_PASSWORD"]
    login = ("login", "--service-principal", "-u", who["AZUREML_SERVICE_PRINCIPAL_ID"], "-p", secret)
    az(*login, "-t", who["AZUREML_SERVICE_PRINCIPAL_TENANT_ID"], cwd=project)
    walk(ml, attach, project, rehearsal, whole=whole)
    env = without_login(rehearsal) | azure_cli  # the scripts take the login that az has stored
    assert "and open to you" in run("make", "attach", "ARGS=--check", cwd=project, expect=0, **env)


@FAR
def test_azml(azml: Command, project: Path, rehearsal: Rehearsal, whole: bool) -> None:
    """The README's lines, the cluster's among them, are walked with azml in test_journey.py."""
    attach: tuple[str, ...] = ("folder", "attach", "-g", WORKSPACE["resource_group"], "-w", WORKSPACE["workspace_name"])
    attach = (*attach, "--subscription-id", WORKSPACE["subscription_id"])
    nobody = without_login(rehearsal)
    said = run(project / AZML, *attach, cwd=project, expect=1, **nobody)
    assert "not logged in: `az login`" in error_of(said)
    walk(azml, attach, project, rehearsal, whole=whole)


class Walk(NamedTuple):
    """A project, the command in one of its two spellings, and the workspace."""

    ml: Command
    project: Path
    rehearsal: Rehearsal

    @property
    def model(self) -> Path:
        return self.project / "models" / "model1"

    @property
    def result(self) -> Path:
        return self.model / "run.json"

    def record(self) -> dict[str, Any]:
        return dict(json.loads(self.result.read_text()))

    def state(self, table: str) -> dict[str, Any]:
        return dict(self.rehearsal.state()[table])

    def shown(self, text: str) -> str:
        """Run the line of the project's README that holds a text, word by word after `az ml`."""
        documented = shown_commands(self.project / "README.md")["3. Train in Azure ML"][1]
        assert documented[0] == f"cd {self.model.relative_to(self.project)}"
        (line,) = (line for line in documented if text in line)
        assert line.startswith("az ml ")
        return self.ml(*shlex.split(line)[2:], cwd=self.model)

    def submit(self, *args: str, expect: int = 0) -> str:
        submit = ("run", "submit-script", "-e", "trials", "-t", "run.json", "-c")
        return self.ml(*submit, *args, cwd=self.model, expect=expect)


def walk(ml: Command, attach: tuple[str, ...], project: Path, rehearsal: Rehearsal, *, whole: bool) -> None:
    """Attach, submit, register; the whole way, on one Python, has the cluster and what is refused as well.

    What the options and the result's file are refused for, packages/aml/tests/azml tries without a workspace.
    """
    here = Walk(ml, project, rehearsal)
    attach_the_root(here, attach)
    submit_here(here)
    if not whole or not (project / ".venv/model1/bin" / f"python{PYTHON}").exists():
        register_shortly(here)
        return
    submit_to_the_cluster(here)
    register(here)
    be_refused(here)
    be_refused_to_register(here)
    print_results(here)
    fail_and_not_wait(here)


def attach_the_root(here: Walk, attach: tuple[str, ...]) -> None:
    before = files_of(here.model)
    assert "not attached to a workspace" in error_of(here.submit("train-local", expect=1))
    assert "holds aml_config" in error_of(here.ml(*attach, cwd=here.model, expect=1))
    assert files_of(here.model) == before
    here.ml(*attach, "-e", "trials", cwd=here.project)
    config = json.loads((here.project / ".azureml" / "config.json").read_text())
    assert config.items() >= (WORKSPACE | {"Id": "trials"}).items()
    assert config["Scope"].endswith(f"/workspaces/{WORKSPACE['workspace_name']}/projects/trials")
    assert not (here.project / ".amlignore").exists(), "it would turn .gitignore off"
    assert files_of(here.model) == before


def submit_here(here: Walk) -> None:
    """As the README says, without run.json; then with it, and without -e: the folder is attached to an experiment."""
    here.shown("train-local")
    (first,) = here.state("runs").values()
    assert (first["status"], first["target"]) == ("Completed", "local")
    assert not here.result.exists()
    said = here.ml("run", "submit-script", "-c", "train-local", "--docker", "no", "-t", "run.json", cwd=here.model)
    assert f"With this Python, as --docker no says: {here.project}/.venv/model1/bin/python" in said
    check_record(here, "trials", "local")


def check_record(here: Walk, experiment: str, target: str) -> None:
    """run.json names the newest run, which has completed, and holds no token."""
    record = here.record()
    newest = max(here.state("runs").values(), key=lambda run: int(run["runNumber"]))
    assert (record["run_id"], record["status"]) == (newest["runId"], "Completed")
    assert (record["_experiment_name"], record["target"]) == (experiment, target)
    assert newest["status"] == "Completed"
    assert not {"token", "token_expiry_time_utc"} & set(record)


def be_refused(here: Walk) -> None:
    """A submission that is refused leaves run.json alone; so does a -t that would hit another file."""
    kept, train, runs = here.result.read_bytes(), (here.model / "train.py").read_bytes(), len(here.state("runs"))
    assert "nowhere" in error_of(here.submit("train-amlcompute", "--ct", "nowhere", expect=1))
    assert "no such runconfig" in error_of(here.submit("missing", expect=1))
    runconfig = here.model / "aml_config" / "train-amlcompute.runconfig"
    text = runconfig.read_text()
    runconfig.write_text(text.replace('name: "model1-data"', 'name: "no-such-data"'))
    assert "no-such-data" in error_of(here.submit("train-amlcompute", expect=1))
    runconfig.write_text(text)
    other = ("run", "submit-script", "-c", "train-local", "-t", "train.py")
    assert "no earlier result" in error_of(here.ml(*other, cwd=here.model, expect=1))
    assert (here.model / "train.py").read_bytes() == train
    assert here.result.read_bytes() == kept
    assert len(here.state("runs")) == runs


def submit_to_the_cluster(here: Walk) -> None:
    """The log is streamed, the snapshot is the folder, byte for byte, and run.json has the place of the one before."""
    before = files_of(here.model)
    said = here.shown("train-amlcompute")
    assert "Trained on 1400 rows" in said
    check_record(here, "model1", "cpu-cluster")
    snapshot = here.rehearsal.snapshot(here.record()["run_id"])
    assert {"train.py", "aml_config/train-conda.yml"} < set(snapshot)
    assert snapshot.items() <= before.items()
    assert not [name for name in snapshot if name.startswith(("outputs/", "mlruns/", "tests/", "run.json"))]


def register(here: Walk) -> None:
    """Once, however often; linked to its run and its dataset, metrics as tags."""
    run_id = here.record()["run_id"]
    base = ("model", "register", "--asset-path", "outputs/model", "-f", "run.json", "-n")
    ours = (*base, "churn", "--tag", "team=a", "--property", "p=q", "--require", "accuracy>=0.5", "-d", "Ours.")
    shown = json_of(here.ml(*ours, cwd=here.model))
    assert set(shown) == {
        "createdTime", "description", "experimentName", "framework", "frameworkVersion", "id", "name", "properties",
        "runId", "tags", "version",
    }  # fmt: skip
    assert (shown["id"], shown["version"], shown["runId"]) == ("churn:1", 1, run_id)
    assert (shown["experimentName"], shown["description"]) == ("model1", "Ours.")
    assert (shown["tags"]["team"], shown["properties"]) == ("a", {"p": "q"})
    accuracy = float(json.loads(here.rehearsal.artifact(run_id, "outputs/metrics.json"))["accuracy"])
    assert float(shown["tags"]["accuracy"]) == pytest.approx(accuracy)
    again = here.ml(*ours, cwd=here.model)
    assert json_of(again) == shown
    assert "is registered from this run already" in again
    (held,) = here.state("models").values()
    assert (held["name"], held["version"], held["runId"]) == ("churn", 1, run_id)
    assert [dataset["name"] for dataset in held["datasets"]] == ["training"]
    documented = json_of(here.shown("model register"))
    assert (documented["id"], documented["runId"], documented["tags"]["stage"]) == ("model1:1", run_id, "test")
    assert documented["properties"] == {"owner": "me"}


def register_shortly(here: Walk) -> None:
    base = ("model", "register", "--asset-path", "outputs/model", "-f", "run.json", "-n", "churn")
    assert json_of(here.ml(*base, cwd=here.model))["runId"] == here.record()["run_id"]


def be_refused_to_register(here: Walk) -> None:
    base = ("model", "register", "--asset-path", "outputs/model", "-f", "run.json", "-n")
    for options, expected in {
        ("--asset-path", "outputs/nothing"): "has no outputs/nothing; it has outputs/",
        ("--require", "accuracy>=0.99"): "not >= 0.99",
        ("--require", "accuracy"): "--require: a metric",
        ("--tag", "x"): "--tag x: give it as key=value",
    }.items():
        assert expected in error_of(here.ml(*base, "other", *options, cwd=here.model, expect=1))
    assert sorted(here.state("models")) == ["churn:1", "model1:1"]


def print_results(here: Walk) -> None:
    """A file of this computer, which need not lie in the working folder; and the other commands that print a result."""
    local = here.ml(
        "model", "register", "-n", "local", "-p", "../../data/model1/customers.csv", "--tag", "x=y", cwd=here.model
    )
    assert (json_of(local)["id"], json_of(local)["tags"]) == ("local:1", {"x": "y"})
    run_id = here.record()["run_id"]
    assert json_of(here.ml("run", "show", "-r", run_id, "-e", "model1", cwd=here.model))["run_id"] == run_id
    assert run_id in here.ml("run", "list", "-e", "model1", cwd=here.model)


def fail_and_not_wait(here: Walk) -> None:
    """A run that fails leaves no run.json, for it would name another; one that is not waited for has it at once."""
    said = here.submit("train-local", "train.py", "--label", "none", expect=1)
    assert error_of(said).startswith("the run failed: ")
    assert not here.result.exists()
    register = ("model", "register", "-n", "churn", "--asset-path", "outputs/model", "-f", "run.json")
    assert "run.json: not there" in error_of(here.ml(*register, cwd=here.model, expect=1))
    here.submit("train-local", "--async")
    assert here.record()["run_id"] in here.state("runs")


def json_of(said: str) -> dict[str, Any]:
    """The object that a command printed, without warnings around it."""
    start = said.index("{")
    return dict(json.JSONDecoder().raw_decode(said[start:])[0])


def test_az_without_ml_never_imports_azureml(az: Command, project: Path) -> None:
    """The extension costs the other commands nothing, once az has noted what it adds."""
    az("ml", "model", "register", "--help", cwd=project)
    for command in (("version",), ("account", "list"), ("--help",)):
        said = az(*command, cwd=project, PYTHONPROFILEIMPORTTIME="1")
        assert "azure.cli.core" in said
        assert "azureml" not in [line.rpartition("|")[2].strip().split(".")[0] for line in said.splitlines()]


def test_wheel_from_git(tmp_path: Path) -> None:
    """pip builds it from a clone of the repo, as the documented command has it."""
    with heartbeat("clone"):
        run("git", "clone", "--quiet", TEMPLATE, tmp_path / "clone", cwd=tmp_path)
    source = f"aml-project-az @ git+file://{tmp_path}/clone#subdirectory=packages/az"
    run(BIN / "uv", "venv", "--quiet", "--seed", tmp_path / "venv", cwd=tmp_path)
    pip = tmp_path / "venv/bin/pip"
    run(pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "wheels", source, cwd=tmp_path)
    (wheel,) = (tmp_path / "wheels").iterdir()
    assert wheel.name == "aml_project_az-0.2.0-py3-none-any.whl"
    held = zipfile.ZipFile(wheel).namelist()
    needed = {"azext_aml_project/__init__.py", "aml_project/azml/model.py", "aml_project/service/registration.py"}
    assert needed <= set(held)


@pytest.mark.parametrize("version", [*PYTHONS[1:], "3.13"])
def test_azml_starts_on_each_python(bake: Bake, environments: Environments, tmp_path: Path, version: str) -> None:
    """The whole way on 3.10 and 3.12 is in the full run."""
    project = copy_of(bake(), tmp_path)
    environments.link_tools(project, version)
    assert "--better-than-current" in run(project / AZML, "model", "register", "--help", cwd=project)
