"""T13 on sockets: nothing that names one user is in any frame of another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from accounts import authentication, sessions
from common import limits
from exchange.core.enums import Side
from exchange.core.units import ATOMS
from tests.support.exchange import limit_order
from tests.support.live import LiveClient, LivePipeline, LiveServer
from tests.support.people import Person, login

CANARY = "canary_7f3a"
PUBLIC = {
    "/ws/market": ["book:BTC-USDT", "trade:BTC-USDT", "kline:BTC-USDT:1m"],
    "/ws/prices": ["price:BTC-USDT", "ticker:BTC-USDT"],
}


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Begin like a process that has just started."""
    limits.reset()
    sessions.reset()
    authentication.forget_checked()
    yield
    sessions.reset()


async def _frames(client: LiveClient) -> list[dict[str, Any]]:
    """Return everything up to the answer to a ping."""
    await client.send(op="ping", id=99)
    frames = []
    while not frames or frames[-1].get("id") != 99:
        frames.append(await client.receive())
    return frames


async def _told(client: LiveClient, channel: str) -> str:
    """Return everything up to the first answer to a ping after an update of a channel."""
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        while (channel, "update") not in {(f.get("channel"), f["type"]) for f in told}:
            told += await _frames(client)
            await asyncio.sleep(0.02)
    return json.dumps(told)


async def test_t13_a_trade_names_nobody_to_the_other_side(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    canary = await asyncio.to_thread(Person, CANARY, pipeline.exchange)
    bob = await asyncio.to_thread(Person, "bob", pipeline.exchange)
    own, others = await login(server, canary), {"bob": await login(server, bob)}
    for client in (own, others["bob"]):
        await client.send(op="subscribe", channels=["orders", "fills", "balances"])
        await client.snapshots("orders", "fills", "balances")
    for path, channels in PUBLIC.items():
        others[path] = await server.connect(path)
        await others[path].send(op="subscribe", channels=channels)
        # A trade before the first image is told in it, and by no update.
        await others[path].snapshots(*channels)

    def trade() -> None:
        for person, side in ((canary, Side.SELL), (bob, Side.BUY)):
            order = limit_order(
                person.account_id,
                side,
                price=50_000,
                quantity_atoms=ATOMS,
                client_order_id=f"{person.user.username}-1",
            )
            pipeline.exchange.apply(order)

    await asyncio.to_thread(trade)
    secrets = {CANARY, str(canary.account_id), str(canary.user.pk), str(canary.session_id)}
    told = {
        "bob": await _told(others.pop("bob"), "fills"),
        "/ws/market": await _told(others.pop("/ws/market"), "trade:BTC-USDT"),
    }
    told |= {name: json.dumps(await _frames(client)) for name, client in others.items()}

    assert {name: [s for s in secrets if s in text] for name, text in told.items()} == {
        name: [] for name in told
    }
    assert f"{CANARY}-1" in await _told(own, "orders")


@pytest.mark.parametrize("channel", ["orders:{}", "orders@{}", "user:{}", "{}", "balances:{}"])
async def test_t13_another_accounts_channel_cannot_be_named(
    pipeline: LivePipeline, server: LiveServer, channel: str
) -> None:
    canary = await asyncio.to_thread(Person, CANARY, pipeline.exchange)
    bob = await asyncio.to_thread(Person, "bob", pipeline.exchange)
    client = await login(server, bob)

    await client.send(op="subscribe", id=7, channels=[channel.format(canary.account_id)])
    answer = await client.receive()

    assert answer["type"] == "error"
    assert answer["error"]["code"] in ("UNKNOWN_CHANNEL", "FORBIDDEN", "UNKNOWN_SYMBOL")
