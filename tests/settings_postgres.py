"""
Settings of the suite on PostgreSQL.

A server is started by the first process that reads this; ``DATABASE_URL`` names another one,
in which databases called ``test_...`` are made and removed.
"""

import atexit
import os

from simulation.postgres_server import NoPostgresError, PostgresServer

_URL = "TEST_POSTGRES_URL"  # handed down to the workers
_given = os.environ.get(_URL) or os.environ.get("DATABASE_URL", "")

from tests.settings import *  # noqa: E402, F403 - it takes DATABASE_URL out of the environment
from tradingplatform.databases import parse_postgresql, postgresql_settings  # noqa: E402

# Why no test can run, "" when all can.
DATABASE_MISSING = ""

if not _given:
    try:
        _server = PostgresServer()
    except NoPostgresError as _error:
        DATABASE_MISSING = str(_error)
    else:
        atexit.register(_server.remove)
        _server.start()
        _given = _server.url
if _given:
    os.environ[_URL] = _given
    DATABASES = {"default": postgresql_settings(parse_postgresql(_given), pool_min=1, pool_max=10)}
    # Each thread of a test has a connection of its own, closed with the thread.
    DATABASES["default"]["OPTIONS"].pop("pool")
    DATABASES["default"]["NAME"] = "exchange"
