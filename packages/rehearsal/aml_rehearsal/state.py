"""What the workspace holds, as plain data that a test or a curious person can read."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

Record = dict[str, Any]
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "aml-rehearsal")  # its ids are its own


@dataclass
class Tables:
    """One table for each kind of thing, by its name or id."""

    experiments: dict[str, Record] = field(default_factory=dict)  # by name
    runs: dict[str, Record] = field(default_factory=dict)
    metrics: dict[str, dict[str, Record]] = field(default_factory=dict)  # run, then metric
    artifacts: dict[str, Record] = field(default_factory=dict)  # by origin/container/path
    snapshots: dict[str, Record] = field(default_factory=dict)
    computes: dict[str, Record] = field(default_factory=dict)
    datastores: dict[str, Record] = field(default_factory=dict)
    default_datastore: str = "workspaceblobstore"
    datasets: dict[str, list[Record]] = field(default_factory=dict)  # by name: every version
    environments: dict[str, list[Record]] = field(default_factory=dict)  # by name: every version
    assets: dict[str, Record] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)  # by name:version
    ids: int = 0


class State:
    """The tables, one lock for all of them, and the file that keeps them."""

    def __init__(self, file: Path | None = None, *, deterministic: bool = False) -> None:
        self.file = file
        self.deterministic = deterministic
        self.lock = threading.RLock()
        self.tables = Tables()
        if file and file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            known = {entry.name for entry in fields(Tables)}
            self.tables = Tables(**{name: table for name, table in kept.items() if name in known})

    def new_id(self) -> str:
        """A new id: random, or on request the same ones in every session."""
        self.tables.ids += 1
        return str(uuid.uuid5(NAMESPACE, str(self.tables.ids)) if self.deterministic else uuid.uuid4())

    def as_dict(self) -> Record:
        with self.lock:
            copy: Record = json.loads(json.dumps(asdict(self.tables)))
        return copy

    def save(self) -> None:
        """Write the file, whole or not at all."""
        if self.file is None:
            return
        text = json.dumps(self.as_dict(), indent=1)
        partial = self.file.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.file)


def now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
