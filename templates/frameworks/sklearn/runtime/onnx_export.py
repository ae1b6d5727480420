"""Write the pipeline a second time, as ONNX: the same answers, many times faster for a request of one row.

A scaled number differs in its last bit there, which moves a row across the split of a tree: so a forest or boosting
is exact without a StandardScaler, and falls back to model.pkl with one.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

TOLERANCE = 1e-4  # ONNX computes in 32 bits; answers that differ by more are another model's
ROWS = 10_000  # at once, as many as a request may hold
WIDEST = 10_000  # numbers that a row becomes: ONNX keeps each 0 of an encoded category, for all rows that are there


def export_onnx(model: Pipeline, rows: pd.DataFrame, path: Path) -> bool:
    """Export the fitted model if ONNX gives its answers on these rows; else leave score.py to model.pkl."""
    path.unlink(missing_ok=True)  # never let an earlier model answer for this one
    try:
        onnx, difference = _convert(model, rows)
    except Exception as error:  # the converters raise many kinds, and none of them is worth a failed training
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    else:
        if difference <= TOLERANCE:
            path.write_bytes(onnx)
            return True
        reason = f"its answers differ by up to {difference:.2g}"
    logging.getLogger(__name__).warning("No ONNX export, score.py will use the slower model.pkl (%s)", reason)
    return False


def _convert(model: Pipeline, rows: pd.DataFrame) -> tuple[bytes, float]:
    import onnxruntime
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    width = model[:-1].transform(rows.head(1)).shape[1] if len(model) > 1 else rows.shape[1]
    if width > WIDEST:
        raise ValueError(f"a row would become {width:,} numbers, most of them 0")
    kinds = {name: FloatTensorType if kind.kind == "f" else StringTensorType for name, kind in rows.dtypes.items()}
    inputs = [(name, kind([None, 1])) for name, kind in kinds.items()]
    # Without zipmap the probabilities come as one array, columns in the order of model.classes_.
    options = {"zipmap": False} if is_classifier(model) else None
    onnx = to_onnx(model, initial_types=inputs, options=options).SerializeToString()

    probe = pd.concat([rows.head(ROWS), _odd_rows(rows)], ignore_index=True)
    session = onnxruntime.InferenceSession(onnx)
    names = [entry.name for entry in session.get_inputs()]  # the columns in their order, but named without spaces
    values = {name: probe[column].to_numpy().reshape(-1, 1) for name, column in zip(names, probe, strict=True)}
    found = session.run([session.get_outputs()[-1].name], values)[0]
    if is_classifier(model):
        return onnx, float(np.abs(found - model.predict_proba(probe)).max())
    wanted = model.predict(probe)  # numbers of any size: what counts is how far they lie apart
    return onnx, float(np.abs(found.ravel() - wanted).max() / (wanted.std() or 1))


def _odd_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """One row with everything missing and one with categories never seen: requests hold both."""
    number, unseen = np.float32("nan"), "\N{REPLACEMENT CHARACTER}"
    return pd.DataFrame(
        {name: [number, number] if kind.kind == "f" else ["", unseen] for name, kind in rows.dtypes.items()}
    ).astype(rows.dtypes)
