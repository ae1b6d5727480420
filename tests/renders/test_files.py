"""What a render holds: exactly these files, all of them valid."""

import json
import re
from pathlib import Path

import pytest
import tomli as tomllib
import yaml
from packaging.requirements import Requirement

from tests.aml import aml
from tests.conftest import Bake
from tests.support import (
    BIN,
    FRAMEWORK_FOLDERS,
    FRAMEWORKS,
    MODEL,
    PYTHONS,
    copy_of,
    files_of,
    rendered,
    rendered_file,
    run,
)

REPO_FILES = {
    ".cookiecutter.json",
    ".gitattributes",
    ".gitignore",
    "Makefile",
    "README.md",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements-tools.txt",
    "scripts/register_dataset.py",
    "scripts/register_environment.py",
    "scripts/register_model.py",
    "scripts/submit_run.py",
}
# What tells make where this checkout of the template lies, and git nothing.
LOCAL = {"local.mk"}
MOST_FILES = 50  # of the default answers: who opens the repo is to see what is theirs
MODEL_FILES = {
    ".amlignore",
    ".answers.json",
    ".dockerignore",
    "Dockerfile",
    "Dockerfile.inference",
    "aml_config/inference-conda.yml",
    "aml_config/inference-config.yml",
    "aml_config/train-amlcompute.runconfig",
    "aml_config/train-conda.yml",
    "aml_config/train-local.runconfig",
    "deployment/deployment-config-aci.yml",
    "deployment/deployment-config-aks.yml",
    "deployment/deployment-config-local.yml",
    "deployment/requests.http",
    "evaluation.py",
    "runtime/__init__.py",
    "runtime/arguments.py",
    "runtime/data.py",
    "runtime/input_schema.py",
    "runtime/server.py",
    "runtime/serving.py",
    "runtime/tracking.py",
    "score.py",
    "score_batch.py",
    "tests/conftest.py",
    "tests/test_score.py",
    "tests/test_score_batch.py",
    "tests/test_train.py",
    "train.py",
}
# What is not a file of the framework's folder, as it is: texts of the answers, and a file that is no text.
SAMPLES = {
    "predictors": {"data/model1/customers.csv", "models/model1/sample-request.json"},
    "auto3dseg": {"data/model1/README.md", "models/model1/task.yaml", "models/model1/sample-request.nii.gz"},
}
NETWORKS, PREDICTORS = FRAMEWORK_FOLDERS.parent / "networks", FRAMEWORK_FOLDERS.parent / "predictors"
# What a framework's folder holds for the template, not for the model.
REQUIREMENTS = {"train-requirements.txt", "inference-requirements.txt"}
WORKSPACE = {
    "subscription_id": "12345678-1234-1234-1234-123456789abc",
    "resource_group": "rg",
    "workspace_name": "ws1",
}


