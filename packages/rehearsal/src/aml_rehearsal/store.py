"""The kept store: tables in one file of SQLite, a row a record. A kill at any moment leaves what was committed.

Who reads or changes a table holds the store: `with store:` is a transaction. A record that was read in it may be
changed in place; at its end those that differ are written, all or none, and none stays in memory. An exception takes
all back.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

OURS = 0x414D4C52  # "AMLR": by this number SQLite files tell whose they are


class Store:
    """The file and its one connection, which belongs to the thread that holds the store."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.tables: list[Table[Any]] = []
        self.series: list[Series] = []
        self.mutex = threading.RLock()
        self.holder, self.depth = 0, 0
        self.connection: sqlite3.Connection | None = None
        self.closed = False  # each transaction opens the file for itself

    def __enter__(self) -> Store:
        self.mutex.acquire()
        try:
            self.open()
        except BaseException:
            self.mutex.release()
            raise
        self.depth += 1
        self.holder = threading.get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.depth == 1:
                self.end(keep=kind is None)
        finally:
            self.depth -= 1
            self.holder = self.holder if self.depth else 0
            self.mutex.release()

    def open(self) -> None:
        """Open the file, unless it is open; make what it lacks."""
        if self.connection is not None:
            return
        if self.closed and not self.file.exists():
            raise FileNotFoundError(self.file)
        self.file.touch(mode=0o600)  # it holds the storage's key; SQLite gives what it puts beside it the same mode
        connection = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False, cached_statements=512)
        try:
            prepare(connection, [*self.tables, *self.series])
        except BaseException:
            connection.close()
            raise
        self.connection = connection

    def end(self, *, keep: bool) -> None:
        """End the transaction: write what has changed, or take it back."""
        assert self.connection is not None
        try:
            if keep:
                for table in self.tables:
                    table.flush()
                if self.connection.in_transaction:
                    self.connection.execute("COMMIT")
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            for table in self.tables:
                table.forget()
            if self.closed:
                self.close()

    def close(self) -> None:
        """Leave one file; what is read or written from now on opens it for the while."""
        with self.mutex:
            self.closed = True
            if self.connection is not None:
                self.connection.close()
                self.connection = None

    def check(self) -> sqlite3.Connection:
        """The connection, for the thread that holds the store."""
        if self.holder != threading.get_ident() or self.connection is None:
            raise RuntimeError("A table is read and changed only by who holds the store: with state.lock.")
        return self.connection

    @property
    def changes(self) -> int:
        """How many rows were written so far: who looks again and again looks only where it has grown."""
        return self.check().total_changes

    def ask(self, sql: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        return self.check().execute(sql, tuple(values))

    def change(self, sql: str, values: Iterable[Any] = ()) -> None:
        if not self.check().in_transaction:
            self.ask("BEGIN IMMEDIATE")
        self.ask(sql, values)


def prepare(connection: sqlite3.Connection, tables: list[Table[Any] | Series]) -> None:
    """See that a file is ours and whole, and that it has the tables."""
    # The folder is this rehearsal's alone, so is the file: without memory shared with others, any file system will do.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing, a power cut the last moments
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (empty,) = connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()
    if owner != OURS and not empty:
        raise sqlite3.DatabaseError("it is another program's")
    (fault,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if fault != "ok":
        raise sqlite3.DatabaseError(fault.splitlines()[-1])
    connection.execute("BEGIN IMMEDIATE")
    if owner != OURS:
        connection.execute(f"PRAGMA application_id = {OURS}")
    for table in tables:
        table.prepare(connection)
    connection.execute("COMMIT")


class Table(MutableMapping[str, T]):
    """Records by key, in the order in which they came; columns are the fields that a record can be searched by."""

    def __init__(self, store: Store, name: str, *columns: str) -> None:
        self.store, self.name, self.columns = store, name, columns
        self.held: dict[str, tuple[str | None, T]] = {}  # of this transaction: as kept, and as it is now
        self.added: dict[str, None] = {}  # those of them that are not in the file yet, in order
        fields = ", ".join(["key", "text", *columns])
        changes = ", ".join(f"{field} = excluded.{field}" for field in ["text", *columns])
        marks = ", ".join("?" * (2 + len(columns)))
        self.upsert = f"INSERT INTO {name} ({fields}) VALUES ({marks}) ON CONFLICT (key) DO UPDATE SET {changes}"
        store.tables.append(self)

    def prepare(self, connection: sqlite3.Connection) -> None:
        name = self.name
        fields = "number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, text TEXT NOT NULL"
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({fields})")
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        new = [column for column in self.columns if column not in known]
        for column in new:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN {column}")
            connection.execute(f"CREATE INDEX {name}_{column} ON {name} ({column})")
        for key, text in connection.execute(f"SELECT key, text FROM {name}").fetchall() if new else []:
            connection.execute(self.upsert, self.row(key, text, json.loads(text)))

    def row(self, key: str, text: str, record: Any) -> list[Any]:
        fields = [record.get(column) for column in self.columns]
        return [key, text, *(field if field is None else str(field) for field in fields)]

    def flush(self) -> None:
        """Write what differs from what is kept."""
        for key, (text, record) in self.held.items():
            now = written(record)
            if now != text:
                self.store.change(self.upsert, self.row(key, now, record))
                self.held[key] = (now, record)
        self.added.clear()

    def forget(self) -> None:
        """Keep nothing in memory."""
        self.held.clear()
        self.added.clear()

    def __getitem__(self, key: str) -> T:
        self.store.check()
        if key not in self.held:
            text = self.text(key)
            if text is None:
                raise KeyError(key)
            self.held[key] = (text, json.loads(text))
        return self.held[key][1]

    def __setitem__(self, key: str, record: T) -> None:
        self.store.check()
        text = self.held[key][0] if key in self.held else self.text(key)
        if text is None:
            self.added[key] = None
        self.held[key] = (text, record)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.held.pop(key, None)
        self.added.pop(key, None)
        self.store.change(f"DELETE FROM {self.name} WHERE key = ?", [key])

    def clear(self) -> None:
        self.store.change(f"DELETE FROM {self.name}")
        self.forget()

    def __contains__(self, key: object) -> bool:
        self.store.check()
        return key in self.held or self.text(key) is not None

    def text(self, key: object) -> str | None:
        """A record as it is kept."""
        row = self.store.ask(f"SELECT text FROM {self.name} WHERE key = ?", [key]).fetchone()
        return str(row[0]) if row else None

    def __len__(self) -> int:
        return int(self.store.ask(f"SELECT count(*) FROM {self.name}").fetchone()[0]) + len(self.added)

    def __iter__(self) -> Iterator[str]:
        found = self.store.ask(f"SELECT key FROM {self.name} ORDER BY number")
        return iter([*(key for (key,) in found), *self.added])

    def keys_where(self, order: str = "number", *, descending: bool = False, **wanted: str | None) -> list[str]:
        """The keys of the records whose columns are as wanted, without reading the records."""
        self.flush()
        where = " AND ".join(f"{column} IS ?" for column in wanted) or "TRUE"
        way = f"{order} DESC, number DESC" if descending else f"{order}, number"
        found = self.store.ask(f"SELECT key FROM {self.name} WHERE {where} ORDER BY {way}", wanted.values())
        return [key for (key,) in found]

    def known(self, column: str) -> list[str | None]:
        """What the records have in a column, each once."""
        self.flush()
        return [text for (text,) in self.store.ask(f"SELECT DISTINCT {column} FROM {self.name}")]

    def below(self, prefix: str) -> list[str]:
        """The keys that begin so, sorted."""
        asked = f"SELECT key FROM {self.name} WHERE key >= ? AND key < ?"
        found = self.store.ask(asked, [prefix, prefix + chr(0x10FFFF)])
        return sorted([*(key for (key,) in found), *(key for key in self.added if key.startswith(prefix))])

    def copies(self, keys: Iterable[str]) -> Iterator[T]:
        """Records to look at, one at a time: for long lists, since each record of a table stays for the transaction."""
        self.flush()
        for key in keys:
            yield json.loads(self.text(key) or "null")


class Series:
    """Lists that grow, each by a key. What is added is written as it is; what is there already is not read for it."""

    def __init__(self, store: Store, name: str, own: str) -> None:
        self.store, self.name = store, name
        self.own = own  # the field by which a record is known: the same one counts once in a list
        store.series.append(self)

    def prepare(self, connection: sqlite3.Connection) -> None:
        fields = "number INTEGER PRIMARY KEY, key TEXT NOT NULL, own TEXT, text TEXT NOT NULL, UNIQUE (key, own)"
        connection.execute(f"CREATE TABLE IF NOT EXISTS {self.name} ({fields})")

    def add(self, key: str, records: Iterable[dict[str, Any]]) -> None:
        for record in records:
            own = record.get(self.own)
            row = [key, None if own is None else str(own), written(record)]
            self.store.change(f"INSERT OR IGNORE INTO {self.name} (key, own, text) VALUES (?, ?, ?)", row)

    def of(self, key: str) -> list[dict[str, Any]]:
        found = self.store.ask(f"SELECT text FROM {self.name} WHERE key = ? ORDER BY number", [key])
        return [json.loads(text) for (text,) in found]

    def last(self, key: str) -> dict[str, Any] | None:
        found = self.store.ask(f"SELECT text FROM {self.name} WHERE key = ? ORDER BY number DESC LIMIT 1", [key])
        return next((json.loads(text) for (text,) in found), None)

    def remove(self, key: str) -> None:
        self.store.change(f"DELETE FROM {self.name} WHERE key = ?", [key])


def written(record: Any) -> str:
    return json.dumps(record, separators=(",", ":"))
