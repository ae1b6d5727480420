"""The workspace: what it is called, and what it holds."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

from aml_rehearsal.addresses import Entrance, Names
from aml_rehearsal.assertions import Assertions
from aml_rehearsal.azurite import Azurite
from aml_rehearsal.faults import Faults, Provisioning
from aml_rehearsal.hosting import Hosting
from aml_rehearsal.state import FINAL, Record, State, set_status
from aml_rehearsal.tokens import Tokens


class Workspace:
    """One workspace and the blob storage behind it."""

    def __init__(
        self,
        folder: Path,
        names: Names,
        *,
        deterministic: bool = False,
        accounts: Iterable[str] = (),
        blobs: Azurite | None = None,
    ) -> None:
        self.folder = folder
        self.names = names
        self.state = State(folder, deterministic=deterministic)
        self.tokens = Tokens()
        self.assertions = Assertions(self.tokens)
        self.faults = Faults()
        with self.state.lock:
            known = list(self.state.tables.storage_accounts)
            for run in unfinished(self.state):
                set_status(run, "Failed", "The rehearsal ended before the run did.")
        self.blobs_are_lent = blobs is not None
        if blobs:
            blobs.empty()
        self.blobs = blobs or Azurite(folder / "blobs", [*accounts, *known])
        self.entrance = Entrance()
        self.nodes: list[threading.Thread] = []
        self.preempted: set[str] = set()  # the runs whose node is to be taken away
        self.ahead = timedelta()  # of the clock that schedules go by
        self.quota = 1000  # cores that a cluster may have at most
        self.provisioning = Provisioning()  # of the clusters that are made from now on
        self.waiting: dict[str, Provisioning] = {}  # by the name of what is being made
        self.hosting = Hosting(folder / "services", names, self.state, self.blobs, self.entrance)

    def clock(self) -> datetime:
        """The time that schedules go by: a test may put it forward."""
        return datetime.now(timezone.utc) + self.ahead

    def blob_uri(self, container: str, name: str, permission: str) -> str:
        """The address that the client is given for a blob."""
        signature = self.blobs.signature(container, name, permission)
        return f"https://{self.blobs.host}/{container}/{quote(name)}?{signature}"

    def cancel_runs(self) -> None:
        """Ask what still runs to stop, and wait for it."""
        try:
            with self.state.lock:
                for run in unfinished(self.state):
                    set_status(run, "CancelRequested")
        except sqlite3.OperationalError as error:  # as on a full disk: the next start notes that they have ended
            print(f"WARNING: {self.state.lock.file}: {error}", file=sys.stderr)
        over = time.monotonic() + 15
        for node in self.nodes:
            node.join(max(0, over - time.monotonic()))

    def close(self) -> None:
        """Leave what is kept, and nothing that runs."""
        if not self.blobs_are_lent:
            self.blobs.stop()
        self.state.close()


def unfinished(state: State) -> list[Record]:
    """The runs that have not ended."""
    runs = state.tables.runs
    return [
        runs[key] for status in runs.known("status") if status not in FINAL for key in runs.keys_where(status=status)
    ]
