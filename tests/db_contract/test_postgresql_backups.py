"""A backup of PostgreSQL: a dump of the snapshot that was hashed, restored into an empty one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from exchange import gateway
from exchange.core.enums import Side
from exchange.core.units import ATOMS
from exchange.models import LogPosition
from exchange.processor import make_projections
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from simulation.postgres_server import NoPostgresError, find_binaries
from tests.support.databases import OwnDatabase, default_database
from tests.support.exchange import ExchangeHarness, limit_order
from tradingplatform.backups.manifest import BackupError
from tradingplatform.backups.service import make_backup, restore_backup

ALICE = 1_000_000_001
NEW = "test_restored"


def on_server(statement: str) -> None:
    parameters = connection.get_connection_params() | {"dbname": "postgres"}
    for name in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters, autocommit=True) as server:
        server.execute(sql.SQL(statement).format(sql.Identifier(NEW)))  # type: ignore[arg-type]


@pytest.fixture
def filled(own_database: OwnDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in which somebody has traded, and PostgreSQL's programs on the path."""
    try:
        binaries = find_binaries()
    except NoPostgresError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    harness = ExchangeHarness()
    harness.seed_markets()
    harness.add_account(ALICE, BTC=10, USDT=1_000_000)
    for price in (100, 101, 102):
        gateway.submit(limit_order(ALICE, Side.BUY, price=price, quantity_atoms=ATOMS))
    LogPosition.objects.update(owner="", owner_pid=0)


@pytest.fixture
def empty_database() -> Iterator[str]:
    on_server("CREATE DATABASE {}")
    yield NEW
    on_server("DROP DATABASE {} WITH (FORCE)")


@pytest.mark.usefixtures("filled")
def test_restores_to_the_state_it_names(tmp_path: Path, empty_database: str) -> None:
    directory, manifest = make_backup(tmp_path)

    with default_database(empty_database):
        assert restore_backup(directory) == manifest
        assert rows_hash(open_store(), make_projections()) == manifest.state_hash
        assert LogPosition.objects.get().batch == manifest.batch


@pytest.mark.usefixtures("filled")
def test_is_refused_over_a_database_that_is_not_empty(tmp_path: Path) -> None:
    directory, manifest = make_backup(tmp_path)

    with pytest.raises(BackupError, match="not empty"):
        restore_backup(directory)

    assert LogPosition.objects.get().batch == manifest.batch


@pytest.mark.usefixtures("filled")
def test_names_the_program_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BackupError, match="pg_dump is not installed"):
        make_backup(tmp_path / "backups")

    assert list((tmp_path / "backups").iterdir()) == []
