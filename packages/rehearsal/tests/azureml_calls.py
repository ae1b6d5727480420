"""What is called of azureml, and what has to come of it, in the workspace that the process is led to.

An operation counts as played where it is called in a function that goes through. What is refused stands in refused(),
what the rehearsal lacks in not_played().
"""

from __future__ import annotations

import inspect
import json
import os
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import FunctionType
from typing import Any

import requests
from azureml._restclient.models import ActionRequestDto
from azureml.core import (
    ComputeTarget,
    Dataset,
    Datastore,
    Environment,
    Experiment,
    Keyvault,
    LinkedService,
    Model,
    PrivateEndPoint,
    PrivateEndPointConfig,
    Run,
    RunConfiguration,
    ScriptRun,
    ScriptRunConfig,
    SynapseWorkspaceLinkedServiceConfiguration,
    Workspace,
)
from azureml.core.authentication import (
    Audience,
    AzureMLTokenAuthentication,
    ServicePrincipalAuthentication,
    TokenAuthentication,
)
from azureml.core.compute import (
    AdlaCompute,
    AksCompute,
    AmlCompute,
    BatchCompute,
    ComputeInstance,
    DatabricksCompute,
    DataFactoryCompute,
    DsvmCompute,
    HDInsightCompute,
    KubernetesCompute,
    KustoCompute,
    RemoteCompute,
    SynapseCompute,
)
from azureml.core.compute.aks import AksUpdateConfiguration, SslConfiguration
from azureml.core.environment import DockerBuildContext
from azureml.core.image import ContainerImage, Image
from azureml.core.image.unknown_image import UnknownImage
from azureml.core.model import InferenceConfig
from azureml.core.profile import ModelProfile
from azureml.core.webservice import AciWebservice, AksEndpoint, AksWebservice, LocalWebservice, Webservice
from azureml.core.webservice.unknown_webservice import UnknownWebservice
from azureml.data import DataType, FileDataset
from azureml.data.data_reference import DataReference
from azureml.data.datacache import DatacacheHydrationTracker, DatacacheStore
from azureml.data.dataset_action_run import DatasetActionRun
from azureml.data.dataset_snapshot import DatasetSnapshot
from azureml.pipeline.core import (
    Module,
    ModuleVersion,
    Pipeline,
    PipelineData,
    PipelineDraft,
    PipelineEndpoint,
    PipelineParameter,
    PipelineRun,
    PublishedPipeline,
    Schedule,
    ScheduleRecurrence,
)
from azureml.pipeline.steps import (
    AdlaStep,
    AutoMLStep,
    AutoMLStepRun,
    AzureBatchStep,
    CommandStep,
    DatabricksStep,
    DataTransferStep,
    EstimatorStep,
    HyperDriveStep,
    KustoStep,
    ModuleStep,
    ParallelRunConfig,
    ParallelRunStep,
    PythonScriptStep,
    RScriptStep,
    SynapseSparkStep,
)
from azureml.train.hyperdrive import GridParameterSampling, HyperDriveConfig, HyperDriveRun, PrimaryMetricGoal, choice
from azureml_operations import calls, not_played, note, perhaps, refused, with_it

PLAYED_ELSEWHERE = ("get_by_name", "get_by_id", "get_all")  # of Dataset: they give datasets of today
OWN = {name: os.environ[f"AZUREML_SERVICE_PRINCIPAL_{name.upper()}"] for name in ("id", "password", "tenant_id")}
LOGIN = ServicePrincipalAuthentication(OWN["tenant_id"], OWN["id"], OWN["password"])
NAMES = json.loads(os.environ["NAMES"])
KEYS = ("subscription_id", "resource_group", "workspace_name")
ws = Workspace(*NAMES, auth=LOGIN, _disable_service_check=True)
store = ws.get_default_datastore()
experiment = Experiment(ws, "operations")


def write(place: str, text: str) -> str:
    """A file; its name."""
    file = Path(place)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return place


def configuration(target: str = "cpu-cluster") -> RunConfiguration:
    """A run by the Python of these tests, which needs no environment."""
    made = RunConfiguration()
    made.target = target
    made.environment.python.user_managed_dependencies = True
    made.environment.python.interpreter_path = os.environ["PYTHON"]
    return made


def ids(found: Any) -> list[str]:
    return sorted(one.id for one in found)


# ------------------------------------------------------------------------------------------------------ workspace


@calls
def a_workspace_is_found() -> None:
    found = Workspace.get(NAMES[2], auth=LOGIN, subscription_id=NAMES[0], resource_group=NAMES[1])
    assert found.get_details()["id"].endswith(f"/workspaces/{NAMES[2]}")
    Path("attached").mkdir()
    found.write_config("attached")
    assert Workspace.from_config("attached", auth=LOGIN).resource_group == NAMES[1]
    assert NAMES[2] in Workspace.list(NAMES[0], auth=LOGIN)
    assert found.get_mlflow_tracking_uri().startswith("azureml://")
    assert found.get_default_datastore().name == store.name
    run = experiment.start_logging(snapshot_directory=None)
    run.complete()
    assert found.get_run(run.id).id == run.id
    assert isinstance(found.get_default_keyvault(), Keyvault)
    Datastore.register_azure_blob_container(ws, "other", "azureml", store.account_name, account_key=store.account_key)
    found.set_default_datastore("other")
    assert Datastore.get_default(ws).name == "other"
    store.set_as_default()
    assert Datastore.get_default(ws).name == store.name


@calls
def a_workspace_is_changed() -> None:
    made = Workspace.create(
        NAMES[2], LOGIN, NAMES[0], NAMES[1], location="westeurope", exist_ok=True, show_output=False
    )  # fmt: skip
    assert made.name == NAMES[2]
    assert made.update(description="said", tags={"a": "1"})["description"] == "said"
    assert made.get_details()["tags"] == {"a": "1"}
    assert made.list_keys()["userStorageKey"]
    made.sync_keys()
    assert made.diagnose_workspace({"value": {}})["value"]["storage_account_results"] == []
    write("attached/.azureml/config.json", json.dumps(dict(zip(KEYS, NAMES, strict=True))))
    made.set_connection("git", "Git", "https://host/repo", "PAT", "token")
    assert made.get_connection("git")["properties"]["target"] == "https://host/repo"
    assert "git" in made.list_connections(category="Git") and made.list_connections(category="ACR") == "[]"
    made.delete_connection("git")
    assert made.list_connections() == "[]"
    made.delete_private_endpoint_connection("none")
    assert made.get_default_compute_target("CPU").name == "cpu-cluster"
    assert made.update_dependencies(container_registry="/registry", force=True)["containerRegistry"] == "/registry"
    with not_played():
        made.delete()


@calls
def private_endpoints() -> None:
    with refused("Specified vnet and subnet was not found"):
        ws.add_private_endpoint(PrivateEndPointConfig("endpoint", "network", "subnet"))
    group = f"/subscriptions/{NAMES[0]}/resourceGroups/{NAMES[1]}/providers"
    place = f"{group}/Microsoft.MachineLearningServices/workspaces/{NAMES[2]}/privateEndpointConnections/none"
    endpoint = PrivateEndPoint(place, f"{group}/Microsoft.Network/privateEndpoints/none")
    with refused("Not Found"):
        endpoint.get_details(LOGIN)
    endpoint.delete(LOGIN)


@calls
def logins() -> None:
    assert LOGIN.get_authentication_header()["Authorization"].startswith("Bearer ")
    assert LOGIN.get_token().token and LOGIN.signed_session().headers["Authorization"].startswith("Bearer ")
    mine = TokenAuthentication(lambda _: LOGIN.get_token().token)
    assert mine.get_token(Audience.ARM) and Workspace(*NAMES, auth=mine).name == NAMES[2]
    run = experiment.start_logging(snapshot_directory=None)
    of_run = AzureMLTokenAuthentication.create(
        LOGIN.get_token().token, datetime.now() + timedelta(hours=1), "https://westeurope.api.azureml.ms", *NAMES,
        experiment.name, run.id,
    )  # fmt: skip
    assert of_run.get_authentication_header()["Authorization"].startswith("Bearer ")
    run.complete()


