"""Everything of the last epoch, in one file that is whole or not there: where a run that was stopped goes on."""

import argparse
from typing import Any

import torch

from runtime import resuming
from runtime.distributed import Processes
from runtime.samples import Data

FILE = resuming.FOLDER / "last.pt"


def save(args: argparse.Namespace, data: Data, **state: Any) -> None:
    """Write the state after an epoch over that after the one before."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    partial = FILE.with_suffix(".partial")
    torch.save(state | {"of": resuming.fingerprint(args, data)}, partial)
    partial.replace(FILE)
    resuming.keep(FILE, len(state["history"]))


def resume(args: argparse.Namespace, data: Data, processes: Processes) -> dict[str, Any] | None:
    """The state of the last epoch, if this run is to go on; every process gets what the first one finds."""
    found: list[dict[str, Any] | None] = [None]
    if processes.rank == 0 and resuming.find(FILE, args.resume):
        found = [read(args, data)]
    if processes.size > 1:
        torch.distributed.broadcast_object_list(found, src=0)
    return found[0]


def read(args: argparse.Namespace, data: Data) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(FILE, map_location="cpu", weights_only=True)
        belongs_to = state["of"]
    except Exception as error:  # pickle, zip and torch raise many kinds for a broken file
        raise resuming.unreadable(FILE, error) from None
    resuming.refuse_another(belongs_to, args, data, FILE)
    print(f"Going on after epoch {len(state['history'])}, from {FILE}")
    return state
