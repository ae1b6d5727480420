"""Draw the masks of many volumes with the model that train.py saved; stopped, the same command goes on.

python score_batch.py --input FOLDER --output outputs/masks
A ParallelRunStep, whose entry script this is as well, calls init() and run() instead.
"""

import argparse
import csv
import os
import sys
from pathlib import Path
from typing import Any

from runtime import input_schema
from runtime.autorunner import read_task, testing
from runtime.ensemble import Ensemble, digest
from runtime.volumes import is_volume, stem

DONE, REFUSED, INTERRUPTED = 0, 1, 130  # and 2 of argparse, for wrong use
MODEL = "model.txt"  # in the folder of the masks: which model has drawn them
RESULT = "masks.csv"  # there as well: which volume has which mask

ensemble: Ensemble  # set by init(), once in each process of the step, and where its masks go
output: Path


class BadVolume(ValueError):
    """A file that is no volume, in a sentence."""


def init() -> None:
    """Load the model that lies below --model, an argument of the step, or else below AZUREML_MODEL_DIR."""
    global ensemble, output
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", default=os.environ.get("AZUREML_MODEL_DIR"))
    parser.add_argument("--output", type=Path, required=True)
    args, _ = parser.parse_known_args()  # the step adds arguments of its own
    if not args.model:
        raise SystemExit("--model: missing among the step's arguments, and there is no AZUREML_MODEL_DIR")
    ensemble, output = Ensemble(input_schema.find(args.model)[0]), args.output


def run(mini_batch: Any) -> list[str]:
    """Draw the masks of files of a FileDataset. A bad one gives a line in the log and none of the result."""
    rows = []
    for image in map(Path, mini_batch):
        mask = output / name_of(image)
        try:
            draw(ensemble, image, mask)
        except BadVolume as bad:
            print(f"Bad file {image.name}: {bad}", flush=True)
        else:
            rows.append(f"{image.name},{mask.name}")
    return rows


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw the masks of volumes; those that are there are kept.")
    add = parser.add_argument
    add("--model", default="outputs/model", help="folder below which the model lies (default: %(default)s)")
    add("--input", type=Path, help="NIfTI: a file, or a folder with them (default: those for testing of task.yaml)")
    add("--output", type=Path, default=Path("outputs/masks"), help="folder for the masks (default: %(default)s)")
    add("--error-threshold", type=int, default=0, help="bad files to leave out before it stops; -1: all of them")
    add("--overwrite", action="store_true", help="draw again what is there")
    args = parser.parse_args(argv)
    if args.error_threshold < -1:
        parser.error("--error-threshold: -1 or more")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        return score(args)
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    except (BadVolume, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return REFUSED


def score(args: argparse.Namespace) -> int:
    """Draw the masks that are missing; then write which volume has which."""
    folder = input_schema.find(args.model)[0]
    images = find_images(args.input)
    masks = {name: args.output / Path(name).parent / name_of(image) for name, image in images.items()}
    belong_to(args.output, digest(folder), args.overwrite)
    missing = [name for name in images if args.overwrite or is_older(masks[name], images[name])]
    model = Ensemble(folder) if missing else None
    bad: list[str] = []
    for number, name in enumerate(missing, start=1):
        try:
            draw(model, images[name], masks[name])
            print(f"{number} of {len(missing)}: {name}", flush=True)
        except BadVolume as error:
            print(f"Bad file {name}: {error}", flush=True)
            bad.append(name)
            if 0 <= args.error_threshold < len(bad):
                raise BadVolume(f"{name} is bad; --error-threshold leaves out as many as it says") from None
    write_result(args.output, [(name, mask) for name, mask in masks.items() if name not in bad])
    kept = len(images) - len(missing)
    print(f"{args.output}: {len(missing) - len(bad)} masks drawn" + (f", {kept} were there" if kept else ""))
    return DONE


def find_images(place: Path | None) -> dict[str, Path]:
    """The volumes by their names: those of a folder, one file, or what the task says is for testing."""
    if place is None:
        task = read_task(Path(__file__).with_name("task.yaml"))
        return {name: Path(task["dataroot"], name) for name in testing(task)}
    files = sorted(filter(is_volume, place.rglob("*"))) if place.is_dir() else [place]
    if not files or not files[0].exists():
        raise FileNotFoundError(f"--input {place}: no .nii or .nii.gz file there")
    return {file.relative_to(place if place.is_dir() else place.parent).as_posix(): file for file in files}


def name_of(image: Path) -> str:
    return f"{stem(image)}_mask.nii.gz"


def belong_to(folder: Path, model: str, overwrite: bool) -> None:
    """Note whose masks a folder has; those of another model are not mixed with them."""
    noted = folder / MODEL
    if noted.exists() and noted.read_text(encoding="utf-8") != model and not overwrite:
        raise BadVolume(f"{folder}: holds masks of another model; --overwrite draws them again")
    folder.mkdir(parents=True, exist_ok=True)
    noted.write_text(model, encoding="utf-8")


def is_older(mask: Path, image: Path) -> bool:
    """Whether a mask has still to be drawn: it is not there, or its volume has changed since."""
    return not mask.exists() or (image.exists() and mask.stat().st_mtime < image.stat().st_mtime)


def draw(model: Any, image: Path, mask: Path) -> None:
    """Write the mask of a volume."""
    try:
        found = model.mask(image)
    except Exception as error:  # each of the libraries that MONAI reads with raises its own
        raise BadVolume((str(error).splitlines() or [type(error).__name__])[-1]) from error
    model.write(found, mask)


def write_result(folder: Path, rows: list[tuple[str, Path]]) -> None:
    partial = folder / f"{RESULT}.partial"
    with partial.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(["file", "mask"])
        writer.writerows([name, mask.relative_to(folder).as_posix()] for name, mask in rows)
    partial.replace(folder / RESULT)


if __name__ == "__main__":
    sys.exit(main())
