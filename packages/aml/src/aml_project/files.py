"""Put files and folders in their place so that they are whole or not there, whatever is killed."""

from __future__ import annotations

import contextlib
import os

from aml_project.kill_points import reached

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def write_whole(path: Path, content: str | bytes, *, sync: bool = True) -> None:
    """Write a file beside its place and move it there: who reads it finds the old content or the new one.

    The rights of a file that is replaced stay as they are, and a link stays a link. Folders that lack are made. Without
    `sync` a power cut may leave neither content, and nothing is waited for: that is for what is made again then.
    """
    place = followed(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    written = beside(place)
    try:
        write_beside(written, place, content, sync=sync)
        reached(f"before {path.name}")
        written.replace(place)
        reached(f"after {path.name}")
    finally:
        written.unlink(missing_ok=True)


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write several files that are there: all of them or, whatever stops it but a kill, none."""
    places = {followed(path): content for path, content in contents.items()}
    before = {place: place.read_bytes() for place in places}
    done: list[Path] = []
    try:
        for place, content in places.items():
            write_beside(beside(place), place, content)
        for place in places:
            reached(f"before {place.name}")
            beside(place).replace(place)
            done.append(place)
    except BaseException:
        for place in done:
            with contextlib.suppress(OSError):
                write_whole(place, before[place])
        raise
    finally:
        for place in places:
            beside(place).unlink(missing_ok=True)


def place_folder(folder: Path, fill: Callable[[Path], object]) -> Path:
    """Return a folder once it is there: filled beside its place and moved there, unless it was there before."""
    import shutil

    if folder.exists():
        return folder
    filled = folder.with_name(f".{folder.name}.{os.getpid()}.new")
    shutil.rmtree(filled, ignore_errors=True)
    filled.mkdir(parents=True)
    try:
        fill(filled)
        reached(f"before {folder.name}")
        filled.rename(folder)
    finally:
        shutil.rmtree(filled, ignore_errors=True)
    return folder


def followed(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path


def beside(place: Path) -> Path:
    """Where a file is made before it is moved to its place; another process has another one.

    In a project that is its .azureml/: what a kill leaves behind would else be in a model's folder, and so in its runs.
    """
    name = f".{place.name}.{os.getpid()}.new"
    for folder in place.absolute().parents:
        if (folder / ".azureml").is_dir() and (folder / "models").is_dir():
            if (folder / ".azureml").stat().st_dev != place.parent.stat().st_dev:
                break
            return folder / ".azureml" / f"{abs(hash(place.absolute())):x}{name}"
    return place.with_name(name)


def write_beside(written: Path, place: Path, content: str | bytes, *, sync: bool = True) -> None:
    """Write a content out, to the disk with `sync`, with the rights of the file that it replaces."""
    with written.open("wb") as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)
        stream.flush()
        if sync:
            os.fsync(stream.fileno())
    if place.exists():
        written.chmod(place.stat().st_mode)
