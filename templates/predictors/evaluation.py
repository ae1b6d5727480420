"""Judge a model on rows that it has not seen: metrics, and what there is to look at of classes or of numbers."""

import json
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics

from runtime.input_schema import chosen

COVERAGE = 0.9  # share of the rows whose number lies between the low and the high of its prediction
SHOWN = 10_000  # rows in a plot and a list, at most
POINTS = 500  # of a curve
DRAWN = 30  # classes whose confusions are a matrix; of more, the largest of them are a bar each
CURVES = 10  # in a picture
WRITTEN = (
    "classification_report", "confusion_matrix", "roc_curve", "precision_recall_curve", "calibration", "folds",
    "predicted_actual", "residuals",
)  # fmt: skip


def evaluate(
    actual: np.ndarray, outputs: np.ndarray, classes: list[str], folder: Path, threshold: float | None = None
) -> dict[str, float]:
    """Write the evaluation to a folder and return the metrics.

    Column i of the outputs is the probability of classes[i]; without classes they are the numbers of a regression.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in [file for name in WRITTEN for file in folder.glob(f"{name}.*")]:
        earlier.unlink()  # it may be of the other task
    if classes:
        draw_classes(actual, outputs, classes, folder, threshold)
    else:
        draw_numbers(actual, outputs, folder)
    return measure(actual, outputs, classes, threshold)


def measure(
    actual: np.ndarray, outputs: np.ndarray, classes: list[str], threshold: float | None = None
) -> dict[str, float]:
    """The metrics alone."""
    results = measure_classes(actual, outputs, classes, threshold) if classes else measure_numbers(actual, outputs)
    return {name: float(f"{value:.6g}") for name, value in results.items()}


def summary(results: dict[str, float]) -> str:
    """The metrics in a few words."""
    if "accuracy" in results:
        return f"accuracy {results['accuracy']:.3f}"
    return f"rmse {results['rmse']:.4g}" + (f", R² {results['r2']:.3f}" if "r2" in results else "")


def measure_classes(
    actual: np.ndarray, probabilities: np.ndarray, classes: list[str], threshold: float | None
) -> dict[str, float]:
    predicted = np.asarray(classes)[chosen(probabilities, threshold)]
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        actual, predicted, labels=classes, average="macro", zero_division=0
    )
    results = {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "precision_macro": precision,
        "recall_macro": recall,
        "f1_macro": f1,
        "log_loss": metrics.log_loss(actual, probabilities, labels=classes),
        "calibration_error": calibration(actual, probabilities, classes)["error"],
    }
    areas = [
        (metrics.roc_auc_score(hits, scores), metrics.average_precision_score(hits, scores))
        for _, hits, scores in against_the_rest(actual, probabilities, classes)
    ]
    if areas:
        results["roc_auc"], results["average_precision"] = np.mean(areas, axis=0)
    return results


def draw_classes(
    actual: np.ndarray, probabilities: np.ndarray, classes: list[str], folder: Path, threshold: float | None
) -> None:
    """Report, confusions, and the curves of ROC, of precision and recall, and of calibration."""
    predicted = np.asarray(classes)[chosen(probabilities, threshold)]
    report = metrics.classification_report(actual, predicted, labels=classes, output_dict=True, zero_division=0)
    matrix = metrics.confusion_matrix(actual, predicted, labels=classes)
    rates = roc_curves(actual, probabilities, classes)
    recalls = recall_curves(actual, probabilities, classes)
    calibrated = calibration(actual, probabilities, classes)

    write_json(folder / "classification_report.json", report)
    write_json(folder / "confusion_matrix.json", confusions(matrix, classes))
    write_json(folder / "roc_curve.json", rates)
    write_json(folder / "precision_recall_curve.json", recalls)
    write_json(folder / "calibration.json", calibrated)
    plot_confusions(matrix, classes).savefig(folder / "confusion_matrix.png")
    plot_roc(rates).savefig(folder / "roc_curve.png")
    plot_recall(recalls, threshold).savefig(folder / "precision_recall_curve.png")
    plot_calibration(calibrated).savefig(folder / "calibration.png")


def against_the_rest(
    actual: np.ndarray, probabilities: np.ndarray, classes: list[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each class, which rows are of it, and their probabilities; with two classes the second one says it all.

    A class that is absent from these rows, or alone there, has no curve.
    """
    for index, label in list(enumerate(classes))[1 if len(classes) == 2 else 0 :]:
        hits = actual == label
        if hits.any() and not hits.all():
            yield label, hits, probabilities[:, index]