@calls
def a_workspace_is_set_up_where_a_folder_is_attached() -> None:
    here = Path.cwd()
    write("attached/.azureml/config.json", json.dumps(dict(zip(KEYS, NAMES, strict=True))))
    os.chdir("attached")
    try:
        assert Workspace.setup().name == NAMES[2]
    finally:
        os.chdir(here)


@calls
def linked_services() -> None:
    resource = {"subscription_id": NAMES[0], "resource_group": NAMES[1], "name": "synapse"}
    made = LinkedService.register(ws, "linked", SynapseWorkspaceLinkedServiceConfiguration(**resource))
    assert LinkedService.get(ws, "linked").name == made.name == "linked"
    assert [one.name for one in LinkedService.list(ws)] == ["linked"]
    made.unregister()
    assert LinkedService.list(ws) == []


# ------------------------------------------------------------------------------------------------ compute targets


@calls
def clusters() -> None:
    wish = AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=2)
    made = ComputeTarget.create(ws, "made", wish)
    made.wait_for_completion()
    made.refresh_state()
    assert made.get_status().allocation_state == "Steady" and made.get()["name"] == "made"
    made.update(max_nodes=4)
    assert AmlCompute(ws, "made").scale_settings.maximum_node_count == 4
    assert made.list_nodes() == [] and list(made.get_active_runs()) == []
    assert "Standard_D2_v2" in [size["name"] for size in AmlCompute.supported_vmsizes(ws)]
    assert AmlCompute.list_usages(ws)[0]["currentValue"] == 0
    most = AmlCompute.list_quotas(ws)[0]["limit"]
    AmlCompute.update_quotas(ws, "totalCores", 3)
    assert AmlCompute.list_quotas(ws)[0]["limit"] == 3
    with refused("ClusterCoreQuotaReached"):
        ComputeTarget.create(ws, "greater", AmlCompute.provisioning_configuration("STANDARD_D2_V2", max_nodes=2))
    AmlCompute.update_quotas(ws, "totalCores", most)
    user = f"/subscriptions/{NAMES[0]}/resourceGroups/{NAMES[1]}/providers/identities/one"
    made.add_identity("UserAssigned", [user])
    assert list(made.get()["identity"]["userAssignedIdentities"]) == [user]
    with refused("InvalidRequestContent"):  # what the client sends is no object but a text of one
        made.remove_identity([user])
    with refused("Detach is not supported", by="by the client itself: a cluster is deleted"):
        made.detach()
    assert "made" in [one.name for one in ComputeTarget.list(ws)]
    made.delete()
    assert "made" not in [one.name for one in ComputeTarget.list(ws)]


@calls
def instances() -> None:
    made = ComputeTarget.create(ws, "instance", ComputeInstance.provisioning_configuration("STANDARD_DS3_V2"))
    made.wait_for_completion()
    assert made.get_status().state == "Running" and made.get()["name"] == "instance"
    made.stop()
    made.refresh_state()
    assert made.status.state == "Stopped"
    made.start()
    made.restart()
    made.refresh_state()
    assert made.status.state == "Running" and made.update_sso_settings(True)
    assert list(made.get_active_runs()) == [] and ComputeInstance.supported_vmsizes(ws)
    with refused("Detach is not supported", by="by the client itself: an instance is deleted"):
        made.detach()
    made.delete()
    assert "instance" not in ws.compute_targets


def attached(name: str, wish: Any) -> Any:
    """What is attached, found again and gone on."""
    made = ComputeTarget.attach(ws, name, wish)
    ComputeTarget.wait_for_completion(made)
    made.refresh_state()
    assert made.provisioning_state == "Succeeded" == ComputeTarget.get_status(made)
    assert type(ws.compute_targets[name]) is type(made)
    return made


@calls
def what_is_attached() -> None:
    cluster = f"/subscriptions/{NAMES[0]}/resourceGroups/{NAMES[1]}/providers/Microsoft.Kubernetes/connectedClusters/c"
    machine = attached("machine", RemoteCompute.attach_configuration("me", address="192.0.2.1", password="secret"))
    assert machine.address == "192.0.2.1"
    assert machine.get_credentials()["administratorAccount"]["password"] == "secret"
    hadoop = attached("hadoop", HDInsightCompute.attach_configuration("me", address="192.0.2.1", password="secret"))
    assert hadoop.get_credentials()["administratorAccount"]["username"] == "me"
    bricks = attached("bricks", DatabricksCompute.attach_configuration(NAMES[1], "bricks", access_token="secret"))
    assert bricks.get_credentials()["databricksAccessToken"] == "secret"
    kusto = attached(
        "kusto",
        KustoCompute.attach_configuration(
            NAMES[1],
            "kusto",
            cluster.replace("Kubernetes/connectedClusters", "Kusto/clusters"),
            "tenant",
            "https://k.westeurope.kusto.windows.net",
            "app",
            "secret",
        ),
    )
    assert kusto.get_credentials()["servicePrincipalCredentials"]["secret"] == "secret"
    factory = attached("factory", DataFactoryCompute.attach_configuration(NAMES[1], "factory"))
    lake = attached("lake", AdlaCompute.attach_configuration(NAMES[1], "lake"))
    batch = attached("batch", BatchCompute.attach_configuration(NAMES[1], "batch"))
    cubes = attached("cubes", KubernetesCompute.attach_configuration(cluster))
    assert cubes.get()["name"] == "cubes" and cubes.get_status() is not None
    cubes.wait_for_completion()
    resource = {"subscription_id": NAMES[0], "resource_group": NAMES[1], "name": "synapse"}
    service = LinkedService.register(ws, "for-spark", SynapseWorkspaceLinkedServiceConfiguration(**resource))
    spark = attached("spark", SynapseCompute.attach_configuration(service, "SynapseSpark", "pool"))
    aks = attached("aks-attached", AksCompute.attach_configuration(NAMES[1], "aks"))
    with not_played():
        aks.get_credentials()
    made = ComputeTarget.create(ws, "virtual", DsvmCompute.provisioning_configuration("Standard_D2_v2"))
    made.refresh_state()
    assert made.get_credentials()["computeType"] == "VirtualMachine"
    with refused("not supported", by="by the client itself: it is deleted"):
        made.detach()
    made.delete()
    aks.update(AksUpdateConfiguration(SslConfiguration(status="Disabled")))
    for one in (machine, hadoop, bricks, kusto, batch, cubes, spark):
        with refused("not supported", by="by the client itself: what is attached is detached"):
            one.delete()
    for kind in (AdlaCompute, AksCompute, DataFactoryCompute):
        with refused("DEPRECATED", by="by the client itself: ComputeTarget.attach does it"):
            kind.attach(ws, "x", "x")
    for kind in (DatabricksCompute, HDInsightCompute, RemoteCompute):
        with refused("DEPRECATED", by="by the client itself: ComputeTarget.attach does it"):
            kind.attach(*(ws, "x", "x", "x"))
    for one in (machine, hadoop, bricks, kusto, factory, lake, batch, cubes, spark, aks):
        one.detach()
    for name, wish in (
        ("factory", DataFactoryCompute.attach_configuration(NAMES[1], "factory")),
        ("lake", AdlaCompute.attach_configuration(NAMES[1], "lake")),
    ):
        ComputeTarget.attach(ws, name, wish).delete()
    assert not {"machine", "factory", "lake", "aks-attached"} & set(ws.compute_targets)


# ---------------------------------------------------------------------------------------------------- experiments


@calls
def experiments_have_words() -> None:
    made = Experiment(ws, "with-words")
    made.tag("a", "1")
    made.set_tags({"b": "2", "c": "3"})
    made.refresh()
    assert made.tags == {"a": "1", "b": "2", "c": "3"}
    made.remove_tags(["b"])
    again = Experiment(ws, "with-words")
    again.refresh()
    assert again.tags == {"a": "1", "c": "3"}
    assert [one.name for one in Experiment.list(ws, tags={"a": "1"})] == ["with-words"]
    assert [one.name for one in Experiment.list(ws, experiment_name="with-words")] == ["with-words"]
    made.archive()
    assert "with-words" not in [one.name for one in Experiment.list(ws)]
    assert "with-words" in [one.name for one in Experiment.list(ws, view_type="ArchivedOnly")]
    made.reactivate()
    assert "with-words" in [one.name for one in Experiment.list(ws)]


