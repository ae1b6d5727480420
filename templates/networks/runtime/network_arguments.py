"""The arguments that are the same for all networks: what they learn from, and how a training goes on and ends."""

import argparse
from pathlib import Path

from runtime.arguments import data_folder, share
from runtime.data import add_split_arguments


def positive(text: str) -> int:
    """The type of an argument that counts something."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return value


def no_folds(text: str) -> int:
    """The type of --folds: what would be told by them must not be told by one split in silence."""
    instead = "search.yml with folds: {seed: [1, 2, 3]} trains again for each"
    raise argparse.ArgumentTypeError(f"a network is trained once, not {text} times; {instead}")


def add_network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to those of train.py. Another default: parser.set_defaults(image_size=128)."""
    add = parser.add_argument
    add("--data-path", type=Path, default=data_folder(), help="CSV or Parquet, or a folder of images for each class")
    add("--dataset", default="", help="data of the run, to download to --data-path (mechanism: direct)")
    add("--class-weight", choices=["balanced"], help="let rare classes count as much as frequent ones")
    add("--threshold", type=share, help="probability from which the second of two classes is answered")
    add("--es-patience", type=int, default=-1, help="epochs without progress before it stops; -1: never")
    add("--image-size", type=positive, default=64, help="pixels that images are scaled to (default: %(default)s)")
    add("--workers", type=int, default=2, help="how many read images ahead (default: %(default)s)")
    add("--folds", type=no_folds, help=argparse.SUPPRESS)
    add("--seed", type=int, default=42, help="same seed, same model (default: %(default)s)")
    add("--resume", action="store_true", help="go on from outputs/checkpoints, as a job that Azure ML restarts does")
    add("--amp", action="store_true", help="compute in bfloat16 where that is safe")
    add("--compile", action="store_true", help="compile the network (PyTorch: with g++): a slower start, faster steps")
    add_split_arguments(parser)
