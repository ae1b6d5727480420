"""make check: what it says to each mistake, what the real client says to it, and its silence about a fresh render."""

# ruff: noqa: E501 (the modules lie elsewhere; a case is a line)

import ast
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from aml_project.checks import (
    client_loader,
    model_check,
    runconfig_file,
    runconfig_schema,
    script_arguments,
    snapshot,
)
from aml_project.commands import check as check_project
from hooks.pre_gen_project import problems
from tests.conftest import Bake
from tests.support import FRAMEWORKS, MODEL, PYTHONS, QUESTIONS, cookiecutter, copy_of, derived, rendered_file, run

HOSTILE = {
    "compute_name": "no",
    "dataset_name": "1e3",
    "model_name": "yes",
    "description": "'\"\\ é 😀 #: {}",
    "author": "null",
}
CLOUD, LOCAL = "train-amlcompute", "train-local"


class Unasked(client_loader.Client):
    """In the place of the client: only remembers what it would be asked. The real one is asked in tests of its own."""

    def __init__(self) -> None:
        self.questions = []


def said(root: Path, model: str = "model1", config: str | None = None) -> list[str]:
    """What the checks of this project say, without the client's loader."""
    return model_check.check_model(root, model, config, Unasked()).findings


@pytest.fixture
def project(bake: Bake, tmp_path: Path) -> Path:
    return copy_of(bake(), tmp_path)


def runconfig(root: Path, name: str = CLOUD) -> Path:
    return root / "models" / "model1" / "aml_config" / f"{name}.runconfig"


def edited(root: Path, edit: Callable[[dict[str, Any]], Any], name: str = CLOUD) -> None:
    config = yaml.safe_load(runconfig(root, name).read_text(encoding="utf-8"))
    edit(config)
    runconfig(root, name).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


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


# --- nothing to say about what we render ------------------------------------------------------------------------------


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_fresh_render_is_fine(bake: Bake, framework: str, python: str) -> None:
    project = bake(framework=framework, python_version=python)
    assert check_project.check(project, "model1") == []


CPU, GPUS = {"vm_size": "Standard_DS3_v2"}, {"vm_size": "Standard_ND40rs_v2"}
PROCESSES = [
    CPU,
    CPU | {"node_count": "4"},
    CPU | {"node_count": "4", "launcher": "pytorch"},
    CPU | {"processes_per_node": "2"},
    GPUS | {"node_count": "4"},
    GPUS | {"node_count": "4", "launcher": "pytorch", "processes_per_node": "8"},
]


