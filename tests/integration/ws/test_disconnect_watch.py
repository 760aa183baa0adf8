"""Cancel on disconnect when processes die, the exchange is away or the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis as redis_module

from common.ws.hub import Hub
from exchange import gateway
from exchange.core.commands import CancelAllOrders
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.errors import ExchangeUnavailable
from orders import ws_disconnect
from orders.ws_disconnect import DisconnectWatch, Wish, alive_key, wishes_key

pytestmark = pytest.mark.integration


class Exchange:
    """Keeps what is submitted; may be away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[CancelAllOrders] = []
        self.is_away = False
        monkeypatch.setattr(gateway, "submit_async", self.submit)

    async def submit(self, command: Any) -> Outcome:
        if self.is_away:
            raise ExchangeUnavailable
        self.commands.append(command)
        return Outcome(Code.OK, 0, [])

    async def received(self, number: int) -> list[CancelAllOrders]:
        async with asyncio.timeout(30):
            while len(self.commands) < number:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.01)
        return self.commands


async def _kept(redis_client: redis_module.Redis, wishes: dict[bytes, bytes]) -> None:
    """Wait until just these wishes are kept in Redis."""
    async with asyncio.timeout(30):
        while redis_client.hgetall(wishes_key()) != wishes:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Exchange:
    monkeypatch.setattr(ws_disconnect, "ALIVE_EVERY_S", 0.05)
    monkeypatch.setattr(ws_disconnect, "SEARCH_EVERY_S", 0.05)
    return Exchange(monkeypatch)


@pytest.fixture
async def hub(redis_client: redis_module.Redis) -> AsyncIterator[Hub]:
    """A hub for the tasks of a watch; it hears nothing."""
    made = Hub()
    yield made
    await made.stop()


async def test_a_killed_process_s_wishes_are_carried_out_by_another(
    hub: Hub, exchange: Exchange, redis_client: redis_module.Redis
) -> None:
    redis_client.hset(wishes_key(), "dead:1", Wish(7, 1).encode())
    redis_client.hset(wishes_key(), "living:1", Wish(8).encode())
    redis_client.set(alive_key("living"), 1)

    watch = DisconnectWatch(hub)
    await exchange.received(1)
    await _kept(redis_client, {b"living:1": b"8:0"})

    assert exchange.commands == [CancelAllOrders(account_id=7, market_id=1)]
    redis_client.delete(alive_key("living"))
    assert (await exchange.received(2))[1] == CancelAllOrders(account_id=8)
    await watch.stop()


async def test_an_exchange_that_is_away_is_asked_again(
    hub: Hub, exchange: Exchange, redis_client: redis_module.Redis
) -> None:
    watch = DisconnectWatch(hub)
    field, wish = watch.make_field(), Wish(7)
    await watch.keep(field, wish)
    exchange.is_away = True

    watch.fulfil(field, wish)
    await asyncio.sleep(0.2)
    kept = redis_client.hgetall(wishes_key())
    exchange.is_away = False
    await exchange.received(1)
    await _kept(redis_client, {})

    assert kept == {field.encode(): b"7:0"}
    assert exchange.commands == [CancelAllOrders(account_id=7)]


async def test_a_server_that_stops_cancels_first_and_leaves_the_rest_to_others(
    hub: Hub, exchange: Exchange, redis_client: redis_module.Redis
) -> None:
    watch = DisconnectWatch(hub)
    first, second = watch.make_field(), watch.make_field()
    await watch.keep(first, Wish(7))
    await watch.keep(second, Wish(8))

    watch.fulfil(first, Wish(7))
    await watch.stop()

    assert exchange.commands == [CancelAllOrders(account_id=7)]
    assert redis_client.hgetall(wishes_key()) == {second.encode(): b"8:0"}


async def test_a_wish_that_was_dropped_is_not_carried_out(
    hub: Hub, exchange: Exchange, redis_client: redis_module.Redis
) -> None:
    watch = DisconnectWatch(hub)
    field = watch.make_field()
    await watch.keep(field, Wish(7))
    alive = redis_client.pttl(alive_key(field.partition(":")[0]))
    await watch.drop(field)
    await watch.stop()

    assert 9_000 < alive <= 10_000
    assert redis_client.hgetall(wishes_key()) == {}
    assert exchange.commands == []
