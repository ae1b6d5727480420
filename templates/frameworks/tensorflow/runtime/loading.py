"""The samples as tensors, batch by batch; what takes time to read is read ahead."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from runtime import images
from runtime.samples import Batches, Data

AHEAD = 4  # batches for each worker


def signature(data: Data) -> list[tf.TensorSpec]:
    """What a batch looks like: any number of samples, and their labels."""
    numbers = tf.uint8 if data.rows is None else tf.float32
    return [
        tf.TensorSpec([None, *data.shape], numbers),
        tf.TensorSpec([None, *data.labels.shape[1:]], data.labels.dtype),
    ]


def loader(data: Data, batches: Batches, workers: int) -> Iterator[tuple[Any, Any]]:
    """Batches for the network. Images are read ahead by workers; a table needs none."""
    rows = data.rows
    found = read(data, batches, workers) if rows is None else ((batch, rows[batch]) for batch in batches)
    for batch, inputs in found:
        yield tf.constant(inputs), tf.constant(data.labels[batch])


def read(data: Data, batches: Batches, workers: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images, in the order of the batches.

    By threads of Python: tf.data would call read_image() from threads of its own, and a Python that ends while they
    are at it waits for ever.
    """

    def pixels(batch: np.ndarray) -> np.ndarray:
        found = np.zeros((len(batch), *data.shape), np.uint8)
        for place, index in enumerate(batch):
            found[place] = images.read_image(data.files[index], data.shape[0])
        return found

    due: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        for batch in batches:
            due.append((batch, pool.submit(pixels, batch)))
            if len(due) > AHEAD * max(workers, 1):
                first, result = due.popleft()
                yield first, result.result()
        for first, result in due:
            yield first, result.result()
    finally:
        pool.shutdown(cancel_futures=True)
