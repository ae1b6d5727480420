"""Runconfigs as tests edit them, and what the check says of a project without asking the client."""

# ruff: noqa: E501 (a case is a line)

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from aml_project.checks import client_loader, model_check
from aml_project.runconfigs import schema as runconfig_schema
from tests.support import MODEL, derived, rendered_file

CLOUD, LOCAL = "train-amlcompute", "train-local"


class Unasked(client_loader.Client):
    """In the place of the client: only remembers what it would be asked. The real one is asked in tests of its own."""

    def __init__(self) -> None:
        self.questions = []

    def __exit__(self, *_: object) -> None:
        """No process has been started."""

    def findings(self) -> list[str]:
        return []


def said(root: Path, model: str = "model1", config: str | None = None) -> list[str]:
    """What the checks of this project say, without the client's loader."""
    return model_check.check_model(root, model, config, Unasked()).findings


SCRIPT = """
import argparse

WAYS: dict[str, int] = {"min": 1}
parser = argparse.ArgumentParser()
parser.add_argument("--data-path", required=True)
parser.add_argument("--dataset")
parser.add_argument("--seed", type=int)
"""


def small_project(root: Path) -> Path:
    """A project whose model has the rendered runconfigs, their conda file, and next to no code: quickly checked."""
    model = root / "models" / "model1"
    files = {".amlignore": "outputs/\ntests/\n", "train.py": SCRIPT, "tests/test_train.py": ""}
    for name in ("train-amlcompute.runconfig", "train-local.runconfig", "train-conda.yml"):
        files[f"aml_config/{name}"] = small_file(name)
    for name, text in files.items():
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(text, encoding="utf-8")
    (root / ".cookiecutter.json").write_text(json.dumps(derived()), encoding="utf-8")
    return root


@cache
def small_file(name: str) -> str:
    return rendered_file(MODEL / "aml_config" / name)


def loads(root: Path, name: str = CLOUD) -> Exception | None:
    """What the real client, all of it, says to a runconfig."""
    from azureml.core import RunConfiguration

    try:
        RunConfiguration.load(str(root / "models" / "model1"), name)
    except Exception as error:
        return error
    return None


def runconfig(root: Path, name: str = CLOUD) -> Path:
    return root / "models" / "model1" / "aml_config" / f"{name}.runconfig"


