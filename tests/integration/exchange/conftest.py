"""Fixtures of the tests that need a database file or a Redis."""

from tests.support.exchange import inline_exchange
from tests.support.processes import (
    database_file,
    migrated_file,
    redis_server,
    redis_session,
)

__all__ = [
    "database_file",
    "inline_exchange",
    "migrated_file",
    "redis_server",
    "redis_session",
]
