"""Backups of a PostgreSQL database: ``pg_dump`` of the snapshot that was hashed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from django.db import connections

from tradingplatform.backups.manifest import BackupError

DUMP_NAME = "exchange.dump"
DUMP_TIME_S = 6 * 3_600


@contextlib.contextmanager
def snapshot() -> Iterator[tuple[psycopg.Connection[Any], str]]:
    """
    Hold one snapshot open; returns its connection and the name under which others join it.

    Raises:
        BackupError: if the server cannot be asked.
    """
    parameters = connections["default"].get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    # It stays open for as long as the dump takes.
    parameters["options"] = "-c idle_in_transaction_session_timeout=0 -c statement_timeout=0"
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            named = connection.execute("SELECT pg_export_snapshot()").fetchone()
            yield connection, str(named[0]) if named else ""
            connection.execute("ROLLBACK")
    except psycopg.Error as error:
        raise BackupError(f"database cannot be read: {' '.join(str(error).split())}") from error


def dump_database(directory: Path, snapshot_name: str) -> str:
    """
    Dump the database as one snapshot has it and return the name of the file.

    Raises:
        BackupError: if ``pg_dump`` is missing or fails.
    """
    path = directory / DUMP_NAME
    words = ["--format=custom", f"--snapshot={snapshot_name}", "--no-owner", "--no-privileges"]
    _run("pg_dump", *words, f"--file={path}", f"--dbname={_name()}")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return DUMP_NAME


def load_dump(directory: Path, name: str) -> None:
    """
    Fill the empty database from a dump, in one transaction.

    Raises:
        BackupError: if ``pg_restore`` is missing or fails; the database is empty then.
    """
    words = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    _run("pg_restore", *words, f"--dbname={_name()}", str(directory / name))


def _name() -> str:
    return str(connections["default"].settings_dict["NAME"])


def _run(program: str, *words: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise BackupError(f"{program} is not installed: install PostgreSQL's client programs")
    parameters = connections["default"].get_connection_params()
    # Not on the command line, where every user of the machine could read the password.
    variables = {
        "PGHOST": parameters.get("host"),
        "PGPORT": parameters.get("port"),
        "PGUSER": parameters.get("user"),
        "PGPASSWORD": parameters.get("password"),
        "PGSSLMODE": parameters.get("sslmode"),
        "PGSSLROOTCERT": parameters.get("sslrootcert"),
        "PGSSLCERT": parameters.get("sslcert"),
        "PGSSLKEY": parameters.get("sslkey"),
        "PGPASSFILE": parameters.get("passfile"),
    }
    given = {name: str(value) for name, value in variables.items() if value}
    done = subprocess.run(
        [found, *words],
        env=os.environ | given,
        capture_output=True,
        text=True,
        timeout=DUMP_TIME_S,
        check=False,
    )
    if done.returncode != 0:
        raise BackupError(f"{program} failed: {' '.join(done.stderr.split())[:300]}")
