"""What a step is made of, as a hash, and the result of that: a step whose hash has a result does not run again.

What counts is the content of its inputs, the code that it can import, the files of the model's folder that this code
names, the packages of its environment, and its arguments. Times, paths and other files do not.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aml_project import local_imports, work_folder
from aml_project.files import write_whole
from aml_project.pipeline.definition import Output
from aml_project.storage.local_files import LocalFile

FORMAT = 1  # what is kept of a result; another one has other hashes
DONE = "done.json"  # written last: a folder without it holds no result
HANDED = "handed"  # what the script was given the place of
LARGE = 4 << 20  # bytes: from here on it is remembered what was read
KEPT = 5  # results of a step, the newest
IMPORTS = ("import_module", "__import__")  # of modules whose names are texts
STARTS = ("subprocess", "runpy", "os.exec", "os.spawn", "os.system")  # other scripts, by their names
LENGTH = 16  # letters of the hash that a result's folder is named by


class Contents:
    """What files hold, as hashes. What is large is read once, and again when it has changed."""

    def __init__(self, root: Path) -> None:
        self.memory = root / ".azureml" / "hashes.db"  # that of `make dataset`
        self.known: dict[Path, str] = {}
        self.words: dict[Path, set[str]] = {}

    def of(self, path: Path) -> str:
        """Of a file or folder that no step changes."""
        if path not in self.known:
            self.known[path] = self.digest(list(files_below(path)))
        return self.known[path]

    def digest(self, files: Sequence[LocalFile]) -> str:
        """The same if, and only if, names and contents of all files are."""
        if sum(file.size for file in files) < LARGE:
            hashes = {file.name: hashlib.sha256(Path(file.path).read_bytes()).hexdigest() for file in files}
        else:
            from aml_project.storage.hashes import hash_files

            hashes = hash_files(files, self.memory, lambda _, __: None)
        return digest_of(sorted(hashes.items()))

    def words_in(self, file: Path) -> set[str]:
        """What a file of code may name of its folder; steps share files."""
        if file not in self.words:
            self.words[file] = words_in(file)
        return self.words[file]


def files_below(path: Path) -> Iterator[LocalFile]:
    """A file, or all files of a folder and of what is linked into it, by name."""
    if not path.is_dir():
        yield LocalFile(path.name, str(path), path.stat())
        return
    found = []
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            file = Path(folder, name)
            found.append(LocalFile(file.relative_to(path).as_posix(), str(file), file.stat()))
    yield from sorted(found, key=lambda file: file.name)


def digest_of(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def code_of(contents: Contents, folder: Path, script: str) -> dict[str, Path]:
    """The files of a model's folder that a script can import, and those that the code of all these names."""
    code = list(local_imports.closure(folder / script, [folder]))
    words = set().union(*(contents.words_in(file) for file in code))
    found = dict.fromkeys(code)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in words and entry.name not in work_folder.NOT_LINKED:
            found.update(dict.fromkeys(Path(file.path) for file in files_below(Path(entry.path))))
    return {file.relative_to(folder).as_posix(): file for file in found}


def words_in(file: Path) -> set[str]:
    """What the texts of a file's code may name of its folder: files, folders, and modules where it imports by name."""
    try:
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, OSError):
        return set()
    about = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in about
    ]
    words = {word.rstrip(".") for text in texts for word in re.findall(r"[\w.-]+", text)}
    if any(way in source for way in IMPORTS):
        words |= {f"{word.partition('.')[0]}.py" for word in words} | {word.partition(".")[0] for word in words}
    elif not any(way in source for way in STARTS):  # a script that a message names is not run
        words = {word for word in words if not word.endswith(".py")}
    return words


def packages_of(python: Path) -> list[str]:
    """The packages of an environment with their versions, and its Python."""
    environment = python.parent.parent
    config = environment / "pyvenv.cfg"
    version = [line for line in config.read_text().splitlines() if "version" in line] if config.is_file() else []
    places = [*environment.glob("lib/python*/site-packages"), *environment.glob("Lib/site-packages")]
    return version + sorted(entry.name for place in places for entry in place.glob("*.dist-info"))


