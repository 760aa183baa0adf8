"""
A migrated database of a test's own, whatever the backend, that other processes can open too.

The suite's own database rolls back after each test, which only this process's connection sees.
"""
# ruff: noqa: S608 - names of our own tables

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """A database: its name in Django's settings, and variables that name it to a process."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)


class Databases(Protocol):
    """What a backend needs for databases of a test's own."""

    def prepare(self, directory: Path) -> None:
        """Make a migrated database, once per session."""
        ...

    def open(self, directory: Path) -> OwnDatabase:
        """Return a database as it was migrated."""
        ...

    def clean(self, database: OwnDatabase) -> None:
        """Undo what a test has done to it."""
        ...

    def close(self) -> None:
        """Remove what is left."""
        ...


class SqliteDatabases:
    """Copies of a file."""

    def prepare(self, directory: Path) -> None:
        self._migrated = directory / "migrated.sqlite3"
        with default_database(str(self._migrated)):
            call_command("migrate", verbosity=0)
            connection.cursor().execute("PRAGMA journal_mode = WAL")

    def open(self, directory: Path) -> OwnDatabase:
        path = directory / "exchange.sqlite3"
        shutil.copy(self._migrated, path)
        return OwnDatabase(str(path), {"DATABASE_URL": f"sqlite:///{path}"})

    def clean(self, database: OwnDatabase) -> None:
        """Leave it to the test's directory."""

    def close(self) -> None:
        """Leave it to the session's directory."""


class PostgresDatabases:
    """One database for the session, brought back to what it was: making one takes a second."""

    def prepare(self, directory: Path) -> None:
        self._settings = connections["default"].settings_dict
        # Workers share the server.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "own")
        self._database = OwnDatabase(f"test_{worker}_processes")
        self._database.environment["DATABASE_URL"] = self._url(self._database.name)
        self._on_server(f'DROP DATABASE IF EXISTS "{self._database.name}" WITH (FORCE)')
        self._on_server(f'CREATE DATABASE "{self._database.name}"')
        with default_database(self._database.name):
            call_command("migrate", verbosity=0)
            self._tables = connection.introspection.table_names()
            with connection.cursor() as cursor:
                cursor.execute("CREATE SCHEMA kept")
                for table in self._filled(cursor):
                    cursor.execute(f'CREATE TABLE kept."{table}" AS TABLE public."{table}"')

    def open(self, directory: Path) -> OwnDatabase:
        return self._database

    def clean(self, database: OwnDatabase) -> None:
        with psycopg.connect(self._url(database.name)) as server, server.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            cursor.execute("SET session_replication_role = replica")
            for table in self._filled(cursor):
                cursor.execute(f'DELETE FROM public."{table}"'.encode())
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'kept'")
            for (table,) in cursor.fetchall():
                cursor.execute(f'INSERT INTO public."{table}" TABLE kept."{table}"'.encode())

    def close(self) -> None:
        self._on_server(f'DROP DATABASE "{self._database.name}" WITH (FORCE)')

    def _filled(self, cursor: Any) -> list[str]:
        """Return the tables that have rows."""
        looks = [
            f"SELECT '{table}' WHERE EXISTS (SELECT FROM public.\"{table}\")"
            for table in self._tables
        ]
        cursor.execute(" UNION ALL ".join(looks))
        return [row[0] for row in cursor.fetchall()]

    def _url(self, name: str) -> str:
        settings = self._settings
        user, password = quote(settings["USER"], ""), quote(settings["PASSWORD"], "")
        host, port = settings["HOST"], settings["PORT"]
        if host.startswith("/"):
            return f"postgresql://{user}@/{name}?host={host}"
        return f"postgresql://{user}:{password}@{host}:{port or 5432}/{name}"

    def _on_server(self, sql: str) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as server:
            server.execute(sql.encode())


class MongoDatabases:
    """One database for the session, brought back to what it was: making one takes seconds."""

    def prepare(self, directory: Path) -> None:
        # Workers share the server.
        worker = os.environ.get("PYTEST_XDIST_WORKER", "own")
        uri = connections["default"].settings_dict["HOST"]
        self._database = OwnDatabase(
            f"test_{worker}_processes",
            {"MONGODB_URI": uri, "DB_NAME": f"test_{worker}_processes"},
        )
        with default_database(self._database.name):
            self._server.drop_database(self._database.name)
            call_command("migrate", verbosity=0)
            self._kept = {name: list(rows.find()) for name, rows in self._collections()}

    def open(self, directory: Path) -> OwnDatabase:
        return self._database

    def clean(self, database: OwnDatabase) -> None:
        # Of processes that were killed within a transaction.
        self._server.admin.command("killAllSessions", [])
        for name, rows in self._collections():
            rows.delete_many({})
            if kept := self._kept.get(name):
                rows.insert_many(kept)

    def close(self) -> None:
        self._server.drop_database(self._database.name)

    @property
    def _server(self) -> Any:
        connections["default"].ensure_connection()
        return connections["default"].connection

    def _collections(self) -> Iterator[tuple[str, Any]]:
        """Yield the collections that hold something."""
        database = self._server[self._database.name]
        for name in database.list_collection_names():
            if database[name].find_one(projection=()) is not None:
                yield name, database[name]


@contextlib.contextmanager
def default_database(name: str) -> Iterator[None]:
    """Let new connections open another database; the suite's own connection stays open."""
    before = connections["default"]
    settings = before.settings_dict
    kept = settings["NAME"]
    del connections["default"]
    settings["NAME"] = name
    try:
        yield
    finally:
        connections["default"].close()
        settings["NAME"] = kept
        connections["default"] = before


_BACKENDS: dict[str, type[Databases]] = {
    "mongodb": MongoDatabases,
    "sqlite": SqliteDatabases,
    "postgresql": PostgresDatabases,
}


@pytest.fixture(scope="session")
def own_databases(
    django_test_environment: None,
    django_db_blocker: object,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Databases]:
    """What makes databases of a test's own on the backend of these settings."""
    databases = _BACKENDS[connection.vendor]()
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        databases.prepare(tmp_path_factory.mktemp("database"))
        yield databases
        databases.close()


@pytest.fixture
def own_database(
    own_databases: Databases, tmp_path: Path, django_db_blocker: object
) -> Iterator[OwnDatabase]:
    """A database of the test's own, which this process's connections use too."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        database = own_databases.open(tmp_path)
        with default_database(database.name):
            yield database
        own_databases.clean(database)


@pytest.fixture
def database_file(own_database: OwnDatabase) -> Path:
    """The file of the test's own database, for tests of what SQLite alone has."""
    if connection.vendor != "sqlite":
        pytest.skip("about the file of a SQLite database")
    return Path(own_database.name)
