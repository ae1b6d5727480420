"""Judge a model on rows that it has not seen: metrics, and what there is to look at of classes or of numbers."""

import json
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics

COVERAGE = 0.9  # share of the rows whose number lies between the low and the high of its prediction
SHOWN = 10_000  # rows in a plot and a list, at most
WRITTEN = ("classification_report", "confusion_matrix", "roc_curve", "predicted_actual", "residuals")


def evaluate(actual: np.ndarray, outputs: np.ndarray, classes: list[str], folder: Path) -> dict[str, float]:
    """Write the evaluation to a folder and return the metrics.

    Column i of the outputs is the probability of classes[i]; without classes they are the numbers of a regression.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in [file for name in WRITTEN for file in folder.glob(f"{name}.*")]:
        earlier.unlink()  # it may be of the other task
    results = judge_classes(actual, outputs, classes, folder) if classes else judge_numbers(actual, outputs, folder)
    return {name: float(f"{value:.6g}") for name, value in results.items()}


def summary(results: dict[str, float]) -> str:
    """The metrics in a few words."""
    if "accuracy" in results:
        return f"accuracy {results['accuracy']:.3f}"
    return f"rmse {results['rmse']:.4g}" + (f", R² {results['r2']:.3f}" if "r2" in results else "")


def judge_classes(actual: np.ndarray, probabilities: np.ndarray, classes: list[str], folder: Path) -> dict[str, float]:
    """Report, confusion matrix and ROC curves."""
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
    return results


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


def judge_numbers(actual: np.ndarray, predicted: np.ndarray, folder: Path) -> dict[str, float]:
    """Predicted and actual numbers, and their differences, the residuals."""
    residuals = actual - predicted
    misses = np.abs(residuals)
    results = {
        "rmse": metrics.root_mean_squared_error(actual, predicted),
        "mae": misses.mean(),
    }
    if len(actual) > 1:
        results["r2"] = metrics.r2_score(actual, predicted)
    if actual.any():  # a miss is no share of 0: such rows are left out of this one
        results["mape"] = (misses[actual != 0] / np.abs(actual[actual != 0])).mean()
    margin = margin_of(misses)
    if margin is not None:
        results["margin"] = margin
    if (share := coverage(misses)) is not None:
        results["coverage"] = share

    shares = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    counts, edges = np.histogram(residuals, bins=30)
    write_json(
        folder / "residuals.json",
        {
            "mean": residuals.mean(),
            "quantiles": dict(zip(map(str, shares), np.quantile(residuals, shares).tolist(), strict=True)),
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
            "zeros": int((actual == 0).sum()),  # which mape leaves out
        },
    )
    shown = np.linspace(0, len(actual) - 1, min(len(actual), SHOWN)).astype(int)
    rows = np.column_stack([actual, predicted, residuals])[shown]
    np.savetxt(folder / "predicted_actual.csv", rows, "%.9g", ",", header="actual,predicted,residual", comments="")
    plot_predicted(actual[shown], predicted[shown], margin).savefig(folder / "predicted_actual.png")
    plot_residuals(predicted[shown], residuals[shown]).savefig(folder / "residuals.png")
    return results


def margin_of(misses: np.ndarray) -> float | None:
    """How far a prediction is off at most, in COVERAGE of all cases; None if there are too few rows to tell.

    Split conformal prediction: the miss of a new row is as likely to rank anywhere among those of held-out rows, if it
    is drawn as they were. Whatever the model is, it is below this one in COVERAGE of the cases or more.
    """
    rank = ceil((len(misses) + 1) * COVERAGE)
    return float(np.sort(misses)[rank - 1]) if rank <= len(misses) else None


def coverage(misses: np.ndarray) -> float | None:
    """The share of rows that lie within the margin of others: of each half, within that of the other half."""
    one, other = misses[::2], misses[1::2]
    of_one, of_other = margin_of(one), margin_of(other)
    if of_one is None or of_other is None:
        return None
    return float(np.concatenate([one <= of_other, other <= of_one]).mean())


def plot_predicted(actual: np.ndarray, predicted: np.ndarray, margin: float | None) -> Figure:
    """Draw each row, and the diagonal on which predictions are right, with the margin on both sides."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(actual, predicted, ".", markersize=4, alpha=0.4)
    ends = np.array([min(actual.min(), predicted.min()), max(actual.max(), predicted.max())])
    axes.plot(ends, ends, "--", color="grey", label="right")
    if margin is not None:
        axes.fill_between(ends, ends - margin, ends + margin, color="grey", alpha=0.15, label=f"{COVERAGE:.0%} of rows")
    axes.set(xlabel="Actual", ylabel="Predicted")
    axes.legend(loc="upper left")
    return figure


def plot_residuals(predicted: np.ndarray, residuals: np.ndarray) -> Figure:
    """Draw the residuals over the predictions, and how often each size of them is."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    over, often = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    over.plot(predicted, residuals, ".", markersize=4, alpha=0.4)
    over.axhline(0, linestyle="--", color="grey")
    over.set(xlabel="Predicted", ylabel="Residual")
    often.hist(residuals, bins=30, orientation="horizontal")
    often.set(xlabel="Rows")
    return figure


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
