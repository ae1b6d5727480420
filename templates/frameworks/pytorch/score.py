"""Answer scoring requests with the model that train.py saved.

The inference server calls init() once and run() for every request: `make serve`, then `make request`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from azureml_inference_server_http.api.aml_response import AMLResponse

import encoding
import images
import input_schema
import network

MAX_ROWS = 10_000

# Set by init(), once in each worker of the server.
predict: Callable[[input_schema.Table], np.ndarray]
columns: list[input_schema.Column]
classes: list[str]


def init() -> None:
    """Load the model and its schema from wherever they lie below AZUREML_MODEL_DIR."""
    global predict, columns, classes
    torch.set_num_threads(1)  # the server's workers bring the threads
    folder, columns, classes = input_schema.find(os.environ["AZUREML_MODEL_DIR"])
    predict = load_model(folder)
    input_schema.publish(run, columns, classes)


def run(data: str) -> Any:
    """Return the label and the probability of each label, for every row of the request."""
    try:
        table = input_schema.read_request(data, columns, MAX_ROWS, images.read_image)
    except input_schema.BadRequest as error:
        return AMLResponse({"message": str(error)}, 400, json_str=True)
    return input_schema.answer(predict(table), classes)


def load_model(folder: Path) -> Callable[[input_schema.Table], np.ndarray]:
    """The network as a function: the columns of a request in, a row of probabilities per row out."""
    net = network.load(folder / "model.pt")
    fitted = encoding.load(folder) if columns[0]["type"] != "image" else None

    def predict(table: input_schema.Table) -> np.ndarray:
        inputs = torch.from_numpy(fitted.matrix(table, columns)) if fitted else network.as_input(table["image"])
        with torch.inference_mode():
            return net(inputs).softmax(dim=1).numpy()

    return predict
