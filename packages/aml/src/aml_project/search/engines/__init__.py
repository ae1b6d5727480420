"""Who carries out a search: one module an engine, each with the functions of `Engine`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from aml_project.search import folder_of
from aml_project.search.definition import Search
from aml_project.search.record import Trial


@dataclass(frozen=True)
class Order:
    """A search that is to be carried out."""

    root: Path
    model: str
    search: Search
    on: str | None = None  # a cluster
    config: str = "train-amlcompute"  # the runconfig of a trial there
    experiment: str = ""
    detach: bool = False  # submit, and wait for nothing
    debug: bool = False
    write: Path | None = None  # a file, where the engine only writes what another command takes
    fresh: bool = False  # what was tried before counts for nothing
    kept: Path | None = None  # where everything of it is kept, in place of the engine's own folder
    words: tuple[str, ...] | None = None  # what each trial is given beside its values, in place of the data

    @property
    def folder(self) -> Path:
        return self.root / "models" / self.model


class Engine(Protocol):
    """A module of this folder."""

    def kept_in(self, order: Order) -> Path:
        """Where it keeps what was tried."""

    def lacks(self, search: Search) -> list[str]:
        """What of a search this engine can't do, a line each with the mend; asked before anything starts."""

    def run(self, order: Order) -> int:
        """Carry it out, going on where an earlier call was stopped; the exit code."""

    def refresh(self, order: Order) -> bool:
        """Bring the record of what was tried up to date; whether a search is running."""

    def run_of(self, workspace: Any, folder: Path, trial: Trial) -> Any:
        """The run of the workspace that a trial was (azureml.core.Run); None of one that ran here."""

    def stop(self, order: Order) -> int:
        """End the search that runs; the exit code."""


def get(name: str) -> Engine:
    return cast(Engine, importlib.import_module(f"{__name__}.{name}"))


def whose(model_folder: Path, folder: Path) -> Engine:
    """The engine that keeps what it tried in this folder."""
    return get("local" if folder == folder_of(model_folder) else folder.name)
