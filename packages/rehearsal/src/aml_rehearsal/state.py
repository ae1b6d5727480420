"""What the workspace holds, as plain data that a test or a curious person can read."""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from aml_rehearsal.store import Series, Store, Table

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

Record = dict[str, Any]
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "aml-rehearsal")  # its ids are its own
FILE = "state.db"
EARLIER = "state.json"  # of rehearsals of before
LOCK = "lock"  # held as long as a rehearsal has the folder
NOTE = "running.json"  # who runs there as a command, and how a client gets there
PIPELINES = (
    *("DataTypes", "Modules", "DataSources", "Graphs", "PipelineRuns", "Reusable", "Pipelines", "PipelineEndpoints"),
    *("Schedules", "PipelineDrafts", "GraphDrafts", "AzureMLModules", "AzureMLModuleVersions"),
)
SINGLE: dict[str, Any] = {"default_datastore": "workspaceblobstore", "ids": 0}
FINAL = ("Completed", "Failed", "Canceled")


class Unavailable(Exception):
    """The rehearsal can't start, and why."""


class Tables:
    """One table for each kind of thing, by its name or id."""

    def __init__(self, store: Store) -> None:
        self.resource_groups: Table[Record] = Table(store, "resource_groups")  # by name, in lower case
        self.storage_accounts: Table[Record] = Table(store, "storage_accounts")
        self.deployments: Table[Record] = Table(store, "deployments")
        self.experiments: Table[Record] = Table(store, "experiments")  # by name
        self.runs: Table[Record] = Table(
            store,
            "runs",
            *("experimentId", "parentRunId", "status", "createdUtc", "startTimeUtc"),
            indexed=("experimentId", "parentRunId"),
        )
        self.metrics: Table[dict[str, Record]] = Table(store, "metrics")  # run, then metric
        self.points = Series(store, "points", "metricId")  # what metrics hold, by run/metric
        self.artifacts: Table[Record] = Table(store, "artifacts")  # by origin/container/path
        self.snapshots: Table[Record] = Table(store, "snapshots")
        self.computes: Table[Record] = Table(store, "computes")
        self.compute_keys: Table[Record] = Table(store, "compute_keys")  # what opens those that are attached
        self.datastores: Table[Record] = Table(store, "datastores")
        self.datasets: Table[list[Record]] = Table(store, "datasets")  # by name: every version
        self.saved_datasets: Table[Record] = Table(store, "saved_datasets")  # used, but under no name; by id
        self.profiles: Table[Record] = Table(store, "profiles")  # of tables, by the id of the action that makes one
        self.environments: Table[list[Record]] = Table(store, "environments")  # by name: every version
        self.submitted_environments: Table[list[Record]] = Table(store, "submitted_environments")  # brought by runs
        self.assets: Table[Record] = Table(store, "assets")
        # Of the second generation: code, data and jobs that it alone has, and what it alone says of the rest, by path.
        self.codes: Table[Record] = Table(store, "codes")
        by = ("name", "anonymous")
        self.data_assets: Table[Record] = Table(store, "data_assets", *by, indexed=by)  # by name:version
        self.components: Table[Record] = Table(store, "components", *by, indexed=by)  # by name:version
        self.jobs: Table[Record] = Table(store, "jobs")  # as they were sent, by the name of the run
        self.asset_words: Table[Record] = Table(store, "asset_words")
        self.models: Table[Record] = Table(store, "models")  # by name:version
        self.registered_models: Table[Record] = Table(store, "registered_models")  # what MLflow knows of all versions
        self.secrets: Table[Record] = Table(store, "secrets")  # of the Key Vault, by name
        self.connections: Table[Record] = Table(store, "connections")  # of the workspace, by name
        self.linked_services: Table[Record] = Table(store, "linked_services")
        self.image_builds: Table[Record] = Table(store, "image_builds")  # by id
        self.services: Table[Record] = Table(store, "services")  # by name
        # What pipelines are made of, by kind, then id.
        self.pipelines: dict[str, Table[Record]] = {kind: Table(store, f"pipelines_{kind}") for kind in PIPELINES}
        self.operations: Table[Record] = Table(store, "operations")  # what was done to services, by id
        self.single: Table[Any] = Table(store, "single")  # what there is one of

    @property
    def default_datastore(self) -> str:
        return str(self.single.get("default_datastore", SINGLE["default_datastore"]))

    @default_datastore.setter
    def default_datastore(self, name: str) -> None:
        self.single["default_datastore"] = name


