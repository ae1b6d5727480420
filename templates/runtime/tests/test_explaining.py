"""runtime/explaining.py: base and contributions add up to what the model answers, for every row; or it is refused."""

import importlib
import json
import math
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from runtime import input_schema
from tests.conftest import Server

explaining: Any = importlib.import_module("runtime.explaining")  # which scikit-learn's models alone have
random = np.random.default_rng(0)
COUNT = 300
FRAME = pd.DataFrame(
    {
        "a": random.normal(size=COUNT),
        "a_b": random.choice(["x", "y", "b_x", ""], COUNT),
        "a b": random.normal(size=COUNT) * 50,
        "c": random.choice(["p", "q"], COUNT),
        "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(random.integers(0, 300, COUNT), "D"),
    }
)
FRAME.loc[::7, "a"] = np.nan
COLUMNS = input_schema.describe(FRAME)
ODD = FRAME.head(1).assign(a=np.nan, c="never seen", a_b="", day=pd.NaT)
TRAINED, ASKED = (
    pd.DataFrame(input_schema.to_table(rows, COLUMNS)) for rows in (FRAME, pd.concat([FRAME, ODD], ignore_index=True))
)
THREE = np.array(["u", "v", "w"])[((FRAME["a b"] > 0).astype(int) + (FRAME["a_b"] == "x")).to_numpy()]
TWO = np.where(THREE == "u", "u", "v")
NUMBER = FRAME["a b"].to_numpy() + 5 * (FRAME["c"] == "p")


def pipeline(estimator: Any, **encoding: Any) -> Any:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    encoder = OneHotEncoder(**{"handle_unknown": "ignore"} | encoding)
    columns = make_column_transformer(
        (encoder, make_column_selector(dtype_exclude="number")),  # not in the order of the table
        (numbers, make_column_selector(dtype_include="number")),
        sparse_threshold=0,
    )
    return make_pipeline(columns, estimator)


def asked(model: Any, labels: Any, folder: Path, *, keep: bool = True) -> tuple[dict[str, Any], np.ndarray]:
    """The explained answer to all rows, and what the model itself says of them."""
    model.fit(TRAINED, labels)
    joblib.dump(model, folder / "model.pkl")
    if keep:
        explaining.keep_means(model, TRAINED, folder)
    classes = [] if labels is NUMBER else model.classes_.tolist()
    schema = input_schema.Schema(COLUMNS, "classification" if classes else "regression", classes)
    outputs = (model.predict_proba if classes else model.predict)(ASKED)
    table = {name: ASKED[name].to_numpy() for name in ASKED}
    return explaining.Reasons(folder, schema).add(input_schema.answer(outputs, schema), table), outputs


def added_up(explanation: dict[str, Any]) -> float:
    assert list(explanation["contributions"]) == list(FRAME)
    return float(explanation["base"] + sum(explanation["contributions"].values()))


@pytest.mark.parametrize(
    "encoding", [{}, {"drop": "first"}, {"min_frequency": 100, "handle_unknown": "infrequent_if_exist"}]
)
def test_the_log_odds_of_the_second_class(tmp_path: Path, encoding: dict[str, Any]) -> None:
    answer, outputs = asked(pipeline(LogisticRegression(max_iter=1000), **encoding), TWO, tmp_path)
    assert answer["explained"] == "log-odds"
    for prediction, (_, second) in zip(answer["predictions"], outputs, strict=True):
        assert list(prediction["explanation"]) == ["v"]
        assert 1 / (1 + math.exp(-added_up(prediction["explanation"]["v"]))) == pytest.approx(second, abs=1e-5)


@pytest.mark.parametrize("estimator", [LogisticRegression(max_iter=1000), LinearDiscriminantAnalysis()])
def test_each_of_many_classes(tmp_path: Path, estimator: Any) -> None:
    answer, outputs = asked(pipeline(estimator), THREE, tmp_path)
    for prediction, probabilities in zip(answer["predictions"], outputs, strict=True):
        powers = [math.exp(added_up(prediction["explanation"][label])) for label in "uvw"]
        assert [power / sum(powers) for power in powers] == pytest.approx(probabilities.tolist(), abs=1e-5)


