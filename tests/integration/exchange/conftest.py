"""Fixtures of the tests that need a database of their own or a Redis."""

from tests.support.databases import database_file, own_database, own_databases
from tests.support.exchange import inline_exchange
from tests.support.processes import redis_server, redis_session

__all__ = [
    "database_file",
    "inline_exchange",
    "own_database",
    "own_databases",
    "redis_server",
    "redis_session",
]
