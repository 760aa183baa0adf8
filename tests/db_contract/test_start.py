"""What is checked before anything starts on a database."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from exchange.store.base import StoreUnusableError
from exchange.store.schema import check_schema
from tests.support.databases import OwnDatabase
from tradingplatform.supervisor.preflight import check_database
from tradingplatform.supervisor.problems import PreflightError


@pytest.fixture(autouse=True)
def _named_in_settings(own_database: OwnDatabase, settings: object) -> None:
    settings.DATABASE_URL = own_database.environment.get("DATABASE_URL", "")  # type: ignore[attr-defined]


def test_a_migrated_database_is_accepted() -> None:
    assert "MiB" in check_database()
    check_schema()


def test_one_of_a_newer_version_is_refused() -> None:
    MigrationRecorder(connection).record_applied("exchange", "0999_future")

    with pytest.raises(PreflightError, match=r"newer than this code \(exchange.0999_future"):
        check_database()
    with pytest.raises(StoreUnusableError, match="newer version"):
        check_schema()


def test_one_that_lacks_a_migration_is_refused_by_the_exchange() -> None:
    MigrationRecorder(connection).record_unapplied("exchange", "0001_initial")

    with pytest.raises(StoreUnusableError, match=r"run manage\.py migrate"):
        check_schema()
