"""Answer scoring requests with the model that train.py saved.

The inference server calls init() once and run() for every request: `make serve`, then `make request`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtime import input_schema, serving

MAX_ROWS = 10_000

# Set by init(), once in each worker of the server.
predict: Callable[[input_schema.Table], np.ndarray]
columns: list[input_schema.Column]
classes: list[str]


def init() -> None:
    """Load the model and its schema from wherever they lie below AZUREML_MODEL_DIR."""
    global predict, columns, classes
    folder, columns, classes = serving.find_model()
    predict = load_model(folder)
    serving.publish(run, columns, classes)


@serving.handled
def run(data: str) -> Any:
    """Return the label and the probability of each label, for every row of the request."""
    table = input_schema.read_request(data, columns, MAX_ROWS)
    return input_schema.answer(predict(table), classes)


def load_model(folder: Path) -> Callable[[input_schema.Table], np.ndarray]:
    """The model as a function: a column of the table per feature in, a row of probabilities per row out."""
    onnx = folder / "model.onnx"
    return load_onnx(onnx) if onnx.exists() else load_pipeline(folder / "model.pkl")


def load_onnx(path: Path) -> Callable[[input_schema.Table], np.ndarray]:
    """The pipeline as ONNX, which train.py has compared with model.pkl. The server's workers bring the threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    inputs = [entry.name for entry in session.get_inputs()]  # the columns in their order, but named without spaces

    def predict(table: input_schema.Table) -> np.ndarray:
        values = {name: column.reshape(-1, 1) for name, column in zip(inputs, table.values(), strict=True)}
        return session.run(["probabilities"], values)[0]

    return predict


def load_pipeline(path: Path) -> Callable[[input_schema.Table], np.ndarray]:
    """The pipeline itself, for a model that ONNX can't express."""
    import joblib
    import pandas as pd

    pipeline = joblib.load(path)
    return lambda table: pipeline.predict_proba(pd.DataFrame(table))
