"""PyTorch in the hands of its owner: trained by one process, by several of one computer, and by those of two."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.environments import Environments
from tests.journeys.test_project import post, sample
from tests.support import BIN, PYTHON, files_of, free_port, heartbeat, rendered, run, served

# The rest of a model's tests is the same text for every framework: scikit-learn's project passes it (test_journey.py).
OWN = "ARGS=tests/test_distributed.py tests/test_network.py"
# Two processes that are told of each other by the launcher's variables: torchrun sets the same, in the test beside it.
SHORT = f"{OWN} --deselect tests/test_distributed.py::test_two_processes_learn_what_one_does"
TOLERANCE = 1e-5  # sums of 32-bit numbers in another order
COMPARE = """
import sys, torch
one, other = (torch.load(f"{folder}/outputs/model/model.pt", weights_only=True)["weights"] for folder in sys.argv[1:])
print("largest difference", max(float((other[name] - weights).abs().max()) for name, weights in one.items()))
"""


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, environments: Environments) -> Path:
    """A project, installed and trained by one process."""
    folder = tmp_path_factory.mktemp("owner of") / "my nets"
    folder.mkdir()
    project = rendered(folder, framework="pytorch", python_version=PYTHON)
    environments.set_up(project)
    trained = re.search(r"Trained on 1400 rows, tested on 600: accuracy (0\.\d+)", run("make", "train", cwd=project))
    assert trained and float(trained[1]) > 0.74, "0.693 is what naming the commonest label gives"
    return project


def command(project: Path, *start: str | Path) -> list[str]:
    """What starts train.py: with nothing before it, its Python."""
    python, train = project / ".venv/model1/bin/python", project / "models/model1/train.py"
    return [*map(str, start or [python]), str(train), "--data-path", str(project / "data" / "model1")]


def torchrun(project: Path, *options: str) -> list[str]:
    return command(project, project / ".venv/model1/bin/torchrun", *options)


def compare(project: Path, folder: Path) -> None:
    """The model that was trained in a folder is the one that one process has made."""
    python = project / ".venv/model1/bin/python"
    said = run(python, "-c", COMPARE, project / "models/model1", folder, cwd=folder)
    assert float(said.split("largest difference ")[1]) < TOLERANCE
    assert len(list(folder.glob("mlruns/0/*/meta.yaml"))) == 1, "the first process alone logs"


@pytest.mark.parametrize("tests", [SHORT, pytest.param("", marks=pytest.mark.full)], ids=["own", "all"])
def test_its_own_tests_pass(project: Path, tests: str) -> None:
    said = run("make", "test", *filter(None, [tests]), cwd=project)
    assert re.search(r"=+ \d+ passed", said), said[-2000:]
    before = files_of(project / "models/model1")
    run("make", "lint", cwd=project)
    assert files_of(project / "models/model1") == before


def test_it_is_served(project: Path, tmp_path: Path) -> None:
    with served(project, tmp_path / "log", ["make", "serve", "PORT={port}"]) as url:
        assert post(url, sample(project))[0] == 200


def test_two_processes_of_mpi(project: Path, tmp_path: Path) -> None:
    mpirun: list[str | Path] = [
        BIN / "mpirun",
        "--allow-run-as-root",
        "--oversubscribe",
        "-n",
        "2",
        project / ".venv/model1/bin/python",
    ]
    said = run(*command(project, *mpirun), cwd=tmp_path, OMP_NUM_THREADS="1")
    assert said.count("epoch 1: ") == 1
    compare(project, tmp_path)


@contextmanager
def hosts(project: Path, folder: Path, *, nodes: int, mpi: bool) -> Iterator[list[subprocess.Popen[str]]]:
    """Computers of a run, each with an address of its own, as the launchers of Azure ML tell them of each other."""
    started, port = [], str(free_port())
    for rank in range(nodes):
        (folder / str(rank)).mkdir()
        if mpi:
            variables = {
                "OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(nodes),
                "OMPI_COMM_WORLD_LOCAL_RANK": "0", "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
                "AZ_BATCH_MASTER_NODE": "127.0.0.2:6000", "MASTER_PORT": port,
            }  # fmt: skip
            start = command(project)
        else:
            variables = {}
            options = [f"--nnodes={nodes}", f"--node-rank={rank}", "--nproc-per-node=1", "--master-addr=127.0.0.2"]
            start = torchrun(project, *options, f"--master-port={port}", f"--local-addr=127.0.0.{rank + 2}")
        started.append(
            subprocess.Popen(
                start, cwd=folder / str(rank), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", **variables},
            )
        )  # fmt: skip
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("mpi", [True, pytest.param(False, marks=pytest.mark.full)], ids=["mpi", "torchrun"])
def test_two_computers(project: Path, tmp_path: Path, mpi: bool) -> None:
    """By torchrun, too: the model's own tests on one computer, test_many_nodes.py on two."""
    with heartbeat("two computers"), hosts(project, tmp_path, nodes=2, mpi=mpi) as started:
        said = [process.communicate(timeout=300)[0] for process in started]
        assert [process.returncode for process in started] == [0, 0], said
    assert "epoch 10: " in said[0] and "epoch" not in said[1]
    assert list((tmp_path / "1").iterdir()) == [], "the first computer alone writes"
    compare(project, tmp_path / "0")


def test_a_failure_of_one_ends_all_with_a_line(project: Path, tmp_path: Path) -> None:
    """Each process has the same fault, and says it; the launcher adds its own report."""
    (tmp_path / "empty").mkdir()
    start = torchrun(project, "--nproc-per-node=2", f"--master-port={free_port()}")
    said = run(*start[:-1], tmp_path / "empty", cwd=tmp_path, expect=1, OMP_NUM_THREADS="1")
    assert f"--data-path {tmp_path / 'empty'}: no .csv or .parquet file there, and no sub-folder with images" in said
    assert 'Traceback (most recent call last):\n  File "' + str(project / "models") not in said
