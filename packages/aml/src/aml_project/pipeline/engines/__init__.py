"""Who carries out a pipeline: one module an engine, each with the functions of `Engine`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from aml_project.pipeline.definition import Pipeline


@dataclass(frozen=True)
class Order:
    """A pipeline that is to be carried out, or to be written as a file."""

    root: Path
    model: str
    pipeline: Pipeline  # its parameters are those of this call: --set has been heeded
    first: str | None = None  # the step to begin with: it, and what follows from it, is done again
    only: str | None = None  # the one step to do
    fresh: bool = False  # what was done before counts for nothing
    on: str | None = None  # a cluster
    config: str = "train-amlcompute"  # the runconfig whose environment and dataset a step has there
    experiment: str = ""
    detach: bool = False  # submit, and wait for nothing
    debug: bool = False
    write: Path | None = None  # a file, where the engine only writes what another command takes
    publish: bool = False  # in place of a run: have it in the workspace, to be called by others
    endpoint: str = ""  # the address that stays, of what was published
    schedule: str = ""  # when what was published runs by itself

    @property
    def folder(self) -> Path:
        return self.root / "models" / self.model


class Engine(Protocol):
    """A module of this folder."""

    def kept_in(self, order: Order) -> Path:
        """The folder of the record (record.py) of what became of each step."""

    def lacks(self, order: Order) -> list[str]:
        """What of an order this engine can't do, a line each with the mend; asked before anything starts."""

    def run(self, order: Order) -> int:
        """Carry it out, going on where an earlier call was stopped; the exit code."""

    def refresh(self, order: Order) -> bool:
        """Bring the record up to date; whether the pipeline is running."""

    def stop(self, order: Order) -> int:
        """End the run of it that goes on; the exit code."""


def get(name: str) -> Engine:
    return cast(Engine, importlib.import_module(f"{__name__}.{name}"))
