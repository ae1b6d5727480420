"""Pictures of what a network has learned, and of what it still takes for something else."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from runtime.images import read_image
from runtime.pictures import draw_mistakes
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
    mistakes = []
    if data.rows is None:
        predicted = probabilities.argmax(axis=1)
        wrong = np.flatnonzero(predicted != data.labels[data.split.test])
        for place in wrong[np.argsort(-probabilities[wrong].max(axis=1))][:most]:
            index = data.split.test[place]
            actual, taken = data.classes[data.labels[index]], data.classes[predicted[place]]
            mistakes.append((read_image(data.files[index], data.shape[0]), actual, taken))
    draw_mistakes(mistakes, path)
