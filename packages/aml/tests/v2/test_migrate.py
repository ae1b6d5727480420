"""`aml migrate`: repos of the first generation, and what they have of the second afterwards."""

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import support
from tests.aml import aml, call
from tests.owner import PythonWith
from v2 import old_repos
from v2.old_repos import REPOS, SAVED, SERVICE, SHOWN, TEMPLATE

CLIENT = "azure-ai-ml==1.35.2"
PIPELINE_OF_NOTHING = "pipeline: {steps: {a: {type: PythonScriptStep, inputs: {rows: {source: rows}}}}}\n"


def contents(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*") if file.is_file()}


def made(folder: Path, name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / name).read_text()))


def test_a_runconfig_is_a_job(tmp_path: Path) -> None:
    old_repos.write(tmp_path, TEMPLATE)
    done = aml(tmp_path, "migrate")
    assert (done.code, done.err) == (0, "")
    job = made(tmp_path, "forecast/azure_ml/job.yml")
    rows = "${{inputs.rows}}"
    assert job["command"] == f"python fit.py --data {rows} --table {rows}/part/a.csv --name 'two words'"
    assert job["inputs"] == {"rows": {"type": "uri_folder", "path": "azureml:sales-rows:3", "mode": "download"}}
    assert (job["code"], job["compute"], job["environment"]) == (
        "..",
        "azureml:cpu-cluster",
        "azureml:forecast-train@latest",
    )
    assert job["distribution"] == {"type": "mpi", "process_count_per_instance": 4}
    assert job["resources"] == {"instance_count": 2, "shm_size": "8g"}
    assert (job["limits"], job["environment_variables"]) == ({"timeout": 600}, {"STAGE": "test"})
    environment = made(tmp_path, "forecast/azure_ml/environment-train.yml")
    assert environment["name"] == "forecast-train"
    assert (tmp_path / "forecast/azure_ml" / environment["conda_file"]).samefile(
        tmp_path / "forecast/aml_config/conda.yml"
    )
    assert "here.runconfig\n    target: local -> v2 has no twin" in done.out


def test_a_search_and_a_dataset_lie_beside_the_job(tmp_path: Path) -> None:
    old_repos.write(tmp_path, TEMPLATE)
    assert aml(tmp_path.parent, "migrate", tmp_path).code == 0
    sweep = made(tmp_path, "forecast/azure_ml/sweep.yml")
    assert sweep["search_space"] == {
        "learning_rate": {"type": "loguniform", "min_value": -6, "max_value": -1},
        "depth": {"type": "choice", "values": [3, 5]},
    }
    assert sweep["trial"]["command"].endswith(
        "--learning-rate ${{search_space.learning_rate}} --depth ${{search_space.depth}}"
    )
    assert sweep["trial"]["environment"] == "azureml:forecast-train@latest"
    assert (sweep["objective"], sweep["sampling_algorithm"]) == (
        {"goal": "minimize", "primary_metric": "rmse"},
        "random",
    )
    assert sweep["limits"] == {"max_total_trials": 20, "max_concurrent_trials": 4, "timeout": 1800}
    assert sweep["early_termination"] == {"type": "median_stopping", "evaluation_interval": 2, "delay_evaluation": 5}
    data = made(tmp_path, "forecast/azure_ml/data.yml")
    assert (data["name"], data["path"]) == ("sales-rows", "azureml://datastores/store/paths/sales/")


def test_a_pipeline_has_its_steps_as_nodes(tmp_path: Path) -> None:
    done = aml(old_repos.write(tmp_path, TEMPLATE), "migrate")
    job = made(tmp_path, "nightly/azure_ml/pipeline.yml")
    prepare, score = job["jobs"]["prepare_rows"], job["jobs"]["score"]
    assert job["inputs"]["Rate"] == 0.1
    assert job["inputs"]["raw"]["path"] == "azureml://datastores/store/paths/raw/2020"
    assert prepare["command"] == "python fit.py --in ${{inputs.raw}} --out ${{outputs.rows}} --rate ${{inputs.Rate}}"
    assert prepare["inputs"] == {"raw": "${{parent.inputs.raw}}", "Rate": "${{parent.inputs.Rate}}"}
    assert score["inputs"] == {"rows": "${{parent.jobs.prepare_rows.outputs.rows}}"}
    assert (score["mini_batch_size"], score["error_threshold"], score["max_concurrency_per_instance"]) == ("10", 2, 2)
    assert score["retry_settings"] == {"max_retries": 4, "timeout": 90}
    assert score["task"]["append_row_to"] == "${{outputs.scores}}"
    assert "query" not in job["jobs"]
    assert "steps.Query: AdlaStep -> v2 has no such step" in done.out
    assert "steps.PrepareRows: allow_reuse: false -> " in done.out