@calls
def an_experiment_is_deleted() -> None:
    empty, used = Experiment(ws, "empty"), Experiment(ws, "used")
    used.start_logging(snapshot_directory=None).complete()
    Experiment.delete(ws, empty.id)
    assert "empty" not in [one.name for one in Experiment.list(ws, view_type="All")]
    with refused("Only empty experiments can be deleted"):
        Experiment.delete(ws, used.id)


@calls
def an_attached_folder_has_an_experiment() -> None:
    with refused("No cache found", by="by the client itself, where azml has attached no folder"):
        Experiment.from_directory("nowhere", auth=LOGIN)


# ----------------------------------------------------------------------------------------------------------- runs


@calls
def runs_are_found_by_what_they_are() -> None:
    made = Experiment(ws, "filters")
    one = made.start_logging(snapshot_directory=None)
    one.set_tags({"kind": "a", "both": "x"})
    one.add_properties({"p": "1"})
    child = one.child_run("child")
    child.tag("kind", "c")
    child.complete()
    one.complete()
    two = made.start_logging(snapshot_directory=None)
    two.set_tags({"kind": "b", "both": "x"})
    two.fail("said", "Code")
    assert ids(made.get_runs()) == sorted([one.id, two.id])
    assert ids(made.get_runs(include_children=True)) == sorted([one.id, two.id, child.id])
    assert ids(made.get_runs(tags="kind")) == sorted([one.id, two.id])
    assert ids(made.get_runs(tags={"kind": "a"})) == [one.id]
    assert ids(made.get_runs(tags={"kind": "a", "both": "x"})) == [one.id]
    assert ids(made.get_runs(properties={"p": "1"})) == [one.id]
    assert ids(made.get_runs(type="azureml.scriptrun")) == []
    assert ids(Run.list(made, status="Failed")) == [two.id]
    assert ids(Run.list(made, tags={"both": "x"}, status="Completed")) == [one.id]
    assert ids(Run.list(made, type="none")) == []
    assert Run.get(ws, two.id).get_status() == "Failed"
    assert two.get_details()["error"]["error"]["message"] == "said"
    assert ids(one.get_children()) == [child.id]
    assert ids(one.get_children(tags={"kind": "none"})) == []
    assert ids(one.get_children(status="Completed", type=None)) == [child.id]


@calls
def a_run_logs() -> None:
    run = experiment.start_logging(snapshot_directory=None)
    run.log("number", 1)
    run.log("number", 2)
    run.log("steps", 3, step=7)
    run.log_list("list", [1, 2])
    run.log_row("row", x=1, y=2)
    run.log_table("table", {"a": [1, 2]})
    matrix = {"class_labels": ["a", "b"], "matrix": [[1, 0], [0, 1]]}
    schemas = {
        "confusion": ("confusion_matrix", "v1", matrix),
        "accuracy": (
            "accuracy_table",
            "v1",
            {
                "probability_tables": [[[1, 1, 0, 0]] * 2] * 2,
                "percentile_tables": [[[1, 1, 0, 0]] * 2] * 2,
                "probability_thresholds": [0.5, 0.6],
                "percentile_thresholds": [0.5, 0.6],
                "class_labels": ["0", "1"],
            },
        ),
        "residuals": ("residuals", "v1", {"bin_edges": [0, 1, 2], "bin_counts": [1, 2]}),
        "predictions": (
            "predictions",
            "v1",
            {"bin_averages": [0.5, 1], "bin_errors": [0.1, 0.1], "bin_counts": [1, 2], "bin_edges": [0, 1, 2]},
        ),
    }
    texts = {
        name: json.dumps({"schema_type": kind, "schema_version": version, "data": data})
        for name, (kind, version, data) in schemas.items()
    }
    run.log_confusion_matrix("confusion", texts["confusion"])
    run.log_accuracy_table("accuracy", texts["accuracy"])
    run.log_residuals("residuals", texts["residuals"])
    run.log_predictions("predictions", texts["predictions"])
    run.log_image("image", path=write("image.ppm", "P3\n1 1\n1\n0 0 0\n"))
    run.flush()
    told = run.get_metrics()
    assert told["number"] == [1, 2] and told["list"] == [1, 2] and told["row"] == {"x": 1, "y": 2}
    assert told["table"] == {"a": [1, 2]} and told["steps"] == 3
    assert {"confusion", "accuracy", "residuals", "predictions", "image"} <= set(told)
    child = run.child_run("inner")
    child.log("number", 3)
    child.complete()
    assert run.get_metrics(name="number", recursive=True)[child.id] == {"number": 3}
    run.complete()


@calls
def a_run_has_words_and_files() -> None:
    write("source/train.py", "print('hello')")
    run = experiment.start_logging(snapshot_directory="source")
    run.start()
    run.tag("a", "1")
    run.set_tags({"b": "2"})
    run.remove_tags(["a"])
    assert run.get_tags() == {"b": "2"}
    run.add_properties({"p": "q"})
    assert run.get_properties()["p"] == "q"
    run.upload_file("one/a.txt", write("files/a.txt", "A"))
    run.upload_files(["two/a.txt", "two/b.txt"], ["files/a.txt", write("files/b.txt", "B")])
    run.upload_folder("three", "files")
    kept = {"one/a.txt", "two/a.txt", "two/b.txt", "three/a.txt", "three/b.txt"}
    assert set(run.get_file_names()) >= kept
    run.download_file("one/a.txt", "down/a.txt")
    run.download_files("three", output_directory="down")
    assert [Path("down", name).read_text() for name in ("a.txt", "three/b.txt")] == ["A", "B"]
    assert zipfile.ZipFile(run.restore_snapshot(path="snapshot")).namelist() == ["train.py"]
    assert run.get_snapshot_id() == run.get_properties()["ContentSnapshotId"]
    other = experiment.start_logging(snapshot_directory=None)
    other.take_snapshot("source")
    assert other.get_snapshot_id()
    model = run.register_model("of-run", model_path="one/a.txt", tags={"t": "1"}, model_framework="Custom")
    assert (model.run_id, model.tags, model.version) == (run.id, {"t": "1"}, 1)
    vault = ws.get_default_keyvault()
    vault.set_secret("of-run", "hidden")
    assert run.get_secret("of-run") == "hidden" and run.get_secrets(["of-run"]) == {"of-run": "hidden"}
    assert [len(run.create_children(count=2)), len(run.create_children(tag_key="k", tag_values=["v"]))] == [2, 1]
    assert Run.get_context() is not None
    other.cancel()
    run.complete()


@calls
def a_run_on_the_cluster() -> None:
    write("work/train.py", "print('ran')")
    run = experiment.submit(ScriptRunConfig("work", "train.py", run_config=configuration()), tags={"of": "submit"})
    run.wait_for_completion(show_output=False)
    assert run.get_tags()["of"] == "submit"
    assert run.get_status() == "Completed" == run.get_detailed_status()["status"]
    assert run.get_details()["target"] == "cpu-cluster"
    assert "ran" in run.get_details_with_logs()["logFiles"]["user_logs/std_log.txt"]
    assert any(name.endswith("std_log.txt") for name in run.get_all_logs("logs"))
    assert run.get_environment().python.interpreter_path == os.environ["PYTHON"]
    assert run.id in [one.run_id for one in Run.list_by_compute(ws.compute_targets["cpu-cluster"])]
    parent = experiment.start_logging(snapshot_directory=None)
    child = parent.submit_child(ScriptRunConfig("work", "train.py", run_config=configuration()))
    child.wait_for_completion()
    assert child.parent.id == parent.id and child.get_status() == "Completed"
    parent.complete()
    local = experiment.submit(ScriptRunConfig("work", "train.py", run_config=configuration("local")))
    local.wait_for_completion(show_output=False)
    assert "Removed temporary run directory" in local.clean()[0]
    write("work/waits.py", "import time; time.sleep(300)")
    waits = experiment.submit(ScriptRunConfig("work", "waits.py", run_config=configuration()))
    ScriptRun.cancel(waits)
    waits.wait_for_completion(raise_on_error=False)
    assert waits.get_status() == "Canceled"


