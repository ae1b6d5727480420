"""Several nodes: the first runs AutoRunner, and the others train with it what it sends them.

A launcher starts train.py once on each node and says which of them this is. AutoRunner starts the processes of several
nodes by bcprun, of NVIDIA's clusters, and counts on a folder that all of them see. Here each node has its own, so the
first sends an algorithm to the others before it is trained, and each starts a torchrun.
"""

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from torch.distributed import DistNetworkError, TCPStore

from runtime.cache import moved

PATIENCE = timedelta(minutes=30)  # until all nodes are there
WHOLE_RUN = timedelta(days=30)  # while the first one analyses the data, or judges: the run has a limit of its own
PART = 4 << 20  # bytes of a message: the store takes no more than eight million
# They settle their configuration on the first node, in a folder that all nodes are to see, and take a node with one GPU
# for alone.
MONAIS = ("segresnet", "segresnet2d", "dints", "swinunetr")
TOP = ("*.json", "*.yaml")  # what an algorithm reads beside its own folder


class Nodes:
    """This node among those of the run, as RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT name it."""

    def __init__(self, data: Path) -> None:
        self.data = str(data.resolve())
        self.rank, self.count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.master, self.sent = os.environ.get("MASTER_ADDR", ""), 0
        if self.count > 1:
            port = int(os.environ["MASTER_PORT"])
            self.store = TCPStore(self.master, port, self.count, self.rank == 0, PATIENCE)
            self.store.set_timeout(WHOLE_RUN)

    def train(self, command: str, **asked: int) -> None:
        """Train an algorithm on all nodes: called as AutoRunner calls bcprun, with the processes of a node as p."""
        words = command.split()
        words = words[next(at for at, word in enumerate(words) if word.endswith(".py")) :]
        folder = Path(words[0]).parents[1]
        if folder.name.split("_")[0] in MONAIS:
            raise SystemExit(f"ERROR: {folder.name}: MONAI's own algorithms can't train on several nodes: take one")
        port, places = free_port(), {"work": str(folder.parent), "data": self.data}
        order = {"words": words, "processes": asked["p"], "port": port, "places": places}
        keys = self.send(order, packed(folder))
        self.torchrun(words, asked["p"], port)
        for key in keys:  # all have taken part, so all have read them
            self.store.delete_key(key)

    def send(self, order: dict[str, Any], content: bytes) -> list[str]:
        """Leave an order where the other nodes wait for it; return the names that it lies under."""
        parts = [content[at : at + PART] for at in range(0, len(content), PART)]
        names = [f"{self.sent}/{number}" for number in range(len(parts))]
        for name, part in zip(names, parts, strict=True):
            self.store.set(name, part)
        self.store.set(str(self.sent), json.dumps({**order, "parts": names}))
        self.sent += 1
        return names

    def dismiss(self) -> None:
        """Let the other nodes go: there is nothing left to train."""
        if self.count > 1:
            self.send({}, b"")
            self.store.wait([f"gone {rank}" for rank in range(1, self.count)])

    def follow(self) -> None:
        """Train what the first node sends, until it lets this one go."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                for number in count():
                    order = json.loads(self.store.get(str(number)))
                    if "words" not in order:
                        self.store.set(f"gone {self.rank}", "")
                        return
                    content = b"".join(self.store.get(name) for name in order["parts"])
                    self.take_part(order, content, Path(folder).resolve())
            except DistNetworkError:
                raise SystemExit("The first node is gone") from None

    def take_part(self, order: dict[str, Any], content: bytes, work: Path) -> None:
        """Unpack an algorithm, name this node's places in it, and train it with the others."""
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(work, filter="data")
        own = {"work": str(work), "data": self.data}
        moves = {there: own[name] for name, there in order["places"].items()}
        for file in [*work.glob("*.yaml"), *work.glob("*/configs/*")]:
            file.write_text(moved(file.read_text(encoding="utf-8"), moves), encoding="utf-8")
        words = [moved(word, moves) for word in order["words"]]
        print(f"Training {Path(words[0]).parents[1].name}, as node {self.rank + 1} of {self.count}", flush=True)
        self.torchrun(words, order["processes"], order["port"])

    def torchrun(self, words: list[str], processes: int, port: int) -> None:
        where = [f"--nnodes={self.count}", f"--node_rank={self.rank}", f"--nproc_per_node={processes}"]
        meeting = [f"--master_addr={self.master}", f"--master_port={port}"]
        subprocess.run([sys.executable, "-m", "torch.distributed.run", *where, *meeting, *words], check=True)


def packed(folder: Path) -> bytes:
    """An algorithm with what it reads of the folder above."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for file in [folder, *(file for pattern in TOP for file in folder.parent.glob(pattern))]:
            archive.add(file, arcname=file.name)
    return content.getvalue()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])
