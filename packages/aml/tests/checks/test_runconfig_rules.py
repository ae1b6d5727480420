"""A mistake in a runconfig is one line; beside it, what the real client says to the same file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runconfigs import (
    CLOUD,
    LOCAL,
    MPI,
    REFUSED,
    SILENT,
    TENSORFLOW,
    TORCH,
    both,
    drop,
    edited,
    loads,
    put,
    runconfig,
    said,
)


@pytest.mark.parametrize(
    "edit",
    [
        drop("nodeCount"),
        lambda c: c.update(MPI),
        lambda c: c.update(TORCH, pytorch={"communicationBackend": "Nccl", "processCount": 8, "nodeCount": 4}),
        lambda c: c.update(TORCH, communicator="nccl", pytorch={"nodeCount": 4}, mpi={"nodeCount": 1}),
        lambda c: c.update(TENSORFLOW, tensorflow={"workerCount": 4}),
        both(put("python x.py", "command"), drop("script"), drop("arguments")),
        both(drop("docker"), drop("environment", "docker")),  # no image is asked for
        lambda c: (c.pop("nodeCount"), c.update(framework="PyTorch", communicator="Nccl", pytorch={"processCount": 1})),
        *(
            both(
                put("direct", "data", "training", "mechanism"),
                put(variable, "data", "training", "environmentVariableName"),
                put(["--data-path=/data", f"--dataset={variable or 'training'}"], "arguments"),
            )
            for variable in ("rows", None)
        ),
        *(
            both(put(None, "environment", "docker", "baseImage"), put(value, "environment", key))
            for key, value in (("name", "AzureML-sklearn"), ("version", "3"), ("assetId", "azureml://x"))
        ),
    ],
)
def test_this_is_fine(small: Path, edit: Callable[..., Any]) -> None:
    edited(small, edit)
    assert said(small) == []


@pytest.mark.parametrize(("edit", "line"), SILENT, ids=[line[:50] for _, line in SILENT])
def test_the_client_accepts_this_and_we_do_not(small: Path, edit: Callable[..., Any], line: str) -> None:
    edited(small, edit)
    found = said(small)
    assert len(found) == 1, found
    assert found[0].startswith("models/model1/aml_config/train-amlcompute.runconfig: ")
    assert line in found[0]
    if "baseImageRegistry" not in line or "password" in line:
        assert loads(small) is None


def test_without_a_target_all_else_is_told(small: Path) -> None:
    edited(small, both(drop("target"), drop("script")))
    assert [found.partition(": ")[2].partition(":")[0] for found in said(small)] == ["target", "script"]


@pytest.mark.parametrize(("edit", "line"), REFUSED, ids=[line[:50] for _, line in REFUSED])
def test_the_client_refuses_this_and_we_say_why(small: Path, edit: Callable[..., Any], line: str) -> None:
    edited(small, edit)
    found = said(small)
    assert len(found) == 1, found
    assert line in found[0]
    assert loads(small) is not None


def test_no_and_off_are_texts_to_the_client(small: Path) -> None:
    """YAML 1.2: the client takes `enabled: no` for true, where PyYAML would have read false."""
    from azureml.core import RunConfiguration

    text = runconfig(small, LOCAL).read_text()
    runconfig(small, LOCAL).write_text(text.replace("enabled: false", "enabled: no"))
    model = small / "models" / "model1"
    assert RunConfiguration.load(str(model), LOCAL).environment.docker.enabled is True
    assert "environment.docker.enabled: is the text 'no', which the client takes for true" in said(small)[0]


def test_the_client_sends_the_image_and_the_dockerfile(small: Path) -> None:
    from azureml.core import RunConfiguration

    docker = ("environment", "docker")
    edited(small, put("FROM a:1\n", *docker, "baseDockerfile"))
    sent = RunConfiguration.load(str(small / "models" / "model1"), CLOUD).environment.docker
    assert sent.base_image
    assert sent.base_dockerfile
    assert "baseImage: the client sends it with baseDockerfile" in said(small)[0]
    edited(small, put(None, *docker, "baseImage"))
    assert said(small) == []
    assert loads(small) is None


@pytest.mark.parametrize("vm", ["Standard_NC6s_v3", "Standard_ND96asr_v4", "Standard_nv6"])
def test_a_gpu_without_its_image(small: Path, vm: str) -> None:
    answers = json.loads((small / ".cookiecutter.json").read_text())
    (small / ".cookiecutter.json").write_text(json.dumps(answers | {"vm_size": vm}))
    cpu = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"
    edited(small, put(cpu, "environment", "docker", "baseImage"))
    assert f"baseImage: is for a CPU, and {vm} has a GPU" in said(small)[0]
    for image in ["registry.example.com/own:1", cpu.replace("-ubuntu", "-cuda11.8-cudnn8-ubuntu")]:
        edited(small, put(image, "environment", "docker", "baseImage"))
        assert said(small) == []


def test_cuda_on_the_gpus_of_amd(small: Path) -> None:
    answers = json.loads((small / ".cookiecutter.json").read_text())
    (small / ".cookiecutter.json").write_text(json.dumps(answers | {"vm_size": "Standard_ND96isr_MI300X_v5"}))
    assert said(small) == []
    edited(small, put("nvcr.io/nvidia/pytorch:24.12-py3", "environment", "docker", "baseImage"))
    (found,) = said(small)
    assert "baseImage: is for NVIDIA's GPUs, and Standard_ND96isr_MI300X_v5 has AMD's" in found


def test_data_that_a_script_of_ones_own_reads_in_its_own_way(small: Path) -> None:
    """Without --data-path nothing is awaited there; another --dataset than a block's is the script's own matter."""
    model = small / "models" / "model1"
    (model / "train.py").write_text("print('no arguments are known')\n")
    edited(small, both(put("direct", "data", "training", "mechanism"), put([], "arguments")))
    assert said(small) == []
    edited(small, both(put("mount", "data", "training", "mechanism"), put(["--dataset", "mnist"], "arguments")))
    assert said(small) == []
