"""Everything of the last epoch, in one file that is whole or not there: where a run that was stopped goes on."""

import argparse
import io
import json
from typing import Any

import numpy as np

from runtime import resuming
from runtime.distributed import Processes, shared
from runtime.samples import Data

FILE = resuming.FOLDER / "last.npz"


def save(args: argparse.Namespace, data: Data, history: list[dict[str, float]], **state: list[np.ndarray]) -> None:
    """Write the state after an epoch over that after the one before."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    partial = FILE.with_suffix(".partial")
    about = json.dumps({"of": resuming.fingerprint(args, data), "history": history})
    arrays = {f"{name}/{place}": array for name, many in state.items() for place, array in enumerate(many)}
    with partial.open("wb") as file:
        np.savez(file, about=about, **arrays)
    partial.replace(FILE)
    resuming.keep(FILE, len(history))


def resume(args: argparse.Namespace, data: Data, processes: Processes) -> dict[str, Any] | None:
    """The state of the last epoch, if this run is to go on; every process gets what the first one finds."""
    content = b""
    if processes.rank == 0 and resuming.find(FILE, args.resume):
        content = FILE.read_bytes()
        try:
            state = unpack(content)
            belongs_to = state["of"]
        except Exception as error:  # zip, JSON and NumPy raise many kinds for a broken file
            raise resuming.unreadable(FILE, error) from None
        resuming.refuse_another(belongs_to, args, data, FILE)
        print(f"Going on after epoch {len(state['history'])}, from {FILE}")
    content = shared(content)
    return unpack(content) if content else None


def unpack(content: bytes) -> dict[str, Any]:
    with np.lib.npyio.NpzFile(io.BytesIO(content)) as file:
        state: dict[str, Any] = json.loads(file["about"].item())
        for name in file.files:
            if name != "about":  # each list in its own order, which is that of the file
                state.setdefault(name.partition("/")[0], []).append(file[name])
    return state
