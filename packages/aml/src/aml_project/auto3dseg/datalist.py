"""datalist.json: what it may hold, and what is wrong with it, each in a line that names the entry and the mend."""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path, PurePosixPath

from aml_project.auto3dseg.wrong import meant, nearest
from aml_project.command_line import Failure

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    Items = list[dict[str, Any]]

LISTS = ("training", "validation", "testing")
# What the datalists of the Medical Segmentation Decathlon say of themselves.
SAID = (
    "name", "description", "reference", "licence", "license", "release", "relase", "modality", "labels", "numTraining",
    "numTest", "tensorImageSize", "version",
)  # fmt: skip
OF_ITEM = ("image", "label", "fold")
MOST = 10  # lines of one kind; the rest are counted


def read(file: Path) -> dict[str, Any]:
    """The lists of a datalist; a Failure says what is wrong with it as JSON."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Failure(f"{file.name}: not there; datalist of the task names it, seen from the task's folder") from None
    except OSError as error:
        raise Failure(
            f"{file.name or file}: datalist of the task names it, and it can't be read: {error.strerror}"
        ) from None
    except ValueError as error:
        if file.read_bytes().startswith(codecs.BOM_UTF8):
            raise Failure(f"{file.name}: begins with a byte order mark: save it as UTF-8 without one") from None
        raise Failure(f"{file.name}: no JSON: {error}") from None
    if not isinstance(content, dict):
        raise Failure(f'{file.name}: holds no lists; it begins with {{"training": [')
    return content


def problems(datalist: Mapping[str, Any], *, num_fold: int | None = None) -> list[str]:
    """What is wrong with the lists, without a look at the volumes."""
    others = f"the lists are {', '.join(LISTS)}"
    found = [f"{key}: {meant(key, LISTS, others)}" for key in datalist if is_odd(key)]
    for name in LISTS:
        items = datalist.get(name)
        if items is None:
            if name == "training":
                found.append("training: missing; it lists the volumes to learn from")
        elif not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            found.append(f'{name}: a list of entries, each as {{"image": …, "label": …}}')
        elif name == "training" and not items:
            found.append("training: empty; it lists the volumes to learn from")
        else:
            found += at_most(of_items(name, items))
    if not found:
        training, validation = datalist["training"], datalist.get("validation") or []
        found += at_most(twice(training)) + list(of_folds(training, bool(validation), num_fold))
    return found


def is_odd(key: str) -> bool:
    return key not in LISTS and key not in SAID


def of_items(name: str, items: Items) -> Iterator[str]:
    """What is wrong with single entries."""
    needed = ("image",) if name == "testing" else ("image", "label")
    for number, item in enumerate(items):
        for key in needed:
            if key not in item:
                yield f"{name}[{number}]: has no {key}{slip(item, key)}"
        for key, value in item.items():
            if key not in OF_ITEM:
                if (near := nearest(key, OF_ITEM)) and (near in item or near not in needed):
                    yield f"{name}[{number}]: {key!r} is no key; do you mean {near}?"
            elif key == "fold":
                if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                    yield f"{name}[{number}].fold: a whole number from 0, not {value!r}"
            elif not is_path(value):
                yield f"{name}[{number}].{key}: a path, or a list of them, not {value!r}"
        if is_path(item.get("image")) and item.get("image") == item.get("label"):
            yield f"{name}[{number}]: image and label are the same file, {item['image']!r}"


def slip(item: Mapping[str, Any], key: str) -> str:
    """The key of an entry that was meant for another."""
    return next((f"; is it {own!r}?" for own in item if own not in OF_ITEM and nearest(own, OF_ITEM) == key), "")


def is_path(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, str) and one for one in value)
    return isinstance(value, str) and bool(value)


def twice(training: Items) -> Iterator[str]:
    """A volume that is there twice would be learnt from and judged by at once."""
    seen: dict[str, int] = {}
    for number, item in enumerate(training):
        image = str(item["image"])
        if image in seen:
            yield f"training[{number}]: {image!r} is training[{seen[image]}] already"
        seen.setdefault(image, number)


def of_folds(training: Items, validation: bool, num_fold: int | None) -> Iterator[str]:
    """Folds are numbered from 0 without a gap, on all entries or on none."""
    folds = {item["fold"] for item in training if "fold" in item}
    without = [number for number, item in enumerate(training) if "fold" not in item]
    if folds and without:
        yield f"training[{without[0]}]: has no fold, and others have one: all of them or none"
        return
    missing = sorted(set(range(max(folds, default=-1) + 1)) - folds)
    if missing:
        there = ", ".join(map(str, sorted(folds)))
        yield f"training: folds are numbered from 0 without a gap: {missing[0]} is missing, there are {there}"
    elif len(folds) == 1:
        yield "training: all entries are of one fold, so there is nothing to learn from: take two folds or more"
    elif folds and num_fold and num_fold > len(folds):
        yield f"training: has {len(folds)} folds, and num_fold of the task is {num_fold}"
    elif not folds and not validation and len(training) < (num_fold or 5):
        yield f"training: {len(training)} entries can't make {num_fold or 5} folds: number them by fold, or add some"


def paths(datalist: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each path, and where it stands."""
    for name in LISTS:
        for number, item in enumerate(datalist.get(name) or []):
            for key in ("image", "label"):
                value = item.get(key)
                for path in value if isinstance(value, list) else [value] if value else []:
                    yield f"{name}[{number}].{key}", path


def missing(datalist: Mapping[str, Any], there: Callable[[str], bool], where: str) -> list[str]:
    """The files that are not there."""
    return at_most(f"{place}: {path!r} is not in {where}" for place, path in paths(datalist) if not there(path))


def not_relative(datalist: Mapping[str, Any]) -> list[str]:
    """The paths that can't be seen from the head of a dataset."""
    return at_most(
        f"{place}: {path!r}: write it as seen from the head of the dataset"
        for place, path in paths(datalist)
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path or ":" in path[:8]
    )


def in_folder(folder: Path) -> Callable[[str], bool]:
    """Whether a path leads to a file of a folder, which is listed once: thousands of them are asked for."""
    listed = {os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names}  # noqa: PTH118
    return lambda path: os.path.normpath(path) in listed or Path(folder, path).is_file()


def at_most(lines: Iterator[str] | list[str]) -> list[str]:
    """The first lines, and how many more there are."""
    found = list(lines)
    return found if len(found) <= MOST else [*found[:MOST], f"and {len(found) - MOST} lines more of that kind"]
