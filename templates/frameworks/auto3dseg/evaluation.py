"""Judge the algorithms by the volumes that they have not seen: Dice of each class, losses, pictures."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from matplotlib.figure import Figure
from monai.auto3dseg.utils import datafold_read
from monai.utils.misc import prob2class

from runtime.ensemble import fold_of, inferer, picked
from runtime.volumes import Classes, classes_of, dice, read, stem

SHOWN = 4  # volumes in the picture
COLORS: dict[str, Any] = {"cmap": "turbo", "alpha": 0.7, "vmin": 0, "interpolation": "nearest"}  # of its masks


class Judged(NamedTuple):
    """A volume that an algorithm was judged by, and what it found there."""

    algorithm: str
    fold: int
    image: str
    scores: dict[str, float]
    slices: tuple[np.ndarray, np.ndarray, np.ndarray]  # of image, label and prediction


def evaluate(task: dict[str, Any], work: Path, algorithms: list[dict[str, Any]]) -> dict[str, float]:
    """Write the evaluation to outputs/evaluation/ and return the metrics."""
    folder = work / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    classes = classes_in(task, work)
    sigmoid = bool(task.get("sigmoid"))
    judged = [each for algorithm in algorithms for each in judge(task, work, algorithm, classes, sigmoid)]
    best = [algorithm["identifier"] for algorithm in picked(algorithms)]
    shown = [each for each in judged if each.algorithm in best]

    write_rows(folder / "dice.csv", judged, list(classes))
    plot_slices(shown[:SHOWN], list(classes)).savefig(folder / "slices.png")
    plot_dice(judged, list(classes)).savefig(folder / "dice.png")
    plot_data(work / "datastats_by_case.yaml", classes).savefig(folder / "data.png")
    if losses := read_losses(algorithms):
        (folder / "losses.json").write_text(json.dumps(losses, indent=2) + "\n", encoding="utf-8")
        plot_losses(losses).savefig(folder / "losses.png")

    metrics = {"dice": mean(shown, classes)} | {f"dice_{name}": mean(shown, [name]) for name in classes}
    tested = judge_ensemble(task, work, classes)
    if tested:
        metrics |= {"test_dice": mean(tested, classes)}
        metrics |= {f"test_dice_{name}": mean(tested, [name]) for name in classes}
    for algorithm in algorithms:
        own = [each for each in judged if each.algorithm == algorithm["identifier"]]
        metrics[f"dice_{algorithm['identifier']}"] = mean(own, classes)
        metrics |= {f"dice_{algorithm['identifier']}_{name}": mean(own, [name]) for name in classes}
    # MLflow takes no other characters in a name.
    return {re.sub(r"[^\w./-]", "_", name): round(value, 6) for name, value in metrics.items() if np.isfinite(value)}


def classes_in(task: dict[str, Any], work: Path) -> Classes:
    """The names of the classes and their labels: as task.yaml names them, or by number, as the analyser has found."""
    summary = read_yaml(work / "datastats.yaml")["stats_summary"]
    return classes_of(task, summary["label_stats"]["labels"])


def read_yaml(file: Path) -> Any:
    """What the analyser has written; libyaml reads its thousands of lines ten times as fast."""
    return yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)


def judge(
    task: dict[str, Any], work: Path, algorithm: dict[str, Any], classes: Classes, sigmoid: bool
) -> Iterator[Judged]:
    """Have an algorithm draw the masks of the fold that it has not seen."""
    fold, folder = fold_of(algorithm), Path(algorithm["algo_instance"].output_path)
    _, items = datafold_read(str(work / Path(task["datalist"]).name), task["dataroot"], fold=fold)
    member = inferer(folder)
    for item in items:
        found = prob2class(member.infer(item["image"]).cpu(), dim=0, keepdim=True, sigmoid=sigmoid)
        yield compare(algorithm["identifier"], fold, item, found, classes)


def judge_ensemble(task: dict[str, Any], work: Path, classes: Classes) -> list[Judged]:
    """Compare what the ensemble has written for the testing volumes with their labels, of those that have one."""
    testing = json.loads(Path(task["datalist"]).read_text(encoding="utf-8")).get("testing", [])
    judged = []
    for item in testing:
        image = Path(item["image"] if isinstance(item, dict) else item)
        written = work / "ensemble_output" / image.parent / f"{stem(image)}_ensemble.nii.gz"
        if isinstance(item, dict) and item.get("label") and written.exists():
            whole = {key: str(Path(task["dataroot"], item[key])) for key in ("image", "label")}
            judged.append(compare("ensemble", -1, whole, read(written), classes))
    return judged


def compare(algorithm: str, fold: int, item: dict[str, Any], found: Any, classes: Classes) -> Judged:
    """Compare a mask with the label; keep the slice in which the label has most."""
    first = item["image"][0] if isinstance(item["image"], list) else item["image"]
    image, label = read(first), read(item["label"])
    scores = dice(found, label, classes)
    volumes = [np.asarray(each).max(axis=0) for each in (image, label, found)]
    at = int((volumes[1] > 0).sum(axis=(0, 1)).argmax())
    image_slice, label_slice, found_slice = (np.rot90(volume[..., at]) for volume in volumes)
    return Judged(algorithm, fold, Path(first).name, scores, (image_slice, label_slice, found_slice))


def mean(judged: list[Judged], classes: Any) -> float:
    """The mean over volumes and classes, without those that a volume does not have."""
    scores = [each.scores[name] for each in judged for name in classes]
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")


def write_rows(file: Path, judged: list[Judged], classes: list[str]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["algorithm", "fold", "image", *classes])
        writer.writerows([each.algorithm, each.fold, each.image, *each.scores.values()] for each in judged)


def read_losses(algorithms: list[dict[str, Any]]) -> dict[str, list[dict[str, float]]]:
    """The losses of each epoch, of the algorithms that write them, as MONAI's own do."""
    losses = {}
    for algorithm in algorithms:
        for file in Path(algorithm["algo_instance"].output_path).rglob("accuracy_history.csv"):
            with file.open(encoding="utf-8") as opened:
                rows = list(csv.DictReader(opened, delimiter="\t"))
            losses[algorithm["identifier"]] = [
                {name: float(row[name]) for name in ("epoch", "metric", "loss")} for row in rows
            ]
    return losses


