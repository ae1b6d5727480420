"""Answer scoring requests with the model that train.py saved.

The inference server calls init() once and run() for every request: `make serve`, then `make request`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtime import input_schema, serving

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


@serving.handled
def run(data: str) -> Any:
    """Return the label and the probability of each label, or the number, for every row of the request."""
    table = input_schema.read_request(data, schema.columns, MAX_ROWS)
    return input_schema.answer(predict(table), schema)


def load_model(folder: Path, schema: input_schema.Schema) -> Callable[[input_schema.Table], np.ndarray]:
    """The model as a function: a column of the table per feature in; probabilities, or a number, per row out."""
    answer = json.loads((folder / "model.json").read_text(encoding="utf-8"))["answer"]
    return lambda table: np.array([answer] * len(next(iter(table.values()))))