def test_a_service_is_an_endpoint_and_its_deployment(tmp_path: Path) -> None:
    done = aml(old_repos.write(tmp_path, SERVICE), "migrate")
    folder = tmp_path / "churn" / "azure_ml"
    assert made(folder, "endpoint-aks-prod.yml")["auth_mode"] == "aml_token"
    aks, aci = made(folder, "deployment-aks-prod.yml"), made(folder, "deployment-aci-qa.yml")
    assert (aks["instance_type"], aks["instance_count"]) == ("Standard_DS3_v2", 2)
    assert (aci["instance_type"], aci["instance_count"]) == ("Standard_DS2_v2", 1)
    assert aks["code_configuration"] == {"code": "..", "scoring_script": "score.py"}
    assert aks["request_settings"] == {"request_timeout_ms": 30000}
    assert aks["liveness_probe"] == {"period": 20, "failure_threshold": 5}
    assert set(aks["data_collector"]["collections"]) == {"model_inputs", "model_outputs"}
    assert made(folder, "environment-inference.yml")["conda_file"] == "../config/conda.yml"
    for line in ("authEnabled: false -> ", "autoScaler -> ", "computeType: AKS -> ", "config.json\n    stays"):
        assert line in done.out


def test_what_an_sdk_has_saved_has_its_twin(tmp_path: Path) -> None:
    done = aml(old_repos.write(tmp_path, SAVED), "migrate")
    job = made(tmp_path, "azure_ml/job.yml")
    assert job["command"] == "Rscript train.R --from ${{inputs.lake}} --to ${{outputs.out}}"
    assert job["inputs"]["lake"]["path"] == "azureml://datastores/lake/paths/in"
    assert made(tmp_path, "azure_ml/environment-train.yml")["build"]["path"] == "./docker-train"
    assert (tmp_path / "azure_ml/docker-train/Dockerfile").read_text() == "FROM r-base:4\nRUN true\n"
    compute = made(tmp_path, "azure_ml/compute.yml")
    assert (compute["size"], compute["tier"], compute["max_instances"]) == ("STANDARD_D2_V2", "low_priority", 3)
    assert job["compute"] == f"azureml:{compute['name']}"
    assert "target: amlcompute, made for the run -> " in done.out


def test_what_the_code_needs_of_v1_is_named_by_its_line(tmp_path: Path) -> None:
    done = aml(old_repos.write(tmp_path, TEMPLATE), "migrate", "--dry-run")
    _, _, remains = done.out.partition("Still of v1:\n")
    told = [line.partition(" -> ")[0].strip() for line in remains.splitlines() if " -> " in line]
    assert told == [
        "line 3: az ml folder attach", "line 4: az ml run submit-script", "line 3: azureml.core.Dataset",
        "line 3: azureml.core.Run", "line 6: Run.get_context", "line 7: run.log", "line 1: azureml-defaults",
    ]  # fmt: skip
    assert "run.log -> mlflow.log_metric" in remains


def test_twice_is_once_and_nothing_of_v1_changes(tmp_path: Path) -> None:
    old_repos.write(tmp_path, TEMPLATE | SERVICE)
    before = contents(tmp_path)
    once = aml(tmp_path, "migrate")
    after = contents(tmp_path)
    assert after.items() > before.items()
    assert all(re.search(r"(^|/)azure_ml/", name) for name in after.keys() - before.keys())
    twice = aml(tmp_path, "migrate")
    assert contents(tmp_path) == after
    new = len(after) - len(before) - 1  # but for the table
    assert f"{new} files written, 0 as they were" in once.out and f"0 files written, {new} as they were" in twice.out
    table = after["azure_ml/MIGRATION.md"]
    commands = re.findall(r"^    az ml ([\w-]+) create", table, re.MULTILINE)
    order = ("data", "environment", "job", "online-endpoint", "online-deployment")
    assert commands == sorted(commands, key=order.index)
    assert "| forecast/fit.py:7 | run.log | mlflow.log_metric |" in table