@pytest.mark.parametrize("data_access", QUESTIONS["data_access"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_fresh_render_is_fine_on_every_number_of_processes(
    bake: Bake, tmp_path: Path, framework: str, data_access: str
) -> None:
    project = copy_of(bake(framework=framework), tmp_path)
    template = MODEL / "aml_config" / f"{CLOUD}.runconfig"
    tried = 0
    for processes in PROCESSES:
        answers = derived(framework=framework, data_access=data_access, **processes)
        if not problems(answers):
            (project / ".cookiecutter.json").write_text(json.dumps(answers))
            runconfig(project).write_text(rendered_file(template, **answers), encoding="utf-8")
            assert said(project) == [], answers
            tried += 1
    assert tried == {"sklearn": 1, "tensorflow": 4}.get(framework, 6)


@pytest.mark.parametrize(
    "vm_size",
    ["Standard_NC6s_v3", "Standard_nd96asr_v4", "Standard_D2", "Standard_NP10s", "Standard_NV4as_v4", "Standard_X"],
)
def test_the_image_of_a_fresh_render_fits_its_vm(bake: Bake, vm_size: str) -> None:
    assert said(bake(vm_size=vm_size)) == []


def test_hostile_answers_are_fine(bake: Bake) -> None:
    assert check_project.check(bake(**HOSTILE), "yes") == []


def test_a_second_model_is_fine_and_all_models_are_checked(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(), tmp_path)
    assert cookiecutter(tmp_path, "-f", "-s", model_name="churn", framework="none").returncode == 0
    out = run(sys.executable, "scripts/check_project.py", cwd=project)
    assert out.startswith("2 models: 4 runconfigs fine; a run gets ")
    edited(project, put("x", "nodecount"))
    out = run(sys.executable, "scripts/check_project.py", cwd=project, expect=1)
    assert out.splitlines() == [
        "models/model1/aml_config/train-amlcompute.runconfig: nodecount: the client ignores this key: write nodeCount"
    ]
    assert "churn: 2 runconfigs" in run(sys.executable, "scripts/check_project.py", "--model", "churn", cwd=project)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_folder_that_was_worked_in_is_fine(bake: Bake, tmp_path: Path, framework: str) -> None:
    """The outcome of training, testing and serving stays at home, as .amlignore says."""
    project = copy_of(bake(framework=framework), tmp_path)
    model = project / "models" / "model1"
    litter = ["outputs/model/model.pkl", "mlruns/0/meta.yaml", ".env", "run.json", ".git/config", "__pycache__/x.pyc"]
    for name in [*litter, ".venv/bin/python", ".azureml/config.json", "logs/a.txt"]:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text("x")
    assert said(project) == []


def test_what_the_client_itself_saves_is_fine(project: Path) -> None:
    """Every key, its defaults and its empty values: load and save, then check."""
    from azureml.core import RunConfiguration

    model = project / "models" / "model1"
    for name in (LOCAL, CLOUD):
        RunConfiguration.load(str(model), name).save(str(model), f"{name}.runconfig")
        assert len(runconfig(project, name).read_text().splitlines()) > 90
    assert check_project.check(project, "model1") == []


def test_a_distributed_run_of_pytorch_is_fine(project: Path) -> None:
    torch = {"communicationBackend": "Nccl", "processCount": 8, "nodeCount": 4}
    edited(
        project,
        lambda c: c.update(framework="PyTorch", communicator="nccl", nodeCount=4, pytorch=torch, mpi={"nodeCount": 1}),
    )
    assert said(project) == []


def test_names_in_snake_case_are_what_the_client_takes_them_for(project: Path) -> None:
    text = runconfig(project).read_text()
    runconfig(project).write_text(text.replace("nodeCount", "node_count").replace("baseImage", "base_image"))
    assert check_project.check(project, "model1") == []
    runconfig(project).write_text(text + "\nnode_count: 4\n")
    assert said(project)[0].endswith("node_count: is there twice, as nodeCount too: remove one of them")


# --- a mistake, and the line about it ---------------------------------------------------------------------------------

TENSORFLOW = {"framework": "TensorFlow", "communicator": "ParameterServer", "nodeCount": 4}
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
    (put({"name": "x"}, "data", "training", "dataLocation", "dataset"), "dataset: is known by its id, or by name and version"),
    (put(1, "data", "training", "dataLocation", "dataset", "version"), "dataset.version: is 1 and no text: put it in quotes"),
    (drop("data", "training", "pathOnCompute"), "data.training.pathOnCompute: missing: write the folder"),
    (put("mont", "data", "training", "mechanism"), "mechanism: is 'mont': write mount, download, direct, upload (did you mean mount?)"),
    (put("/other", "data", "training", "pathOnCompute"), "arguments: --data-path is '/data', but the data lies at pathOnCompute '/other'"),
    (put("my-data", "data", "training", "environmentVariableName"), "environmentVariableName: is 'my-data': write the name of an environment variable"),
    (lambda c: c["data"].update(my_data=c["data"].pop("training")), "data.my_data: is 'my_data': begin with a small letter and leave out '_'"),
    (put({"processCountPerNode": 1, "nodeCount": 4}, "mpi"), "mpi.nodeCount: is 4, but nodeCount is 1"),
    (lambda c: c.update(nodeCount=4, communicator="IntelMpi"), "mpi.nodeCount: is 1, but nodeCount is 4"),
    (put(4, "nodeCount"), "communicator: is None, and nodeCount is 4: name one (IntelMpi, Nccl)"),
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


def loads(root: Path, name: str = CLOUD) -> Exception | None:
    """What the real client, all of it, says to a runconfig."""
    from azureml.core import RunConfiguration

    try:
        RunConfiguration.load(str(root / "models" / "model1"), name)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize(("edit", "line"), SILENT, ids=[line[:50] for _, line in SILENT])
def test_the_client_accepts_this_and_we_do_not(project: Path, edit: Callable[..., Any], line: str) -> None:
    edited(project, edit)
    found = said(project)
    assert len(found) == 1, found
    assert found[0].startswith("models/model1/aml_config/train-amlcompute.runconfig: ")
    assert line in found[0]
    if "baseImageRegistry" not in line or "password" in line:
        assert loads(project) is None


@pytest.mark.parametrize(("edit", "line"), REFUSED, ids=[line[:50] for _, line in REFUSED])
def test_the_client_refuses_this_and_we_say_why(project: Path, edit: Callable[..., Any], line: str) -> None:
    edited(project, edit)
    found = said(project)
    assert len(found) == 1, found
    assert line in found[0]
    assert loads(project) is not None


def test_no_and_off_are_texts_to_the_client(project: Path) -> None:
    """YAML 1.2: the client takes `enabled: no` for true, where PyYAML would have read false."""
    from azureml.core import RunConfiguration

    text = runconfig(project, LOCAL).read_text()
    runconfig(project, LOCAL).write_text(text.replace("enabled: false", "enabled: no"))
    model = project / "models" / "model1"
    assert RunConfiguration.load(str(model), LOCAL).environment.docker.enabled is True
    assert "environment.docker.enabled: is the text 'no', which the client takes for true" in said(project)[0]


def test_the_client_sends_the_image_and_the_dockerfile(project: Path) -> None:
    from azureml.core import RunConfiguration

    docker = ("environment", "docker")
    edited(project, put("FROM a:1\n", *docker, "baseDockerfile"))
    sent = RunConfiguration.load(str(project / "models" / "model1"), CLOUD).environment.docker
    assert sent.base_image
    assert sent.base_dockerfile
    assert "baseImage: the client sends it with baseDockerfile" in said(project)[0]
    edited(project, put(None, *docker, "baseImage"))
    assert check_project.check(project, "model1") == []


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "it is empty: mend the file"),
        (b"# only a comment\n", "it is empty"),
        (b"- a\n- b\n", "not a mapping: write `key: value` lines"),
        (b"a: 1\n\tb: 2\n", "line 2: a tab: YAML is indented by spaces"),
        (b"a: 1\nb: [1, 2\n", "line 3: "),
        (b"script: a.py\nscript: b.py\n", "line 2: 'script' is there twice"),
        (b"mpi:\n  nodeCount: 1\n  nodeCount: 2\n", "line 3: 'nodeCount' is there twice"),
        (b"a: 1\nb: \xff\n", "line 2: not UTF-8"),
        (b"a: 1\nb: \x00\n", "line 2: a character that YAML does not allow"),
        (b"a: &x\n  b: *x\n", "line 1: it contains itself"),
        (b"a: *nothing\n", "line 1: found undefined alias"),
        (b"a: 1\n---\nb: 1\n", "line 2: "),
        (b"? [a]\n: 1\n", "line 1: a key that is no word"),
        (b"<<: 1\n", "line 1: `<<` takes over a mapping"),
        (b"a: " + b"[" * 100 + b"]" * 100, "line 1: nested too deep"),
        (b"a: " + b"[" * 20_000, "nested too deep"),
        (b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)), "more than 20000 values"),
        (b"a: " + b"x" * 1_100_000, "larger than 100 kB"),
    ],
)  # fmt: skip
def test_what_is_no_mapping_is_one_line_with_its_number(project: Path, content: bytes, line: str) -> None:
    runconfig(project).write_bytes(content)
    found = said(project)
    assert len(found) == 1, found
    assert found[0].startswith("models/model1/aml_config/train-amlcompute.runconfig: ")
    assert line in found[0]


