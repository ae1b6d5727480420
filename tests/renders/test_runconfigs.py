"""The runconfigs, loaded by the real client, and by a schema that forgives less than the client does."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from azureml.core import RunConfiguration, ScriptRunConfig
from azureml.core.environment import DEFAULT_CPU_IMAGE, DEFAULT_GPU_IMAGE
from azureml.core.runconfig import MpiConfiguration, PyTorchConfiguration, TensorflowConfiguration

from aml_project.runconfigs.schema import SCHEMA
from tests.conftest import Bake
from tests.support import FRAMEWORKS, MODEL, copy_of, rendered_file

CLOUD = MODEL / "aml_config" / "train-amlcompute.runconfig"
LOCAL = "/tmp/model1-data"
DIRECT = ["--data-path", LOCAL, "--dataset", "training"]
# Names that plain YAML would take for a boolean or a number.
HOSTILE_NAMES = {"compute_name": "no", "dataset_name": "1e3", "model_name": "yes"}


def load(model: Path, name: str) -> RunConfiguration:
    return RunConfiguration.load(str(model), name)


def raw(model: Path, name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((model / "aml_config" / f"{name}.runconfig").read_text(encoding="utf-8")))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_local(bake: Bake, framework: str) -> None:
    config = load(bake(framework=framework) / "models" / "model1", "train-local")
    assert (config.script, config.target) == ("train.py", "local")
    assert config.arguments == ["--data-path", "/tmp/model1-data"]
    assert (config.framework, config.communicator, config.node_count) == ("Python", "None", 1)
    assert config.environment.python.user_managed_dependencies is True
    assert config.environment.environment_variables == {}, "none of the client's examples"
    assert config.docker.use_docker is False
    assert config.environment.docker.enabled is False
    data = config.data["training"]
    assert (data.data_location.dataset.name, data.data_location.dataset.version) == ("model1-data", "1")
    assert data.data_location.dataset.id is None
    assert (data.mechanism, data.path_on_compute, data.overwrite) == ("download", "/tmp/model1-data", True)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_amlcompute(bake: Bake, framework: str) -> None:
    config = load(bake(framework=framework) / "models" / "model1", "train-amlcompute")
    assert (config.script, config.target) == ("train.py", "cpu-cluster")
    assert config.arguments == ["--data-path", "/data"]
    assert (config.framework, config.communicator, config.node_count) == ("Python", "None", 1)
    assert config.mpi.node_count == 1
    assert config.max_run_duration_seconds == 86400
    assert config.environment.name == "model1-train"
    assert config.environment.python.user_managed_dependencies is False
    assert config.environment.python.interpreter_path == "python"
    assert config.environment.docker.base_image == DEFAULT_CPU_IMAGE, "the client's own default is the current one"
    assert config.docker.use_docker is True
    assert config.environment.docker.enabled is True
    assert config.history.output_collection is True
    data = config.data["training"]
    assert (data.data_location.dataset.name, data.data_location.dataset.version) == ("model1-data", "1")
    assert (data.mechanism, data.path_on_compute) == ("mount", "/data")
    packages = list(config.environment.python.conda_dependencies.pip_packages)
    assert "azureml-mlflow==1.62.0.post6" in packages


def test_a_vm_with_a_gpu_gets_the_image_for_it(bake: Bake) -> None:
    config = load(bake(vm_size="Standard_NC6s_v3") / "models" / "model1", "train-amlcompute")
    assert config.environment.docker.base_image == DEFAULT_GPU_IMAGE, "the client's own default is the current one"


def loaded(bake: Bake, folder: Path, **answers: str) -> RunConfiguration:
    """The runconfig of the cluster for these answers, as the real client loads it from a model's folder."""
    model = copy_of(bake(framework=answers["framework"]), folder) / "models" / "model1"
    (model / "aml_config" / CLOUD.name).write_text(rendered_file(CLOUD, **answers), encoding="utf-8")
    jsonschema.validate(raw(model, "train-amlcompute"), SCHEMA)
    return load(model, "train-amlcompute")


def test_many_nodes_with_many_gpus(bake: Bake) -> None:
    """Four nodes of eight V100: what the template is to scale to."""
    project = bake(framework="pytorch", vm_size="Standard_ND40rs_v2", node_count="4")
    config = load(project / "models" / "model1", "train-amlcompute")
    assert (config.framework, config.communicator, config.node_count) == ("Python", "IntelMpi", 4)
    assert (config.mpi.node_count, config.mpi.process_count_per_node) == (4, 8)
    assert config.environment.docker.base_image == DEFAULT_GPU_IMAGE
    assert (config.docker.use_docker, config.docker.shm_size) == (True, "16g")
    data = config.data["training"]
    assert (data.mechanism, data.path_on_compute) == ("mount", "/data")
    assert config.arguments == ["--data-path", "/data"]


