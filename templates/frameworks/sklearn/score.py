"""Answer scoring requests with the model that train.py saved.

The inference server calls init() once and run() for every request: `make serve`, then `make request`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtime import explaining, input_schema, serving

MAX_ROWS = 10_000

# Set by init(), once in each worker of the server.
predict: Callable[[input_schema.Table], np.ndarray]
schema: input_schema.Schema
reasons: explaining.Reasons


def init() -> None:
    """Load the model and its schema from wherever they lie below AZUREML_MODEL_DIR."""
    global predict, schema, reasons
    folder, schema = serving.find_model()
    predict = load_model(folder, schema)
    reasons = explaining.Reasons(folder, schema)
    serving.publish(schema, MAX_ROWS, explained=True)


@serving.handled
def run(data: str) -> Any:
    """Return the label and the probability of each label, or the number, for every row of the request.

    With ?explain=true, also what each column adds to it.
    """
    table = input_schema.read_request(data, schema.columns, MAX_ROWS)
    answer = input_schema.answer(predict(table), schema)
    return reasons.add(answer, table) if serving.asked("explain") else answer


def load_model(folder: Path, schema: input_schema.Schema) -> Callable[[input_schema.Table], np.ndarray]:
    """The model as a function: a column of the table per feature in; probabilities, or a number, per row out."""
    onnx = folder / "model.onnx"
    return load_onnx(onnx, schema) if onnx.exists() else load_pipeline(folder / "model.pkl", schema)


def load_onnx(path: Path, schema: input_schema.Schema) -> Callable[[input_schema.Table], np.ndarray]:
    """The pipeline as ONNX, which train.py has compared with model.pkl. The server's workers bring the threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    columns = input_schema.inputs(schema.columns)
    inputs = zip(session.get_inputs(), columns, strict=True)  # in the same order, but named without spaces
    names = [(entry.name, column["name"]) for entry, column in inputs]
    output = session.get_outputs()[-1].name  # of a classifier, it follows the label

    def predict(table: input_schema.Table) -> np.ndarray:
        values = {entry: table[name].reshape(-1, 1) for entry, name in names}
        outputs = session.run([output], values)[0]
        return outputs if schema.classes else outputs.ravel()

    return predict


def load_pipeline(path: Path, schema: input_schema.Schema) -> Callable[[input_schema.Table], np.ndarray]:
    """The pipeline itself, for a model that ONNX can't express."""
    import joblib
    import pandas as pd

    pipeline = joblib.load(path)
    answer = pipeline.predict_proba if schema.classes else pipeline.predict
    return lambda table: answer(pd.DataFrame(table))
