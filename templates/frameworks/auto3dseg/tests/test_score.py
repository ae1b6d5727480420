"""score.py, through the real inference server and over HTTP."""

import gzip
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.conftest import MODEL, Server


def voxels(content: bytes) -> np.ndarray:
    return np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(content)).dataobj)


def test_a_mask_is_the_one_of_the_ensemble_voxel_by_voxel(server: Server, outputs: Path, data: Path) -> None:
    for file in sorted((outputs / "ensemble_output/images").glob("*_ensemble.nii.gz")):
        image = (data / "images" / file.name.replace("_ensemble", "")).read_bytes()
        for body in (image, gzip.decompress(image)):
            status, mask, headers = server.post(body)
            assert (status, headers["x-model-version"]) == (200, "local")
            assert np.array_equal(voxels(mask), np.asarray(nibabel.load(file).dataobj)), file.name


def test_with_a_label_comes_the_dice(server: Server, data: Path) -> None:
    image, label = ((data / f"{kind}s/volume11.nii.gz").read_bytes() for kind in ("image", "label"))
    status, mask, headers = server.post_form(image=image, label=label)
    assert status == 200
    found, wanted = voxels(mask), voxels(label)
    scores = dict(part.split("=") for part in headers["x-dice"].split("; "))
    for number, name in enumerate(scores, start=1):
        guessed, actual = found == number, wanted == number
        assert float(scores[name]) == pytest.approx(
            2 * (guessed & actual).sum() / (guessed.sum() + actual.sum()), abs=1e-5
        )


def test_the_sample_request_is_answered(server: Server) -> None:
    assert server.post((MODEL / "sample-request.nii.gz").read_bytes())[0] == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "The image is empty"),
        (b"no volume", "The image can't be read as a NIfTI file"),
        (gzip.compress(b"no volume"), "The image can't be read as a NIfTI file"),
        (nibabel.Nifti1Image(np.zeros((4, 4), np.uint8), np.eye(4)).to_bytes(), "The image has 2 axes"),
    ],
)
def test_a_bad_request_is_400_with_a_sentence(server: Server, body: bytes, said: str) -> None:
    status, answer, _ = server.post(body)
    assert status == 400
    message = json.loads(answer)["message"]
    assert said in message and "Traceback" not in message and "/tmp" not in message


def test_a_form_says_what_it_lacks(server: Server, data: Path) -> None:
    image, label = ((data / f"images/volume{number}.nii.gz").read_bytes() for number in ("10", "11"))
    assert 'no file "image"' in json.loads(server.post_form(label=label)[1])["message"]
    status, answer, _ = server.post_form(image=image, label=label)
    assert (status, "voxels" in json.loads(answer)["message"]) == (400, True)
