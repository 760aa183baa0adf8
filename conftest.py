"""Rules of the whole suite: tests that need more than memory live where they say so."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.signals import setting_changed

from common import redis as redis_clients
from exchange import database_rest, gateway, redis_rest
from exchange.dispatch.threads import forget_dispatcher
from tests.support import searching as searching  # How hypothesis searches, for all tests.
from tests.support.databases import database_file, own_database, own_databases

# Here, so that the session has one: a fixture imported by several conftests is several.
__all__ = ["database_file", "own_database", "own_databases"]

ROOT = Path(__file__).resolve().parent
# The first folder below tests/ gives the marker; unit and property tests carry none.
MARKERS = {
    "db_contract": "integration",
    "functional": "functional",
    "integration": "integration",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder; leave out all of them when their database cannot be had."""
    missing = getattr(settings, "DATABASE_MISSING", "")
    if missing and os.environ.get("CI"):
        raise pytest.UsageError(missing)
    for item in items:
        parts = item.path.relative_to(ROOT).parts
        if len(parts) > 1 and parts[1] in MARKERS:
            item.add_marker(MARKERS[parts[1]])
        if missing:
            item.add_marker(pytest.mark.skip(reason=missing))


def _forget_redis(*, setting: str, **_: object) -> None:
    """Let nobody go on talking to the Redis of another test."""
    if setting == "REDIS_URL":
        redis_clients.reset_clients()
        forget_dispatcher()


setting_changed.connect(_forget_redis)


@pytest.fixture(autouse=True)
def _forgets() -> Iterator[None]:
    """Forget what this test left in the process: its exchange, and what was away."""
    yield
    gateway.use_inline(None)
    forget_dispatcher()
    redis_rest.forget_failures()
    database_rest.forget_silence()
