"""The files of a deployment: loaded by the client's own classes, with every field they name; and what is refused."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from azureml.core import Environment, RunConfiguration
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.model import InferenceConfig
from azureml.core.webservice.aci import AciServiceDeploymentConfiguration
from azureml.core.webservice.aks import AksServiceDeploymentConfiguration
from azureml.core.webservice.local import LocalWebserviceDeploymentConfiguration

from aml_project.command_line import Failure
from aml_project.runconfigs import deployment_files as config_files
from tests.aml import aml, call
from tests.conftest import Bake
from tests.runconfigs import change, said
from tests.support import FRAMEWORKS, files_of, run

CLASSES = {
    "aci": AciServiceDeploymentConfiguration,
    "aks": AksServiceDeploymentConfiguration,
    "local": LocalWebserviceDeploymentConfiguration,
}
INFERENCE = "aml_config/inference-config.yml"


def load(config: dict[str, Any]) -> Any:
    """What the client reads a deployment configuration with; its module can't be the first one to be imported."""
    from azureml._model_management._util import deploy_config_dict_to_obj

    return deploy_config_dict_to_obj(config, None, None, None)


@pytest.fixture
def model(project: Path) -> Path:
    return project / "models" / "model1"


def file_of(model: Path, target: str) -> Path:
    return model / "deployment" / f"deployment-config-{target}.yml"


def leaves(config: dict[str, Any]) -> Iterator[Any]:
    for value in config.values():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield value


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("target", config_files.TARGETS)
def test_every_field_arrives(bake: Bake, framework: str, target: str) -> None:
    """In an object of the client's own class; in a request the client itself builds of it, for the two of Azure."""
    model = bake(framework=framework) / "models" / "model1"
    config = yaml.safe_load(file_of(model, target).read_text())
    assert config_files.read_deployment(model, target) == config
    loaded = load(copy.deepcopy(config))
    assert type(loaded) is CLASSES[target]
    loaded.validate_configuration()
    if target == "local":
        assert loaded.port == config["port"]
        return
    assert (config["authEnabled"], config["appInsightsEnabled"]) == (True, True)
    sent = loaded._build_create_payload("name", {})
    for key, value in config.items():
        if key == "computeTargetName":
            assert loaded.compute_target_name == value
        elif isinstance(value, dict):
            assert value.items() <= sent[key].items(), key
        else:
            assert sent[key] == value, key
    if target == "aks":
        assert loaded.autoscale_enabled is True
        assert loaded.autoscale_min_replicas < loaded.autoscale_max_replicas


class Watched(dict[str, Any]):
    """A mapping that remembers what it was asked for."""

    def __init__(self, asked: set[str], place: str = "", **known: Any) -> None:
        super().__init__(**known)
        self.asked, self.place = asked, place

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(f"{self.place}{key}")
        return Watched(self.asked, f"{self.place}{key}.") if default == {} else default


def fields(schema: dict[str, Any], place: str = "") -> Iterator[str]:
    for key, inner in schema["properties"].items():
        if inner.get("properties"):
            yield from fields(inner, f"{place}{key}.")
        else:
            yield f"{place}{key}"


@pytest.mark.parametrize("target", config_files.TARGETS)
def test_the_schema_has_the_fields_that_the_client_reads(target: str) -> None:
    asked: set[str] = set()
    try:
        load(Watched(asked, computeType=target))
    except Exception as error:
        raise AssertionError("the client refuses what it has asked for nothing") from error
    sections = {name.rpartition(".")[0] for name in asked}
    read = {name for name in asked if name not in sections and not name.startswith("keys.")} | {"computeType"}
    known = set(fields(config_files.SCHEMAS[target]))
    assert known - {"keys"} == read


