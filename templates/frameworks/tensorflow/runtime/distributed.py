"""Which of how many processes this is: TF_CONFIG says it, which Azure ML's TensorFlow block sets. Else one is alone.

What the processes tell each other goes through TensorFlow's strategy, which is in force inside joined().
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


class Processes(NamedTuple):
    """This process among those of the run, and where it stands in their cluster."""

    rank: int
    size: int
    cluster: dict[str, list[str]]  # the addresses in each role: "chief", if there is one, and "worker"
    role: str
    task: int


def find(environment: Mapping[str, str] = os.environ) -> Processes:
    """Read the process's place from its environment."""
    config = json.loads(environment.get("TF_CONFIG") or "{}")
    # A role that nobody plays is left out: TensorFlow waits for it.
    cluster = {role: addresses for role, addresses in config.get("cluster", {}).items() if addresses}
    task = config.get("task", {})
    role, number = task.get("type", "worker"), int(task.get("index", 0))
    if others := sorted({*cluster, role} - {"chief", "worker"}):
        raise SystemExit(f"TF_CONFIG names {', '.join(others)}: this training has workers alone, and no such servers")
    chiefs, workers = (len(cluster.get(name, [])) for name in ("chief", "worker"))
    return Processes(number + (chiefs if role == "worker" else 0), max(chiefs + workers, 1), cluster, role, number)


def strategy(processes: Processes) -> "tf.distribute.Strategy":
    """How the network is taught: by several processes, on the several GPUs of one, or on the one device there is."""
    import tensorflow as tf

    if processes.size > 1:
        cluster = tf.train.ClusterSpec(processes.cluster)
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            cluster, task_type=processes.role, task_id=processes.task, rpc_layer="grpc"
        )
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    gpus = [gpu.name.removeprefix("/physical_device:") for gpu in tf.config.list_physical_devices("GPU")]
    return tf.distribute.MirroredStrategy(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()


def own(tensor: Any) -> Any:
    """One device's part of what its process got: all of it, where the process has one device."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    devices = context.num_replicas_in_sync // find().size
    if devices == 1:
        return tensor
    with tf.device("CPU:0"):  # so that a GPU gets no more than its part
        return tensor[context.replica_id_in_sync_group % devices :: devices]


def gathered(values: np.ndarray) -> np.ndarray:
    """The sum over all processes, which each of them gets."""
    import tensorflow as tf

    if (size := find().size) == 1 or not values.size:  # a sum of nothing crashes TensorFlow
        return values
    strategy = tf.distribute.get_strategy()
    devices = strategy.num_replicas_in_sync // size
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(values if context.replica_id_in_sync_group % devices == 0 else values * 0)
    )
    return np.asarray(strategy.reduce("SUM", parts, axis=None))


def shared(content: bytes) -> bytes:
    """The bytes of the one process that has any, which all of them get."""
    length = int(gathered(np.array([len(content)]))[0])
    words = np.zeros(-(-length // 4), np.int32)
    words.view(np.uint8)[: len(content)] = np.frombuffer(content, np.uint8)
    return bytes(gathered(words))[:length]


@contextmanager
def joined() -> Iterator[Processes]:
    """Meet the other processes, if there are any; leave them when the work is done, or has failed."""
    processes = find()
    if processes.rank > 0:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (for the rest of the process: the first one speaks)
    with strategy(processes).scope():
        yield processes
        gathered(np.zeros(1, np.float32))  # none leaves before the others are done
    if processes.size > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