@calls
def secrets() -> None:
    vault = ws.get_default_keyvault()
    vault.set_secret("kept", "1", content_type="text/plain")
    vault.set_secrets({"two": "2", "three": "3"})
    assert vault.get_secret("kept") == "1" and vault.get_secrets(["two", "three"]) == {"two": "2", "three": "3"}
    assert vault.get_secret_content_type("kept") == "text/plain"
    vault.delete_secret("two")
    vault.delete_secrets(["three"])
    names = [one["name"] for one in vault.list_secrets()]
    assert "kept" in names and not {"two", "three"} & set(names)


# --------------------------------------------------------------------------------------------------- environments


@calls
def environments() -> None:
    conda = write("conda.yml", "name: c\ndependencies:\n- python=3.10\n- pip:\n  - six==1.17.0\n")
    made = Environment.from_conda_specification("made", conda)
    assert made.register(ws).version == "1" and "made" in Environment.list(ws)
    assert list(Environment.get(ws, "made").python.conda_dependencies.pip_packages) == ["six==1.17.0"]
    assert made.clone("copied").register(ws).name == "copied"
    lines = write("requirements.txt", "six==1.17.0\n")
    assert Environment.from_pip_requirements("lines", lines).register(ws).name == "lines"
    image = Environment.from_docker_image("image", "some/image:1")
    assert image.register(ws).docker.base_image == "some/image:1"
    assert Environment.from_dockerfile("file", "FROM scratch").register(ws).docker.base_dockerfile == "FROM scratch"
    made.save_to_directory("saved", overwrite=True)
    assert Environment.load_from_directory("saved").name == "made"
    Environment.label(ws, "made", "1", ["good"])
    assert Environment.get(ws, "made", label="good").version == "1"
    wheel = write("mine-1.0-py3-none-any.whl", "wheel")
    address = Environment.add_private_pip_wheel(ws, wheel, exist_ok=True)
    assert address.endswith("mine-1.0-py3-none-any.whl")
    with refused("conda", by="by the client itself: no conda here"):
        Environment.from_existing_conda_environment("existing", "none")


@calls
def images_of_environments() -> None:
    made = Environment("with-image")
    made.python.user_managed_dependencies = True
    assert not made.register(ws).get_image_details(ws).image_exist
    build = made.build(ws).wait_for_completion(show_output=False)
    assert build.status == "Succeeded" and "nothing to build" in build.get_log()
    assert Environment.get(ws, "with-image").get_image_details(ws).image_exist
    impossible = Environment.from_conda_specification(
        "impossible", write("impossible.yml", "dependencies:\n- python=3.10\n- r-base\n")
    )
    build = impossible.build(ws).wait_for_completion(show_output=False)
    assert build.status == "Failed" and "r-base" in build.get_log()
    with not_played():
        made.build_local(ws, useDocker=True)
    context = DockerBuildContext.from_local_directory(ws, str(Path(write("context/Dockerfile", "FROM scratch")).parent))
    assert Environment.from_docker_build_context("of-a-context", context).docker.build_context.location


# --------------------------------------------------------------------------------------------------------- models


@calls
def models() -> None:
    write("m/model.bin", "weights")
    write("m/labels.txt", "a")
    data = Dataset.File.from_files((store, "for-models/**"), validate=False)
    model = Model.register(
        ws, "m", "mine", tags={"a": "1"}, properties={"p": "q"}, description="d", datasets=[("training", data)],
        model_framework=Model.Framework.SCIKITLEARN, model_framework_version="1.0",
    )  # fmt: skip
    assert (model.version, model.model_framework, model.model_framework_version) == (1, "ScikitLearn", "1.0")
    model.add_tags({"b": "2"})
    model.remove_tags(["a"])
    model.add_properties({"r": "s"})
    model.update(tags={"c": "3"}, description="changed")
    model.update_tags_properties(add_tags={"e": "5"}, remove_tags=["c"], add_properties={"t": "u"})
    again = Model(ws, "mine", version=1)
    assert (again.tags, again.description) == ({"e": "5"}, "changed")
    assert again.properties == {"p": "q", "r": "s", "t": "u"}
    model.add_dataset_references([("more", data)])
    assert "more" in Model(ws, "mine").datasets
    assert [one.id for one in Model.list(ws, name="mine", tags=["e"], model_framework="ScikitLearn")] == ["mine:1"]
    assert Path(model.download("models-down")).joinpath("model.bin").read_text() == "weights"
    assert Path(Model.get_model_path("mine", _workspace=ws)).joinpath("model.bin").read_text() == "weights"
    assert all("sig=" in address for address in model.get_sas_urls().values())
    model.delete()
    assert Model.list(ws, name="mine") == []


# ------------------------------------------------------------------------------------------ datastores and datasets


@calls
def datastores() -> None:
    made = Datastore.register_azure_blob_container(
        ws, "mine", "mine", store.account_name, account_key=store.account_key, create_if_not_exists=True
    )
    assert Datastore.get(ws, "mine").container_name == "mine"
    made.upload_files([write("up/a.txt", "A")], target_path="one", show_progress=False)
    made.upload("up", "two", show_progress=False)
    assert made.download("down-store", show_progress=False) == 2
    assert Path("down-store/one/a.txt").read_text() == "A" == Path("down-store/two/a.txt").read_text()
    made.set_as_default()
    assert Datastore.get_default(ws).name == "mine"
    Datastore.set_as_default(store)  # of the client's class of the name, which gives objects of others
    assert Datastore.get_default(ws).name == store.name
    made.unregister()
    Datastore.unregister(Datastore.register_azure_blob_container(ws, "its", "its", "account", account_key="a2V5"))
    assert "its" not in ws.datastores
    with refused("was not found", by="Datastore was not found"):
        Datastore.get(ws, "mine")


@calls
def file_shares() -> None:
    made = Datastore.register_azure_file_share(
        ws, "shared", "shared", store.account_name, account_key=store.account_key, create_if_not_exists=True
    )
    made.upload_files([write("up/deep/ä b.txt", "A" * 5_000_000)], "up", "one", show_progress=False)
    made.upload("up/deep", "two", show_progress=False)
    assert made.download("down-share", show_progress=False) == 2
    assert len(Path("down-share/one/deep/ä b.txt").read_text()) == 5_000_000
    assert made.download("down-two", prefix="two", show_progress=False) == 1
    made.unregister()


@calls
def datastores_of_other_kinds() -> None:
    principal = {"tenant_id": "t", "client_id": "c", "client_secret": "s"}
    shared = Datastore.register_azure_file_share(ws, "share", "share", "account", account_key="a2V5")
    lake = Datastore.register_azure_data_lake(ws, "lake", "lake", **principal)
    newer = Datastore.register_azure_data_lake_gen2(ws, "newer", "files", "account", **principal)
    sql = Datastore.register_azure_sql_database(ws, "sql", "server", "base", username="me", password="p")
    postgres = Datastore.register_azure_postgre_sql(ws, "postgres", "server", "base", "me", "p")
    mysql = Datastore.register_azure_my_sql(ws, "mysql", "server", "base", "me", "p")
    bricks = Datastore.register_dbfs(ws, "bricks")
    certificate = write("c.pem", "c")
    hadoop = Datastore.register_hdfs(ws, "hadoop", "http", "h", certificate, "R", "1.1.1.1", "p", kerberos_password="p")
    for one in (shared, lake, newer, sql, postgres, mysql, bricks, hadoop):
        assert type(Datastore.get(ws, one.name)) is type(one)
        assert type(ws.datastores[one.name]) is type(one)
    assert (newer.container_name, sql.server_name, postgres.user_id) == ("files", "server", "me")
    for one in (shared, lake, newer, sql, postgres, mysql, bricks, hadoop):
        one.unregister()