# What every rendered service gets: processes, a thread each for what they compute, and threads that wait for clients.
VARIABLES = {
    "WORKER_COUNT": "1",
    "OMP_NUM_THREADS": "1",
    "GUNICORN_CMD_ARGS": "--worker-class gthread --threads 64",
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("answers", [{}, {"model_name": "yes", "vm_size": "Standard_NC6s_v3"}])
def test_what_is_served(bake: Bake, framework: str, answers: dict[str, str]) -> None:
    """The script, the variables, the base image of the runconfig, the packages of inference-conda.yml."""
    [model] = bake(framework=framework, **answers).glob("models/*")
    config = config_files.read_inference(model)
    environment = Environment._deserialize_and_add_to_object(config["environment"])
    loaded = InferenceConfig(config["entryScript"], source_directory=str(model), environment=environment)
    assert loaded.entry_script == "score.py"
    assert environment.name == f"{model.name}-inference"
    assert environment.environment_variables == VARIABLES
    assert environment.inferencing_stack_version == "latest"
    assert (
        environment.docker.base_image
        == RunConfiguration.load(str(model), "train-amlcompute").environment.docker.base_image
    )
    conda = CondaDependencies(str(model / "aml_config" / "inference-conda.yml"))
    assert environment.python.conda_dependencies.as_dict() == conda.as_dict()
    sent = Environment._serialize_to_dict(environment)
    assert sent["python"]["condaDependencies"]["dependencies"] == conda.as_dict()["dependencies"]
    assert not sent["python"].get("condaDependenciesFile")


def test_the_client_alone_would_send_no_packages(bake: Bake) -> None:
    """The reason why the file is read here: the day that this fails, it need not be."""
    raw = yaml.safe_load((bake() / "models" / "model1" / INFERENCE).read_text())
    sent = Environment._serialize_to_dict(Environment._deserialize_and_add_to_object(raw["environment"]))
    assert not sent["python"].get("condaDependencies")


MISTAKES = [
    ("aci", "authEnabled", "authEnable", "authEnable: the client ignores this key: write authEnabled"),
    ("aci", "authEnabled", "auth_enabled", "auth_enabled: the client ignores this key: write authEnabled"),
    ("aci", "memoryInGB", "memory", "containerResourceRequirements.memory: the client ignores this key"),
    ("aci", "authEnabled: true", 'authEnabled: "true"', "authEnabled: is the text 'true', which the client takes"),
    ("aci", "computeType: ACI", "computeType: AKS", "computeType: is 'AKS': write ACI"),
    ("aci", "cpu: 1", "cpu: one", "containerResourceRequirements.cpu: is the text 'one': write a number"),
    ("aci", "authEnabled", "keys: {primaryKey: abc}\nauthEnabled", "keys: is a section: keep keys out of files"),
    ("aci", "computeType: ACI", "computeType: [", "line "),
    ("aks", "minReplicas", "minimumReplicas", "autoScaler.minimumReplicas: the client ignores this key"),
    ("aks", "minReplicas", "min_replicas", "autoScaler.min_replicas: the client ignores this key: write minReplicas"),
    ("aks", "computeTargetName: aks-cluster", "", "computeTargetName: missing: write what the cluster is called"),
    ("aks", "failureThreshold: 3", "failureThreshold: 0", "livenessProbeRequirements.failureThreshold: is 0: write 1"),
    ("local", "port: 6789", "port: 99999", "port: is 99999: write 65535 or less"),
    ("local", "port: 6789", "", "port: missing"),
    ("inference", "entryScript: score.py", "entryScript: scores.py", "entryScript: scores.py: no such file"),
    ("inference", "entryScript", "entryscipt", "entryscipt: the client ignores this key: write entryScript"),
    ("inference", "sourceDirectory: .", "sourceDirectory: ..", "sourceDirectory: not in the model's folder"),
    ("inference", '    OMP_NUM_THREADS: "1"\n', "", "WORKER_COUNT without OMP_NUM_THREADS: write both"),
    ("inference", 'WORKER_COUNT: "1"', "WORKER_COUNT: 1", "WORKER_COUNT: is 1 and no text: put it in quotes"),
    ("inference", "inference-conda.yml", "conda.yml", "condaDependenciesFile: aml_config/conda.yml: missing"),
    ("inference", "    condaDependenciesFile: aml_config/inference-conda.yml\n", "", "environment.python: no packages"),
]


@pytest.mark.parametrize(("which", "old", "new", "expected"), MISTAKES)
def test_a_mistake_is_one_line(model: Path, which: str, old: str, new: str, expected: str) -> None:
    """From the command that deploys, before it asks anybody, and from make check."""
    file = model / INFERENCE if which == "inference" else file_of(model, which)
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(Failure) as refused:
        config_files.read_inference(model) if which == "inference" else config_files.read_deployment(model, which)
    [line] = str(refused.value).splitlines()
    assert line.startswith(f"models/model1/{file.relative_to(model).as_posix()}: ")
    assert expected in line
    assert refused.value.code == 1
    assert config_files.findings(model) == [line.removeprefix("models/model1/")]


def test_the_check_finds_a_mistake(model: Path) -> None:
    file = file_of(model, "aks")
    change(file, "minReplicas", "minimumReplicas")
    [line] = said(model.parents[1])
    assert line.startswith(f"models/model1/deployment/{file.name}: autoScaler.minimumReplicas: the client ")


def test_a_model_without_these_files_is_no_mistake(model: Path) -> None:
    """Of a notebook, or from before there was anything to deploy."""
    (model / INFERENCE).unlink()
    for target in config_files.TARGETS:
        file_of(model, target).unlink()
    assert config_files.findings(model) == []
    with pytest.raises(Failure, match="missing"):
        config_files.read_deployment(model, "aci")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ([], "the following arguments are required: --target"),
        (["--target", "k8s"], "--target: invalid choice: 'k8s'"),
        (["--target", "aci", "--model", "x"], "--model: no such model: x; models here: model1"),
        (["--target", "aci", "--version", "local"], "--version: a number; not 'local'"),
        (["--target", "local", "--version", "0"], "--version: a number, or local; not '0'"),
        (["--target", "aci", "--name", "my model"], "--name: 1 to 255 letters"),
        (["--target", "aci", "--service", "My_Service"], "--service: 3 to 32 of a-z"),
        (["--target", "local", "--service", "mine"], "--service: goes with --target aci or aks"),
        (["--target", "aci", "--stop"], "--stop: goes with --target local"),
        (["--target", "aks", "--docker", "no"], "--docker: goes with --target local"),
        (["--target", "aci", "--timeout", "0"], "--timeout: more than 0 seconds; not 0"),
        (["--target", "aci", "--timeout", "nan"], "--timeout: more than 0 seconds; not nan"),
    ],
)
def test_wrong_use_gets_one_line(model: Path, args: list[str], named: str) -> None:
    before = files_of(model.parents[1])
    code, out, err = aml(model.parents[1], "deploy", *args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("ERROR: ") and named in err
    assert files_of(model.parents[1]) == before


@pytest.mark.parametrize("target", config_files.TARGETS)
def test_a_dry_run_asks_nobody(model: Path, without_client: dict[str, str], target: str) -> None:
    before = files_of(model.parents[1])
    args = ["--target", target, "--version", "3", "--dry-run"]
    code, out, err = call(model.parents[1], "deploy", *args, **without_client)
    assert (code, err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines()[1:])
    assert out.startswith("Would deploy; asked nobody:\n")
    assert rows["service"] == ("port 6789" if target == "local" else f"model1-{target}")
    assert rows["model"] == "model1, version 3"
    assert rows["variables"] == ", ".join(f"{name}={text}" for name, text in VARIABLES.items())
    assert files_of(model.parents[1]) == before


def test_the_documented_command_gets_the_packages(model: Path, tmp_path: Path) -> None:
    """--save-inference-config: what the client makes of it alone is what is deployed here."""
    file = tmp_path / "inference.json"
    code, out, _ = aml(model.parents[1], "deploy", "--target", "aci", "--save-inference-config", file)
    assert (code, out) == (0, f"{file}: for az ml model deploy --ic, in the model's folder\n")
    saved = json.loads(file.read_text())
    assert set(saved) == {"entryScript", "sourceDirectory", "environment"}
    environment = Environment._deserialize_and_add_to_object(saved["environment"])
    conda = CondaDependencies(str(model / "aml_config" / "inference-conda.yml"))
    assert environment.python.conda_dependencies.as_dict() == conda.as_dict()


def test_what_a_deployment_leaves_at_home(model: Path) -> None:
    from aml_project.serving import source

    (model / "outputs" / "model").mkdir(parents=True)
    (model / "mlruns").mkdir()
    for name in ("outputs/model/model.pkl", "mlruns/meta.yaml", "run.json", ".env", "deployment/.env", "labels.txt"):
        (model / name).write_text("x")
    files = source.files_of(model, ".")
    assert {"score.py", "runtime/serving.py", "labels.txt"} <= set(files)
    assert not [
        name for name in files if name.startswith(("outputs", "mlruns", "tests", "deployment", "run.json", ".env"))
    ]
    # The client's own packing takes everything: so it gets a copy.
    assert [name for name in files_of(model) if name.startswith("outputs")]


def test_the_commit_of_the_code(model: Path) -> None:
    from aml_project.serving import source

    project = model.parents[1]
    for args in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=one"]):
        run("git", *args, cwd=project)
    head = run("git", "rev-parse", "--short", "HEAD", cwd=project).strip()
    (project / "README.md").write_text("elsewhere")
    assert source.commit_of(model) == head
    (model / "score.py").write_text("# edited")
    assert source.commit_of(model) == f"{head}-dirty"
    assert source.commit_of(Path("/")) == ""
