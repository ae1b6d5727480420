"""runtime/pictures.py: strips of input, target and prediction, and a judgement of what classifies images."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image as files
from PIL import Image

from runtime import pictures
from runtime.pictures import GAP, evaluate_image_classifier, save_image_outputs


def parts_of(path: Path, *widths: int) -> list[np.ndarray]:
    """The images of a strip, as bytes."""
    whole = (files.imread(path)[..., :3] * 255).round().astype(int)
    starts = np.cumsum([0, *(width + GAP for width in widths)])[:-1]
    return [whole[:, start : start + width] for start, width in zip(starts, widths, strict=True)]


def test_a_strip_is_input_target_and_prediction(tmp_path: Path) -> None:
    """Photos keep their bytes; of masks the same class has the same grey, in target and prediction."""
    photo = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    target, prediction = np.zeros((5, 6), np.uint8), np.ones((5, 6), np.int64)
    target[0] = 2
    first, second = save_image_outputs([photo] * 2, [target] * 2, [prediction] * 2, tmp_path / "strips")
    assert (first.name, second.name) == ("strip-0001.png", "strip-0002.png")
    given, wanted, got = parts_of(first, 6, 6, 6)
    assert (given == photo).all()
    assert [wanted[0].max(), wanted[1:].max(), got.min(), got.max()] == [255, 0, 128, 128]
    assert save_image_outputs([photo], [target], [prediction], tmp_path / "strips") == [first]
    assert not second.exists(), "of an earlier call"


def test_numbers_of_any_kind_and_shape_are_shown(tmp_path: Path) -> None:
    """Channels first as in PyTorch, last as in Keras, shares of 1, or any numbers; a smaller image is no larger."""
    first = np.zeros((3, 8, 9), np.float32)
    first[0] = 1.0
    grey = np.linspace(0, 1, 8 * 9).reshape(8, 9, 1)
    small = np.full((4, 5), np.nan)
    [path] = save_image_outputs([first], [grey], [small], tmp_path)
    given, wanted, got = parts_of(path, 9, 9, 5)
    assert (given == [255, 0, 0]).all()
    assert [wanted[0, 0, 0], wanted[-1, -1, 0]] == [0, 255]
    assert (got[:4] == 0).all() and (got[4:] == 255).all()
    [path] = save_image_outputs([first], [grey * 100 - 50], [grey * 10], tmp_path, most=5)
    assert [parts_of(path, 9, 9, 9)[1][place, place, 0] for place in (0, -1)] == [0, 255]


@pytest.mark.parametrize(
    ("inputs", "targets", "said"),
    [
        (2, 1, "2 inputs, 1 targets, 1 predictions: a strip needs one of each"),
        (1, 1, "no image, which has rows, columns and at most 4 channels: its shape is (3,)"),
    ],
)
def test_what_makes_no_strip_is_refused(tmp_path: Path, inputs: int, targets: int, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        save_image_outputs([np.zeros(3)] * inputs, [np.zeros((2, 2))] * targets, [np.zeros((2, 2))], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Dark and light images; one of the light ones lies among the dark."""
    for label, grey, count in (("dark", 20, 5), ("light", 230, 5), ("dark", 231, 1)):
        for number in range(count):
            path = tmp_path / "images" / label / f"{grey}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 10), (grey,) * 3).save(path)
    return tmp_path / "images"


def test_an_image_classifier_is_judged(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "BATCH", 4)
    shapes, drawn = [], []
    monkeypatch.setattr(pictures, "draw_mistakes", lambda mistakes, path: drawn.append((mistakes, path)))

    def light(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch.shape)
        return batch.mean(axis=(1, 2, 3)) / 255  # of the second class alone

    metrics = evaluate_image_classifier(light, folder, ["dark", "light"], tmp_path / "evaluation", size=8)
    assert shapes == [(4, 8, 8, 3), (4, 8, 8, 3), (3, 8, 8, 3)]
    assert metrics["accuracy"] == pytest.approx(10 / 11, abs=1e-5)
    matrix = json.loads((tmp_path / "evaluation" / "confusion_matrix.json").read_text())
    assert matrix["counts"] == [[5, 1], [0, 5]]
    [([(image, actual, taken)], path)] = drawn
    assert (actual, taken, image.mean(), path.name) == ("dark", "light", 231, "misclassified.png")


def test_mistakes_are_a_picture_and_none_are_none(tmp_path: Path) -> None:
    path = tmp_path / "misclassified.png"
    pictures.draw_mistakes([(np.zeros((8, 8, 3), np.uint8), "dark", "light")] * 6, path)
    assert files.imread(path).shape == (480, 1000, 4)
    pictures.draw_mistakes([], path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["dark", "bright"], "'light' is none of the classes: dark, bright"),
        (["dark", "light", "grey"], r"predict\(\) answered \(11,\) for 11 images of 3 classes"),
    ],
)
def test_what_can_not_be_judged_is_refused(folder: Path, tmp_path: Path, classes: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate_image_classifier(lambda batch: batch.mean(axis=(1, 2, 3)), folder, classes, tmp_path / "evaluation")
