"""Fixtures of the tests that need a Redis."""

from tests.support.exchange import inline_exchange
from tests.support.processes import redis_server, redis_session
from tests.support.runner_thread import runner, seeded

__all__ = [
    "inline_exchange",
    "redis_server",
    "redis_session",
    "runner",
    "seeded",
]