def roc_curves(actual: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, dict[str, Any]]:
    """Of each class the share of its rows that are found, over the share of the others that are taken for it."""
    curves = {}
    for label, hits, scores in against_the_rest(actual, probabilities, classes):
        false_rate, true_rate, _ = metrics.roc_curve(hits, scores)
        kept = thinned(len(false_rate))
        curves[label] = {
            "auc": float(metrics.auc(false_rate, true_rate)),
            "false_positive_rate": false_rate[kept].tolist(),
            "true_positive_rate": true_rate[kept].tolist(),
        }
    return curves


def recall_curves(actual: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, dict[str, Any]]:
    """Of each class precision and recall at each threshold, and the threshold at which their F1 is best."""
    curves = {}
    for label, hits, scores in against_the_rest(actual, probabilities, classes):
        precision, recall, thresholds = metrics.precision_recall_curve(hits, scores)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        best = int(f1[:-1].argmax())
        kept = thinned(len(thresholds))
        curves[label] = {
            "average_precision": float(metrics.average_precision_score(hits, scores)),
            "best_f1": {"threshold": float(thresholds[best]), "f1": float(f1[best])},
            "threshold": thresholds[kept].tolist(),
            "precision": precision[kept].tolist(),
            "recall": recall[kept].tolist(),
        }
    return curves


