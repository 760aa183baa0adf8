"""
Making a backup while everything runs, and making a database of one again.

Both compute the state hash from the rows that were copied: a backup that the exchange could
not load is found when it is made, not when it is needed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder

from exchange.core.engine import Exchange
from exchange.core.units import InvariantError
from exchange.lease import Owner
from exchange.position import Position
from exchange.processor import make_projections
from exchange.store.base import StoreError, StoreReader
from exchange.store.factory import open_store
from exchange.store.loader import load_image
from exchange.store.schema import check_schema
from exchange.store.tables import POSITION
from exchange.wire import now_ms
from tradingplatform.backups import sqlite
from tradingplatform.backups.manifest import (
    FORMAT,
    BackupError,
    Manifest,
    read_manifest,
    sha256_of,
    write_manifest,
)

PREFIX = "exchange-"
PARTIAL = ".partial"
# A leader renews its lease twice a second.
LEADER_QUIET_MS = 5_000


def make_backup(directory: Path) -> tuple[Path, Manifest]:
    """
    Back the database up into a new folder of a directory; readers and writers go on.

    The folder appears when it is whole.

    Raises:
        BackupError: with the remedy in one line; nothing is left behind.
    """
    created_ms = now_ms()
    moment = datetime.fromtimestamp(created_ms / 1_000, tz=UTC)
    whole = directory / f"{PREFIX}{moment:%Y%m%dT%H%M%S}-{created_ms % 1_000:03d}Z"
    partial = whole.with_name(whole.name + PARTIAL)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise BackupError(f"{partial} cannot be made: {error.strerror}") from error
    try:
        name, position, state_hash = _copied(partial)
        path = partial / name
        manifest = Manifest(
            format=FORMAT,
            created_ms=created_ms,
            vendor=connections["default"].vendor,
            file=name,
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
            migrations=_migrations(),
            epoch=position.epoch,
            batch=position.batch,
            last_command=position.last_command,
            state_hash=state_hash,
        )
        write_manifest(partial, manifest)
        partial.rename(whole)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return whole, manifest


def restore_backup(directory: Path) -> Manifest:
    """
    Make an empty or missing database what a backup holds, and prove that it is.

    Raises:
        BackupError: if the backup is damaged or of another version, the database is in use or
            not empty, or does not load to the state that the manifest names.
    """
    manifest = read_manifest(directory)
    vendor = connections["default"].vendor
    if manifest.vendor != vendor:
        raise BackupError(f"backup is of {manifest.vendor}, the database is {vendor}")
    _refuse_used_database()
    if vendor == "sqlite":
        sqlite.put_back(directory, manifest.file)
    else:
        from tradingplatform.backups import postgres

        postgres.load_dump(directory, manifest.file)
    try:
        check_schema()
        position, state_hash = _state_of(open_store())
    except StoreError as error:
        raise BackupError(f"restored, but not usable: {error}") from error
    if (position.batch, state_hash) != (manifest.batch, manifest.state_hash):
        raise BackupError(
            f"restored, but batch {position.batch} with state {state_hash} is not"
            f" batch {manifest.batch} with state {manifest.state_hash}: do not use this database"
        )
    return manifest


def prune_backups(directory: Path, keep: int) -> list[Path]:
    """Delete all but the newest ``keep`` backups of a directory and return those deleted."""
    found = sorted(
        path for path in directory.glob(f"{PREFIX}*") if path.is_dir() and path.suffix != PARTIAL
    )
    old = found[:-keep]
    for path in old:
        shutil.rmtree(path)
    return old


def _copied(directory: Path) -> tuple[str, Position, str]:
    """Copy the database; return the file's name, and position and hash of what it holds."""
    vendor = connections["default"].vendor
    if vendor == "sqlite":
        name = sqlite.copy_database(directory)
        with sqlite.opened_copy(directory / name) as alias:
            return (name, *_state_of(open_store(alias, paced=False)))
    if vendor == "postgresql":
        from exchange.store.postgres import PostgresReader
        from tradingplatform.backups import postgres

        with postgres.snapshot() as (connection, snapshot_name):
            position, state_hash = _hashed(PostgresReader(connection))
            return postgres.dump_database(directory, snapshot_name), position, state_hash
    raise BackupError(
        f"{vendor} is backed up by its own tools (mongodump, snapshots of the volume);"
        " afterwards run manage.py verify_ledger on a restored copy"
    )


def _state_of(store: Any) -> tuple[Position, str]:
    try:
        with store.snapshot() as reader:
            return _hashed(reader)
    finally:
        store.close()


def _hashed(reader: StoreReader) -> tuple[Position, str]:
    try:
        position, image = load_image(reader, make_projections())
        return position, Exchange.load(image).state_hash()
    except (StoreError, InvariantError, KeyError) as error:
        raise BackupError(f"the rows do not describe a state: {error}") from error


def _migrations() -> list[str]:
    applied: Sequence[tuple[str, str]] = sorted(
        MigrationRecorder(connections["default"]).applied_migrations()
    )
    return [f"{app}.{name}" for app, name in applied]


def _refuse_used_database() -> None:
    """Refuse a database in which anything has happened; one without tables is empty."""
    connection = connections["default"]
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return
    try:
        tables = connection.introspection.table_names()
        if POSITION.name not in tables:
            if tables and connection.vendor != "sqlite":
                raise BackupError("the database has tables of others: name an empty one")
            return
        row = _recorded_position()
    except (DatabaseError, StoreError) as error:
        raise BackupError(
            f"the database that is there cannot be read ({error}): move it away"
        ) from error
    if row is not None and row.owner and _leads(row):
        raise BackupError("an exchange runs on this database: stop the platform first")
    if row is not None and row.batch:
        raise BackupError("the database is not empty: move it away, or name another one")
    if connection.vendor != "sqlite":
        raise BackupError("the database has tables already: name an empty one")


def _recorded_position() -> Position | None:
    store = open_store()
    try:
        with store.snapshot() as reader:
            return next((Position(*row) for row in reader.rows(POSITION)), None)
    finally:
        store.close()


def _leads(row: Position) -> bool:
    owner = Owner(row.owner, row.owner_pid, row.owner_started)
    if owner.is_here():
        return owner.is_alive()
    return time.time() * 1_000 - row.renewed_ms < LEADER_QUIET_MS
