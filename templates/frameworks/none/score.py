"""Answer scoring requests with the model that train.py saved.

The inference server calls init() once and run() for every request: `make serve`, then `make request`.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from azureml_inference_server_http.api.aml_response import AMLResponse

import input_schema

MAX_ROWS = 10_000

# Set by init(), once in each worker of the server.
predict: Callable[[input_schema.Table], np.ndarray]
columns: list[input_schema.Column]
classes: list[str]


def init() -> None:
    """Load the model and its schema from wherever they lie below AZUREML_MODEL_DIR."""
    global predict, columns, classes
    folder, columns, classes = input_schema.find(os.environ["AZUREML_MODEL_DIR"])
    predict = load_model(folder / "model.json")
    input_schema.publish(run, columns, classes)


def run(data: str) -> Any:
    """Return the label and the probability of each label, for every row of the request."""
    try:
        table = input_schema.read_request(data, columns, MAX_ROWS)
    except input_schema.BadRequest as error:
        return AMLResponse({"message": str(error)}, 400, json_str=True)
    return input_schema.answer(predict(table), classes)


def load_model(path: Path) -> Callable[[input_schema.Table], np.ndarray]:
    """The model as a function: a column of the table per feature in, a row of probabilities per row out."""
    frequencies = list(json.loads(path.read_text(encoding="utf-8"))["frequencies"].values())
    return lambda table: np.tile(frequencies, (len(next(iter(table.values()))), 1))
