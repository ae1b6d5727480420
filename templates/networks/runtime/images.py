"""Images from a folder with one sub-folder for each class. What is wrong with one is said in one line that names it."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from runtime import formats

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


class BadImage(ValueError):
    """A file, or bytes of a request, that no image can be read from."""


def is_image_folder(path: Path) -> bool:
    """Say whether there are sub-folders with images. A table among them makes it a table's folder."""
    return path.is_dir() and not holds_tables(path) and bool(found(path))


def holds_tables(path: Path) -> bool:
    return bool(formats.list_files(path, {".csv", ".tsv", ".parquet", ".feather"}))


def found(path: Path) -> list[Path]:
    """The images below the sub-folders, hidden ones left out, in the order of their names."""
    files = [file for file in path.glob("*/**/*") if file.suffix.lower() in ENDINGS and file.is_file()]
    return sorted(file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts))


def list_images(path: Path) -> tuple[list[Path], list[str]]:
    """The images and their labels: the names of the sub-folders that they lie in."""
    files = found(path)
    labels = [file.relative_to(path).parts[0] for file in files]
    counts = Counter(labels)
    if len(counts) < 2 or min(counts.values()) < 2:
        raise SystemExit(f"--data-path {path}: needs two sub-folders or more, with two images or more in each")
    return files, labels


def read_image(source: Path | bytes, size: int) -> np.ndarray:
    """An image as bytes of red, green and blue, [size, size, 3], whatever its own size and colours are."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        name = "the bytes" if isinstance(source, bytes) else str(source)
        reason = "no image, or a broken one" if isinstance(error, Image.UnidentifiedImageError) else str(error)
        raise BadImage(f"{name}: {reason}") from None


@contextmanager
def told(path: Path) -> Iterator[None]:
    """End with one line where an image can't be read, be it here or in a process that reads ahead."""
    try:
        yield
    except Exception as error:
        said = str(error).strip().splitlines()
        if not (isinstance(error, BadImage) or any("BadImage" in line for line in said)):
            raise
        raise SystemExit(f"--data-path {path}: {said[-1].rpartition('BadImage: ')[2]}") from None
