"""A table as the numbers that a network takes and gives: fitted on the training rows, kept beside the model."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runtime import input_schema

ENCODING_FILE = "encoding.json"


class Encoding(NamedTuple):
    """What is subtracted from each number, and what it is divided by then; in the order of the columns."""

    means: list[float]
    scales: list[float]
    label_mean: float = 0.0  # of a regression
    label_scale: float = 1.0

    def matrix(self, table: input_schema.Table, columns: list[input_schema.Column]) -> np.ndarray:
        """Numbers are scaled, and average where they are missing; a category is a 1 in its own column, or in none."""
        parts: list[np.ndarray] = []
        numbers = iter(zip(self.means, self.scales, strict=True))
        for column in input_schema.inputs(columns):
            values = table[column["name"]]
            if column["type"] == "number":
                mean, scale = next(numbers)
                parts.append(np.nan_to_num((values - mean) / scale)[:, None])
            else:
                parts.append(values[:, None] == np.array(column["categories"], dtype=object)[None, :])
        return np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe")

    def scaled(self, labels: np.ndarray) -> np.ndarray:
        """The numbers that a regression learns, around 0: one column."""
        return ((labels - self.label_mean) / self.label_scale).astype(np.float32)[:, None]

    def unscaled(self, outputs: np.ndarray) -> np.ndarray:
        """What a network gives for them, as large as they are."""
        numbers: np.ndarray = outputs[:, 0].astype(np.float64) * self.label_scale + self.label_mean
        return numbers

    def save(self, folder: Path) -> None:
        (folder / ENCODING_FILE).write_text(json.dumps(self._asdict(), indent=2) + "\n", encoding="utf-8")


def fit(table: input_schema.Table, columns: list[input_schema.Column], labels: np.ndarray | None = None) -> Encoding:
    """Learn the scale of each number from the training rows; of the labels too, if they are numbers."""
    means, scales = [], []
    for column in input_schema.inputs(columns):
        if column["type"] == "number":
            values = table[column["name"]].astype(np.float64)
            values = values[~np.isnan(values)]
            means.append(float(values.mean()) if len(values) else 0.0)
            scales.append(float(values.std()) or 1.0 if len(values) else 1.0)
    if labels is None:
        return Encoding(means, scales)
    return Encoding(means, scales, float(labels.mean()), float(labels.std()) or 1.0)


def load(folder: Path) -> Encoding:
    return Encoding(**json.loads((folder / ENCODING_FILE).read_text(encoding="utf-8")))
