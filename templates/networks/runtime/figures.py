"""Pictures of what a network has learned, and of what it still takes for something else."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from runtime.images import read_image
from runtime.samples import Data


def plot_losses(history: list[dict[str, float]]) -> Figure:
    """Draw each loss over the epochs."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name in history[0]:
        axes.plot(range(1, len(history) + 1), [epoch[name] for epoch in history], marker=".", label=name)
    axes.set(xlabel="Epoch", ylabel="Loss")
    axes.legend()
    return figure


def plot_misclassified(data: Data, probabilities: np.ndarray, path: Path, most: int = 25) -> None:
    """Draw the test's images that were taken for something else, the surest mistakes first; none of a table."""
    path.unlink(missing_ok=True)  # of an earlier training
    if data.rows is not None:
        return
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != data.labels[data.split.test])
    if not len(wrong):
        return
    shown = wrong[np.argsort(-probabilities[wrong].max(axis=1))][:most]
    figure = Figure(figsize=(10, 2.4 * -(-len(shown) // 5)), layout="constrained")
    places = list(figure.subplots(-(-len(shown) // 5), 5, squeeze=False).flat)
    for axes in places:
        axes.axis("off")
    for axes, place in zip(places, shown, strict=False):
        index = data.split.test[place]
        axes.imshow(read_image(data.files[index], data.shape[0]))
        actual, taken = data.classes[data.labels[index]], data.classes[predicted[place]]
        axes.set_title(f"{actual}, taken for {taken}", fontsize=9)
    figure.savefig(path)
