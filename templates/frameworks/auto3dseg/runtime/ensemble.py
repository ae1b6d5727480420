"""The model: the algorithms that AutoRunner's ensemble picked, in a folder that can be moved, and the masks they draw.

A mask is the one that AutoRunner's own ensemble writes, voxel by voxel: it is made by the same classes of MONAI.
"""

import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from monai.apps.auto3dseg import AlgoEnsembleBestByFold
from monai.transforms import MeanEnsemble, SaveImage
from monai.utils.misc import prob2class

from runtime.volumes import Classes

ENSEMBLE = "ensemble.json"
LEFT_OUT = ("checkpoint.pt", "*.partial", "__pycache__", "*.log")  # what only training needs


def fold_of(algorithm: dict[str, Any]) -> int:
    """The fold that an algorithm has not seen; it is called NAME_FOLD, or NAME_FOLD_… after a search."""
    return int(algorithm["identifier"].split("_")[1])


def picked(algorithms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best algorithm of each fold, as AutoRunner's ensemble picks them."""
    ensemble = AlgoEnsembleBestByFold(n_fold=max(map(fold_of, algorithms)) + 1)
    ensemble.set_algos(algorithms)
    ensemble.collect_algos()
    return [algorithm for algorithm in ensemble.get_algo_ensemble() if algorithm]


def save(algorithms: list[dict[str, Any]], classes: Classes, sigmoid: bool, folder: Path) -> None:
    """Copy algorithms into a folder, and note which they are and what they find."""
    shutil.rmtree(folder, ignore_errors=True)
    for algorithm in algorithms:
        source, own = Path(algorithm["algo_instance"].output_path), folder / algorithm["identifier"]
        shutil.copytree(source, own, ignore=shutil.ignore_patterns(*LEFT_OUT))
        (own / "algo_object.json").unlink(missing_ok=True)
    scores = {algorithm["identifier"]: round(float(algorithm["best_metric"]), 6) for algorithm in algorithms}
    text = json.dumps({"algorithms": scores, "classes": classes, "sigmoid": sigmoid}, indent=2, ensure_ascii=False)
    (folder / ENSEMBLE).write_text(text + "\n", encoding="utf-8")


class Ensemble:
    """A model that was saved, ready to draw masks."""

    def __init__(self, folder: Path) -> None:
        noted = json.loads((folder / ENSEMBLE).read_text(encoding="utf-8"))
        self.classes, self.sigmoid = noted["classes"], bool(noted["sigmoid"])
        self.members = [inferer(folder / name) for name in noted["algorithms"]]

    def mask(self, image: Path) -> Any:
        """The class of each voxel of the volume in a file; with sigmoid, a channel for each class."""
        probabilities = [member.infer(str(image)) for member in self.members]
        if any(not each.is_cuda for each in probabilities):
            probabilities = [each.cpu() for each in probabilities]
        return prob2class(MeanEnsemble()(probabilities), dim=0, keepdim=True, sigmoid=self.sigmoid)

    def write(self, mask: Any, file: Path) -> None:
        """Write a mask with its place in space. The file is there whole, or not at all."""
        partial = file.parent / f".{file.name.removesuffix('.gz').removesuffix('.nii')}.nii.gz"
        writer = SaveImage(output_dtype=np.uint8, resample=False, print_log=False, output_ext=".nii.gz")
        file.parent.mkdir(parents=True, exist_ok=True)
        writer(mask, filename=str(partial).removesuffix(".nii.gz"))
        partial.replace(file)


def digest(folder: Path) -> str:
    """A text that is another one for another model."""
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        found.update(str(file.relative_to(folder)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def inferer(folder: Path) -> Any:
    """What infers, of an algorithm in a folder: its InferClass, as AutoRunner loads it."""
    name = f"{folder.name}_infer"
    spec = importlib.util.spec_from_file_location(name, folder / "scripts" / "infer.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    configs = sorted(str(file) for file in (folder / "configs").iterdir())
    return module.InferClass(configs, bundle_root=str(folder.resolve()))