def test_what_its_owner_has_edited_is_left_and_named(tmp_path: Path) -> None:
    old_repos.write(tmp_path, TEMPLATE)
    aml(tmp_path, "migrate")
    job, sweep = tmp_path / "forecast/azure_ml/job.yml", tmp_path / "forecast/azure_ml/sweep.yml"
    job.write_text(job.read_text() + "tags: {mine: yes}\n")
    runconfig = tmp_path / "forecast/aml_config/fit.runconfig"
    changed = runconfig.read_text().replace("cpu-cluster", "other")
    runconfig.write_text(changed)
    edited = job.read_text()
    done = aml(tmp_path, "migrate")
    assert (done.code, job.read_text()) == (0, edited)
    assert done.err.startswith("NOTE: forecast/azure_ml/job.yml: edited since") and done.err.count("\n") == 1
    assert made(tmp_path, "forecast/azure_ml/sweep.yml")["compute"] == "azureml:other"  # as v1 has it now
    sweep.unlink()
    assert aml(tmp_path, "migrate").err == done.err
    assert sweep.is_file() and runconfig.read_text() == changed


def test_a_file_that_was_there_before_is_its_owners(tmp_path: Path) -> None:
    old_repos.write(tmp_path, SAVED | {"azure_ml/job.yml": "type: command\n"})
    done = aml(tmp_path, "migrate")
    assert (tmp_path / "azure_ml/job.yml").read_text() == "type: command\n"
    assert "azure_ml/job.yml: edited since, or not of aml migrate" in done.err


def test_the_table_alone(tmp_path: Path) -> None:
    old_repos.write(tmp_path, TEMPLATE)
    before = contents(tmp_path)
    dry = aml(tmp_path, "migrate", "--dry-run")
    assert contents(tmp_path) == before
    assert dry.out.partition("\n\nWould write")[0] == aml(tmp_path, "migrate").out.rpartition("\n\n")[0]
    assert "7 files of v1 found: 6 carried over, 1 without a twin." in dry.out


def test_what_can_not_be_read_is_named_and_the_rest_is_made(tmp_path: Path) -> None:
    broken = {"old/a.runconfig": "script: [\n", "older/b.runconfig": "Target: docker\n", "c/p.yml": PIPELINE_OF_NOTHING}
    done = aml(old_repos.write(tmp_path, SAVED | broken), "migrate")
    assert done.code == 1
    assert "old/a.runconfig\n    not read: no YAML (line 2)" in done.out
    assert "older/b.runconfig\n    not read: no environment" in done.out
    assert "c/p.yml\n    not read: source: rows: no parameter, data reference or output has this name" in done.out
    assert (tmp_path / "azure_ml/job.yml").is_file()
    assert not (tmp_path / "c/azure_ml").exists()


def test_a_search_without_its_runconfig_is_told(tmp_path: Path) -> None:
    done = aml(old_repos.write(tmp_path, {"search.yml": old_repos.SEARCH}), "migrate")
    assert done.code == 0
    assert "no runconfig beside it says what a trial is -> write sweep.yml by hand" in done.out
    assert "1 file of v1 found: 0 carried over, 1 without a twin." in done.out


@pytest.mark.parametrize(
    ("line", "instead", "told"),
    [
        ("max_total_runs: 20", "max_total_runs: null", "max_total_runs: missing"),
        ("values: [-6, -1]", "values: [-6, x]", "sampling.parameter_space.--learning-rate: [-6, 'x']: no values"),
        ("expression: choice", "expression: any", "sampling.parameter_space.--depth: any: no expression"),
    ],
)
def test_a_search_that_no_sweep_can_be_is_told(tmp_path: Path, line: str, instead: str, told: str) -> None:
    files = TEMPLATE | {"forecast/hyperdrive.yml": old_repos.SEARCH.replace(line, instead)}
    done = aml(old_repos.write(tmp_path, files), "migrate")
    assert (done.code, "forecast/hyperdrive.yml\n    not read: " + told in done.out) == (1, True)
    assert not (tmp_path / "forecast/azure_ml/sweep.yml").exists()


