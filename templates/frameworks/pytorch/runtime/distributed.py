"""Which of how many processes this is, and where the first one waits: from whatever has started the run.

Azure ML's PyTorch block and torchrun say it in RANK, WORLD_SIZE and MASTER_ADDR; MPI in OMPI_COMM_WORLD_*, beside which
Azure ML names the first node. Where nobody says anything, this process is alone.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

PORT = "6105"  # where the environment names none
PATIENCE = timedelta(minutes=30)  # for the others: a rank that is gone ends the run at once, one that hangs after this
PATIENCE_FOR_DATA = timedelta(hours=12)


class Processes(NamedTuple):
    """This process among those of the run, and among those of its node."""

    rank: int
    size: int
    local_rank: int
    master: str
    port: str


def find(environment: Mapping[str, str] = os.environ) -> Processes:
    """Read the process's place from its environment."""
    get = environment.get
    if "OMPI_COMM_WORLD_SIZE" in environment and "RANK" not in environment:
        size, rank = int(environment["OMPI_COMM_WORLD_SIZE"]), int(environment["OMPI_COMM_WORLD_RANK"])
        one_node = environment["OMPI_COMM_WORLD_LOCAL_SIZE"] == environment["OMPI_COMM_WORLD_SIZE"]
        master = "127.0.0.1" if one_node else first_node(environment)
        return Processes(rank, size, int(environment["OMPI_COMM_WORLD_LOCAL_RANK"]), master, get("MASTER_PORT", PORT))
    rank, size = int(get("RANK", "0")), int(get("WORLD_SIZE", "1"))
    master, port = get("MASTER_ADDR", "127.0.0.1"), get("MASTER_PORT", PORT)
    return Processes(rank, size, int(get("LOCAL_RANK", str(rank))), master, port)


def first_node(environment: Mapping[str, str]) -> str:
    """The address of rank 0: "ip:port" of several nodes, a bare address where Azure's older service names it."""
    for name in ("AZ_BATCH_MASTER_NODE", "AZ_BATCHAI_MPI_MASTER_NODE", "MASTER_ADDR"):
        address = environment.get(name, "").rpartition(":")[0] or environment.get(name, "")
        if address and address != "localhost":
            return address
    raise SystemExit("MPI has started several nodes, and no AZ_BATCH_MASTER_NODE or MASTER_ADDR names the first")


def gathered(values: "Tensor") -> "Tensor":
    """The sum over all processes, which each of them gets."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def wait() -> None:
    """Until every process has come here."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.barrier(dist.new_group(backend="gloo", timeout=PATIENCE_FOR_DATA))


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Meet the other processes, if there are any; leave them when the work is done, or has failed."""
    import torch
    import torch.distributed as dist

    processes = find()
    if processes.size == 1:
        yield processes
        return
    if device == "cuda":
        if processes.local_rank >= torch.cuda.device_count():
            raise SystemExit(f"More processes than GPUs on this node, which has {torch.cuda.device_count()}")
        torch.cuda.set_device(processes.local_rank)
    address = f"tcp://{processes.master}:{processes.port}"
    if "TORCHELASTIC_RUN_ID" in os.environ:
        address = "env://"  # torchrun keeps the meeting point itself
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, address, PATIENCE, processes.size, processes.rank)
    if processes.rank > 0:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (for the rest of the process: the first one speaks)
    yield processes
    dist.barrier()
    # Not destroy_process_group(), whose threads abort one process in eight when Python ends.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
