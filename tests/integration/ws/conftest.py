"""A Redis, an exchange whose batches are published, a projector and a server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis as redis_module

from markets import selectors
from tests.support.exchange import inline_exchange as inline_exchange
from tests.support.live import LivePipeline, LiveServer
from tests.support.redis_server import redis_client as redis_client
from tests.support.redis_server import redis_url as redis_url


@pytest.fixture(autouse=True)
def fresh_catalogue() -> Iterator[None]:
    """Forget cached metadata around each test."""
    selectors.cache_clear()
    yield
    selectors.cache_clear()


@pytest.fixture
def pipeline(
    transactional_db: None, inline_exchange: Any, redis_client: redis_module.Redis
) -> Iterator[LivePipeline]:
    """An exchange with two markets, and a projector that has begun."""
    inline_exchange.seed_markets()
    live = LivePipeline(inline_exchange, redis_client)
    live.start()
    yield live
    live.stop()


@pytest.fixture
async def server(pipeline: LivePipeline) -> AsyncIterator[LiveServer]:
    """The real application on a loopback port."""
    live = LiveServer()
    await live.start()
    yield live
    await live.stop()