def edited(root: Path, edit: Callable[[dict[str, Any]], Any], name: str = CLOUD) -> None:
    config = yaml.safe_load(runconfig(root, name).read_text(encoding="utf-8"))
    edit(config)
    runconfig(root, name).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def change(file: Path, old: str, new: str) -> None:
    """Write something else in a file, which holds what is replaced."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def put(value: Any, *path: str) -> Callable[[dict[str, Any]], Any]:
    """An edit: this value at that place."""

    def edit(config: dict[str, Any]) -> None:
        for key in path[:-1]:
            config = config[key]
        config[path[-1]] = value

    return edit


def drop(*path: str) -> Callable[[dict[str, Any]], Any]:
    def edit(config: dict[str, Any]) -> None:
        for key in path[:-1]:
            config = config[key]
        del config[path[-1]]

    return edit


def both(*edits: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda config: [edit(config) for edit in edits]


TENSORFLOW = {"framework": "TensorFlow", "communicator": "ParameterServer", "nodeCount": 4}
MPI = {"framework": "Python", "communicator": "OpenMpi", "nodeCount": 2, "mpi": {"nodeCount": 2}}
TORCH = {"framework": "PyTorch", "communicator": "Nccl", "nodeCount": 4}
# What the real client loads without a word.
SILENT: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (put(4, "nodecount"), "nodecount: the client ignores this key: write nodeCount"),
    (put(4, "nodes"), "nodes: the client ignores this key: "),
    (put(True, "environment", "docker", "gpuSupport"), "environment.docker.gpuSupport: the client ignores this key: remove it"),
    (put("x", "environment", "python", "condaDependencyFile"), "condaDependencyFile: the client ignores this key: write condaDependenciesFile"),
    (put("Foo", "communicator"), "communicator: is 'Foo': write None, IntelMpi, OpenMpi, Nccl, Gloo"),
    (put("intelmpi", "communicator"), "(did you mean IntelMpi?)"),
    (put("python", "framework"), "framework: is 'python': write Python, "),
    (put("--data-path /data", "arguments"), """arguments: is the text '--data-path /data', and must be a list: write ["--data-path", "/data"]"""),
    (put(["--data-path", "/data", "--seed", 3], "arguments"), "arguments[3]: is 3 and no text: put it in quotes"),
    (put("false", "docker", "useDocker"), "docker.useDocker: is the text 'false', which the client takes for true"),
    (put("no", "environment", "python", "userManagedDependencies"), "is the text 'no', which the client takes for true"),
    (put("4", "nodeCount"), "nodeCount: is the text '4': write a number, without quotes"),
    (put(0, "nodeCount"), "nodeCount: is 0: write 1 or more"),
    (put(False, "docker", "useDocker"), "docker.useDocker: is false, but environment.docker.enabled is true"),
    (drop("docker"), "docker.useDocker: is false, but environment.docker.enabled is true"),
    (drop("environment", "docker", "enabled"), "docker.useDocker: is true, but environment.docker.enabled is false"),
    (put("./Dockerfile", "environment", "docker", "baseDockerfile"), "baseDockerfile: has no FROM line; it is the text of a Dockerfile and no path"),
    (put("FROM a:1\n", "environment", "docker", "baseDockerfile"), "baseImage: the client sends it with baseDockerfile"),
    (put("", "environment", "docker", "baseImage"), "environment.docker.baseImage: missing: name an image"),
    (put("secret", "environment", "docker", "baseImageRegistry"), "baseImageRegistry: is the text 'secret'"),
    (put({"password": "x"}, "environment", "docker", "baseImageRegistry"), "baseImageRegistry.password: is a text: keep it in the workspace"),
    (drop("data", "training", "dataLocation"), "data.training.dataLocation: missing: say where the data is"),
    (put({}, "data", "training", "dataLocation"), "data.training.dataLocation: names no data"),
    (put({"path": "https://x/y"}, "data", "training", "dataLocation", "uri"), "data.training.dataLocation: names dataset and uri: leave one"),
    (put({"name": "x"}, "data", "training", "dataLocation", "dataset"), "dataset: is known by its id, or by name and version"),
    (put(1, "data", "training", "dataLocation", "dataset", "version"), "dataset.version: is 1 and no text: put it in quotes"),
    (drop("data", "training", "pathOnCompute"), "data.training.pathOnCompute: missing: write the folder"),
    (put("mont", "data", "training", "mechanism"), "mechanism: is 'mont': write mount, download, direct, upload (did you mean mount?)"),
    (put("/other", "data", "training", "pathOnCompute"), "arguments: --data-path is '/data', but the data lies at pathOnCompute '/other'"),
    (put("my-data", "data", "training", "environmentVariableName"), "environmentVariableName: is 'my-data': write the name of an environment variable"),
    (lambda c: c["data"].update(my_data=c["data"].pop("training")), "data.my_data: is 'my_data': begin with a small letter and leave out '_'"),
    (put({"processCountPerNode": 1, "nodeCount": 2}, "mpi"), "mpi.nodeCount: is 2, but nodeCount is 1"),
    (lambda c: c.update(nodeCount=4, communicator="IntelMpi"), "mpi.nodeCount: is 1, but nodeCount is 4"),
    (put(2, "nodeCount"), "communicator: is None, and nodeCount is 2: name one (IntelMpi, Nccl)"),
    (lambda c: c.update(MPI, target="local"), "nodeCount: is 2, and target is local: write nodeCount: 1"),
    (lambda c: c.update(MPI, framework="PyTorch"), "framework: is PyTorch, where communicator OpenMpi has no effect: write framework: Python"),
    (lambda c: c.update(TORCH, pytorch={"processCount": 8, "nodeCount": 2}), "pytorch.nodeCount: is 2, but nodeCount is 4"),
    (lambda c: c.update(TORCH, pytorch={"processCount": 6, "nodeCount": 4}), "pytorch.processCount: is 6, and nodeCount is 4: write a multiple of 4"),
    (lambda c: c.update(TORCH, pytorch={"communicationBackend": "Gloo", "nodeCount": 4}), "pytorch.communicationBackend: is Gloo"),
    (lambda c: c.update(TORCH, framework="Python", pytorch={"nodeCount": 4}), "framework: is Python, where communicator Nccl has no effect"),
    (lambda c: c.update(TENSORFLOW, tensorflow={"workerCount": 2, "parameterServerCount": 0}), "tensorflow.workerCount: is 2, but nodeCount is 4"),
    (lambda c: c.update(TENSORFLOW, framework="Python", tensorflow={"workerCount": 4}), "framework: is Python, where communicator ParameterServer has no effect"),
    (put("direct", "data", "training", "mechanism"), """nothing brings data to --data-path '/data': its mechanism is direct: add "--dataset", "training", or write"""),
    (put(["--data-path", "/data", "--dataset", "training"], "arguments"), "--dataset is 'training', whose mechanism is mount: leave --dataset out"),
    (both(put("direct", "data", "training", "mechanism"), put(["--data-path=/data", "--dataset=trainin"], "arguments")), "--dataset is 'trainin', and data has no such block: write training"),
    (drop("script"), "script: missing: write the name of the Python file"),
    (put("python x.py", "command"), "command: does not go with script and arguments"),
    (both(put("python x.py", "command"), drop("arguments")), "command: does not go with script and arguments"),
    (both(put("python x.py", "command"), drop("script")), "command: does not go with script and arguments"),
    (put("trian.py", "script"), "script: trian.py: no such file in the model's folder: write train.py"),
    (put("../../scripts/submit.py", "script"), "script: ../../scripts/submit.py: no such file in the model's folder"),
    (put("tests/test_train.py", "script"), "script: tests/test_train.py: the ignore file keeps it from the run"),
    (put(["--data-path", "/data", "--see", "3x"], "arguments"), "arguments: train.py refuses them: argument --seed: invalid int value: '3x'"),
    (put(["--data-path", "/data", "--foo"], "arguments"), "arguments: train.py refuses them: unrecognized arguments: --foo"),
    (put(["--data-path"], "arguments"), "arguments: train.py refuses them: argument --data-path: expected one argument"),
    (put("Local", "target"), "target: is 'Local', which is taken for a cluster's name: write local"),
    (drop("target"), "target: missing: write local, or the name of a compute target"),
    (lambda c: c.update(target="amlcompute"), "amlcompute.vmSize: missing"),
    (drop("environment", "python", "condaDependenciesFile"), "condaDependenciesFile: missing, and the client takes packages of its own"),
    (put("2 gigs", "docker", "shmSize"), "docker.shmSize: is '2 gigs': write a number and a unit"),
    (put([1], "paralleltask"), "paralleltask: is a list: write a section"),
    (put({"A": 1}, "environmentVariables"), "environmentVariables.A: is 1 and no text: put it in quotes"),
    (put("mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04", "environment", "docker", "baseImage"), "baseImage: is for a GPU, and Standard_DS3_v2 has none"),
]  # fmt: skip
# What it refuses, but with words that lead elsewhere, or none that name the file.
REFUSED: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (drop("environment"), "environment: missing: write the section"),
    (put("four", "nodeCount"), "nodeCount: is the text 'four': write a number"),
    (put("aml_config/none.yml", "environment", "python", "condaDependenciesFile"), "condaDependenciesFile: aml_config/none.yml: missing: name a conda file"),
    (put("train.py", "environment", "python", "condaDependenciesFile"), "condaDependenciesFile: train.py: line "),
    (put({"x": {"dataStoreName": "d", "mode": "sync"}}, "dataReferences"), "dataReferences.x.mode: is 'sync': write mount, download, upload"),
    (put({"terminalExitCodes": [1]}, "paralleltask"), "terminalExitCodes: is a list: leave it empty"),
    (put("aml_config/environment.yml", "environment"), "environment: aml_config/environment.yml: missing: name a file"),
]  # fmt: skip


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = runconfig_schema.SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


YAML = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def of_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that look like a runconfig: right ones, wrong ones, at every place of the schema."""
    schema = resolved(schema)
    wild: list[st.SearchStrategy[Any]] = [YAML]
    if "enum" in schema:
        wild += [st.sampled_from(schema["enum"])] * 2
    if properties := schema.get("properties"):
        values = {key: of_schema(inner) for key, inner in properties.items()}
        some = st.lists(st.sampled_from(sorted(values)), unique=True, max_size=4)  # all of them take long to draw
        wild += [some.flatmap(lambda keys: st.fixed_dictionaries({key: values[key] for key in keys}))] * 4
    elif isinstance(schema.get("additionalProperties"), dict):
        wild += [st.dictionaries(st.text(max_size=5), of_schema(schema["additionalProperties"]), max_size=2)] * 3
    if "items" in schema:
        wild += [st.lists(of_schema(schema["items"]), max_size=3)] * 2
    if "integer" in str(schema.get("type")):
        wild += [st.integers(-1, 9)] * 2
    return st.one_of(wild)


RUNCONFIGS = st.one_of(st.dictionaries(st.text(max_size=6), YAML, max_size=4), of_schema(runconfig_schema.SCHEMA))