def test_places_that_are_no_files(project: Path) -> None:
    folder = project / "models" / "model1" / "aml_config"
    (folder / "a.runconfig").mkdir()
    (folder / "b.runconfig").symlink_to("nowhere")
    shutil.copy(runconfig(project, LOCAL), folder / "train-local")
    (folder.parent / ".azureml").mkdir()
    (folder.parent / ".azureml" / "x.runconfig").touch()
    lines = "\n".join(said(project))
    for line in [
        "aml_config/a.runconfig: not a file: mend",
        "aml_config/b.runconfig: a link to nothing: mend",
        "aml_config/train-local: the client takes this file for -c train-local",
        ".azureml/x.runconfig: the client does not look here",
    ]:
        assert line in lines
    assert said(project, "other") == ["models/other: no such folder: name one of models/"]
    assert said(project, config="no-such") [0].endswith(
        "aml_config: no runconfig 'no-such': take one of a, b, train-amlcompute, train-local, train-local"
    )  # fmt: skip


def test_a_folder_that_attach_has_renamed(project: Path) -> None:
    """az ml folder attach does this in a model's folder."""
    folder = project / "models" / "model1" / "aml_config"
    folder.rename(folder.with_name(".aml_config"))
    assert said(project)[0].startswith("models/model1/aml_config: renamed to .aml_config")
    shutil.rmtree(folder.with_name(".aml_config"))
    assert said(project) == [
        "models/model1/aml_config: no runconfig in it: write one, as in aml_config/train-local.runconfig"
    ]


def test_what_two_files_say_of_one_thing(project: Path) -> None:
    edited(project, put("2", "data", "training", "dataLocation", "dataset", "version"))
    conda = project / "models" / "model1" / "aml_config" / "inference-conda.yml"
    conda.write_text(re.sub(r"python=3\.\d+", "python=3.9", conda.read_text()))
    versions, python = said(project)
    assert "train-local.runconfig: data: model1-data is version 1 here and 2 in train-amlcompute.runconfig" in versions
    assert re.search(r"inference-conda.yml: dependencies: python=3\.9, but train-conda.yml has python=3\.1", python)
    assert said(project, config=CLOUD) == []