@pytest.mark.parametrize(
    ("communicator", "distribution"),
    [
        ("communicator: IntelMpi", {"type": "mpi", "process_count_per_instance": 4}),
        ("communicator: Nccl\npytorch: {processCount: 16}", {"type": "pytorch", "process_count_per_instance": 8}),
        (
            "communicator: ParameterServer\ntensorflow: {workerCount: 2, parameterServerCount: 1}",
            {"type": "tensorflow", "parameter_server_count": 1, "worker_count": 2},
        ),
        ("communicator: None", None),
    ],
)
def test_a_launcher_is_a_distribution(tmp_path: Path, communicator: str, distribution: object) -> None:
    text = old_repos.RUNCONFIG.replace("communicator: OpenMpi", communicator)
    aml(old_repos.write(tmp_path, TEMPLATE | {"forecast/aml_config/fit.runconfig": text}), "migrate")
    job = made(tmp_path, "forecast/azure_ml/job.yml")
    assert (job.get("distribution"), job["resources"]["instance_count"]) == (distribution, 2)


@pytest.mark.parametrize(
    ("folder", "code", "line"), [("empty", 1, "no file of Azure ML's"), ("none", 2, "no such folder")]
)
def test_a_folder_without_v1_is_refused(tmp_path: Path, folder: str, code: int, line: str) -> None:
    (tmp_path / "empty").mkdir()
    done = aml(tmp_path, "migrate", folder)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("ERROR: ") and line in done.err
    assert not list((tmp_path / "empty").iterdir())


def test_no_login_of_a_registry_is_copied(tmp_path: Path) -> None:
    login = "docker: {baseImage: mine, baseImageRegistry: {address: a.azurecr.io, username: me, password: hidden}}"
    text = re.sub(r"docker: \{enabled.*\}", login, old_repos.RUNCONFIG)
    done = aml(old_repos.write(tmp_path, TEMPLATE | {"forecast/aml_config/fit.runconfig": text}), "migrate")
    new = "".join(text for name, text in contents(tmp_path).items() if "azure_ml/" in name)
    assert "hidden" not in new + done.out and "a.azurecr.io/mine" in new
    assert "docker.baseImageRegistry: a login -> " in done.out


LOAD = """
import sys
from pathlib import Path
from azure.ai import ml
for name in sys.argv[1:]:
    kind = Path(name).stem.partition("-")[0]
    if kind in ("job", "sweep"):
        job = ml.load_job(name)
        (job._to_job() if kind == "job" else job)._to_rest_object()
    elif kind == "pipeline":
        checked = ml.load_job(name)._validate()
        assert checked.passed, (name, checked.error_messages)
    else:
        load = {"endpoint": "online_endpoint", "deployment": "online_deployment"}.get(kind, kind)
        getattr(ml, f"load_{load}")(name)
"""


@pytest.mark.full
def test_the_clients_loaders_take_all_of_it(tmp_path: Path, python_with: PythonWith) -> None:
    for name, repo in REPOS.items():
        aml(old_repos.write(tmp_path / name, repo), "migrate")
    files = sorted(tmp_path.rglob("azure_ml/*.yml"))
    assert len(files) == 14
    done = subprocess.run([python_with(CLIENT), "-c", LOAD, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_shows_what_is_printed(tmp_path: Path) -> None:
    done = aml(old_repos.write(tmp_path, SHOWN), "migrate")
    assert f"```\n{done.out}```\n" in (support.TEMPLATE / "docs" / "migrate.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("point", ["before job.yml", "after sweep.yml", "before MIGRATION.md"])
def test_killed_it_is_called_again(tmp_path: Path, point: str) -> None:
    """Each file is whole or not there, and the second call ends as one that nobody killed."""
    old_repos.write(tmp_path / "killed", TEMPLATE)
    old_repos.write(tmp_path / "whole", TEMPLATE)
    assert call(tmp_path / "killed", "migrate", AML_PROJECT_DIE_AT=point).code == -signal.SIGKILL
    left = contents(tmp_path / "killed")
    assert aml(tmp_path / "killed", "migrate").err == ""
    assert aml(tmp_path / "whole", "migrate").code == 0
    whole = contents(tmp_path / "whole")
    ended = {name: text for name, text in contents(tmp_path / "killed").items() if not name.endswith(".new")}
    assert ended == whole
    assert all(whole[name] == text for name, text in left.items() if not name.endswith(".new"))


def test_a_repo_of_this_template_gets_what_add_gives(project: Path) -> None:
    assert aml(project, "add", "v2").code == 0
    folder = project / "models" / "model1" / "azure_ml"
    added = contents(folder)
    shutil.rmtree(folder)
    assert aml(project, "migrate").code == 0
    assert contents(folder) == added
    assert "0 files written" in aml(project, "migrate").out
