"""Judge a classifier on rows that it has not seen: metrics, report, confusion matrix and ROC curve."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics


def evaluate(actual: np.ndarray, probabilities: np.ndarray, classes: list[str], folder: Path) -> dict[str, float]:
    """Write the evaluation to a folder and return the metrics. Column i of probabilities belongs to classes[i]."""
    folder.mkdir(parents=True, exist_ok=True)
    predicted = np.asarray(classes)[probabilities.argmax(axis=1)]
    report = metrics.classification_report(actual, predicted, labels=classes, output_dict=True, zero_division=0)
    matrix = metrics.confusion_matrix(actual, predicted, labels=classes)
    curves = roc_curves(actual, probabilities, classes)

    write_json(folder / "classification_report.json", report)
    write_json(folder / "confusion_matrix.json", {"labels": classes, "counts": matrix.tolist()})
    write_json(folder / "roc_curve.json", curves)
    plot_confusion_matrix(matrix, classes).savefig(folder / "confusion_matrix.png")
    plot_roc(curves).savefig(folder / "roc_curve.png")

    results = {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "precision_macro": report["macro avg"]["precision"],
        "recall_macro": report["macro avg"]["recall"],
        "f1_macro": report["macro avg"]["f1-score"],
        "log_loss": metrics.log_loss(actual, probabilities, labels=classes),
    }
    if curves:
        results["roc_auc"] = np.mean([curve["auc"] for curve in curves.values()])
    return {name: round(float(value), 6) for name, value in results.items()}


def roc_curves(actual: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, dict[str, Any]]:
    """One curve per class against the rest, from the probabilities; with two classes the second one says it all."""
    curves = {}
    for index, label in list(enumerate(classes))[1 if len(classes) == 2 else 0 :]:
        hits = actual == label
        if hits.all() or not hits.any():
            continue  # a class that is absent from the held-out rows, or alone there, has no curve
        false_rate, true_rate, _ = metrics.roc_curve(hits, probabilities[:, index])
        curves[label] = {
            "auc": float(metrics.auc(false_rate, true_rate)),
            "false_positive_rate": false_rate.tolist(),
            "true_positive_rate": true_rate.tolist(),
        }
    return curves


def plot_confusion_matrix(matrix: np.ndarray, classes: list[str]) -> Figure:
    """Draw the counts, actual classes down and predicted classes across."""
    figure = Figure(figsize=(2.5 + 0.6 * len(classes),) * 2, layout="constrained")
    metrics.ConfusionMatrixDisplay(matrix, display_labels=classes).plot(
        ax=figure.subplots(), colorbar=False, xticks_rotation="vertical" if len(classes) > 3 else "horizontal"
    )
    return figure


def plot_roc(curves: dict[str, dict[str, Any]]) -> Figure:
    """Draw all curves in one picture, with the diagonal of guessing."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color="grey", label="guessing")
    for label, curve in curves.items():
        axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], label=f"{label} (area {curve['auc']:.3f})")
    axes.set(xlabel="False positive rate", ylabel="True positive rate", aspect="equal")
    axes.legend(loc="lower right")
    return figure


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
