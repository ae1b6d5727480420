"""Which runconfigs read which dataset; and a new version, written into those that shall read it."""

from __future__ import annotations

import json
import os
from collections import namedtuple

from aml_project.command_line import WRONG_USE, Failure, note
from aml_project.files import write_whole
from aml_project.runconfigs import reading

TYPE_CHECKING = False  # typing's own costs its import, and a dry run has to answer at once
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

# The place in a runconfig that names a dataset: the file, the block below data: there, the dataset's name and version.
Reader = namedtuple("Reader", "file block name version")


def readers(root: Path, model: str | None = None) -> list[Reader]:
    """List what the runconfigs of a model, or of all models, read."""
    return [reader for file, config in reading.read_all(root, model) for reader in blocks(file, config)]


def blocks(file: Path, config: dict[str, Any]) -> Iterator[Reader]:
    data = config.get("data")
    for block, entry in data.items() if isinstance(data, dict) else ():
        try:
            dataset = entry["dataLocation"]["dataset"]
            yield Reader(file, block, str(dataset["name"]), str(dataset.get("version") or ""))
        except (KeyError, TypeError, AttributeError):
            continue  # known by its id, or no dataset at all


def concerned(found: list[Reader], name: str) -> list[Reader]:
    """Pick those that read a dataset; if none does, those that read but one, which is to be this one."""
    if same := [reader for reader in found if reader.name == name]:
        return same
    return [reader for reader in found if sum(other.file == reader.file for other in found) == 1]


def unwritten(root: Path, found: list[Reader], name: str) -> list[Reader]:
    """Those that a call, which was killed as it wrote them, has named and left to read another dataset."""
    try:
        noted = json.loads(note_of(root, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [reader for reader in found if reader.name != name and [str(reader.file), reader.block] in noted]


def note_of(root: Path, name: str) -> Path:
    return root / ".azureml" / "datasets" / f"{name}.json"


def only(found: list[Reader]) -> str:
    """Return the name of the one dataset that the runconfigs read."""
    there = sorted({reader.name for reader in found})
    if len(there) != 1:
        raise Failure(f"--name or --model: say which; the runconfigs read {', '.join(there) or 'none'}", WRONG_USE)
    return str(there[0])


def tell(root: Path, reading: list[Reader], name: str, version: str, *, write: bool) -> None:
    """Write the version into the runconfigs, and say which; or say what to write.

    Which ones they are is noted until all are written: once some read the dataset, they alone would seem to be meant.
    """
    if write and reading:
        write_whole(note_of(root, name), json.dumps([[str(reader.file), reader.block] for reader in reading]))
    line = f'name: "{name}", version: "{version}"'
    if not reading:
        note(f"no runconfig reads that dataset; for one that shall, below data.BLOCK.dataLocation.dataset: {line}")
    for reader in reading:
        written = write and edited(reader, name, version)
        where = f"{os.path.relpath(reader.file)}: data.{reader.block}.dataLocation.dataset"
        print(f"{where}: {line}{': written' if written else ''}")
    if write:
        note_of(root, name).unlink(missing_ok=True)


def edited(reader: Reader, name: str, version: str) -> bool:
    """Let a runconfig read this version; False if it does already."""
    if (reader.name, reader.version) == (name, version):
        return False
    from aml_project.runconfigs.editing import edit

    key = ("data", reader.block, "dataLocation", "dataset")
    return edit(reader.file, {(*key, "name"): name, (*key, "version"): version})
