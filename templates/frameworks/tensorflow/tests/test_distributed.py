"""distributed.py: which process TF_CONFIG says this is; and several processes that learn as one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.distributed import Processes, find
from tests.conftest import DATA, MODEL, free_port

TOLERANCE = 1e-5  # sums of 32-bit numbers in another order
# What TensorFlow says of the processor before it knows which of its lines are wanted.
OF_TENSORFLOW = re.compile(r"WARNING: All log messages before absl::|I\d{4} ")
TWO = ["10.0.0.4:2222", "10.0.0.5:2222"]


def place(cluster: dict[str, list[str]], role: str, index: Any) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": role, "index": index}})}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Processes(0, 1, {}, "worker", 0)),
        ({"TF_CONFIG": ""}, Processes(0, 1, {}, "worker", 0)),
        # Azure ML's TensorFlow block
        (place({"worker": TWO}, "worker", 0), Processes(0, 2, {"worker": TWO}, "worker", 0)),
        (place({"worker": TWO, "ps": []}, "worker", "1"), Processes(1, 2, {"worker": TWO}, "worker", 1)),
        (place({"worker": TWO[:1]}, "worker", 0), Processes(0, 1, {"worker": TWO[:1]}, "worker", 0)),
        # A chief stands before the workers
        (
            place({"chief": TWO[:1], "worker": TWO[1:]}, "chief", 0),
            Processes(0, 2, {"chief": TWO[:1], "worker": TWO[1:]}, "chief", 0),
        ),
        (
            place({"chief": TWO[:1], "worker": TWO[1:]}, "worker", 0),
            Processes(1, 2, {"chief": TWO[:1], "worker": TWO[1:]}, "worker", 0),
        ),
    ],
)
def test_tf_config_says_which_process_this_is(environment: dict[str, str], expected: Processes) -> None:
    assert find(environment) == expected


@pytest.mark.parametrize(
    ("cluster", "role"), [({"worker": TWO, "ps": ["10.0.0.6:2222"]}, "worker"), ({"worker": TWO}, "ps")]
)
def test_a_parameter_server_is_refused_in_one_line(cluster: dict[str, list[str]], role: str) -> None:
    with pytest.raises(SystemExit, match="TF_CONFIG names ps"):
        find(place(cluster, role, 0))


def start(folder: Path, rank: int, ports: list[int], *args: str) -> "subprocess.Popen[str]":
    """One of two processes, started as Azure ML's TensorFlow block does."""
    folder.mkdir(exist_ok=True)
    own = place({"worker": [f"127.0.0.1:{port}" for port in ports], "ps": []}, "worker", rank)
    command = [sys.executable, str(MODEL / "train.py"), "--data-path", str(DATA), *args]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_two_processes_learn_what_one_does(outputs: Path, tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    both = [start(tmp_path, rank, ports) for rank in range(2)]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    own = [line for line in said[1].splitlines() if not OF_TENSORFLOW.match(line)]
    assert own == [], "the first one alone prints"
    one, two = (np.load(folder / "checkpoints/last.npz") for folder in (outputs, tmp_path / "outputs"))
    names = [name for name in one.files if name.startswith("weights/")]
    assert names
    for name in names:
        np.testing.assert_allclose(two[name], one[name], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_dies_ends_the_other(tmp_path: Path, killed: int) -> None:
    ports = [free_port(), free_port()]
    both = [start(tmp_path, rank, ports, "--epochs", "10000") for rank in range(2)]
    stdout = both[0].stdout
    assert stdout is not None and any(line.startswith("epoch 1:") for line in stdout)
    both[killed].send_signal(signal.SIGKILL)
    began = time.monotonic()
    both[1 - killed].communicate(timeout=60)
    print(f"ended after {time.monotonic() - began:.1f} s")
    assert both[1 - killed].returncode != 0
    both[killed].communicate()