def folders_of(framework: str) -> list[Path]:
    """Where a framework's files lie: its own folder, and what it shares with all networks, or all that answer rows."""
    own = FRAMEWORK_FOLDERS / framework
    shared = [] if (own / "evaluation.py").exists() else [PREDICTORS]
    return [own, *shared, NETWORKS] if (own / "network.py").exists() else [own, *shared]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_exactly_these_files(bake: Bake, framework: str) -> None:
    files = [(path, folder) for folder in folders_of(framework) for path in folder.rglob("*.*")]
    own = {path.relative_to(folder).as_posix() for path, folder in files if path.suffix != ".pyc"}
    borrowed = {"runtime/images.py", "runtime/pictures.py"} if framework == "none" else set()  # of the networks
    model = {f"models/model1/{name}" for name in MODEL_FILES | borrowed | own - REQUIREMENTS}
    project = bake(framework=framework)
    samples = SAMPLES["auto3dseg" if framework == "auto3dseg" else "predictors"]
    assert set(files_of(project)) == REPO_FILES | LOCAL | samples | model
    assert [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


def test_there_are_not_many(bake: Bake) -> None:
    assert len(set(files_of(bake())) - LOCAL) <= MOST_FILES


@pytest.mark.parametrize("framework", sorted(set(FRAMEWORKS) - {"auto3dseg"}))
def test_a_regression_is_the_same_files_but_for_what_says_so(bake: Bake, framework: str) -> None:
    numbers, classes = (files_of(bake(framework=framework, task=task)) for task in ("regression", "classification"))
    model = "models/model1/"
    assert numbers.keys() == classes.keys()
    assert {name for name in numbers if numbers[name] != classes[name]} == {
        ".cookiecutter.json",
        "README.md",
        f"{model}.answers.json",
        f"{model}sample-request.json",
    }
    assert json.loads(numbers[f"{model}.answers.json"])["task"] == "regression"
    columns = set(classes["data/model1/customers.csv"].decode().splitlines()[0].split(","))
    for files, label in ((numbers, "monthly_fee"), (classes, "churned")):
        for row in json.loads(files[f"{model}sample-request.json"])["data"]:
            assert row.keys() == columns - {label}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_python_is_the_frameworks_files_byte_for_byte(bake: Bake, framework: str) -> None:
    model = bake(framework=framework) / "models" / "model1"
    for folder in folders_of(framework):
        for source in folder.rglob("*.py"):
            assert (model / source.relative_to(folder)).read_bytes() == source.read_bytes(), source.name


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_template_is_left(bake: Bake, framework: str) -> None:
    for name, content in files_of(bake(framework=framework)).items():
        if name.endswith(".gz"):
            continue
        code = content.replace(b".cookiecutter.json", b"")
        if name.endswith(".http"):  # its variables are written so
            code = re.sub(rb"\{\{(url|\$dotenv SERVICE_(URL|KEY))\}\}", b"", code)
        assert not re.search(rb"\{\{|\{%|\{#|cookiecutter\.[a-z_]", code), name
        assert content.endswith(b"\n"), name
        assert not content.endswith(b"\n\n"), name
        assert not content.startswith(b"\n"), name
        assert b"\r" not in content, name


@pytest.mark.parametrize("answers", [{}, {"framework": "none", "author": "A", "node_count": "4", **WORKSPACE}])
def test_every_file_parses(bake: Bake, answers: dict[str, str]) -> None:
    parsed = 0
    for path in bake(**answers).rglob("*"):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if path.suffix == ".py":
            compile(text, path, "exec")
        elif path.suffix == ".json":
            json.loads(text)
        elif path.suffix in (".yml", ".yaml", ".runconfig"):
            yaml.safe_load(text)
        elif path.suffix == ".toml":
            tomllib.loads(text)
        else:
            continue
        parsed += 1
    assert parsed > 15


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_render_passes_its_own_linter(bake: Bake, framework: str) -> None:
    project = bake(framework=framework)
    run(BIN / "ruff", "check", "--no-cache", ".", cwd=project)
    run(BIN / "ruff", "format", "--no-cache", "--check", ".", cwd=project)


# The answers that choose a Dockerfile, and the image that it begins with.
AZURE_ML = "mcr.microsoft.com/azureml/openmpi4.1.0-"
DOCKERFILES = [
    ({}, f"{AZURE_ML}ubuntu22.04:20251130.v1"),
    ({"vm_size": "Standard_NC6s_v3"}, f"{AZURE_ML}cuda11.8-cudnn8-ubuntu22.04"),
    ({"framework": "pytorch", "vm_size": "Standard_NC24s_v3"}, f"{AZURE_ML}cuda11.8-cudnn8-ubuntu22.04"),
    ({"framework": "none", "vm_size": "Standard_ND40rs_v2"}, f"{AZURE_ML}cuda11.8-cudnn8-ubuntu22.04"),
    ({"framework": "pytorch", "vm_size": "Standard_HB120rs_v3"}, f"{AZURE_ML}ubuntu22.04:20251130.v1"),
    ({"framework": "pytorch", "vm_size": "Standard_ND40rs_v2"}, "nvcr.io/nvidia/pytorch:24.12-py3"),
    ({"framework": "pytorch", "vm_size": "Standard_nd96ISR_H100_v5"}, "nvcr.io/nvidia/pytorch:24.12-py3"),
    ({"framework": "tensorflow", "vm_size": "Standard_NC24rs_v3"}, "nvcr.io/nvidia/tensorflow:24.12-tf2-py3"),
]


@pytest.fixture(params=DOCKERFILES, ids=lambda case: "-".join(case[0].values()) or "default")
def dockerfile(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, str], str]:
    """A Dockerfile in a folder of its own, the answers that it was rendered for, and its image."""
    answers, image = request.param
    file = tmp_path / "Dockerfile"
    file.write_text(rendered_file(MODEL / "Dockerfile", **answers), encoding="utf-8")
    return file, answers, image