@pytest.mark.parametrize(
    ("answers", "job"),
    [
        ({"framework": "pytorch", "node_count": "2"}, MpiConfiguration(1, 2)),
        ({"framework": "pytorch", "processes_per_node": "4"}, MpiConfiguration(4, 1)),
        ({"framework": "none", "node_count": "2", "processes_per_node": "4"}, MpiConfiguration(4, 2)),
        ({"framework": "none", "node_count": "2", "launcher": "pytorch"}, MpiConfiguration(1, 2)),
        ({"framework": "pytorch", "node_count": "2", "launcher": "pytorch"}, PyTorchConfiguration("Gloo", 2, 2)),
        (
            {"framework": "pytorch", "node_count": "4", "launcher": "pytorch", "vm_size": "Standard_ND40rs_v2"},
            PyTorchConfiguration("Nccl", 32, 4),
        ),
        ({"framework": "tensorflow", "node_count": "4"}, TensorflowConfiguration(4, 0)),
        ({"framework": "tensorflow", "vm_size": "Standard_ND40rs_v2"}, None),
        ({"framework": "pytorch", "launcher": "pytorch"}, None),
        ({"framework": "none"}, None),
    ],
)
def test_several_processes_are_what_the_client_itself_asks_for(
    bake: Bake, tmp_path: Path, answers: dict[str, str], job: Any
) -> None:
    ours = loaded(bake, tmp_path, **answers)
    theirs = ScriptRunConfig(".", script="train.py", compute_target="x", distributed_job_config=job).run_config
    assert (ours.framework, ours.communicator.lower()) == (theirs.framework, theirs.communicator.lower())
    assert ours.node_count == theirs.node_count
    assert vars(ours.mpi) == vars(theirs.mpi)
    assert vars(ours.pytorch) | {"communication_backend": ""} == vars(theirs.pytorch) | {"communication_backend": ""}
    assert ours.pytorch.communication_backend.lower() == theirs.pytorch.communication_backend
    assert vars(ours.tensorflow) == vars(theirs.tensorflow)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, ("mount", "/data", False, ["--data-path", "/data"])),
        ({"processes_per_node": "2"}, ("mount", "/data", False, ["--data-path", "/data"])),
        ({"data_access": "download", "node_count": "2"}, ("download", LOCAL, True, ["--data-path", LOCAL])),
        # The client's own download knows no ranks: every process would copy everything.
        ({"data_access": "download", "processes_per_node": "2"}, ("direct", None, False, DIRECT)),
        ({"data_access": "direct"}, ("direct", None, False, DIRECT)),
    ],
)
def test_the_way_of_the_data(bake: Bake, tmp_path: Path, answers: dict[str, str], expected: tuple[Any, ...]) -> None:
    config = loaded(bake, tmp_path, framework="none", **answers)
    data = config.data["training"]
    assert (data.mechanism, data.path_on_compute, data.overwrite, config.arguments) == expected
    assert data.environment_variable_name == "training"


def test_names_that_yaml_would_misread(bake: Bake) -> None:
    model = bake(**HOSTILE_NAMES) / "models" / "yes"
    config = load(model, "train-amlcompute")
    assert config.target == "no"
    assert config.data["training"].data_location.dataset.name == "1e3"
    assert config.environment.name == "yes-train"


@pytest.mark.parametrize("name", ["train-local", "train-amlcompute"])
@pytest.mark.parametrize("answers", [{}, {"framework": "none", "node_count": "4"}, HOSTILE_NAMES])
def test_the_schema_and_the_agreements_hold(bake: Bake, answers: dict[str, str], name: str) -> None:
    model = bake(**answers) / "models" / answers.get("model_name", "model1")
    config = raw(model, name)
    jsonschema.validate(config, SCHEMA)
    assert config["docker"]["useDocker"] == config["environment"]["docker"]["enabled"]
    assert config["nodeCount"] == config.get("mpi", {"nodeCount": 1})["nodeCount"]
    assert (config["communicator"] == "None") == (config["nodeCount"] == 1)
    (data,) = config["data"].values()
    assert config["arguments"] == ["--data-path", data["pathOnCompute"]]
    for file in (config["script"], config["environment"]["python"]["condaDependenciesFile"]):
        assert (model / file).is_file()


@pytest.mark.parametrize(
    "mistake",
    [
        {"nodecount": 4},
        {"communicator": "Foo"},
        {"arguments": "--data-path /data"},
        {"docker": {"useDocker": "false"}},
        {"environment": None},
        {"nodeCount": 0},
    ],
)
def test_the_schema_catches_what_the_client_lets_pass(bake: Bake, mistake: dict[str, Any]) -> None:
    config = raw(bake() / "models" / "model1", "train-amlcompute") | mistake
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, SCHEMA)


def test_a_snapshot_holds_what_a_run_needs_and_no_more(bake: Bake, tmp_path: Path) -> None:
    """What the real client would upload from a model's folder that has been worked in."""
    from azureml._project.ignore_file import get_project_ignore_file

    model = copy_of(bake(), tmp_path) / "models" / "model1"
    litter = ["outputs/model/model.pkl", "mlruns/0/meta.yaml", ".env", "run.json", ".git/config", "a/__pycache__/b.pyc"]
    litter += [".venv/bin/python", ".ipynb_checkpoints/x.ipynb", ".azureml/config.json"]
    for name in [*litter, "helper/code.py"]:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("x")
    ignored = get_project_ignore_file(str(model)).is_file_excluded
    sent = {
        path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file() and not ignored(str(path))
    }
    assert {"train.py", "runtime/tracking.py", "aml_config/train-conda.yml", "helper/code.py"} < sent
    assert [name for name in sent if name in litter or name.startswith("tests/")] == []
