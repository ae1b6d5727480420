"""Why the model answers as it does: what each column of a row adds, for requests with ?explain=true.

Exact for linear models and, by shap's TreeExplainer, for trees: base and contributions add up to what the model
computes, or the request is refused. They are those of model.pkl, which is loaded for the first request that asks.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtime import input_schema
from runtime.input_schema import BadRequest

MEANS_FILE = "means.json"  # of the numbers that a linear model multiplies, in its training data
TOLERANCE = 1e-4  # as between the ONNX model and the pipeline
OF_TREES = ("sklearn.tree", "sklearn.ensemble", "xgboost", "lightgbm")
AT_ONCE = 2_000_000  # contributions in memory

# The numbers that the last step gets; a contribution for each of them and each output, and the base of each output.
Explain = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def keep_means(model: Any, rows: Any, folder: Path) -> None:
    """Keep what the contributions of a linear model are measured from, beside the model."""
    (folder / MEANS_FILE).unlink(missing_ok=True)
    if hasattr(model[-1], "coef_"):
        means = np.asarray(_transformed(model, rows).mean(axis=0), np.float64).ravel()
        (folder / MEANS_FILE).write_text(json.dumps(means.tolist()) + "\n", encoding="utf-8")


class Reasons:
    """The reasons for a model's answers."""

    def __init__(self, folder: Path, schema: input_schema.Schema) -> None:
        self.folder, self.schema = folder, schema
        self.model: Any = None

    def load(self) -> None:
        import joblib

        path = self.folder / "model.pkl"
        if not path.exists():
            raise BadRequest("explain=true: model.pkl, which knows the reasons, is not beside the model.")
        model = joblib.load(path)
        parts = {part["name"]: name for name, part in _parts(self.schema.columns)}
        try:
            self.sources = [parts[source] for source in sources(model[:-1], [*parts])]
        except _Mixed as step:
            raise BadRequest(f"explain=true: the model's {step} mixes columns, none has its own part.") from None
        self.explain = self.linear(model[-1]) if hasattr(model[-1], "coef_") else trees(model[-1])
        self.model = model

    def linear(self, estimator: Any) -> Explain:
        """Coefficient times the distance from the mean."""
        path = self.folder / MEANS_FILE
        if not path.exists():
            raise BadRequest(f"explain=true: {MEANS_FILE} is not beside the model: train it again.")
        means = np.array(json.loads(path.read_text(encoding="utf-8")))
        coefficients = np.atleast_2d(estimator.coef_).T.astype(np.float64)
        base = np.atleast_1d(estimator.intercept_) + means @ coefficients
        return lambda numbers: ((numbers - means)[:, :, np.newaxis] * coefficients, base)

    def add(self, answer: dict[str, Any], table: input_schema.Table) -> dict[str, Any]:
        """The answer, each of its predictions with an explanation."""
        import pandas as pd

        if self.model is None:
            self.load()
        rows = pd.DataFrame(table)
        step = max(1, AT_ONCE // (len(self.sources) * max(1, len(self.schema.classes))))
        scales = set()
        for start in range(0, len(rows), step):
            some = rows.iloc[start : start + step]
            columns, base = self.of_columns(some)
            scales.add(self.scale(some, base + columns.sum(axis=1)))
            predictions = answer["predictions"][start : start + step]
            for prediction, contributions in zip(predictions, columns, strict=True):
                prediction["explanation"] = self.spelled(contributions, base)
        if len(scales) != 1 or None in scales:
            kind = type(self.model[-1]).__name__
            raise BadRequest(f"explain=true: the parts do not add up to what {kind} answers.")
        return answer | {"explained": scales.pop()}

    def of_columns(self, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        """The contributions by row, column and output, and the base of each output."""
        numbers = _transformed(self.model, rows)
        dense = numbers.toarray() if hasattr(numbers, "toarray") else np.asarray(numbers)
        found, base = self.explain(dense.astype(np.float64))
        names = [column["name"] for column in self.schema.columns]
        summed = np.zeros((len(rows), len(names), len(base)))
        np.add.at(summed, (slice(None), [names.index(source) for source in self.sources]), found)
        return summed, base

    def scale(self, rows: Any, sums: np.ndarray) -> str | None:
        """What the sums are: the number that is answered, a probability, or the log-odds that it is made of."""
        if not self.schema.classes:
            return "value" if _same(sums.ravel(), self.model.predict(rows)) else None
        answered = self.model.predict_proba(rows)
        if sums.shape[1] == 1:
            odds = np.exp(np.minimum(-sums.ravel(), 700))
            return "log-odds" if _same(1 / (1 + odds), answered[:, 1]) else None
        if _same(sums, answered):
            return "probability"
        powers = np.exp(sums - sums.max(axis=1, keepdims=True))
        return "log-odds" if _same(powers / powers.sum(axis=1, keepdims=True), answered) else None

    def spelled(self, contributions: np.ndarray, base: np.ndarray) -> dict[str, Any]:
        """As it is answered: for the number, or by label; of two classes with one output it is the second one's."""
        names = [column["name"] for column in self.schema.columns]
        outputs = [
            {"base": own, "contributions": dict(zip(names, column, strict=True))}
            for own, column in zip(base.tolist(), contributions.T.tolist(), strict=True)
        ]
        if not self.schema.classes:
            return outputs[0]
        return dict(zip(self.schema.classes[-len(outputs) :], outputs, strict=True))


class _Mixed(Exception):
    """A step of which no output belongs to one column."""


def trees(estimator: Any) -> Explain:
    """What shap's TreeExplainer finds, which knows how often each branch was taken in training."""
    kind = type(estimator).__name__
    no_trees = BadRequest(f"explain=true: {kind} can't be explained; linear models and trees can.")
    if not type(estimator).__module__.startswith(OF_TREES):
        raise no_trees
    try:
        shap = importlib.import_module("shap")  # no requirement: whoever explains trees adds it
    except ImportError:
        raise BadRequest(f"explain=true: {kind} needs shap: add it to aml_config/inference-conda.yml.") from None
    try:
        explainer = shap.TreeExplainer(estimator)
    except Exception as error:  # it raises whatever it came across
        raise no_trees from error
    base = np.atleast_1d(explainer.expected_value)

    def explain(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values = explainer.shap_values(numbers, check_additivity=False)
        return values.reshape(*numbers.shape, -1), base

    return explain


def sources(step: Any, names: list[str]) -> list[str]:
    """The column that each number comes from which a step makes of some columns."""
    from sklearn.base import OneToOneFeatureMixin
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    if isinstance(step, Pipeline):
        for _, inner in step.steps:
            names = sources(inner, names)
        return names
    if isinstance(step, ColumnTransformer):
        found: dict[int, str] = {}
        for name, inner, chosen in step.transformers_:
            places = step.output_indices_[name]
            if places.start < places.stop:
                own = [names[column] if isinstance(column, int) else column for column in np.ravel(chosen).tolist()]
                found |= zip(range(places.start, places.stop), sources(inner, own), strict=True)
        return [found[place] for place in sorted(found)]
    if isinstance(step, OneHotEncoder):
        counts = [len(categories) for categories in step.categories_]
        if step.drop_idx_ is not None:
            counts = [count - (dropped is not None) for count, dropped in zip(counts, step.drop_idx_, strict=True)]
        for place, rare in enumerate(getattr(step, "infrequent_categories_", [])):
            counts[place] -= 0 if rare is None else len(rare) - 1
        return [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    if isinstance(step, SimpleImputer):
        made = step.get_feature_names_out(names)
        return [name if name in names else name.removeprefix("missingindicator_") for name in made]
    if step == "passthrough" or isinstance(step, OneToOneFeatureMixin):
        return names
    raise _Mixed(type(step).__name__)


def _parts(columns: list[input_schema.Column]) -> list[tuple[str, input_schema.Column]]:
    """What the model gets, with the column of the request that each is part of."""
    return [(column["name"], part) for column in columns for part in input_schema.inputs([column])]


def _transformed(model: Any, rows: Any) -> Any:
    """The numbers that the last step of the model gets."""
    return model[:-1].transform(rows) if len(model) > 1 else rows.to_numpy()


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE))