def test_a_dockerfile_for_each_kind_of_vm(dockerfile: tuple[Path, dict[str, str], str]) -> None:
    file, _, image = dockerfile
    run(BIN / "hadolint", "Dockerfile", cwd=file.parent)
    text = file.read_text(encoding="utf-8")
    version, first, *_ = [line for line in text.splitlines() if line.startswith(("ARG", "FROM"))]
    name, value = version.removeprefix("ARG ").split("=")
    assert first.replace("${" + name + "}", value) == f"FROM {image} AS environment"
    assert text.count("Your own system packages go here") == 1
    assert ("ibverbs-providers" in text) == image.startswith("nvcr.io/")


def test_an_edit_of_the_code_rebuilds_no_package(dockerfile: tuple[Path, dict[str, str], str]) -> None:
    """Whatever copies code stands below the installation, and the code is not copied as root."""
    file, _, image = dockerfile
    lines = file.read_text(encoding="utf-8").splitlines()
    steps = [line for line in lines if line.startswith(("COPY", "RUN", "USER"))]
    if image.startswith("nvcr.io/"):
        assert steps.pop(0).startswith("RUN apt-get update")
    assert [step.split()[0] for step in steps] == ["COPY", "RUN", "RUN", "USER", "COPY"]
    assert steps[0].split()[1] == "aml_config/train-conda.yml"
    assert "conda env create" in steps[1] or "/tmp/requirements.txt" in "".join(lines)
    assert steps[3] == "USER 1000"


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
def test_an_image_that_brings_the_framework_gets_the_other_packages(tmp_path: Path, framework: str) -> None:
    """The line of the Dockerfile that makes the list, run here."""
    answers = {"framework": framework, "vm_size": "Standard_ND40rs_v2"}
    conda = rendered_file(MODEL / "aml_config" / "train-conda.yml", **answers)
    (tmp_path / "train-conda.yml").write_text(conda + "variables:\n  A: 1\n", encoding="utf-8")
    text = rendered_file(MODEL / "Dockerfile", **answers)
    (command,) = re.findall(r"^RUN (sed .*?) \\$\s*&&", text, flags=re.MULTILINE | re.DOTALL)
    run("sh", "-c", command.replace("/tmp/", ""), cwd=tmp_path)
    listed = (tmp_path / "requirements.txt").read_text(encoding="utf-8").splitlines()
    packages = [Requirement(line).name for line in listed]
    whole = [Requirement(line).name for line in yaml.safe_load(conda)["dependencies"][-1]["pip"]]
    brought = {"pytorch": ["torch", "numpy"], "tensorflow": ["tensorflow", "tensorflow-cpu", "numpy"]}[framework]
    assert packages == [name for name in whole if name not in brought]
    assert len(packages) < len(whole) - 1


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_image_that_serves(tmp_path: Path, framework: str, python: str) -> None:
    """It has the packages of the conda file without those of Azure ML's service; code and model come after them."""
    answers = {"framework": framework, "python_version": python}
    text = rendered_file(MODEL / "Dockerfile.inference", **answers)
    (tmp_path / "Dockerfile").write_text(text, encoding="utf-8")
    run(BIN / "hadolint", "Dockerfile", cwd=tmp_path)
    assert f"\nARG BASE_IMAGE=python:{python}-slim\nFROM ${{BASE_IMAGE}} AS server\n" in text
    steps = re.findall(r"^(?:COPY .*|RUN|USER .*|FROM server)", text, flags=re.MULTILINE)
    own = "COPY --chown=1000:1000"
    assert steps == [
        "COPY aml_config/inference-conda.yml /tmp/inference-conda.yml", "RUN", "USER 1000",
        f"{own} *.py ./", f"{own} runtime ./runtime", "FROM server", f"{own} outputs/model /model",
    ]  # fmt: skip

    content = rendered_file(MODEL / "aml_config" / "inference-conda.yml", **answers)
    (tmp_path / "inference-conda.yml").write_text(content + "variables:\n  A: 1\n", encoding="utf-8")
    (command,) = re.findall(r"^RUN (sed .*?) \\$\s*&&", text, flags=re.MULTILINE | re.DOTALL)
    run("sh", "-c", command.replace("/tmp/", ""), cwd=tmp_path)
    listed = [line for line in (tmp_path / "requirements.txt").read_text().splitlines() if line]
    whole = yaml.safe_load(content)["dependencies"][-1]["pip"]
    assert listed == [line for line in whole if not line.startswith(("azureml-core=", "azureml-defaults="))]
    assert len(listed) == len(whole) - 2