TABLE = "day,who,number,place\n" + "".join(
    f"2024-01-{day:02}T00:00:00,{'ab'[day % 2]},{day},p{day % 3}\n" for day in range(1, 11)
)


def uploaded(place: str, **files: str) -> Any:
    """Files in the default datastore; where they lie."""
    for name, text in files.items():
        write(f"{place}/{name}", text)
    store.upload(place, place, overwrite=True, show_progress=False)
    return store, f"{place}/**"


@calls
def file_datasets() -> None:
    place = uploaded("for-files", **{"a.txt": "A", "b.txt": "BB", "c.txt": "CCC"})
    made = Dataset.File.from_files(place).register(ws, "files", description="d", tags={"a": "1"})
    assert sorted(made.to_path()) == ["/a.txt", "/b.txt", "/c.txt"]
    assert sorted(Path(file).name for file in made.download("down-files")) == ["a.txt", "b.txt", "c.txt"]
    assert Path("down-files/c.txt").read_text() == "CCC"
    assert len(made.take(2).to_path()) == 2 and len(made.skip(1).to_path()) == 2
    assert len(made.take_sample(1.0, seed=1).to_path()) == 3
    assert sum(len(half.to_path()) for half in made.random_split(0.5, seed=1)) == 3
    assert len(made.filter(made.file_metadata("Size") > 1).to_path()) == 2
    assert Dataset.File.upload_directory("for-files", (store, "up-files"), show_progress=False).to_path()
    changed = made.update(description="other").add_tags({"b": "2"}).remove_tags(["a"])
    assert (changed.description, changed.tags) == ("other", {"b": "2"})
    assert FileDataset.get_by_name(ws, "files").id == Dataset.get_by_name(ws, "files").id == made.id
    assert FileDataset.get_by_id(ws, made.id).name == Dataset.get_by_id(ws, made.id).name == "files"
    assert FileDataset.get_all(ws)["files"].version == Dataset.get_all(ws)["files"].version == 1
    mounted = made.mount("mounted")
    assert mounted.mount_point.endswith("mounted")
    if Path("/dev/fuse").exists():
        with mounted:
            assert Path("mounted/a.txt").read_text() == "A"
    made.unregister_all_versions()
    assert "files" not in Dataset.get_all(ws)
    parts = Dataset.File.from_files(
        uploaded("parts", **{"x/1.txt": "1", "y/2.txt": "2"}), partition_format="{part}/{file}.txt"
    )
    assert sorted(one["part"] for one in parts.get_partition_key_values(["part"])) == ["x", "y"]


@calls
def tabular_datasets() -> None:
    place = uploaded("for-tables", **{"a.csv": TABLE})
    made = Dataset.Tabular.from_delimited_files(place).register(ws, "tables")
    assert list(made.to_pandas_dataframe()["number"]) == list(range(1, 11))
    assert list(made.keep_columns(["who", "number"]).to_pandas_dataframe().columns) == ["who", "number"]
    assert list(made.drop_columns(["who", "day", "place"]).to_pandas_dataframe().columns) == ["number"]
    assert len(made.take(3).to_pandas_dataframe()) == 3 and len(made.skip(3).to_pandas_dataframe()) == 7
    assert len(made.take_sample(1.0, seed=1).to_pandas_dataframe()) == 10
    assert sum(len(part.to_pandas_dataframe()) for part in made.random_split(0.5, seed=1)) == 10
    assert len(made.filter(made["number"] > 8).to_pandas_dataframe()) == 2
    timed = made.with_timestamp_columns("day")
    middle = datetime(2024, 1, 5)
    assert len(timed.time_before(middle).to_pandas_dataframe()) == 5
    assert len(timed.time_after(middle).to_pandas_dataframe()) == 6
    assert len(timed.time_between(middle, middle + timedelta(days=1)).to_pandas_dataframe()) == 2
    assert len(timed.time_recent(timedelta(days=2)).to_pandas_dataframe()) == 0
    assert made.to_csv_files().to_path() and made.to_parquet_files().to_path()
    written = made.partition_by(["who"], (store, "by-who"), name="by-who", show_progress=False)
    assert sorted(one["who"] for one in written.get_partition_key_values()) == ["a", "b"]
    frame = made.to_pandas_dataframe()
    kept = Dataset.Tabular.register_pandas_dataframe(frame, (store, "of-pandas"), "of-pandas", show_progress=False)
    assert kept.to_pandas_dataframe().equals(frame)
    parquet = Dataset.Tabular.from_parquet_files((store, "of-pandas/**/*.parquet"))
    assert list(parquet.to_pandas_dataframe()["number"]) == list(range(1, 11))
    lines = Dataset.Tabular.from_json_lines_files(uploaded("lines", **{"a.jsonl": '{"x": 1}\n{"x": 2}\n'}))
    assert list(lines.to_pandas_dataframe()["x"]) == [1, 2]
    address = f"azureml://subscriptions/{NAMES[0]}/resourcegroups/{NAMES[1]}/workspaces/{NAMES[2]}"
    place = uploaded("names", **{"a.csv": f"file\n{address}/datastores/{store.name}/paths/for-tables/a.csv\n"})
    streams = Dataset.Tabular.from_delimited_files(place, set_column_types={"file": DataType.to_stream(ws)})
    assert [Path(file).read_text() for file in streams.download("file", "down-streams")] == [TABLE]
    assert streams.mount("file", "mounted-streams").mount_point.endswith("mounted-streams")


@calls
def tabular_datasets_elsewhere() -> None:
    made = Dataset.Tabular.from_delimited_files((store, "for-tables/**"))
    sql = Datastore.register_azure_sql_database(ws, "base", "server", "base", username="me", password="p")
    query = Dataset.Tabular.from_sql_query((sql, "select 1"), validate=False)  # kept; there is no server to ask
    assert query.register(ws, "of-sql").name == Dataset.get_by_name(ws, "of-sql").name
    with refused("pyspark", by="by the client itself: no Spark here"):
        made.to_spark_dataframe()
    with refused("dask", by="by the client itself: no Dask here"):
        made.to_dask_dataframe()
    with refused("pyspark", by="by the client itself: no Spark here"):
        Dataset.Tabular.register_spark_dataframe(None, (store, "spark"), "spark")
    with refused("dask", by="by the client itself: no Dask here"):
        Dataset.Tabular.register_dask_dataframe(None, (store, "dask"), "dask")


@calls
def profiles() -> None:
    data = uploaded("to-look-at", **{"a.csv": TABLE})
    made = Dataset.Tabular.from_delimited_files(data).register(ws, "profiled")
    with refused("Please submit a new profile run", by="by the client itself: none was made"):
        made.get_profile()
    run = made.submit_profile_run("local", experiment)
    profile = run.get_profile()
    assert "number" in repr(profile) and profile.get_producing_run().id == run.id
    assert ids(made.get_profile_runs()) == [run.id]
    assert made.get_profile().is_stale() is False
    uploaded("to-look-at", **{"a.csv": TABLE * 2})
    assert profile.is_stale() is True
    with not_played():
        made.submit_profile_run("cpu-cluster", experiment)


@calls
def caches() -> None:
    files = Dataset.File.from_files((store, "for-tables/**"))
    cache = DatacacheStore.__new__(DatacacheStore)
    cache._workspace, cache._name, cache._id = ws, "cache", "cache"
    asked: list[Callable[[], Any]] = [
        lambda: DatacacheStore.list(ws),
        lambda: DatacacheStore.get_by_name(ws, "cache"),
        lambda: DatacacheStore.register(
            ws, "cache", [store], ws.compute_targets["cpu-cluster"], LOGIN, 1, "CreationTime", 1
        ),
        lambda: DatacacheStore.update(ws, "cache", ttl_in_days=1, ttl_expiration_policy="CreationTime"),
    ]
    for call in asked:
        with not_played():
            call()
    with not_played("KeyError: 'source'"):  # of the client, which reads the datasets of earlier releases only
        with_it(DatacacheHydrationTracker)
        files.hydrate(cache)


