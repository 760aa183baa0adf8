"""Rules of the whole suite: tests that need more than memory live where they say so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange import gateway

ROOT = Path(__file__).resolve().parent
# The first folder below tests/ gives the marker; unit and property tests carry none.
MARKERS = {"integration": "integration", "functional": "functional"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder."""
    for item in items:
        parts = item.path.relative_to(ROOT).parts
        if len(parts) > 1 and parts[1] in MARKERS:
            item.add_marker(MARKERS[parts[1]])


@pytest.fixture(autouse=True)
def _own_exchange() -> Iterator[None]:
    """Forget an exchange that a request of this test made in-process: its rows go with it."""
    yield
    gateway.use_inline(None)
