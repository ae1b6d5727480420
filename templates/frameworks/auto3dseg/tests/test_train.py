"""train.py: what a training leaves behind, and that a stopped one goes on."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml

from make_volumes import draw
from tests.conftest import MODEL, train


def test_the_metrics_are_of_each_class_fold_and_algorithm(outputs: Path) -> None:
    metrics = json.loads((outputs / "metrics.json").read_text(encoding="utf-8"))
    classes = yaml.safe_load((MODEL / "task.yaml").read_text(encoding="utf-8"))["class_names"]
    for whose in ("dice", "test_dice", "dice_tiny_0", "dice_tiny_1"):
        assert 0 <= metrics[whose] <= 1
        assert metrics[whose] == pytest.approx(np.mean([metrics[f"{whose}_{name}"] for name in classes]), abs=0.2)
    logged = {file.name for file in outputs.parent.glob("mlruns/*/*/metrics/*")}
    assert logged >= {*metrics, "tiny_0_loss", "tiny_1_dice"}


def test_what_autorunner_writes_is_there_with_pictures_of_it(outputs: Path) -> None:
    for name in ("tiny_0", "tiny_1", "ensemble_output", "datastats.yaml", "input.yaml", "model"):
        assert (outputs / name).exists(), name
    for name in ("slices", "dice", "losses", "data"):
        assert (outputs / "evaluation" / f"{name}.png").stat().st_size > 5000, name
    (kept,) = outputs.parent.glob("mlruns/*/*/artifacts/evaluation")
    assert (kept / "slices.png").exists()


def test_a_mask_lies_where_its_volume_does(outputs: Path, data: Path) -> None:
    mask = nibabel.load(outputs / "ensemble_output/images/volume11_ensemble.nii.gz")
    volume = nibabel.load(data / "images/volume11.nii.gz")
    assert mask.shape == volume.shape
    assert np.allclose(mask.affine, volume.affine)


def test_a_stopped_training_goes_on(outputs: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(outputs, tmp_path / "outputs")
    (tmp_path / "outputs/metrics.json").unlink()  # it comes last
    done = train(tmp_path, "--data-path", data)
    assert done.returncode == 0, done.stderr
    assert "Going on in outputs/" in done.stdout
    assert "epoch 1:" not in done.stdout
    assert (tmp_path / "outputs/metrics.json").read_bytes() == (outputs / "metrics.json").read_bytes()


def test_the_volumes_of_the_sample_hold_both_classes() -> None:
    for number in range(12):
        assert set(np.unique(draw(number)[1])) == {0, 1, 2}