def plot_slices(judged: list[Judged], classes: list[str]) -> Figure:
    """A strip for each volume: its slice, the label, the prediction."""
    width, height = 6.5, 2.1 * len(judged) + 0.4
    figure = Figure(figsize=(width, height))
    # Margins in inches: a layout that is computed draws each volume twice.
    place = {"left": 0.45 / width, "right": 1 - 0.05 / width, "bottom": 0.25 / height, "top": 1 - 0.3 / height}
    rows = figure.subplots(len(judged), 3, squeeze=False, gridspec_kw={**place, "wspace": 0.03, "hspace": 0.15})
    for row, each in zip(rows, judged, strict=True):
        image, label, found = each.slices
        row[0].imshow(image, cmap="gray")
        for axes, mask in ((row[1], label), (row[2], found)):
            axes.imshow(image, cmap="gray")
            axes.imshow(np.ma.masked_equal(mask, 0), **COLORS, vmax=len(classes) + 1)
        for axes in row:
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(f"{stem(Path(each.image))}\n{each.algorithm}", fontsize=8)
        row[2].set_xlabel("Dice " + ", ".join(f"{score:.2f}" for score in each.scores.values()), fontsize=8)
    for axes, title in zip(rows[0], ("Slice", "Label", "Prediction"), strict=True):
        axes.set_title(title)
    return figure


def plot_dice(judged: list[Judged], classes: list[str]) -> Figure:
    """The Dice of each volume, by algorithm and class."""
    algorithms = list(dict.fromkeys(each.algorithm for each in judged))
    figure = Figure(figsize=(3 + 1.2 * len(algorithms), 3.5), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(classes):
        offset = (number - (len(classes) - 1) / 2) * 0.2
        x = [algorithms.index(each.algorithm) + offset for each in judged]
        axes.plot(x, [each.scores[name] for each in judged], "o", alpha=0.6, label=name)
    axes.set_xticks(range(len(algorithms)), algorithms)
    axes.set(ylabel="Dice of a volume", ylim=(-0.02, 1.02), xlim=(-0.5, len(algorithms) - 0.5))
    figure.legend(loc="outside right upper")  # in the axes it would lie on the best volumes
    return figure


def plot_losses(losses: dict[str, list[dict[str, float]]]) -> Figure:
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    for axes, key, label in zip(figure.subplots(1, 2), ("loss", "metric"), ("Loss", "Dice on the fold"), strict=True):
        for name, rows in losses.items():
            axes.plot([row["epoch"] for row in rows], [row[key] for row in rows], label=name)
        axes.set(xlabel="Epoch", ylabel=label)
        axes.legend()
    return figure


def plot_data(file: Path, classes: Classes) -> Figure:
    """What MONAI's analyser found in the training volumes: their sizes, and how bright and how large each class is."""
    cases = read_yaml(file)["stats_by_cases"]
    figure = Figure(figsize=(9, 3), layout="constrained")
    sizes, bright, share = figure.subplots(1, 3)
    shapes = np.array([case["image_stats"]["shape"][0] for case in cases])
    sizes.hist(list(shapes.T), label=list("xyz")[: shapes.shape[1]])
    sizes.set(xlabel="Voxels along the axis", ylabel="Volumes")
    names = {label: name for name, labels in classes.items() for label in labels}
    found: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        stats = case["label_stats"]
        for label, entry in zip(stats["labels"], stats["label"], strict=False):
            if label in names:
                values = entry["image_intensity"][0]["mean"], 100 * entry["foreground_percentage"]
                found.setdefault(names[label], []).append(values)
    for axes, number, title in ((bright, 0, "Mean intensity"), (share, 1, "Share of the volume, %")):
        bins = np.histogram_bin_edges([value[number] for volumes in found.values() for value in volumes], 12)
        for name, volumes in found.items():
            axes.hist([value[number] for value in volumes], bins, alpha=0.6, label=name)
        axes.set(xlabel=title)
    for axes in (sizes, bright):
        axes.legend()
    return figure