def test_an_environment_in_a_file_of_its_own(project: Path) -> None:
    config = yaml.safe_load(runconfig(project).read_text())
    own = runconfig(project).with_name("environment.yml")
    own.write_text(yaml.safe_dump(config["environment"]))
    edited(project, put("aml_config/environment.yml", "environment"))
    assert check_project.check(project, "model1") == []
    own.write_text("docker: {enabeld: true}\n")
    lines = "\n".join(said(project))
    assert "environment.docker.enabeld: the client ignores this key: write enabled" in lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("- a\n", "not a mapping"),
        ("name: x\ndependancies: []\n", "the client refuses the key 'dependancies': write dependencies"),
        ("dependencies: python=3.11\n", "dependencies is no list"),
        ("dependencies:\n- pip: numpy\n", "is no package"),
        ("dependencies:\n- pip:\n  - 1.5\n", "is no package"),
    ],
)
@pytest.mark.parametrize("name", [LOCAL, CLOUD])
def test_conda_files(project: Path, name: str, text: str, line: str) -> None:
    """Also where the user's own Python runs the script: the client reads the file all the same."""
    (project / "models" / "model1" / "aml_config" / "train-conda.yml").write_text(text)
    (found,) = said(project, config=name)
    assert f"{name}.runconfig: environment.python.condaDependenciesFile: aml_config/train-conda.yml: " in found
    assert line in found


@pytest.mark.parametrize("vm", ["Standard_NC6s_v3", "Standard_ND96asr_v4", "Standard_nv6"])
def test_a_gpu_without_its_image(project: Path, vm: str) -> None:
    answers = json.loads((project / ".cookiecutter.json").read_text())
    (project / ".cookiecutter.json").write_text(json.dumps(answers | {"vm_size": vm}))
    cpu = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"
    edited(project, put(cpu, "environment", "docker", "baseImage"))
    assert f"baseImage: is for a CPU, and {vm} has a GPU" in said(project)[0]
    for image in ["registry.example.com/own:1", cpu.replace("-ubuntu", "-cuda11.8-cudnn8-ubuntu")]:
        edited(project, put(image, "environment", "docker", "baseImage"))
        assert said(project) == []


def test_cuda_on_the_gpus_of_amd(project: Path) -> None:
    answers = json.loads((project / ".cookiecutter.json").read_text())
    (project / ".cookiecutter.json").write_text(json.dumps(answers | {"vm_size": "Standard_ND96isr_MI300X_v5"}))
    assert said(project) == []
    edited(project, put("nvcr.io/nvidia/pytorch:24.12-py3", "environment", "docker", "baseImage"))
    (found,) = said(project)
    assert "baseImage: is for NVIDIA's GPUs, and Standard_ND96isr_MI300X_v5 has AMD's" in found


def test_data_that_a_script_of_ones_own_reads_in_its_own_way(project: Path) -> None:
    """Without --data-path nothing is awaited there; another --dataset than a block's is the script's own matter."""
    model = project / "models" / "model1"
    (model / "train.py").write_text("print('no arguments are known')\n")
    edited(project, both(put("direct", "data", "training", "mechanism"), put([], "arguments")))
    assert said(project) == []
    edited(project, both(put("mount", "data", "training", "mechanism"), put(["--dataset", "mnist"], "arguments")))
    assert said(project) == []


# --- the script and what it imports -----------------------------------------------------------------------------------


def test_code_that_does_not_compile_or_stays_at_home(project: Path) -> None:
    model = project / "models" / "model1"
    (model / "tables.py").write_text("def f(:\n")
    with (model / ".amlignore").open("a") as file:
        file.write("evaluation.py\n")
    late, broken, *_ = sorted(said(project))  # train.py imports evaluation.py when it has trained
    assert late.startswith("models/model1/evaluation.py: imported, but the ignore file keeps it from the run")
    assert broken.startswith("models/model1/tables.py: line 1: ")
    (model / "train.py").write_bytes(b"x = '\xff'\n")
    assert said(project)[0].startswith("models/model1/train.py: ")