@calls
def datasets_of_before() -> None:
    """The client has the classes of before 2019, and refuses what they do without asking anybody."""
    before = Dataset(None, ws, "before", NAMES[0])
    before._etag = "x"
    with refused("no longer supported", by="by the client itself, which no longer has it"):
        DatasetSnapshot.get_all(ws, "before")
    snapshot = DatasetSnapshot.__new__(DatasetSnapshot)
    snapshot._workspace, snapshot._name, snapshot._dataset_id, snapshot._dataset_name = ws, "x", NAMES[0], "before"
    snapshot._relative_path = snapshot._created_time = snapshot._definition_id = "x"
    snapshot._definition_version, snapshot._datastore_name, snapshot._profile_action_id = "1", "x", "x"
    action = DatasetActionRun(ws, NAMES[0], NAMES[0], ActionRequestDto("profile"))
    known = {"workspace": ws, "path": (store, "a"), "name": "x", "dataset_name": "x", "snapshot_name": "x"}
    for one in (before, snapshot, action):
        for method, function in vars(type(one)).items():
            kind = (staticmethod, FunctionType)
            if method.startswith("_") or method in PLAYED_ELSEWHERE or not isinstance(function, kind):
                continue
            call = getattr(one, method)
            asked = inspect.signature(call).parameters.values()
            given = {each.name: known.get(each.name, "x") for each in asked if each.default is each.empty}
            with refused("no longer supported", by="by the client itself, which no longer has it"):
                call(**given)


# ---------------------------------------------------------------------------------- services, packages and profiles


SCORE = """
def init(): pass
def run(data): return {"said": data}
"""


def inference() -> InferenceConfig:
    """A deployment by a Python that has the inference server, so that nothing is built."""
    write("serve/score.py", SCORE)
    environment = Environment("serving")
    environment.python.user_managed_dependencies = True
    environment.python.interpreter_path = os.environ["SERVING"]
    return InferenceConfig("score.py", source_directory="serve", environment=environment)


@calls
def services_on_instances() -> None:
    model = Model.register(ws, write("served/a.txt", "weights"), "served")
    wish = AciWebservice.deploy_configuration(1, 1, auth_enabled=True)
    service = Model.deploy(ws, "operations-aci", [model], inference(), wish)
    service.wait_for_deployment()
    service.update_deployment_state()
    assert service.state == "Healthy" and service.run("x") == {"said": "x"}
    assert "operations-aci" in [one.name for one in Webservice.list(ws, model_name="served")]
    assert "init function" in service.get_logs()
    first, second = service.get_keys()
    service.regen_key("Primary", set_key="mine")
    assert service.get_keys() == ("mine", second) and first != "mine"
    service.update(description="said", tags={"a": "1"})
    service.add_tags({"b": "2"})
    service.remove_tags(["a"])
    service.add_properties({"p": "q"})
    again = Webservice(ws, "operations-aci")
    assert (again.tags, again.properties["p"], again.description) == ({"b": "2"}, "q", "said")
    with refused("do not support Token", by="by the client itself: instances have no tokens"):
        service.get_token()
    with refused("already exists"):
        Webservice.check_for_existing_webservice(ws, "operations-aci")
    with refused("Response Code: 409"):
        model.delete()
    service.delete()
    assert "operations-aci" not in [one.name for one in Webservice.list(ws)]


@calls
def services_on_clusters() -> None:
    cluster = ComputeTarget.create(ws, "cubes-to-serve", AksCompute.provisioning_configuration())
    cluster.wait_for_completion()
    cluster.refresh_state()
    wish = AksWebservice.deploy_configuration(token_auth_enabled=True, auth_enabled=False)
    service = Model.deploy(ws, "operations-aks", [], inference(), wish, cluster)
    service.wait_for_deployment()
    assert service.run("x") == {"said": "x"}
    token, _ = service.get_token()
    assert token and service.get_access_token().access_token
    service.update(description="said", tags={"a": "1"})
    service.add_tags({"b": "2"})
    service.remove_tags(["a"])
    service.add_properties({"p": "q"})
    again = AksWebservice(ws, "operations-aks")
    assert (again.tags, again.properties["p"], again.description) == ({"b": "2"}, "q", "said")
    service.delete()
    cluster.delete()


@calls
def packages() -> None:
    model = Model.register(ws, write("packed/a.txt", "weights"), "packed")
    package = Model.package(ws, [model], inference(), generate_dockerfile=True)
    package.wait_for_creation()
    package.update_creation_state()
    assert package.state == "Succeeded" and "put together" in package.get_logs()
    package.save("package")
    assert "COPY azureml-app /var/azureml-app" in Path("package/Dockerfile").read_text()
    assert Path("package/azureml-app/azureml-models/packed/1/a.txt").read_text() == "weights"
    assert Path("package/azureml-app/serve/score.py").read_text() == SCORE
    assert package.get_container_registry().address is None
    with refused("cannot be pulled", by="by the client itself: a Dockerfile is saved"):
        package.pull()
    lines = Dataset.Tabular.from_delimited_files(uploaded("to-profile", **{"a.csv": "text\nx\n"}))
    with not_played():
        Model.profile(ws, "profile", [model], inference(), lines, cpu=1, memory_in_gb=1)
    profile = ModelProfile(None, None)
    profile.workspace, profile.create_operation_id = ws, "none"
    with not_played("Operation none was not found"):
        profile.wait_for_completion()
    with not_played("there is no profile"):
        assert profile.get_details().get("averageLatencyInMs"), "there is no profile"


@calls
def services_that_are_not_there() -> None:
    with refused("ocker", by="by the client itself: no Docker here"):
        with_it(LocalWebservice)
        Model.deploy(ws, "here", [], inference(), LocalWebservice.deploy_configuration())
    with refused("", by="by the client itself: it does not know the kind of the service"):
        with_it(UnknownWebservice)
        UnknownWebservice.deserialize(ws, {})
    cluster = ComputeTarget.create(ws, "cubes-for-endpoints", AksCompute.provisioning_configuration())
    with not_played():
        with_it(AksEndpoint)
        Model.deploy(ws, "endpoint", [], inference(), AksEndpoint.deploy_configuration(version_name="one"), cluster)
    cluster.delete()


@calls
def images_of_the_first_years() -> None:
    assert Image.list(ws) == []
    wish = ContainerImage.image_configuration(write("score.py", SCORE), "python")
    with not_played():
        note("Webservice.deploy_from_image")  # it wants an image
        with_it(ContainerImage, UnknownImage)
        Image.create(ws, "one", [], wish)
    with not_played():
        with_it(Image)
        Webservice.deploy(ws, "one", [], wish)
    with not_played():
        Webservice.deploy_from_model(ws, "one", [], wish)
    with refused("ocker", by="by the client itself: no Docker here"):
        Webservice.deploy_local_from_model(ws, "one", [], wish)


# ---------------------------------------------------------------------------------------- searches and pipelines

TRAIN = """
import json, os, sys, urllib.request
address = os.environ["MLFLOW_TRACKING_URI"].replace("azureml://", "https://") + "/api/2.0/mlflow/runs/log-metric"
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
body = json.dumps({"run_id": os.environ["MLFLOW_RUN_ID"], "key": "acc", "value": float(sys.argv[2])}).encode()
urllib.request.urlopen(urllib.request.Request(address, body, headers))
"""


@calls
def searches() -> None:
    write("search/train.py", TRAIN)
    script = ScriptRunConfig("search", "train.py", run_config=configuration())

    def search(most: int) -> HyperDriveRun:
        space = GridParameterSampling({"--x": choice(0.1, 0.3)})
        return experiment.submit(
            HyperDriveConfig(
                run_config=script,
                hyperparameter_sampling=space,
                primary_metric_name="acc",
                primary_metric_goal=PrimaryMetricGoal.MAXIMIZE,
                max_total_runs=most,
            )
        )

    run = search(2)
    run.wait_for_completion()
    best = run.get_best_run_by_primary_metric()
    assert run.get_metrics()[best.id]["acc"] == 0.3
    assert json.loads(run.get_hyperparameters()[best.id])["--x"] == 0.3
    assert [one["best_primary_metric"] for one in run.get_children_sorted_by_primary_metric()] == [0.3, 0.1]
    with refused("not implemented", by="by the client itself, which has no diagnostics yet"):
        run.get_diagnostics()
    with refused("", by="by the client itself: a search ends by itself"):
        run.fail()
    write("search/train.py", "import time; time.sleep(300)")
    stopped = search(1)
    stopped.cancel()
    stopped.wait_for_completion(wait_post_processing=True)  # else it waits no longer than until the end was asked for
    assert stopped.get_status() == "Canceled"


