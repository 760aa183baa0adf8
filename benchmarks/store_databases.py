"""What the store's benchmark must know of each database: how to copy it and to write it raw."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from exchange.store.base import Fence, Group

Writes = Sequence[tuple["Fence", Sequence["Group"]]]


class MeasuredDatabase(Protocol):
    """One database under measurement; ``paced`` is how its store runs in production."""

    paced: bool

    def __init__(self, directory: Path) -> None:
        """Measure in a directory."""
        ...

    def prepare(self) -> None:
        """Empty it."""
        ...

    def copy(self) -> None:
        """Copy it as it is; nobody is connected."""
        ...

    def write_raw(self, writes: Writes) -> float:
        """Return the seconds that recorded rows take in the copy with nothing around them."""
        ...

    def size_bytes(self) -> int:
        """Return its size."""
        ...


class SqliteDatabase:
    """A file; raw is ``executemany`` upserts, one transaction per batch."""

    paced = True

    def __init__(self, directory: Path) -> None:
        """Measure in a directory that begins empty."""
        self._path = directory / "exchange.sqlite3"
        self._raw = directory / "raw.sqlite3"

    def prepare(self) -> None:
        """Do nothing: the directory is new."""

    def copy(self) -> None:
        """Copy the file."""
        with sqlite3.connect(self._path) as source, sqlite3.connect(self._raw) as target:
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            source.backup(target)
            target.execute("PRAGMA journal_mode = WAL")

    def write_raw(self, writes: Writes) -> float:
        """Return the seconds that the recorded rows take."""
        from exchange.store.sqlite import CACHE_KIB, CHECKPOINT_PAGES, _fence_sql, _write_sql

        raw = sqlite3.connect(self._raw, isolation_level=None)
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        raw.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        started = time.perf_counter()
        for fence, groups in writes:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute(_fence_sql(tuple(fence.values)), (*fence.values.values(), fence.epoch))
            for table, rows in groups:
                raw.executemany(_write_sql(table), rows)
            raw.execute("COMMIT")
        return time.perf_counter() - started

    def size_bytes(self) -> int:
        """Return the size of the file."""
        return self._path.stat().st_size


class PostgresDatabase:
    """A server's database; raw is the store alone, which adds nothing to its statements."""

    paced = False

    def __init__(self, directory: Path) -> None:
        """Measure in the database that the settings name."""

    def prepare(self) -> None:
        """Empty the schema."""
        self._execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

    def copy(self) -> None:
        """Make a second database of the first, and let the server write both down."""
        self._disconnect()
        name = self._settings()["NAME"]
        self._execute(
            f'DROP DATABASE IF EXISTS "{name}_raw"',
            f'CREATE DATABASE "{name}_raw" TEMPLATE "{name}"',
            "CHECKPOINT",
            database="postgres",
        )

    def write_raw(self, writes: Writes) -> float:
        """Return the seconds that the recorded rows take."""
        from exchange.store.factory import open_store

        self._disconnect()
        settings = self._settings()
        name = settings["NAME"]
        settings["NAME"] = f"{name}_raw"
        self._execute("CHECKPOINT")
        store = open_store()
        started = time.perf_counter()
        for fence, groups in writes:
            store.write(fence, groups)
        seconds = time.perf_counter() - started
        store.close()
        settings["NAME"] = name
        return seconds

    def size_bytes(self) -> int:
        """Return what the server says of it."""
        return int(self._execute("SELECT pg_database_size(current_database())")[0])

    def _settings(self) -> dict[str, Any]:
        from django.db import connections

        return connections["default"].settings_dict

    def _disconnect(self) -> None:
        from django.db import connections

        connections.close_all()
        connections["default"].close_pool()

    def _execute(self, *statements: str, database: str = "") -> tuple[Any, ...]:
        import psycopg
        from django.db import connections

        parameters = connections["default"].get_connection_params()
        for name in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(name)
        if database:
            parameters["dbname"] = database
        found: tuple[Any, ...] = ()
        with psycopg.connect(**parameters, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                found = tuple(cursor.fetchone() or ()) if cursor.description else ()
        return found


class MongoDatabase:
    """A server's database; raw is the store alone, a transaction of bulk writes per batch."""

    paced = False

    def __init__(self, directory: Path) -> None:
        """Measure in the database that the settings name."""

    def prepare(self) -> None:
        """Drop it."""
        self._client().drop_database(self._settings()["NAME"])

    def copy(self) -> None:
        """Make a second database of the first, with its indexes."""
        client, name = self._client(), self._settings()["NAME"]
        client.drop_database(f"{name}_raw")
        source, target = client[name], client[f"{name}_raw"]
        for collection in source.list_collection_names():
            target.create_collection(collection)
            for index, details in source[collection].index_information().items():
                if index != "_id_":
                    target[collection].create_index(
                        details["key"],
                        name=index,
                        unique=details.get("unique", False),
                        partialFilterExpression=details.get("partialFilterExpression", {}),
                    )
            rows = list(source[collection].find())
            if rows:
                target[collection].insert_many(rows)

    def write_raw(self, writes: Writes) -> float:
        """Return the seconds that the recorded rows take."""
        from django.db import connections

        from exchange.store.factory import open_store

        settings = self._settings()
        name = settings["NAME"]
        del connections["default"]
        settings = self._settings()
        settings["NAME"] = f"{name}_raw"
        store = open_store()
        started = time.perf_counter()
        for fence, groups in writes:
            store.write(fence, groups)
        seconds = time.perf_counter() - started
        store.close()
        settings["NAME"] = name
        return seconds

    def size_bytes(self) -> int:
        """Return what the server says of its documents."""
        stats = self._client()[self._settings()["NAME"]].command("dbStats")
        return int(stats["dataSize"])

    def _settings(self) -> dict[str, Any]:
        from django.db import connections

        return connections["default"].settings_dict

    def _client(self) -> Any:
        """Return a client that waits as long as it takes: a database is dropped in seconds."""
        from pymongo import MongoClient

        return MongoClient(self._settings()["HOST"])


DATABASES: dict[str, type[MeasuredDatabase]] = {
    "mongo": MongoDatabase,
    "postgres": PostgresDatabase,
    "sqlite": SqliteDatabase,
}
