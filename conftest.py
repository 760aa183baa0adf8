"""Rules of the whole suite: tests that need more than memory live where they say so."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from exchange import gateway
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


@pytest.fixture(autouse=True)
def _own_exchange() -> Iterator[None]:
    """Forget an exchange that a request of this test made in-process: its rows go with it."""
    yield
    gateway.use_inline(None)
