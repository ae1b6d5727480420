"""The runconfigs, loaded by the real client, and by a schema that forgives less than the client does."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from azureml.core import RunConfiguration
from azureml.core.environment import DEFAULT_CPU_IMAGE, DEFAULT_GPU_IMAGE

from tests.conftest import Bake
from tests.support import FRAMEWORKS, PROJECT, copy_of

SCHEMA = json.loads((PROJECT / "scripts" / "checks" / "runconfig.schema.json").read_text(encoding="utf-8"))
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


def test_several_nodes(bake: Bake) -> None:
    config = load(bake(node_count="4") / "models" / "model1", "train-amlcompute")
    assert (config.node_count, config.mpi.node_count, config.mpi.process_count_per_node) == (4, 4, 1)
    assert config.communicator == "IntelMpi"


def test_names_that_yaml_would_misread(bake: Bake) -> None:
    model = bake(**HOSTILE_NAMES) / "models" / "yes"
    config = load(model, "train-amlcompute")
    assert config.target == "no"
    assert config.data["training"].data_location.dataset.name == "1e3"
    assert config.environment.name == "yes-train"


@pytest.mark.parametrize("name", ["train-local", "train-amlcompute"])
@pytest.mark.parametrize("answers", [{}, {"node_count": "4"}, HOSTILE_NAMES, {"framework": "none"}])
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
    assert {"train.py", "input_schema.py", "aml_config/train-conda.yml", "helper/code.py"} < sent
    assert [name for name in sent if name in litter or name.startswith("tests/")] == []