def key_of(contents: Contents, code: Mapping[str, Path], inputs: Mapping[str, str], more: Mapping[str, Any]) -> str:
    """What a step is made of: `code` are files by name, `inputs` hashes by the names that the step has for them."""
    files = {name: contents.of(file) for name, file in code.items()}
    return digest_of([FORMAT, files, inputs, more])[:LENGTH]


@dataclass(frozen=True)
class Result:
    """What a step has made once, and where it lies."""

    folder: Path
    outputs: dict[str, Path]
    contents: dict[str, str]  # hashes of the outputs
    seconds: float
    ended: float  # when, in seconds since 1970


def place_of(folder: Path, output: Output) -> Path:
    """Where a step that runs in a folder has an output."""
    return folder / output.path if output.kind == "path" else folder / HANDED / f"{output.name}{output.suffix}"


def is_missing(path: Path) -> bool:
    return not any(path.iterdir()) if path.is_dir() else not path.exists()


def keep(contents: Contents, folder: Path, outputs: Iterable[Output], seconds: float, ended: float) -> Result:
    """Note that a step has ended well and left all its outputs, which are there."""
    said: dict[str, Any] = {"seconds": round(seconds, 3), "ended": ended, "outputs": {}}
    places = {output.name: place_of(folder, output) for output in outputs}
    for name, place in places.items():
        files = list(files_below(place))
        said["outputs"][name] = {
            "path": place.relative_to(folder).as_posix(),
            "content": contents.digest(files),
            "files": fingerprint(files),
        }
    write_whole(folder / DONE, json.dumps(said, indent=1) + "\n", sync=False)  # nor is what the script has written
    hashes = {name: one["content"] for name, one in said["outputs"].items()}
    return Result(folder, places, hashes, said["seconds"], ended)


def find(contents: Contents, folder: Path, outputs: Iterable[Output]) -> Result | None:
    """The result that lies in a folder, if all of it is as the step has left it."""
    try:
        said = json.loads((folder / DONE).read_text(encoding="utf-8"))
        places, hashes = {}, {}
        for output in outputs:
            noted, place = said["outputs"][output.name], place_of(folder, output)
            files = list(files_below(place))
            if fingerprint(files) != noted["files"] and contents.digest(files) != noted["content"]:
                return None
            places[output.name], hashes[output.name] = place, str(noted["content"])
        os.utime(folder / DONE)  # the newest are kept
        return Result(folder, places, hashes, float(said["seconds"]), float(said["ended"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fingerprint(files: Iterable[LocalFile]) -> str:
    """Names, sizes and times: as long as they are the same, so are the contents."""
    return digest_of([[file.name, file.size, file.mtime] for file in files])


def forget_old(step_folder: Path) -> None:
    """Keep the newest results of a step; the others, and what has failed before, go."""

    def newest(folder: Path) -> float:
        done = folder / DONE
        return done.stat().st_mtime if done.is_file() else 0.0

    for folder in sorted(step_folder.iterdir(), key=newest, reverse=True)[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def place_outputs(folder: Path, model_folder: Path) -> list[str]:
    """Put what a step has left in its outputs/ into the model's, each file or folder whole; return what is new."""
    new = []
    for entry in sorted(os.scandir(folder / "outputs"), key=lambda entry: entry.name):
        source, place = Path(entry.path), model_folder / "outputs" / entry.name
        if place.exists() and fingerprint(files_below(source)) == fingerprint(files_below(place)):
            continue
        beside, old = (place.with_name(f".{entry.name}.{what}") for what in ("new", "old"))
        for left in (beside, old):
            remove(left)
        if source.is_dir():
            shutil.copytree(source, beside)
        else:
            beside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, beside)
        if place.exists():
            place.rename(old)
        beside.rename(place)
        remove(old)
        new.append(entry.name)
    return new


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