@pytest.mark.parametrize("estimator", [Ridge(), Lasso()])
def test_a_number(tmp_path: Path, estimator: Any) -> None:
    answer, outputs = asked(pipeline(estimator), NUMBER, tmp_path)
    assert answer["explained"] == "value"
    sums = [added_up(prediction["explanation"]) for prediction in answer["predictions"]]
    assert sums == pytest.approx(outputs.tolist(), rel=1e-4, abs=1e-4)
    mean = np.mean([list(row["explanation"]["contributions"].values()) for row in answer["predictions"][:-1]], axis=0)
    assert mean == pytest.approx([0] * len(FRAME.columns), abs=1e-3), "measured from the mean of the training data"


def test_a_number_without_a_transformer(tmp_path: Path) -> None:
    model = make_pipeline(Ridge()).fit(TRAINED[["a b"]], NUMBER)
    joblib.dump(model, tmp_path / "model.pkl")
    explaining.keep_means(model, TRAINED[["a b"]], tmp_path)
    reasons = explaining.Reasons(tmp_path, input_schema.Schema([{"name": "a b", "type": "number"}], "regression"))
    answer = reasons.add({"predictions": [{}]}, {"a b": np.array([10.0])})
    explanation = answer["predictions"][0]["explanation"]
    assert explanation["base"] + explanation["contributions"]["a b"] == pytest.approx(model.predict([[10.0]])[0])


@pytest.mark.parametrize(
    ("estimator", "says"),
    [
        (KNeighborsClassifier(), "KNeighborsClassifier can't be explained; linear models and trees can."),
        (SVC(kernel="linear", probability=True), "the parts do not add up to what SVC answers."),
        (make_pipeline(PCA(2), LogisticRegression()), "Pipeline can't be explained; linear models and trees can."),
        (RandomForestClassifier(5), "RandomForestClassifier needs shap: add it to aml_config/inference-conda.yml."),
    ],
)
def test_what_has_no_exact_reasons_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, estimator: Any, says: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shap", None)
    with pytest.raises(input_schema.BadRequest, match=says):
        asked(pipeline(estimator), TWO, tmp_path)


def test_what_mixes_columns_is_refused(tmp_path: Path) -> None:
    model = pipeline(LogisticRegression())
    model.steps.insert(1, ("pca", PCA(2)))
    with pytest.raises(input_schema.BadRequest, match="the model's PCA mixes columns"):
        asked(model, TWO, tmp_path)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(input_schema.BadRequest, match=r"means\.json is not beside the model: train it again"):
        asked(pipeline(Ridge()), NUMBER, tmp_path, keep=False)
    (tmp_path / "model.pkl").unlink()
    reasons = explaining.Reasons(tmp_path, input_schema.Schema(COLUMNS))
    with pytest.raises(input_schema.BadRequest, match=r"model\.pkl, which knows the reasons"):
        reasons.add({"predictions": []}, {})


def test_a_request_asks_for_reasons(server: Server, rows: list[dict[str, Any]]) -> None:
    _, plain = server.post({"data": rows})
    status, answer, _ = server.ask({"data": rows}, query="?explain=true")
    assert status == 200 and [row["label"] for row in answer["predictions"]] == [
        row["label"] for row in plain["predictions"]
    ]
    for prediction in answer["predictions"]:
        ((label, explanation),) = prediction.pop("explanation").items()
        odds = explanation["base"] + sum(explanation["contributions"].values())
        assert list(explanation["contributions"]) == list(rows[0])
        assert 1 / (1 + math.exp(-odds)) == pytest.approx(prediction["probabilities"][label], abs=1e-4)
    assert answer == plain | {"explained": "log-odds"}
    assert "explain" in json.dumps(json.loads(server.get("/swagger.json"))["paths"])