PARSER = "import argparse\nparser = argparse.ArgumentParser()\n"


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        ("parser.add_argument('--a', required=True)", [], "the following arguments are required: --a"),
        ("parser.add_argument('--a', choices=['x', 'y'])", ["--a", "z"], "argument --a: invalid choice: 'z'"),
        ("parser.add_argument('--a', type=int, choices=[1, 2])", ["--a", "2"], None),
        ("parser.add_argument('--a', choices=list(NAMES))", ["--a", "z"], None),
        ("parser.add_argument('--a', type=Size, choices=[Size(1)])", ["--a", "1"], None),
        ("parser.add_argument('--a', type=float)", ["--a=x"], "argument --a: invalid float value: 'x'"),
        ("parser.add_argument('--a', type=int)", ["--a", "$N"], None),
        ("parser.add_argument('file')", [], "the following arguments are required: file"),
        ("parser.add_argument('file', nargs='*')", ["a", "b"], None),
        ("parser.add_argument('--a', action='store_true')", ["--a", "x"], "unrecognized arguments: x"),
        ("g = parser.add_argument_group()\ng.add_argument('--a')", ["--a", "x"], None),
        ("parser.add_argument('--a')", ["--help"], "they end it at once: --help or --version"),
        ("parser.add_argument('-a', '--all', default='x', type=int)", ["-a", "1"], None),
        ("add = parser.add_argument\nadd('--a')", ["--a", "x"], None),
        ("add = parser.add_argument\nadd('--a')", ["--b"], "unrecognized arguments: --b"),
        # what can't be told from the text
        ("add_more(parser)", ["--b"], None),
        ("for name in NAMES:\n    parser.add_argument(name)", ["--b"], None),
        ("if MORE:\n    parser.add_argument('--b')", ["--b"], None),
        ("parser.add_argument(NAME)", ["--b"], None),
        ("parser.add_argument('--a', **MORE)", ["--b"], None),
        ("parser.add_argument('--a', action=Own)", ["--b"], None),
        ("args, _ = parser.parse_known_args()", ["--b"], None),
        ("parser.add_subparsers()", ["--b"], None),
        ("other = argparse.ArgumentParser(parents=[parser])", ["--b"], None),
        ("def more():\n    return parser", ["--b"], None),
    ],
)
def test_arguments_of_a_script(code: str, arguments: list[str], expected: str | None) -> None:
    tree = ast.parse(PARSER + code)
    refused = script_arguments.refusal(tree, arguments, lenient="$" in str(arguments))
    assert (refused or "").startswith(expected or "")
    assert (refused is None) == (expected is None)


@pytest.mark.parametrize("code", ["", "import click\n@click.option('--a')\ndef main(): ...", "import sys\nsys.argv[1]"])
def test_scripts_without_argparse_are_left_alone(code: str) -> None:
    assert script_arguments.refusal(ast.parse(code), ["--b"], lenient=False) is None


# --- what goes to a run -----------------------------------------------------------------------------------------------

ACCOUNT_KEY = "AccountKey=" + "a1B/" * 21 + "ab=="
SAS = "https://x.blob.core.windows.net/c?sv=2024&se=2030&sig=" + "aB3%2F" * 8 + "%3D"
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIE" * 16
OWN = "aB1" + "8Q~" + "abcdefghij" * 3 + "abcd"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (".env.local", "A=1", "settings that may hold secrets"),
        ("prod.env", "A=1", "settings that may hold secrets"),
        ("id_rsa", "x", "a key or a password"),
        ("a.pfx", "x", "a key or a password"),
        ("deploy.txt", KEY, "a private key"),
        ("server.pem", "-----BEGIN ENCRYPTED DATA-----", "a key"),
        ("util.py", f"C = '{ACCOUNT_KEY}'", "the key of a storage account"),
        ("util.py", f"URL = '{SAS}'", "a SAS token"),
        ("util.py", f"S = '{OWN}'", "the secret of a service principal"),
        ("set.sh", "export AZUREML_SERVICE_PRINCIPAL_PASSWORD=abcdefgh12345678XY", "the secret of a service principal"),
        ("sp.json", '{"clientSecret": "abcdefgh12345678XY"}', "the secret of a service principal"),
        ("config.json", '{"Scope": "/subscriptions/x"}', "the name of your workspace"),
        ("big.csv", "x" * 1_000_001, "data (976.6 kB) would go to every run: register it as a dataset"),
        ("data/small.csv", "x", "data (1 bytes) would go to every run: register it as a dataset"),
        ("a/node_modules/x.js", "x", "installed packages (1 bytes) would go to the run"),
        ("azureml-logs/x.txt", "x", "logs of earlier runs (1 bytes) would go to the run"),
    ],
)
def test_what_should_not_go_to_a_run(project: Path, name: str, content: str, line: str) -> None:
    path = project / "models" / "model1" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    (found,) = said(project)
    assert line in found
    assert found.startswith(f"models/model1/{name.removesuffix('/x.js').removesuffix('/x.txt')}: ")
    assert not any(secret in found for secret in (ACCOUNT_KEY, SAS, OWN))
    with (project / "models" / "model1" / ".amlignore").open("a") as file:
        file.write(name + "\n")
    assert said(project) == []


