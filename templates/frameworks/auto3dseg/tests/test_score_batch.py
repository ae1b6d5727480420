"""score_batch.py: the masks of the ensemble, for any number of volumes; stopped, it goes on."""

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

import score_batch


def voxels(file: Path) -> np.ndarray:
    return np.asarray(nibabel.load(file).dataobj)


@pytest.fixture
def volumes(data: Path, tmp_path: Path) -> Path:
    """Some volumes of the sample, one of them in a folder of its own."""
    folder = tmp_path / "volumes"
    (folder / "more").mkdir(parents=True)
    shutil.copy(data / "images/volume08.nii.gz", folder)
    shutil.copy(data / "images/volume09.nii.gz", folder / "more")
    return folder


def test_the_masks_are_those_of_the_ensemble_and_are_drawn_once(
    outputs: Path, volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [f"--model={outputs}", f"--input={volumes}", f"--output={tmp_path / 'masks'}"]
    assert score_batch.main(own) == 0
    for name in ("volume08", "more/volume09"):
        written = outputs / f"ensemble_output/images/{Path(name).name}_ensemble.nii.gz"
        assert np.array_equal(voxels(tmp_path / f"masks/{name}_mask.nii.gz"), voxels(written))
    with (tmp_path / "masks/masks.csv").open(newline="") as file:
        assert {row["file"]: row["mask"] for row in csv.DictReader(file)} == {
            "volume08.nii.gz": "volume08_mask.nii.gz",
            "more/volume09.nii.gz": "more/volume09_mask.nii.gz",
        }
    (tmp_path / "masks/volume08_mask.nii.gz").unlink()  # as if it had been stopped before
    assert score_batch.main(own) == 0
    assert capsys.readouterr().out.endswith("1 masks drawn, 1 were there\n")


def test_a_bad_file_stops_it_or_is_left_out(
    outputs: Path, volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (volumes / "bad.nii.gz").write_bytes(b"no volume")
    own = [f"--model={outputs}", f"--input={volumes}", f"--output={tmp_path / 'masks'}"]
    assert score_batch.main(own) == 1
    assert "ERROR: bad.nii.gz is bad" in capsys.readouterr().err
    assert score_batch.main([*own, "--error-threshold=1"]) == 0
    assert sorted(path.name for path in (tmp_path / "masks").rglob("*.nii.gz")) == [
        "volume08_mask.nii.gz", "volume09_mask.nii.gz",
    ]  # fmt: skip


def test_masks_of_another_model_are_not_mixed_with_them(
    outputs: Path, volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [f"--input={volumes}", f"--output={tmp_path / 'masks'}"]
    assert score_batch.main([*own, f"--model={outputs}"]) == 0
    other = Path(shutil.copytree(outputs / "model", tmp_path / "other"))
    noted = json.loads((other / "ensemble.json").read_text())
    noted["algorithms"].pop("tiny_1")
    (other / "ensemble.json").write_text(json.dumps(noted))
    assert score_batch.main([*own, f"--model={other}"]) == 1
    assert "another model; --overwrite" in capsys.readouterr().err
    assert score_batch.main([*own, f"--model={other}", "--overwrite"]) == 0


def test_nothing_to_draw_and_no_model_are_one_line(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score_batch.main([f"--input={tmp_path}", f"--model={outputs}"]) == 1
    assert capsys.readouterr().err == f"ERROR: --input {tmp_path}: no .nii or .nii.gz file there\n"
    assert score_batch.main([f"--input={tmp_path}", f"--model={tmp_path}"]) == 1
    assert "is the model trained?" in capsys.readouterr().err
