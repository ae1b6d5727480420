"""distributed.py: where each launcher says which process this is; and several processes that learn as one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from runtime.distributed import Processes, find
from tests.conftest import DATA, MODEL, free_port

TOLERANCE = 1e-5  # sums of 32-bit numbers in another order


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Processes(0, 1, 0, "127.0.0.1", "6105")),
        (  # Azure ML's PyTorch block, and torchrun, which adds LOCAL_WORLD_SIZE
            {
                "RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1", "NODE_RANK": "1",
                "MASTER_ADDR": "10.0.0.4", "MASTER_PORT": "6000",
            },
            Processes(9, 16, 1, "10.0.0.4", "6000"),
        ),
        (  # MPI on several nodes of Azure ML
            {
                "OMPI_COMM_WORLD_RANK": "9", "OMPI_COMM_WORLD_SIZE": "16", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "8", "AZ_BATCH_MASTER_NODE": "10.0.0.4:6000",
            },
            Processes(9, 16, 1, "10.0.0.4", "6105"),
        ),
        (  # its older service
            {
                "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "0",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "1", "AZ_BATCHAI_MPI_MASTER_NODE": "10.0.0.4",
            },
            Processes(1, 2, 0, "10.0.0.4", "6105"),
        ),
        (  # one node, whose name nobody needs
            {
                "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "AZ_BATCHAI_MPI_MASTER_NODE": "localhost",
            },
            Processes(1, 2, 1, "127.0.0.1", "6105"),
        ),
    ],
)  # fmt: skip
def test_each_launcher_says_it_in_its_own_way(environment: dict[str, str], expected: Processes) -> None:
    assert find(environment) == expected


def test_mpi_on_nodes_that_nobody_names_is_one_line() -> None:
    environment = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}
    with pytest.raises(SystemExit, match="no AZ_BATCH_MASTER_NODE or MASTER_ADDR names the first"):
        find(environment)


def start(folder: Path, rank: int, port: int, *args: str) -> "subprocess.Popen[str]":
    """One of two processes, started as Azure ML's PyTorch block does."""
    folder.mkdir(exist_ok=True)
    own = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, str(MODEL / "train.py"), "--data-path", str(DATA), *args]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | own | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_two_processes_learn_what_one_does(outputs: Path, tmp_path: Path) -> None:
    port = free_port()
    both = [start(tmp_path, rank, port) for rank in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert said[1] == "", "the first one alone prints"
    compare(outputs, tmp_path / "outputs")


def compare(*outputs: Path) -> None:
    one, two = (torch.load(folder / "model/model.pt", weights_only=True)["weights"] for folder in outputs)
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, atol=TOLERANCE, rtol=0)


def test_torchrun_starts_processes_that_learn_together(outputs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", f"--master-port={free_port()}"]
    command += [str(MODEL / "train.py"), "--data-path", str(DATA)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1:") == 1, "the first one alone prints"
    compare(outputs, tmp_path / "outputs")


def test_a_process_that_dies_ends_the_others(tmp_path: Path) -> None:
    port = free_port()
    both = [start(tmp_path, rank, port, "--epochs", "10000") for rank in range(2)]
    stdout = both[0].stdout
    assert stdout is not None and any(line.startswith("epoch 1:") for line in stdout)
    both[1].send_signal(signal.SIGKILL)
    began = time.monotonic()
    both[0].communicate(timeout=60)
    assert both[0].returncode != 0 and time.monotonic() - began < 60
    both[1].communicate()
