"""The scripts of a repo that train a model, and what each model is to be called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from aml_project.command_line import WRONG_USE, Failure
from aml_project.names import check_model

DEEP = 4  # folders below the root that are looked through
OTHERS = {"tests", "test", "outputs", "logs", "mlruns", "node_modules", "site-packages", "build", "dist"}
TRAINS = re.compile(r"(?:.*[_-])?(?:train|training)(?:[_-].*)?\.py")
# Folders that say nothing about what is trained in them.
PLAIN = {"src", "source", "code", "scripts", "script", "python", "lib", "app", "train", "training", "ml"}


@dataclass(frozen=True)
class Script:
    """A model, and the file that trains it: None where the model's own runconfigs name it."""

    model: str
    file: Path | None

    def is_in_place(self, root: Path) -> bool:
        return self.file is None or self.file == root / "models" / self.model / "train.py"


def choose(root: Path, given: list[str]) -> list[Script]:
    """The scripts that are meant: the given ones, those in models/, or the only one there is."""
    there = in_place(root)
    if given:
        return [named(root, text, there) for text in given]
    if there:
        for script in there:
            named_well(script.model, f"models/{script.model}")
        return there
    found = elsewhere(root)
    if len(found) != 1:
        raise Failure(which(root, found), WRONG_USE)
    return [Script(name_for(root, found[0]), found[0])]


def in_place(root: Path) -> list[Script]:
    """The models that lie where they belong: folders of models/ with a train.py, or with what they run on."""
    found = []
    for folder in sorted((root / "models").glob("*/")):
        script = folder / "train.py"
        if script.is_file() or (folder / "aml_config").is_dir():
            found.append(Script(folder.name, script if script.is_file() else None))
    return found


def named(root: Path, text: str, there: list[Script]) -> Script:
    """What --model means: NAME=PATH, or NAME alone for one that is there or for the only script."""
    name, equals, path = text.partition("=")
    named_well(name, "--model")
    mine = next((script for script in there if script.model == name), None)
    if mine and (not equals or not Path(path).is_file()):  # it may have been moved there by now
        return mine
    if not equals:
        found = elsewhere(root)
        if len(found) != 1:
            raise Failure(which(root, found), WRONG_USE)
        return Script(name, found[0])
    file = Path(os.path.normpath(Path.cwd() / path))
    if not file.is_file() or file.suffix != ".py" or not file.is_relative_to(root):
        why = "not there" if not file.exists() else "no Python file of this repo"
        raise Failure(f"--model: {path}: {why}", WRONG_USE)
    if mine and file != mine.file:
        raise Failure(
            f"--model: models/{name} is there already, with a script of its own: choose another name", WRONG_USE
        )
    return Script(name, file)


def elsewhere(root: Path) -> list[Path]:
    """The scripts outside of models/ that train, by their names: train.py, or else train_this.py and the like."""
    found = [file for file in python_files(root, {"models"}) if TRAINS.fullmatch(file.name)]
    found = [file for file in found if not file.name.startswith("test_")]
    return [file for file in found if file.name == "train.py"] or found


def python_files(root: Path, without: Set[str] = frozenset()) -> Iterator[Path]:
    """The Python files of a repo, without those of tests, environments and results."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        if len(here.relative_to(root).parts) >= DEEP:
            folders.clear()
        folders[:] = sorted(
            name for name in folders
            if not name.startswith(".") and name not in OTHERS | without and not (here / name / "pyvenv.cfg").exists()
        )  # fmt: skip
        yield from (here / name for name in sorted(names) if name.endswith(".py"))


def which(root: Path, found: list[Path]) -> str:
    """What to say where the script that is meant is not clear."""
    if not found:
        return "no train.py here: name the script that trains: aml init --model NAME=PATH"
    shown = [file.relative_to(root).as_posix() for file in found]
    more = f" and {len(shown) - 6} more" if len(shown) > 6 else ""
    one = f"--model {name_for(root, found[0])}={shown[0]}"
    return f"{', '.join(shown[:6])}{more}: say which trains a model: aml init {one}, once for each"


def name_for(root: Path, script: Path) -> str:
    """A name for the model of a script: that of its folder, or of the repo where the folder's says nothing."""
    for text in (script.parent.name if script.parent != root else "", root.name):
        name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:30].rstrip("_")
        if name and name not in PLAIN:
            try:
                check_model(name)
            except Failure:
                continue
            return name
    return "model1"


def named_well(name: str, what: str) -> None:
    try:
        check_model(name)
    except Failure as failure:
        raise Failure(f"{what}: {failure}", WRONG_USE) from None
