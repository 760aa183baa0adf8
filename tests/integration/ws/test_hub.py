"""What a hub hears of Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis as redis_module
from redis.asyncio.client import PubSub

from common.ws.hub import get_hub

pytestmark = pytest.mark.integration

CHANNEL = "sessions-that-ended"
HEARD_WITHIN_S = 10.0


async def test_a_channel_that_is_asked_for_while_it_connects_is_heard(
    redis_client: redis_module.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = asyncio.Event()
    subscribe = PubSub.subscribe

    async def while_connecting(subscription: PubSub, *channels: Any) -> None:
        # Once: what a hub that hears is asked for comes through here too.
        monkeypatch.setattr(PubSub, "subscribe", subscribe)
        hub.hear(CHANNEL, lambda _: heard.set())
        await subscribe(subscription, *channels)

    monkeypatch.setattr(PubSub, "subscribe", while_connecting)
    hub = get_hub()
    try:
        async with asyncio.timeout(HEARD_WITHIN_S):
            while not heard.is_set():
                await asyncio.to_thread(redis_client.publish, CHANNEL, b"7")
                await asyncio.sleep(0.01)
    finally:
        await hub.stop()

    assert heard.is_set()