class State:
    """The tables, one lock for all of them, and the file that keeps them."""

    def __init__(self, folder: Path, *, deterministic: bool = False) -> None:
        self.deterministic = deterministic
        self.lock = Store(folder / FILE)
        self.tables = Tables(self.lock)
        self.earlier = folder / EARLIER
        try:
            with self.lock:
                if "ids" not in self.tables.single:
                    self.begin()
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self.lock.file}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise Unavailable(f"{self.lock.file} is damaged ({error}); --fresh begins anew") from None
        if self.earlier.exists():
            self.earlier.replace(self.earlier.with_name(f"{EARLIER}.old"))

    def begin(self) -> None:
        """Begin with nothing, or with what a rehearsal of before has kept in its one file of JSON."""
        kept = read(self.earlier) if self.earlier.exists() else {}
        for table in self.lock.tables:
            for key, record in kept.get(table.name, {}).items():
                table[key] = record
        for run, metrics in self.tables.metrics.items():
            for name, metric in metrics.items():
                self.tables.points.add(f"{run}/{name}", metric.pop("value", []))
        for name, value in SINGLE.items():
            self.tables.single[name] = kept.get(name, value)

    def new_id(self) -> str:
        """A new id: random, or on request the same ones in every session."""
        if not self.deterministic:
            return str(uuid.uuid4())
        self.tables.single["ids"] += 1
        return str(uuid.uuid5(NAMESPACE, str(self.tables.single["ids"])))

    def as_dict(self) -> Record:
        """A copy of everything, as plain data."""
        with self.lock:
            copy: Record = {}
            for table in self.lock.tables:
                keys = list(table)
                copy[table.name] = dict(zip(keys, table.copies(keys), strict=True))
            for run, metrics in copy["metrics"].items():
                for name, metric in metrics.items():
                    metric["value"] = self.tables.points.of(f"{run}/{name}")
        copy["pipelines"] = {kind: copy.pop(table.name) for kind, table in self.tables.pipelines.items()}
        copy.update(copy.pop("single"))
        return copy

    def close(self) -> None:
        self.lock.close()


def read(file: Path) -> Record:
    """What an earlier rehearsal has kept as JSON."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(kept, dict):
            raise ValueError("no tables")
        for name, held in kept.items():
            if not isinstance(held, type(SINGLE.get(name, {}))):
                raise ValueError(name)
    except ValueError as error:
        raise Unavailable(f"{file} is damaged ({error}); --fresh begins anew") from None
    return kept


def claim(folder: Path) -> IO[bytes]:
    """Take a folder for this rehearsal alone, until the file is closed or the process ends."""
    file = (folder / LOCK).open("ab")
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Unavailable(f"{folder}: a rehearsal is running here already; aml-rehearsal stop ends it") from None
    return file


def held(folder: Path) -> bool:
    """Whether a rehearsal has the folder: from before it says that it runs until all of it has ended."""
    if not (folder / LOCK).exists():
        return False
    try:
        claim(folder).close()
    except Unavailable:
        return True
    return False


def forget(folder: Path) -> None:
    """Remove what earlier rehearsals have left."""
    for name in ("blobs", "home", "services"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm", EARLIER, f"{EARLIER}.old"):
        (folder / name).unlink(missing_ok=True)


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
