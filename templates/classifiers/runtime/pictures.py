"""Pictures of what a model makes of images: what it takes for something else, and what it draws itself.

save_image_outputs(images, masks, model.predict(images), OUTPUTS / "strips")
metrics = evaluate_image_classifier(predict, Path("data/test"), ["cat", "dog"], OUTPUTS / "evaluation")
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import image as files
from matplotlib.figure import Figure

from runtime import images

BATCH = 64  # images in memory at once
GAP = 4  # white pixels between the parts of a strip
MASK = 32  # whole numbers below this one are classes, as in a mask


def save_image_outputs(
    inputs: Sequence[Any], targets: Sequence[Any], predictions: Sequence[Any], folder: Path, most: int = 100
) -> list[Path]:
    """Write a strip for each image, input | target | prediction: for a model whose answer is an image itself.

    Images are arrays or tensors, grey or in colours, channels first or last. Bytes are shown as they are, other numbers
    between the least and the most of their kind; target and prediction alike, so that the same number looks the same.
    """
    if not len(inputs) == len(targets) == len(predictions):
        counts = f"{len(inputs)} inputs, {len(targets)} targets, {len(predictions)} predictions"
        raise ValueError(f"{counts}: a strip needs one of each")
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("strip-*.png"):
        earlier.unlink()
    given, wanted, got = ([channels_last(image) for image in kind[:most]] for kind in (inputs, targets, predictions))
    answers = pixels([*wanted, *got])
    written = []
    for number, parts in enumerate(zip(pixels(given), answers[: len(given)], answers[len(given) :], strict=True), 1):
        written.append(folder / f"strip-{number:04}.png")
        files.imsave(written[-1], strip(parts))
    return written


def evaluate_image_classifier(
    predict: Callable[[np.ndarray], Any],
    folder: Path,
    classes: list[str],
    outputs: Path,
    *,
    size: int = 64,
    most: int = 25,
) -> dict[str, float]:
    """Judge whatever classifies images by a folder of them, with a sub-folder for each class; return the metrics.

    predict() takes bytes of red, green and blue, [images, size, size, 3], and returns the probability of each class; of
    two classes, that of the second one is enough. The evaluation is that of a training, with the mistakes as a picture.
    """
    from evaluation import evaluate

    found = images.found(folder)
    labels = [file.relative_to(folder).parts[0] for file in found]
    if unknown := sorted({*labels} - {*classes}):
        raise ValueError(f"{folder}: {unknown[0]!r} is none of the classes: {', '.join(classes)}")
    if not found:
        raise ValueError(f"{folder}: no images there, in a sub-folder for each class")
    answers = []
    for start in range(0, len(found), BATCH):
        batch = np.stack([images.read_image(file, size) for file in found[start : start + BATCH]])
        answers.append(probabilities(predict(batch), len(batch), len(classes)))
    shares = np.concatenate(answers)
    metrics = evaluate(np.array(labels), shares, classes, outputs)
    taken = [classes[place] for place in shares.argmax(axis=1)]
    wrong = [place for place in np.argsort(-shares.max(axis=1), kind="stable") if taken[place] != labels[place]]
    drawn = [(images.read_image(found[place], size), labels[place], taken[place]) for place in wrong[:most]]
    draw_mistakes(drawn, outputs / "misclassified.png")
    return metrics


def draw_mistakes(mistakes: Sequence[tuple[np.ndarray, str, str]], path: Path) -> None:
    """Draw images that were taken for something else: each with what it is, and what it was taken for."""
    path.unlink(missing_ok=True)  # of an earlier training
    if not mistakes:
        return
    rows = -(-len(mistakes) // 5)
    figure = Figure(figsize=(10, 2.4 * rows), layout="constrained")
    places = list(figure.subplots(rows, 5, squeeze=False).flat)
    for axes in places:
        axes.axis("off")
    for axes, (image, actual, taken) in zip(places, mistakes, strict=False):
        axes.imshow(image)
        axes.set_title(f"{actual}, taken for {taken}", fontsize=9)
    figure.savefig(path)


def probabilities(answer: Any, rows: int, classes: int) -> np.ndarray:
    """What predict() has answered, a column for each class."""
    found = np.asarray(answer, dtype=float)
    if classes == 2 and found.shape in ((rows,), (rows, 1)):
        found = np.column_stack([1 - found.ravel(), found.ravel()])
    if found.shape != (rows, classes):
        raise ValueError(f"predict() answered {found.shape} for {rows} images of {classes} classes")
    return found


def channels_last(image: Any) -> np.ndarray:
    """An image as [rows, columns] or [rows, columns, 3], whatever made it."""
    found = np.asarray(image)
    if found.ndim == 3 and found.shape[0] in (1, 3, 4) and found.shape[-1] not in (1, 3, 4):
        found = np.moveaxis(found, 0, -1)
    if found.ndim == 3 and found.shape[-1] == 1:
        found = found[..., 0]
    if found.ndim != 2 and not (found.ndim == 3 and found.shape[-1] in (3, 4)):
        raise ValueError(f"no image, which has rows, columns and at most 4 channels: its shape is {found.shape}")
    return found[..., :3] if found.ndim == 3 else found


def pixels(shown: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Images of one kind as bytes of red, green and blue."""
    if not shown:
        return []
    known = np.concatenate([image[np.isfinite(image)] for image in shown]).astype(float)
    least, most = (known.min(), known.max()) if len(known) else (0, 1)
    is_mask = most < MASK and all(image.ndim == 2 and image.dtype.kind in "biu" for image in shown)
    if not is_mask and all(image.dtype == np.uint8 for image in shown):
        least, most = 0, 255
    elif least >= 0 and most <= 1:
        least, most = 0, 1
    shares = [(image.astype(float) - least) / ((most - least) or 1) for image in shown]
    scaled = [np.nan_to_num(share).clip(0, 1) for share in shares]
    greys = [(image * 255).round().astype(np.uint8) for image in scaled]
    return [np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image for image in greys]


def strip(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Images side by side, with white between them, and below those that are not as high."""
    height = max(len(part) for part in parts)
    width = sum(part.shape[1] for part in parts) + GAP * (len(parts) - 1)
    whole = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for part in parts:
        whole[: len(part), left : left + part.shape[1]] = part
        left += part.shape[1] + GAP
    return whole