def step(**options: Any) -> PythonScriptStep:
    """A step that writes what it is told."""
    write(
        "step/make.py",
        "import os, sys\nos.makedirs(sys.argv[1], exist_ok=True)\n"
        "open(sys.argv[1] + '/made.txt', 'w').write(sys.argv[2])\nprint('made', sys.argv[2])",
    )
    made = PipelineData("made", datastore=store, pipeline_output_name="made")
    said = PipelineParameter("said", default_value="default")
    note("PythonScriptStep.create_node")
    return PythonScriptStep(
        "make.py",
        name="make",
        source_directory="step",
        compute_target="cpu-cluster",
        runconfig=configuration(),
        arguments=[made, said],
        outputs=[made],
        allow_reuse=False,
        **options,
    )


RUNCONFIG = f"""
framework: Python
communicator: None
nodeCount: 1
environment:
  python: {{userManagedDependencies: true, interpreterPath: {os.environ["PYTHON"]}}}
  docker: {{enabled: false}}
"""
ONLY_MODULES = "must include only ModuleSteps"
YAML = """
pipeline:
  description: one step
  default_compute: cpu-cluster
  parameters: {said: {type: string, default: x}}
  data_references: {}
  steps:
    make:
      type: PythonScriptStep
      name: make
      source_directory: step
      script_name: make.py
      runconfig: runconfig.yml
      arguments: [output:made, parameter:said]
      parameters: {said: {source: said}}
      outputs: {made: {destination: made, datastore: workspaceblobstore, bind_mode: mount}}
"""


@calls
def pipelines() -> None:
    write("runconfig.yml", RUNCONFIG)
    pipeline = Pipeline(ws, [step()])
    assert pipeline.validate() == [] and pipeline.graph.validate() == []
    assert pipeline.service_endpoint()
    run = pipeline.submit("pipelines", pipeline_parameters={"said": "hello"})
    run.wait_for_completion(show_output=False)
    assert run.get_status() == "Finished" and isinstance(run.get_tags(), dict)
    assert [node.name for node in run.get_graph().nodes] == ["make"]
    (one,) = run.get_steps()
    assert run.find_step_run("make")[0].id == one.id
    one.wait_for_completion(show_output=False)
    assert one.get_status() == "Finished" and "made hello" in requests.get(one.get_stdout_log()).text
    assert requests.get(one.get_job_log()).ok and requests.get(one.get_stderr_log()).ok
    assert "made hello" in str(one.get_details_with_logs()["logFiles"])
    assert list(one.get_outputs()) == ["made"]
    place = one.get_output("made").get_port_data_reference()
    place.download("down-step")
    assert one.get_output_data("made").name == "made"
    assert [file.read_text() for file in Path("down-step").rglob("made.txt")] == ["hello"]
    run.get_pipeline_output("made").download("down-output")
    assert [file.read_text() for file in Path("down-output").rglob("made.txt")] == ["hello"]
    assert PipelineRun.get(ws, run.id).id == run.id
    for call in (run.complete, run.fail, run.child_run, one.complete, one.fail, one.child_run):
        with refused("", by="by the client itself: the service ends pipelines and their steps"):
            call()
    with refused(ONLY_MODULES, by="by the client itself: only pipelines of ModuleSteps are saved"):
        run.save("run.yml")
    loaded = Pipeline.load_yaml(ws, write("pipeline.yml", YAML))
    assert [node.name for node in loaded.graph.nodes] == ["make"]
    published = run.publish_pipeline("of-run", "d", "1")
    assert PublishedPipeline.get(ws, published.id).name == "of-run"
    assert pipeline.graph.submit().wait_for_completion(show_output=False) == "Finished"
    stopped = pipeline.submit("pipelines")
    stopped.cancel()
    stopped.wait_for_completion(show_output=False, raise_on_error=False)
    assert stopped.get_status() in {"Canceled", "Finished"}


@calls
def published_pipelines() -> None:
    published = Pipeline(ws, [step()]).publish("published", "d", "1")
    assert published.get_step_names() == ["make"] and [node.name for node in published.get_graph().nodes] == ["make"]
    assert "published" in [one.name for one in PublishedPipeline.list(ws)]
    assert "published" in [one.name for one in PublishedPipeline.get_all(ws)]
    with refused(ONLY_MODULES, by="by the client itself: only pipelines of ModuleSteps are saved"):
        published.save("published.yml")
    run = published.submit(ws, "pipelines")
    run.wait_for_completion(show_output=False)
    assert run.id in ids(PipelineRun.get_pipeline_runs(ws, published.id))
    published.disable()
    assert "published" not in [one.name for one in PublishedPipeline.list(ws)]
    published.enable()
    assert PublishedPipeline.get(ws, published.id).status == "Active"


@calls
def endpoints_of_pipelines() -> None:
    first, second, third = (Pipeline(ws, [step()]).publish(name, "d", "1") for name in ("first", "second", "third"))
    made = PipelineEndpoint.publish(ws, "endpoint", "d", first)
    made.add(second)
    made.add_default(third)
    made = PipelineEndpoint.get(ws, name="endpoint")
    assert made.get_default_version() == "2"
    made.set_default_version("0")
    assert made.get_pipeline().name == "first" and made.get_pipeline("1").name == "second"
    made.set_default(second)
    assert PipelineEndpoint.get(ws, id=made.id).get_default_version() == "1"
    assert len(made.get_all_versions()) == len(made.list_versions()) == 3
    assert sorted(one.name for one in made.list_pipelines()) == ["first", "second", "third"]
    assert len(made.get_all_pipelines()) == 3
    assert "endpoint" in [one.name for one in PipelineEndpoint.list(ws)]
    assert "endpoint" in [one.name for one in PipelineEndpoint.get_all(ws)]
    run = made.submit("pipelines")
    run.wait_for_completion(show_output=False)
    assert run.get_status() == "Finished"
    made.set_name("renamed")
    assert PipelineEndpoint.get(ws, name="renamed").id == made.id
    for leave, come, gone in (
        (made.disable, made.enable, "Disabled"),
        (made.archive, lambda: made.reactivate("renamed"), "Archived"),
    ):
        leave()
        assert PipelineEndpoint.get(ws, id=made.id).status in {gone, "Disabled"}
        come()
        assert PipelineEndpoint.get(ws, id=made.id).status == "Active"


@calls
def drafts_of_pipelines() -> None:
    draft = PipelineDraft.create(ws, Pipeline(ws, [step()]), "draft", "d", "pipelines", {"said": "x"}, tags={"a": "1"})
    assert PipelineDraft.get(ws, draft.id).name == "draft" and draft.id in ids(PipelineDraft.list(ws))
    draft.update(name="other", tags={"b": "2"})
    assert PipelineDraft.get(ws, draft.id).name == "other"
    assert [node.name for node in draft.get_graph().nodes] == ["make"]
    with refused(ONLY_MODULES, by="by the client itself: only pipelines of ModuleSteps are saved"):
        draft.save("draft.yml")
    run = draft.submit_run()
    run.wait_for_completion(show_output=False)
    assert run.get_status() == "Finished" and draft.publish().status == "Active"
    draft.delete()
    assert draft.id not in ids(PipelineDraft.list(ws))


