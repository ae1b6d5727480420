"""What the workspace holds, as plain data that a test or a curious person can read."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import uuid
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

Record = dict[str, Any]
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "aml-rehearsal")  # its ids are its own


FINAL = ("Completed", "Failed", "Canceled")


class Unavailable(Exception):
    """The rehearsal can't start, and why."""


@dataclass
class Tables:
    """One table for each kind of thing, by its name or id."""

    resource_groups: dict[str, Record] = field(default_factory=dict)  # by name, in lower case
    storage_accounts: dict[str, Record] = field(default_factory=dict)
    deployments: dict[str, Record] = field(default_factory=dict)
    experiments: dict[str, Record] = field(default_factory=dict)  # by name
    runs: dict[str, Record] = field(default_factory=dict)
    metrics: dict[str, dict[str, Record]] = field(default_factory=dict)  # run, then metric
    artifacts: dict[str, Record] = field(default_factory=dict)  # by origin/container/path
    snapshots: dict[str, Record] = field(default_factory=dict)
    computes: dict[str, Record] = field(default_factory=dict)
    datastores: dict[str, Record] = field(default_factory=dict)
    default_datastore: str = "workspaceblobstore"
    datasets: dict[str, list[Record]] = field(default_factory=dict)  # by name: every version
    saved_datasets: dict[str, Record] = field(default_factory=dict)  # used, but under no name; by id
    environments: dict[str, list[Record]] = field(default_factory=dict)  # by name: every version
    submitted_environments: dict[str, list[Record]] = field(default_factory=dict)  # brought by runs, by name
    assets: dict[str, Record] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)  # by name:version
    registered_models: dict[str, Record] = field(default_factory=dict)  # by name: what MLflow knows of all versions
    secrets: dict[str, Record] = field(default_factory=dict)  # of the Key Vault, by name
    services: dict[str, Record] = field(default_factory=dict)  # by name
    pipelines: dict[str, dict[str, Record]] = field(default_factory=dict)  # what they are made of: by kind, then id
    operations: dict[str, Record] = field(default_factory=dict)  # what was done to services, by id
    ids: int = 0


class State:
    """The tables, one lock for all of them, and the file that keeps them."""

    def __init__(self, file: Path, *, deterministic: bool = False) -> None:
        self.file = file
        self.deterministic = deterministic
        self.lock = threading.RLock()
        self.tables = load(file) if file.exists() else Tables()

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
        with self.lock:
            partial = self.file.with_suffix(".partial")
            partial.touch(mode=0o600)  # it holds the storage's key
            partial.write_text(json.dumps(asdict(self.tables), indent=1), encoding="utf-8")
            partial.replace(self.file)


def load(file: Path) -> Tables:
    """Read what an earlier rehearsal has kept."""
    tables = Tables()
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(kept, dict):
            raise ValueError("no tables")
    except ValueError as error:
        raise Unavailable(f"{file} is damaged ({error}); --fresh begins anew") from None
    for entry in fields(Tables):
        held = kept.get(entry.name, getattr(tables, entry.name))
        if not isinstance(held, type(getattr(tables, entry.name))):
            raise Unavailable(f"{file} is damaged ({entry.name}); --fresh begins anew")
        setattr(tables, entry.name, held)
    return tables


def claim(folder: Path) -> IO[bytes]:
    """Take a folder for this rehearsal alone, until the file is closed or the process ends."""
    file = (folder / "lock").open("ab")
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Unavailable(f"{folder}: a rehearsal is running here already") from None
    return file


def forget(folder: Path) -> None:
    """Remove what earlier rehearsals have left."""
    for name in ("blobs", "home", "services"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "state.json").unlink(missing_ok=True)


def set_status(run: Record, status: str, error: str = "") -> None:
    """Let a run go on to another status; one that has ended stays as it is, one that is to stop can only end."""
    if run["status"] in FINAL or (run["status"] == "CancelRequested" and status not in FINAL):
        return
    if status == "Running" and run["startTimeUtc"] is None:
        run["startTimeUtc"] = now()
    if status in FINAL:
        run["endTimeUtc"] = now()
    if error:
        run["error"] = {"error": {"code": "UserError", "message": error, "details": []}}
    run["status"] = status
    run["revision"] += 1


def creator(name: str) -> Record:
    """Who has made something, as the services write it."""
    return {"userObjectId": name, "userTenantId": "", "userName": name, "userPuId": None}


def now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
