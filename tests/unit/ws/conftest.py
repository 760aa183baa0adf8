"""A hub that is connected to nothing."""

from collections.abc import AsyncIterator

import pytest

from common.ws import consumer
from common.ws.hub import Hub


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    """The hub that every consumer of the test finds; frames come only from the test."""
    made = Hub()
    monkeypatch.setattr(consumer, "get_hub", lambda: made)
    yield made
    await made.stop()
