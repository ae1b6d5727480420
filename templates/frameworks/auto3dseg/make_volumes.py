"""Make the sample: a dozen small volumes with two structures in noise, their masks, and datalist.json.

python make_volumes.py ../../data/model1
"""

import argparse
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

VOLUMES, TESTING, FOLDS = 12, 4, 2
SIZES = (24, 28, 32)
BRIGHTNESS = (0, 60, 120)  # of the background, of a ball and of a box


def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A volume and its mask: a ball (1) and a box (2) that never touch, each time elsewhere and of another size."""
    random = np.random.default_rng(number)
    shape = tuple(int(size) for size in random.choice(SIZES, 3))
    mask = np.zeros(shape, np.uint8)
    middle = shape[0] // 2
    radius = random.integers(4, 6)
    center = [random.integers(radius, limit - radius) for limit in (middle, *shape[1:])]
    distance = sum((axis - at) ** 2 for axis, at in zip(np.ogrid[tuple(map(slice, shape))], center, strict=True))
    mask[distance <= radius**2] = 1
    edges = random.integers(5, 9, 3)
    starts = zip((middle + 1, 0, 0), shape, edges, strict=True)
    corner = [random.integers(low, limit - edge) for low, limit, edge in starts]
    mask[tuple(slice(at, at + edge) for at, edge in zip(corner, edges, strict=True))] = 2
    image = np.take(BRIGHTNESS, mask) + random.normal(0, 15, shape)
    return image.astype(np.int16), mask


def make(folder: Path) -> dict[str, Any]:
    """Write the volumes; return the datalist that names them, relative to the folder."""
    datalist: dict[str, list[dict[str, Any]]] = {"training": [], "testing": []}
    for number in range(VOLUMES):
        item = {"image": f"images/volume{number:02}.nii.gz", "label": f"labels/volume{number:02}.nii.gz"}
        # In millimetres, with the first voxel not at the origin: a mask has to lie where its image does.
        place = np.diag([1.5, 1.0, 2.0, 1.0])
        place[:3, 3] = (-20, 10, 5)
        for name, array in zip(item.values(), draw(number), strict=True):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, place), file)
        if number < VOLUMES - TESTING:
            datalist["training"].append({**item, "fold": number % FOLDS})
        else:
            datalist["testing"].append(item)
    return datalist


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make a dozen small volumes, their masks and datalist.json.")
    parser.add_argument("folder", type=Path, help="where the volumes go: dataroot of task.yaml")
    args = parser.parse_args()
    Path("datalist.json").write_text(json.dumps(make(args.folder), indent=2) + "\n", encoding="utf-8")