def test_ordinary_code_tells_no_secret(project: Path) -> None:
    model = project / "models" / "model1"
    (model / "util.py").write_text(
        'import os\npassword = os.environ["AZUREML_SERVICE_PRINCIPAL_PASSWORD"]\n'
        'AZURE_CLIENT_SECRET = os.environ.get("AZURE_CLIENT_SECRET")\nurl = f"{base}?sv=1&sig={token}"\n'
        'def load(AccountKey="..."): ...\nclientSecret = None\nsig = "0" * 64\nKEY = "-----BEGIN CERTIFICATE-----"\n'
    )
    (model / ".env.example").write_text("AZURE_CLIENT_SECRET=\n")
    (model / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMII\n")
    (model / "config.json").write_text('{"learning_rate": 0.1}')
    (model / "data").mkdir()
    (model / "data" / "__init__.py").touch()
    (model / "labels.csv").write_text("a,b\n")
    assert said(project) == []


def test_published_code_tells_no_secret() -> None:
    """A pattern that fires at the code of the installed packages would fire at users."""
    files = list(Path(yaml.__file__).parents[1].rglob("*.py"))
    assert len(files) > 1000
    fired = {file.name: what for file in files if (what := snapshot._secret(file.name, snapshot._head(file)))}
    assert fired == {}


def test_without_an_ignore_file_everything_goes(project: Path) -> None:
    model = project / "models" / "model1"
    (model / ".amlignore").unlink()
    assert said(project) == [
        "models/model1/.amlignore: missing, and so is .gitignore: every file goes to the run: write one"
    ]
    (model / ".gitignore").write_text("tests/\n")
    assert said(project) == []
    for content, line in [(b"\xff", ".amlignore: not UTF-8"), (b"a\n!\n", ".amlignore: ")]:
        (model / ".amlignore").write_bytes(content)
        assert said(project)[0].startswith(f"models/model1/{line}")


def test_links(project: Path) -> None:
    model = project / "models" / "model1"
    (model / "broken").symlink_to("nowhere")
    (model / "outside").symlink_to(project / "data")
    (model / "inside.py").symlink_to("train.py")
    (model / "package").mkdir()
    (model / "package" / "loop").symlink_to(model)
    os.mkfifo(model / "pipe")
    lines = "\n".join(said(project))
    for line in [
        "models/model1/broken: a link to nothing; the client crashes on it",
        "models/model1/outside: a link out of this folder, and ",
        "models/model1/package/loop: a link that leads back to its own folder",
        "models/model1/pipe: neither file nor folder; the client crashes on it",
    ]:
        assert line in lines
    assert "inside.py" not in lines
    assert "outside/customers.csv" in snapshot.take(model).files


@pytest.mark.parametrize("break_it", ["broken", "pipe"])
def test_the_real_client_crashes_there(project: Path, break_it: str) -> None:
    from azureml._base_sdk_common.merkle_tree import create_merkletree

    model = project / "models" / "model1"
    (model / "x").symlink_to("nowhere") if break_it == "broken" else os.mkfifo(model / "x")
    with pytest.raises(OSError, match="x"):
        create_merkletree(str(model), lambda _: False)


def clients_files(folder: Path) -> set[str]:
    """What the real client would upload, by its own code."""
    from azureml._base_sdk_common.merkle_tree import DirTreeNode, create_merkletree
    from azureml._base_sdk_common.merkle_tree_differ import compute_diff
    from azureml._project.ignore_file import get_project_ignore_file

    root = create_merkletree(str(folder), get_project_ignore_file(str(folder)).is_file_excluded)
    return {entry.node_path for entry in compute_diff(DirTreeNode(), root) if entry.is_file}


def test_the_snapshot_is_the_clients(bake: Bake) -> None:
    for framework in FRAMEWORKS:
        model = bake(framework=framework) / "models" / "model1"
        taken = snapshot.take(model)
        assert set(taken.files) == clients_files(model)
        assert taken.size == sum((model / name).stat().st_size for name in taken.files)


NAMES = st.sampled_from(["a", "b", "c.py", "d.csv", ".e", "f f", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PATTERNS = st.lists(
    st.one_of(
        st.builds(
            lambda bang, slash, path, star, end: bang + slash + path + star + end,
            st.sampled_from(["", "", "!"]), st.sampled_from(["", "/", "**/"]), PATHS,
            st.sampled_from(["", "*", "/*", "/**"]), st.sampled_from(["", "/"]),
        ),
        st.sampled_from(["*", "*.py", "# a", "", "?", "[ab]", "/*", "*/", "**", "!*/", "!*.py"]),
    ),
    max_size=5,
)  # fmt: skip


@given(paths=st.lists(PATHS, max_size=8), patterns=PATTERNS, ignore=st.sampled_from([".amlignore", ".gitignore"]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(paths=["a/b/c.py", "a/d.csv"], patterns=["*", "!a"], ignore=".amlignore")
@example(paths=["a/b/c.py", "b/a/c.py"], patterns=["a/"], ignore=".gitignore")
def test_the_snapshot_is_the_clients_for_any_patterns(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], patterns: list[str], ignore: str
) -> None:
    folder = tmp_path_factory.mktemp("snapshot")
    for path in paths:
        try:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text("x")
        except OSError:  # one name is a file and a folder
            continue
    (folder / ignore).write_text("\n".join(patterns) + "\n", encoding="utf-8")
    assert set(snapshot.take(folder).files) == clients_files(folder)
    shutil.rmtree(folder)


def test_limits_and_large_folders_are_one_line(project: Path) -> None:
    """A file of a gigabyte, thousands of files."""
    model = project / "models" / "model1"
    with (model / "weights.bin").open("wb") as file:
        file.truncate(1 << 30)
    (found,) = said(project)
    assert found.startswith("models/model1: 1.0 GB, and a run may have 300 MB; the largest: weights.bin (1.0 GB), ")
    (model / "weights.bin").unlink()
    (model / "many").mkdir()
    for number in range(2000):
        (model / "many" / str(number)).touch()
    (found,) = said(project)
    assert re.match(r"models/model1: 20\d\d files, and a run may have 2000; most are in many \(2000\): name it", found)


def test_a_hundred_thousand_files(project: Path) -> None:
    many = project / "models" / "model1" / "many"
    many.mkdir()
    for number in range(100_000):
        os.mknod(many / str(number))
    (found,) = said(project)
    assert found.startswith("models/model1: more than 20000 files to look at, most in many (")
    with (many.parent / ".amlignore").open("a") as file:
        file.write("many/\n")
    assert said(project) == []


# --- the command ------------------------------------------------------------------------------------------------------


def command(project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/check_project.py", *args], cwd=project, capture_output=True, text=True, check=False
    )


def test_the_command(project: Path) -> None:
    done = command(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"model1: 2 runconfigs fine; a run gets 2\d files, \d+\.\d kB\n", done.stdout)
    done = command(project, "--model", "other")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ERROR: --model: no such model: other; models here: model1\n"
    assert command(project, "--modle", "x").returncode == 2
    (project / "models" / "model1" / "na\nme.pfx").touch()
    done = command(project, "-c", LOCAL)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "models/model1/na me.pfx: a key or a password would go to the run: remove it, or name it in .amlignore\n"
    )


@pytest.mark.parametrize("missing", ["azureml", "yaml"])
def test_a_python_without_the_client_says_so_and_does_not_pass(project: Path, missing: str) -> None:
    (project / "blocked" / missing).mkdir(parents=True)
    (project / "blocked" / missing / "__init__.py").write_text(
        f"raise ModuleNotFoundError('no {missing}', name='{missing}')"
    )
    done = subprocess.run(
        [sys.executable, "scripts/check_project.py"], cwd=project, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(project / "blocked")},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = done.stdout.splitlines()
    assert missing in line
    assert "make setup" in line


# --- the client's own loader, quickly ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a runconfig for each mistake of this file."""
    project = copy_of(bake(), tmp_path_factory.mktemp("corpus"))
    folder = project / "models" / "model1" / "aml_config"
    texts = [runconfig(project, name).read_text() for name in (LOCAL, CLOUD)]
    for edit, _ in [*SILENT, *REFUSED]:
        config = yaml.safe_load(texts[1])
        edit(config)
        texts.append(yaml.safe_dump(config, sort_keys=False))
    texts += [
        "",
        "- a\n",
        "a: 1\n\tb: 2\n",
        "a: 1\na: 2\n",
        "ArgumentVector: []\n",
        "environment:\n",
        "environment: 3\n",
    ]
    texts += ["_x: 1\nenvironment: {}\n", "1: 2\n", "environment: {python: }\n", "environment: {}\ndata: [1]\n"]
    texts += ["environment: {}\nhistory: {ambientAuthentication: {method: x}}\n", "environment: {}\narguments: 3\n"]
    for number, text in enumerate(texts):
        (folder / f"case-{number}.runconfig").write_text(text, encoding="utf-8")
    return folder.parent


def test_the_quick_loader_is_the_full_one(corpus: Path) -> None:
    """The same class from the same file, loaded without the rest of the client, says the same of every runconfig."""
    from azureml.core import RunConfiguration

    names = sorted(file.name for file in (corpus / "aml_config").glob("case-*"))
    with client_loader.Client() as client:
        for name in names:
            client.ask(name, corpus, name)
        quick = client.findings()
    full = [
        f"{name}: the client refuses it: {line}: mend that"
        for name in names
        if (line := client_loader.said(RunConfiguration.load, str(corpus), name)) is not None
    ]
    assert quick == full
    assert 10 < len(full) < len(names) - 40


def test_what_only_the_client_knows_is_a_line(project: Path) -> None:
    """Databricks is left to it."""
    edited(project, put({"mavenLibraries": 3}, "environment", "databricks"))
    assert said(project) == []
    (line,) = check_project.check(project, "model1")
    assert line.startswith("models/model1/aml_config/train-amlcompute.runconfig: the client refuses it: TypeError: ")
    assert check_project.check(project, "model1", LOCAL) == []


def test_a_client_that_does_not_answer_is_no_leave_to_pass(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for start, patience, line in [
        ("import time; time.sleep(60)", 1, "gave no answer"),
        ("1 / 0", 60, "ZeroDivisionError"),
    ]:
        monkeypatch.setattr(client_loader, "START", start)
        monkeypatch.setattr(client_loader, "PATIENCE", patience)
        (found,) = check_project.check(project, "model1")
        assert found.startswith("azureml-core: ")
        assert line in found


# --- the schema -------------------------------------------------------------------------------------------------------


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = runconfig_schema.SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def test_the_keys_are_those_of_the_client() -> None:
    """At every depth: one more would do nothing, one less would be refused though it works."""
    from azureml._base_sdk_common.abstract_run_config_element import _AbstractRunConfigElement
    from azureml.core import RunConfiguration

    compared = 0

    def compare(schema: dict[str, Any], kind: Any, place: str) -> None:
        nonlocal compared
        schema = resolved(schema)
        if "$comment" in schema:
            return  # left to the client
        fields = {
            runconfig_schema.camel_case(info.serialized_name or name): info
            for name, info in kind._field_to_info_dict.items()
        }
        assert set(schema["properties"]) == set(fields), place
        compared += len(fields)
        for key, info in fields.items():
            ours = resolved(schema["properties"][key])
            for inner in (info.field_type, info.list_element_type):
                if isinstance(inner, type) and issubclass(inner, _AbstractRunConfigElement):
                    element = ours if inner is info.field_type else ours.get("items") or ours["additionalProperties"]
                    compare(element, inner, f"{place}.{key}")

    compare(runconfig_schema.SCHEMA, RunConfiguration, "")
    assert compared > 100


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
        optional = {key: of_schema(inner) for key, inner in properties.items()}
        wild += [st.fixed_dictionaries({}, optional=optional)] * 4
    elif isinstance(schema.get("additionalProperties"), dict):
        wild += [st.dictionaries(st.text(max_size=5), of_schema(schema["additionalProperties"]), max_size=2)] * 3
    if "items" in schema:
        wild += [st.lists(of_schema(schema["items"]), max_size=3)] * 2
    if "integer" in str(schema.get("type")):
        wild += [st.integers(-1, 9)] * 2
    return st.one_of(wild)


RUNCONFIGS = st.one_of(st.dictionaries(st.text(max_size=6), YAML, max_size=4), of_schema(runconfig_schema.SCHEMA))


@given(config=RUNCONFIGS)
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_mapping_makes_the_check_raise(corpus: Path, config: Any) -> None:
    file = corpus / "aml_config" / "any.runconfig"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    for line in said(corpus.parents[1], config="any"):
        assert line.startswith("models/model1/aml_config/any.runconfig: ")


@given(
    content=st.one_of(st.binary(max_size=60), st.text("ab:-[]{}&*<>|!'\"#\t\n ,?%@`0.~", max_size=60).map(str.encode))
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_makes_the_check_raise(corpus: Path, content: bytes) -> None:
    (corpus / "aml_config" / "any.runconfig").write_bytes(content)
    assert said(corpus.parents[1], config="any")


@given(config=RUNCONFIGS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_walk_agrees_with_json_schema(config: Any) -> None:
    """Our reading of the schema file is the standard's, wherever the keys are written as the client writes them."""

    def written_so(value: Any) -> Any:
        if isinstance(value, dict):
            return {runconfig_schema.camel_case(str(key)): written_so(item) for key, item in value.items()}
        return [written_so(item) for item in value] if isinstance(value, list) else value

    def beyond_json(value: Any) -> bool:
        """Dates, and 1.0, which JSON Schema takes for the integer that the client does not take it for."""
        if isinstance(value, dict | list):
            return any(map(beyond_json, value.values() if isinstance(value, dict) else value))
        return isinstance(value, datetime.date) or (isinstance(value, float) and value.is_integer())

    config = written_so(config)
    assume(isinstance(config, dict) and not beyond_json(config))
    valid = jsonschema.Draft202012Validator(runconfig_schema.SCHEMA).is_valid(config)
    assert (not runconfig_schema.Reading(config).findings) == valid


@pytest.fixture(scope="module")
def word_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("words") / "word.yml"


@given(text=st.text("0123456789+-_.xobeEinfaINFtrueTRUEfalsnullNULL~", min_size=1, max_size=9))
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("no")
@example("010")
@example("0o10")
@example("1e3")
@example(".5")
@example("1_0")
@example("2026-01-01")
@example("<<")
def test_words_mean_what_they_mean_to_the_client(word_file: Path, text: str) -> None:
    """The same type, and the same value, as the YAML reader of the client finds."""
    from azureml._vendor.ruamel import yaml as clients

    word_file.write_text(f"a: [{text}]\n", encoding="utf-8")
    try:
        (theirs,) = clients.safe_load(f"a: [{text}]\n")["a"]
    except Exception:  # it can't make the number that it took the word for
        return
    (ours,) = runconfig_file.read_mapping(word_file)["a"]
    assert (type(ours), repr(ours)) == (type(theirs), repr(theirs))
