"""
What a database must do for this platform: the same tests on each.

``make test`` runs them once per settings module (``tests.settings``,
``tests.settings_postgres``); nothing here may know which database it is on, but by name in
``tests/support/databases.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from exchange.models import POSITION_ID, LogPosition
from exchange.store.base import Store
from exchange.store.factory import open_store
from tests.support.databases import OwnDatabase
from tests.support.processes import redis_server, redis_session

__all__ = ["redis_server", "redis_session"]

# What only one database has is not even collected on another.
_POSTGRESQL_ONLY = [
    "test_partitions.py",
    "test_plans.py",
    "test_postgresql.py",
    "test_postgresql_backups.py",
]
collect_ignore = [] if connection.vendor == "postgresql" else _POSTGRESQL_ONLY

EPOCH = 7


@pytest.fixture
def store(own_database: OwnDatabase) -> Iterator[Store]:
    """A store on a database of its own, whose leader has ``EPOCH``."""
    LogPosition.objects.create(id=POSITION_ID, epoch=EPOCH)
    opened = open_store(paced=False)
    yield opened
    opened.close()
