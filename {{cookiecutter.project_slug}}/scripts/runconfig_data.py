"""Which runconfigs read which dataset; and a new version, written into those that shall read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reader:
    """The place in a runconfig that names a dataset."""

    file: Path
    block: str  # below data:
    name: str
    version: str

    @property
    def key(self) -> tuple[str, ...]:
        return ("data", self.block, "dataLocation", "dataset")


def readers(root: Path, model: str | None = None) -> list[Reader]:
    """List what the runconfigs of a model, or of all models, read; a file that can't be read is the check's to name."""
    from checks.runconfig_file import Unreadable, read_mapping

    found: list[Reader] = []
    for file in sorted(root.glob(f"models/{model or '*'}/aml_config/*.runconfig")):
        try:
            found += blocks(file, read_mapping(file))
        except Unreadable:
            continue
    return found


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


def write(reader: Reader, name: str, version: str) -> bool:
    """Let a runconfig read this version; False if it does already."""
    from runconfig_edit import edit

    if (reader.name, reader.version) == (name, version):
        return False
    return edit(reader.file, {(*reader.key, "name"): name, (*reader.key, "version"): version})