@calls
def schedules() -> None:
    published = Pipeline(ws, [step()]).publish("scheduled", "d", "1")
    endpoint = PipelineEndpoint.publish(ws, "scheduled-endpoint", "d", published)
    far = "2999-01-01T00:00:00"  # without a start it begins at once
    daily = ScheduleRecurrence("Day", 1, far)
    made = Schedule.create(ws, "daily", published.id, "pipelines", recurrence=daily)
    other = Schedule.create_for_pipeline_endpoint(ws, "of-endpoint", endpoint.id, "pipelines", recurrence=daily)
    assert Schedule.get(ws, made.id).recurrence.frequency == "Day"
    assert made.id in ids(Schedule.list(ws)) and made.id in ids(Schedule.get_all(ws))
    assert ids(Schedule.get_schedules_for_pipeline_id(ws, published.id)) == [made.id]
    assert ids(Schedule.get_schedules_for_pipeline_endpoint_id(ws, endpoint.id)) == [other.id]
    made.update(name="weekly", recurrence=ScheduleRecurrence("Week", 1, far))
    assert (Schedule.get(ws, made.id).name, Schedule.get(ws, made.id).recurrence.frequency) == ("weekly", "Week")
    assert made.get_pipeline_runs() == [] and made.get_last_pipeline_run() is None
    made.disable()
    assert Schedule.get(ws, made.id).status == "Disabled"
    made.enable()
    assert Schedule.get(ws, made.id).status == "Active"
    nothing = ("start_time", "time_zone", "hours", "minutes", "week_days", "time_of_day")
    recurrence = {"frequency": "Day", "interval": 1} | dict.fromkeys(nothing)
    words = {"description": "d", "recurrence": recurrence, "pipeline_parameters": {}}
    write("schedule.yml", json.dumps({"Schedule": words}))
    assert Schedule.load_yaml(ws, "schedule.yml")
    for one in (made, other):
        one.disable()


# --------------------------------------------------------------------------------------------- modules and steps


@calls
def modules_of_pipelines() -> None:
    with perhaps(Module, ModuleVersion, ModuleStep):
        write("module/make.py", "print('made')")
        made = Module.create(ws, "module", "d")
        wish = {"inputs": [], "outputs": [], "source_directory": "module"}
        first = made.publish_python_script("make.py", "one", version="1", is_default=True, **wish)
        made.publish("two", "escloud", [], [], version="2", content_path="module")
        again = Module.get(ws, name="module")
        assert again.get_default_version() == "1" and again.get_default().module_version_id == first.module_version_id
        assert [one.version for one in again.module_version_list()] == ["1", "2"]
        assert [one.version for one in Module.get_versions(ws, "module")] == ["1", "2"]
        again.set_default_version("2")
        assert Module.get(ws, module_id=made.id).resolve().version == "2"
        again.set_name("renamed")
        again.set_description("other")
        assert Module.get(ws, module_id=made.id).name == "renamed"
        for leave, status in ((again.disable, "Disabled"), (again.deprecate, "Deprecated"), (again.enable, "Active")):
            leave()
            assert Module.get(ws, module_id=made.id).status == status
        version = ModuleVersion.get(ws, first.module_version_id)
        assert version.module().id == made.id
        version.set_description("said")
        for leave, status in (
            (version.disable, "Disabled"),
            (version.deprecate, "Deprecated"),
            (version.enable, "Active"),
        ):
            leave()
            assert ModuleVersion.get(ws, first.module_version_id).status == status
        assert ended(ModuleStep(module=again, version="1", compute_target="cpu-cluster", runconfig=configuration()))
        lake = ComputeTarget.attach(ws, "lake-of-module", AdlaCompute.attach_configuration(NAMES[1], "lake"))
        write("module/a.usql", "x")
        assert made.publish_adla_script("a.usql", "d", [], [], compute_target=lake, source_directory="module")
        batch = ComputeTarget.attach(ws, "batch-of-module", BatchCompute.attach_configuration(NAMES[1], "batch"))
        assert made.publish_azure_batch("d", batch, [], [], executable="x", source_directory="module")


def ended(step: Any) -> bool:
    """Whether a pipeline of one step goes through."""
    note(f"{type(step).__name__}.create_node")
    run = Experiment(ws, "steps").submit(Pipeline(ws, [step]))
    return str(run.wait_for_completion(show_output=False, raise_on_error=False)) == "Finished"


@calls
def steps_that_run() -> None:
    write("steps/make.py", "print('made')")
    at = {"source_directory": "steps", "compute_target": "cpu-cluster"}
    with perhaps(CommandStep):
        assert ended(CommandStep("echo hello", name="command", runconfig=configuration(), **at))
    with perhaps(HyperDriveStep):
        write("steps/train.py", TRAIN)
        search = HyperDriveConfig(
            run_config=ScriptRunConfig("steps", "train.py", run_config=configuration()),
            hyperparameter_sampling=GridParameterSampling({"--x": choice(0.1)}),
            primary_metric_name="acc",
            primary_metric_goal=PrimaryMetricGoal.MAXIMIZE,
            max_total_runs=1,
        )
        assert ended(HyperDriveStep("search", search))
    with perhaps(ParallelRunStep):
        write("steps/score.py", "def init(): pass\ndef run(batch): return [str(one) for one in batch]\n")
        parallel = ParallelRunConfig(
            environment=configuration().environment,
            entry_script="score.py",
            source_directory="steps",
            error_threshold=1,
            output_action="append_row",
            compute_target=ws.compute_targets["cpu-cluster"],
            node_count=1,
        )
        files = Dataset.File.from_files(uploaded("for-parallel", **{"a.txt": "A"}))
        out = PipelineData("out", datastore=store)
        assert ended(ParallelRunStep("parallel", parallel, [files.as_named_input("files")], out, allow_reuse=False))


@calls
def steps_elsewhere() -> None:
    one, two = (
        DataReference(store, name, path_on_datastore=name, mode="mount") for name in ("copied_from", "copied_to")
    )
    targets = {
        "factory-of-steps": DataFactoryCompute.attach_configuration(NAMES[1], "factory"),
        "bricks-of-steps": DatabricksCompute.attach_configuration(NAMES[1], "bricks", access_token="secret"),
    }
    factory, bricks = (ComputeTarget.attach(ws, name, wish) for name, wish in targets.items())
    kusto = "kusto-of-steps"
    lake = ComputeTarget.attach(ws, "lake-of-steps", AdlaCompute.attach_configuration(NAMES[1], "lake"))
    batch = ComputeTarget.attach(ws, "batch-of-steps", BatchCompute.attach_configuration(NAMES[1], "batch"))
    resource = {"subscription_id": NAMES[0], "resource_group": NAMES[1], "name": "synapse"}
    service = LinkedService.register(ws, "for-steps", SynapseWorkspaceLinkedServiceConfiguration(**resource))
    ComputeTarget.attach(ws, "spark-of-steps", SynapseCompute.attach_configuration(service, "SynapseSpark", "pool"))
    write("steps/a.usql", "x")
    write("steps/a.R", "x")
    write("steps/make.py", "print('made')")
    steps: list[Callable[[], Any]] = [
        lambda: DataTransferStep("copy", one, two, factory),
        lambda: DatabricksStep(
            "bricks", existing_cluster_id="x", notebook_path="/x", run_name="x", compute_target=bricks
        ),
        lambda: AdlaStep("a.usql", "lake", compute_target=lake, source_directory="steps"),
        lambda: AzureBatchStep("batch", pool_id="x", executable="x", compute_target=batch, source_directory="steps"),
        lambda: KustoStep("kusto", kusto, "base", "steps", PipelineData("out", datastore=store)),
        lambda: SynapseSparkStep("make.py", "steps", "spark-of-steps", "1g", 1, "1g", 1, 1),
    ]
    for make in steps:
        with not_played():
            ended(make())
    with not_played("environment"):  # R is no longer in the client
        note("RScriptStep.create_node")
        RScriptStep("a.R", name="r", source_directory="steps", compute_target="cpu-cluster")
    with refused("required", by="by the client itself, which no longer has estimators"):
        note("EstimatorStep.create_node")
        EstimatorStep("estimator")
    with not_played("automl_config"):  # no automated machine learning here
        with_it(AutoMLStep, AutoMLStepRun)
        AutoMLStep("auto", None)
