"""The networks, for tables and for images: put yours here. score.py loads what train.py saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import layers


def build(shape: list[int], outputs: int) -> keras.Model:
    """The network for one row of a table ([columns]), or for one image ([height, width, colours])."""
    return table_network(shape, outputs) if len(shape) == 1 else image_network(shape, outputs)


def table_network(shape: list[int], outputs: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Dense(64, activation="relu"),
            layers.Dense(32, activation="relu"),
            layers.Dense(outputs, dtype="float32"),
        ]
    )


def image_network(shape: list[int], outputs: int) -> keras.Model:
    """Small, for any image size. Its norms look at one image: the same net, however many processes share a batch."""
    net = keras.Sequential([keras.Input(shape, dtype="uint8"), layers.Rescaling(1 / 127.5, offset=-1)])
    for filters in (16, 32, 64):
        net.add(layers.Conv2D(filters, 3, padding="same"))
        net.add(layers.GroupNormalization(4))
        net.add(layers.ReLU())
        net.add(layers.MaxPooling2D(2, padding="same"))
    net.add(layers.GlobalAveragePooling2D())
    net.add(layers.Dense(outputs, dtype="float32"))
    return net


def answer(outputs: Any) -> Any:
    """What the outputs say: the probability of each class. A single output is the number that was asked for."""
    return outputs if outputs.shape[1] == 1 else tf.nn.softmax(outputs)


def in_32_bits(net: keras.Model, shape: list[int], outputs: int) -> keras.Model:
    """The same network for use: what was taught in bfloat16 answers in full."""
    keras.config.set_dtype_policy("float32")
    whole = build(shape, outputs)
    whole.set_weights(net.get_weights())
    return whole


def save(path: Path, net: keras.Model) -> None:
    """Write the layers and their weights. A layer of your own needs keras.saving.register_keras_serializable()."""
    net.save(path)


def load(path: Path) -> Callable[[Any], Any]:
    """The network as it was saved, ready to answer: a graph from inputs to what they mean."""
    net = keras.models.load_model(path, compile=False)

    @tf.function(input_signature=[tf.TensorSpec(net.inputs[0].shape, net.inputs[0].dtype)])
    def answer_to(inputs: Any) -> Any:
        return answer(net(inputs, training=False))

    graph: Callable[[Any], Any] = answer_to.get_concrete_function()
    return graph
