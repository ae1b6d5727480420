"""Answer scoring requests with the model that train.py saved.

The inference server calls init() once and run() for every request: `make serve`, then `make request`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors alone; TensorFlow reads it when it is imported
import tensorflow as tf

import network
from runtime import encoding, images, input_schema, serving

MAX_ROWS = 10_000

# Set by init(), once in each worker of the server.
predict: Callable[[input_schema.Table], np.ndarray]
schema: input_schema.Schema


def init() -> None:
    """Load the model and its schema from wherever they lie below AZUREML_MODEL_DIR."""
    global predict, schema
    folder, schema = serving.find_model()
    predict = load_model(folder, schema)
    serving.publish(schema, MAX_ROWS)


@rawhttp
@serving.handled
def run(request: AMLRequest) -> Any:
    """Return the label and the probability of each label, or the number, for every row of the request.

    A request may also be the file of an image.
    """
    table = input_schema.read_body(request.get_data(), request.mimetype, schema.columns, MAX_ROWS, images.read_image)
    return input_schema.answer(predict(table), schema)


def load_model(folder: Path, schema: input_schema.Schema) -> Callable[[input_schema.Table], np.ndarray]:
    """The network as a function: a column of the table per feature in; probabilities, or a number, per row out."""
    tf.config.threading.set_inter_op_parallelism_threads(1)  # the server's workers bring the threads
    tf.config.threading.set_intra_op_parallelism_threads(1)
    net = network.load(folder / "model.keras")
    fitted = encoding.load(folder) if schema.columns[0]["type"] != "image" else None

    def predict(table: input_schema.Table) -> np.ndarray:
        inputs = fitted.matrix(table, schema.columns) if fitted else table["image"]
        outputs: np.ndarray = net(tf.constant(inputs)).numpy()
        return fitted.unscaled(outputs) if fitted and not schema.classes else outputs

    return predict
