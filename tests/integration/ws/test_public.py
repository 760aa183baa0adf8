"""Public channels over a real socket, with the real projector."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import pytest

from common.ws import topics
from exchange.core.enums import Side
from exchange.core.units import ATOMS
from simulation.streams.replicas import BookReplica
from tests.support import random_trading
from tests.support.exchange import BTC_USDT, limit_order
from tests.support.live import LiveClient, LivePipeline, LiveServer

pytestmark = pytest.mark.integration

MAKER, TAKER = random_trading.ACCOUNTS


def _levels(pipeline: LivePipeline) -> tuple[list[list[str]], list[list[str]]]:
    bids, asks = pipeline.exchange.exchange.book_levels(BTC_USDT, 1_000)
    return tuple(  # type: ignore[return-value]
        [[f"{price / ATOMS:.2f}", f"{quantity / ATOMS:.5f}"] for price, quantity in side]
        for side in (bids, asks)
    )


async def test_book_begins_with_a_snapshot_and_goes_on_with_changes(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    random_trading.fund(pipeline.exchange)
    client = await server.connect("/ws/market")
    await client.send(op="subscribe", id=1, channels=["book:BTC/USDT"])

    assert await client.receive() == {
        "type": "subscribed",
        "id": 1,
        "channels": ["book:BTC/USDT"],
    }
    snapshot = await client.receive()
    order = limit_order(MAKER, Side.BUY, price=49_000, quantity_atoms=ATOMS // 2)
    await asyncio.to_thread(pipeline.exchange.apply, order)
    delta = await client.until(type="delta")

    assert (snapshot["channel"], snapshot["type"]) == ("book:BTC/USDT", "snapshot")
    assert (snapshot["data"]["bids"], snapshot["data"]["asks"]) == ([], [])
    assert delta["prev"] == snapshot["seq"]
    assert delta["seq"] == pipeline.exchange.exchange.sequences.command
    assert delta["data"] == {
        "first": delta["seq"],
        "bids": [["49000.00", "0.50000"]],
        "asks": [],
    }
    stored: Any = pipeline.redis.get(topics.book_key(BTC_USDT))
    assert json.loads(stored)["bids"] == [["49000.00", "0.50000"]]
    assert json.loads(stored)["seq"] == delta["seq"]


async def test_trade_reaches_tape_price_ticker_and_candles(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    random_trading.fund(pipeline.exchange)
    prices = await server.connect("/ws/prices")
    market = await server.connect("/ws/market")
    await prices.send(
        op="subscribe", channels=["price:BTC/USDT", "ticker:BTCUSDT", "trade:BTC-USDT"]
    )
    await market.send(op="subscribe", channels=["kline:BTC-USDT:1m"])
    first = await prices.snapshots("price:BTC/USDT", "ticker:BTCUSDT", "trade:BTC-USDT")
    await market.until(channel="kline:BTC-USDT:1m", type="snapshot")

    def trade() -> None:
        for account, side in ((MAKER, Side.SELL), (TAKER, Side.BUY)):
            order = limit_order(account, side, price=50_100, quantity_atoms=ATOMS)
            pipeline.exchange.apply(order)

    await asyncio.to_thread(trade)
    tape = await prices.until(channel="trade:BTC-USDT", type="update")
    candle = await market.until(type="update")

    assert first["price:BTC/USDT"]["data"]["price"] == "50000.00"
    assert tape["prev"] == 0
    assert tape["data"]["trades"] == [
        {
            "id": "1",
            "price": "50100.00",
            "quantity": "1.00000",
            "side": "buy",
            "time": tape["data"]["trades"][0]["time"],
        }
    ]
    assert (candle["data"]["close"], candle["data"]["volume"]) == ("50100.00", "1.00000")
    ticker = await _ticker_with_volume(prices)
    assert ticker["last"] == "50100.00"
    assert (ticker["volume"], ticker["quote_volume"]) == ("1.00000", "50100.00000000")


async def _ticker_with_volume(client: LiveClient) -> dict[str, Any]:
    while True:
        frame = await client.until(channel="ticker:BTCUSDT")
        if frame["data"]["trade_count"]:
            data: dict[str, Any] = frame["data"]
            return data


async def test_book_is_rebuilt_exactly_under_random_trading_with_lost_frames(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    """P14: what a client rebuilds equals the exchange's book, or the client knows better."""
    random_trading.fund(pipeline.exchange)
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    replica = BookReplica()
    client = await server.connect("/ws/market")
    await client.send(op="subscribe", channels=["book:BTC-USDT"])
    done = False

    def trade() -> None:
        for _ in range(1_000):
            random_trading.step(pipeline.exchange, chance)
            time.sleep(0.002)

    async def listen() -> None:
        losing = random.Random(seed + 1)
        while True:
            frame = await client.receive(10)
            if frame.get("channel") != "book:BTC-USDT":
                continue
            if frame["type"] in {"delta", "heartbeat"} and not done and losing.random() < 0.15:
                continue
            gaps = replica.gaps
            replica.take(frame)
            if replica.gaps > gaps:
                await client.send(op="subscribe", channels=["book:BTC-USDT"])

    listener = asyncio.create_task(listen())
    await asyncio.to_thread(trade)
    done = True
    ends = time.monotonic() + 5
    while time.monotonic() < ends and replica.levels() != _levels(pipeline):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    listener.cancel()

    assert replica.gaps > 0
    assert replica.levels() == _levels(pipeline)
    stored: Any = pipeline.redis.get(topics.book_key(BTC_USDT))
    rest = json.loads(stored)
    assert ([*rest["bids"]], [*rest["asks"]]) == _levels(pipeline)