def calibration(actual: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """How often what is answered with a probability is right: of two classes the second one, of more the likeliest.

    The error is the mean difference of the two, each row counted alike.
    """
    if len(classes) == 2:
        scores, hits = probabilities[:, 1], actual == classes[1]
    else:
        scores, hits = probabilities.max(axis=1), actual == np.asarray(classes)[probabilities.argmax(axis=1)]
    places = np.minimum((scores * 10).astype(int), 9)
    counts = np.bincount(places, minlength=10)
    said, seen = (np.bincount(places, values, 10) for values in (scores, hits))
    filled = counts > 0
    said, seen, counts = said[filled] / counts[filled], seen[filled] / counts[filled], counts[filled]
    error = float(np.average(np.abs(said - seen), weights=counts))
    return {"error": error, "probability": said.tolist(), "share_right": seen.tolist(), "rows": counts.tolist()}


def thinned(points: int) -> np.ndarray:
    """The places of at most POINTS of them, the ends among them."""
    return np.unique(np.linspace(0, points - 1, min(points, POINTS)).astype(int))


def confusions(matrix: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """All counts; of many classes only those of rows that were taken for another one, the most frequent first."""
    if len(classes) <= DRAWN:
        return {"labels": classes, "counts": matrix.tolist()}
    pairs = [(classes[row], classes[column], int(matrix[row, column])) for row, column in largest(matrix, matrix.size)]
    return {
        "labels": classes,
        "confusions": [dict(zip(("actual", "predicted", "rows"), pair, strict=True)) for pair in pairs],
    }


def largest(matrix: np.ndarray, count: int) -> list[tuple[int, int]]:
    """The places of the largest confusions."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[: min(count, np.count_nonzero(wrong))]
    return list(zip(*(place.tolist() for place in np.unravel_index(order, matrix.shape)), strict=True))


def plot_confusions(matrix: np.ndarray, classes: list[str]) -> Figure:
    """Draw the counts, actual classes down and predicted classes across; of many classes a bar for the largest ones."""
    if len(classes) > DRAWN:
        pairs = largest(matrix, DRAWN)
        figure = Figure(figsize=(8, 1.2 + 0.25 * max(len(pairs), 1)), layout="constrained")
        axes = figure.subplots()
        axes.barh([f"{classes[row]} as {classes[column]}" for row, column in pairs], [matrix[pair] for pair in pairs])
        axes.invert_yaxis()
        axes.set(xlabel="Rows", title=f"The {len(pairs)} largest confusions of {len(classes)} classes")
        return figure
    figure = Figure(figsize=(2.5 + 0.6 * len(classes),) * 2, layout="constrained")
    metrics.ConfusionMatrixDisplay(matrix, display_labels=classes).plot(
        ax=figure.subplots(),
        cmap="Blues",
        colorbar=False,
        xticks_rotation="vertical" if len(classes) > 3 else "horizontal",
    )
    return figure


def plot_roc(curves: dict[str, dict[str, Any]]) -> Figure:
    """Draw the curves in one picture, with the diagonal of guessing."""
    figure, axes = square("False positive rate", "True positive rate")
    axes.plot([0, 1], [0, 1], "--", color="grey", label="guessing")
    for label, curve in lowest(curves, "auc"):
        axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], label=f"{label} (area {curve['auc']:.3f})")
    axes.legend(loc="lower right")
    return figure


def plot_recall(curves: dict[str, dict[str, Any]], threshold: float | None) -> Figure:
    """Draw precision over recall; of two classes both over the threshold as well, which tells where to put it."""
    figure, axes = square("Recall", "Precision")
    for label, curve in lowest(curves, "average_precision"):
        axes.plot(curve["recall"], curve["precision"], label=f"{label} ({curve['average_precision']:.3f} on average)")
    if len(curves) == 1:
        figure.set_size_inches(10, 5)
        axes.set_subplotspec(figure.add_gridspec(1, 2)[0])
        over = figure.add_subplot(122, xlabel="Threshold", xlim=(0, 1), ylim=(0, 1.02))
        (curve,) = curves.values()
        over.plot(curve["threshold"], curve["precision"], label="precision")
        over.plot(curve["threshold"], curve["recall"], label="recall")
        best = curve["best_f1"]
        over.axvline(
            best["threshold"],
            linestyle=":",
            color="grey",
            label=f"best F1, {best['f1']:.3f}, at {best['threshold']:.2f}",
        )
        if threshold is not None:
            over.axvline(threshold, color="black", linewidth=1, label=f"--threshold {threshold:g}")
        over.legend(loc="lower left")
    axes.legend(loc="lower left")
    return figure


def plot_calibration(found: dict[str, Any]) -> Figure:
    """Draw how often what is answered with a probability is right, beside the diagonal on which it would be."""
    figure, axes = square("Probability", "Share that is right")
    axes.plot([0, 1], [0, 1], "--", color="grey", label="calibrated")
    axes.plot(found["probability"], found["share_right"], "o-", label=f"off by {found['error']:.3f} on average")
    axes.legend(loc="upper left")
    return figure


def square(across: str, up: str) -> tuple[Figure, Any]:
    """A picture of shares."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    return figure, figure.add_subplot(xlabel=across, ylabel=up, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def lowest(curves: dict[str, dict[str, Any]], name: str) -> list[tuple[str, dict[str, Any]]]:
    """The curves that are drawn: the worst, where there are more than can be told apart."""
    return (
        sorted(curves.items(), key=lambda item: item[1][name])[:CURVES]
        if len(curves) > CURVES
        else list(curves.items())
    )


def measure_numbers(actual: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    misses = np.abs(actual - predicted)
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
    return results


def draw_numbers(actual: np.ndarray, predicted: np.ndarray, folder: Path) -> None:
    """Predicted and actual numbers, and their differences, the residuals."""
    residuals = actual - predicted
    margin = margin_of(np.abs(residuals))
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
