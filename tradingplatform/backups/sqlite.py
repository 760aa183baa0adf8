"""Backups of a SQLite file: one consistent copy, made while the exchange goes on writing."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import connections

from tradingplatform.backups.manifest import BackupError

COPY_ALIAS = "backup"
COPY_NAME = "exchange.sqlite3"


def copy_database(directory: Path) -> str:
    """
    Copy the database into a directory and return the name of the file.

    ``VACUUM INTO`` reads one snapshot and locks nobody out; the backup interface of SQLite
    begins anew whenever another connection has written, and so never ends under load.

    Raises:
        BackupError: if the file cannot be read or the copy not written.
    """
    source = str(connections["default"].settings_dict["NAME"])
    copy = directory / COPY_NAME
    try:
        with contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as database:
            database.execute("VACUUM INTO ?", (str(copy),))
        # The copy is one file, without a journal beside it.
        with copy.open("rb") as file:
            os.fsync(file.fileno())
    except (sqlite3.Error, OSError) as error:
        raise BackupError(f"database {source} cannot be copied to {copy}: {error}") from error
    return COPY_NAME


@contextlib.contextmanager
def opened_copy(path: Path) -> Iterator[str]:
    """Let the copy be read under an alias of Django's, which is returned."""
    settings: dict[str, Any] = dict(connections["default"].settings_dict)
    settings |= {"NAME": f"file:{path}?mode=ro&immutable=1", "OPTIONS": {"uri": True}}
    connections.databases[COPY_ALIAS] = settings
    try:
        yield COPY_ALIAS
    finally:
        connections[COPY_ALIAS].close()
        del connections[COPY_ALIAS]
        del connections.databases[COPY_ALIAS]


def put_back(directory: Path, name: str) -> None:
    """
    Make a copy the database.

    Raises:
        BackupError: if the file cannot be written.
    """
    target = Path(str(connections["default"].settings_dict["NAME"]))
    connections["default"].close()
    partial = target.with_name(f"{target.name}.restoring")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(directory / name, partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        for left in (f"{target}-wal", f"{target}-shm"):
            Path(left).unlink(missing_ok=True)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise BackupError(f"{target} cannot be written: {error.strerror}") from error
