"""The samples as tensors, batch by batch; what takes time to read is read ahead."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

import images
from samples import Batches, Data


def signature(data: Data) -> list[tf.TensorSpec]:
    """What a batch looks like: any number of samples, and their labels."""
    numbers = tf.uint8 if data.rows is None else tf.float32
    return [tf.TensorSpec([None, *data.shape], numbers), tf.TensorSpec([None], tf.int64)]


def loader(data: Data, batches: Batches, workers: int) -> Iterable[tuple[Any, Any]]:
    """Batches for the network, each time in the order that batches has then."""
    if data.rows is None:
        return read_ahead(data, batches, workers)
    return ((tf.constant(data.rows[batch]), tf.constant(data.labels[batch])) for batch in batches)


def read_ahead(data: Data, batches: Batches, workers: int) -> tf.data.Dataset:
    """Images, read by threads some batches before they are due."""

    def read(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pixels = np.zeros((len(batch), *data.shape), np.uint8)
        for place, index in enumerate(batch):
            pixels[place] = images.read_image(data.files[index], data.shape[0])
        return pixels, data.labels[batch]

    def as_tensors(batch: Any) -> list[Any]:
        types = signature(data)
        parts = tf.numpy_function(read, [batch], [part.dtype for part in types], stateful=False)
        return [tf.ensure_shape(part, kind.shape) for part, kind in zip(parts, types, strict=True)]

    order = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=tf.TensorSpec([None], tf.int64))
    return order.map(as_tensors, num_parallel_calls=max(workers, 1)).prefetch(4)