async def test_a_new_leader_of_the_exchange_resets_and_snapshots_follow(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    client = await server.connect("/ws/market")
    await client.send(op="subscribe", channels=["book:BTC-USDT", "trade:BTC-USDT"])
    before = (await client.snapshots("book:BTC-USDT", "trade:BTC-USDT"))["book:BTC-USDT"]

    epoch = pipeline.exchange.published[-1].epoch + 1
    pipeline.publisher.publish_books(reset=True, epoch=epoch)
    reset = await client.until(type="reset", channel="book:BTC-USDT")
    after = await client.until(type="snapshot", channel="book:BTC-USDT")

    assert reset["epoch"] > before["epoch"]
    assert (reset["seq"], "data" in reset) == (0, False)
    assert after["epoch"] == reset["epoch"]


async def test_a_restarted_projector_resets_every_channel(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    client = await server.connect("/ws/market")
    await client.send(op="subscribe", channels=["book:BTC-USDT"])
    before = await client.until(type="snapshot")

    await asyncio.to_thread(pipeline.stop)
    await asyncio.to_thread(pipeline.start)
    reset = await client.until(type="reset")
    after = await client.until(type="snapshot")

    assert before["epoch"] < reset["epoch"] == after["epoch"]


async def test_an_emptied_redis_heals_by_itself(pipeline: LivePipeline, server: LiveServer) -> None:
    client = await server.connect("/ws/market")
    await client.send(op="subscribe", channels=["book:BTC-USDT"])
    before = await client.until(type="snapshot")

    await asyncio.to_thread(pipeline.redis.flushall)
    after = await client.until(type="snapshot", timeout_s=8)

    assert after["epoch"] > before["epoch"]


async def test_quiet_channels_say_their_last_sequence_every_second(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    client = await server.connect("/ws/market")
    await client.send(op="subscribe", channels=["book:BTC-USDT"])
    snapshot = await client.until(type="snapshot")

    heartbeat = await client.until(type="heartbeat")

    assert (heartbeat["epoch"], heartbeat["seq"]) == (snapshot["epoch"], snapshot["seq"])
