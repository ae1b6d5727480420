"""evaluation.py: two classes or a thousand are judged alike, and drawn so that a person can look at it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import CURVES, DRAWN, POINTS, calibration, evaluate, measure
from runtime import input_schema

TWO = ["no", "yes"]


def answers(rows: int, classes: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels, and probabilities that know something of them."""
    random = np.random.default_rng(seed)
    names = [f"class {number:03}" for number in range(classes)] if classes > 2 else TWO
    places = random.integers(0, classes, rows)
    scores = random.random((rows, classes))
    scores[np.arange(rows), places] += random.random(rows)
    return np.array(names)[places], scores / scores.sum(axis=1, keepdims=True), names


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_threshold_moves_what_is_answered_and_judged(tmp_path: Path) -> None:
    actual, probabilities, classes = answers(400, 2)
    found = {threshold: measure(actual, probabilities, classes, threshold) for threshold in (None, 0.5, 0.2)}
    assert found[0.5]["accuracy"] == found[None]["accuracy"] != found[0.2]["accuracy"]
    assert found[0.2]["roc_auc"] == found[None]["roc_auc"]
    served = input_schema.answer(probabilities, input_schema.Schema([], classes=classes, threshold=0.2))["predictions"]
    right = np.mean([row["label"] == label for row, label in zip(served, actual, strict=True)])
    assert right == pytest.approx(found[0.2]["accuracy"])
    evaluate(actual, probabilities, classes, tmp_path, 0.2)
    counts = np.array(read(tmp_path / "confusion_matrix.json")["counts"])
    assert counts.trace() / counts.sum() == pytest.approx(found[0.2]["accuracy"])


def test_the_best_threshold_is_named_with_its_f1(tmp_path: Path) -> None:
    actual, probabilities, classes = answers(400, 2)
    evaluate(actual, probabilities, classes, tmp_path)
    (curve,) = read(tmp_path / "precision_recall_curve.json").values()
    best = curve["best_f1"]
    predicted = probabilities[:, 1] >= best["threshold"]
    hits = actual == "yes"
    precision, recall = hits[predicted].mean(), predicted[hits].mean()
    assert best["f1"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_calibration_tells_how_far_what_is_said_is_off() -> None:
    random = np.random.default_rng(2)
    said = random.random(20_000)
    actual = np.where(random.random(20_000) < said, "yes", "no")
    honest = calibration(actual, np.column_stack([1 - said, said]), TWO)
    assert honest["error"] < 0.02 and sum(honest["rows"]) == 20_000
    boastful = np.where(said > 0.5, 0.99, 0.01)
    assert calibration(actual, np.column_stack([1 - boastful, boastful]), TWO)["error"] > 0.2


def test_a_thousand_classes_are_drawn_by_their_largest_confusions(tmp_path: Path) -> None:
    from PIL import Image

    actual, probabilities, classes = answers(3_000, 1_000)
    metrics = evaluate(actual, probabilities, classes, tmp_path)
    assert 0 < metrics["accuracy"] < 1 and 0.5 < metrics["roc_auc"] <= 1
    found = read(tmp_path / "confusion_matrix.json")
    assert len(found["labels"]) == 1_000
    rows = [confusion["rows"] for confusion in found["confusions"]]
    assert rows == sorted(rows, reverse=True) and sum(rows) == round(3_000 * (1 - metrics["accuracy"]))
    for picture in tmp_path.glob("*.png"):
        assert max(Image.open(picture).size) < 1_500, picture.name


def test_curves_have_few_points_however_many_the_rows(tmp_path: Path) -> None:
    evaluate(*answers(20_000, 2), tmp_path)
    for name in ("roc_curve", "precision_recall_curve"):
        for curve in read(tmp_path / f"{name}.json").values():
            assert all(len(values) <= POINTS for values in curve.values() if isinstance(values, list))
    assert CURVES <= DRAWN


def test_a_class_that_the_test_lacks_has_no_curve(tmp_path: Path) -> None:
    actual, probabilities, classes = answers(60, 3)
    known = actual != classes[2]
    metrics = evaluate(actual[known], probabilities[known], classes, tmp_path)
    assert list(read(tmp_path / "roc_curve.json")) == classes[:2]
    assert np.isfinite(list(metrics.values())).all()