@pytest.mark.parametrize(
    ("vm_size", "name"), [("Standard_DS3_v2", "tensorflow-cpu"), ("Standard_NC6s_v3", "tensorflow")]
)
def test_tensorflow_for_a_gpu_brings_what_it_needs_there(vm_size: str, name: str) -> None:
    conda = rendered_file(MODEL / "aml_config" / "train-conda.yml", framework="tensorflow", vm_size=vm_size)
    packages = [Requirement(line) for line in yaml.safe_load(conda)["dependencies"][-1]["pip"]]
    (found,) = [package for package in packages if package.name.startswith("tensorflow")]
    assert (found.name, found.extras) == (name, {"and-cuda"} if name == "tensorflow" else set())
    served = rendered_file(MODEL / "aml_config" / "inference-conda.yml", framework="tensorflow", vm_size=vm_size)
    assert f"- tensorflow-cpu{found.specifier}" in served


@pytest.mark.parametrize("python", PYTHONS)
def test_the_python_version_is_everywhere_the_same(bake: Bake, python: str) -> None:
    project = bake(python_version=python)
    for purpose in ("train", "inference"):
        conda = yaml.safe_load((project / f"models/model1/aml_config/{purpose}-conda.yml").read_text())
        assert conda["dependencies"][0] == f"python={python}"
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["requires-python"] == f">={python}"


def test_the_answers_are_kept_without_a_path_of_the_machine(tmp_path: Path) -> None:
    given, listed = tmp_path / "my notebook.ipynb", tmp_path / "env.yml"
    given.write_text('{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": []}')
    listed.write_text("dependencies: []\n")
    (tmp_path / "out").mkdir()
    project = rendered(tmp_path / "out", notebook=str(given), environment_file=str(listed))
    text = (project / ".cookiecutter.json").read_text()
    answers = json.loads(text)
    assert answers["notebook"] == "my notebook.ipynb"
    assert answers["environment_file"] == "env.yml"
    assert answers["framework"] == "sklearn"
    assert "/" not in text
    assert not any(question.startswith("_") for question in answers)


def test_a_known_workspace_is_attached_and_not_shared(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(**WORKSPACE), tmp_path)
    assert set(files_of(project)) - set(files_of(bake())) == {".azureml/config.json"}
    assert WORKSPACE.items() <= json.loads((project / ".azureml" / "config.json").read_text()).items()
    run("git", "init", "-q", cwd=project)
    assert run("git", "status", "--porcelain", "--untracked-files=all", cwd=project).count(".azureml") == 0


def test_attach_is_offline_idempotent_and_clear(bake: Bake, tmp_path: Path) -> None:
    project = copy_of(bake(), tmp_path)
    done = aml(project, "attach", "--workspace-name=ws1")
    assert (done.code, done.err) == (2, "ERROR: give --subscription-id and --resource-group\n")
    others = ("--resource-group=rg", "--workspace-name=ws1")
    done = aml(project, "attach", "--subscription-id=x", *others)
    assert (done.code, done.err) == (2, "ERROR: --subscription-id: a GUID, not 'x'\n")
    right = ("attach", "--subscription-id=12345678-1234-1234-1234-123456789abc", *others)
    said = aml(project, *right)
    assert aml(project, *right) == said == (0, "Attached to ws1 in rg: .azureml/config.json\n", "")
    assert WORKSPACE.items() <= json.loads((project / ".azureml" / "config.json").read_text()).items()


def test_the_attached_workspace_is_what_the_client_reads(bake: Bake) -> None:
    """The real client finds the file from a model's folder upwards: `az ml run` goes by its Scope, the SDK by both."""
    from azureml._project import project_info

    project = bake(**WORKSPACE)
    names = tuple(WORKSPACE.values())
    assert project_info.get_workspace_info(str(project / ".azureml" / "config.json")) == names
    scope = project_info.get(str(project / "models" / "model1")).Scope.split("/")
    assert (scope[2], scope[4], scope[8]) == names
