"""The SDK against the real server: what it rebuilds is what the platform has."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import User
from exchange.core.enums import Side
from exchange.core.units import ATOMS
from tests.integration.sdk.conftest import PASSWORD, MakeClient
from tests.support.exchange import limit_order
from tests.support.live import LivePipeline, LiveServer
from tests.support.random_trading import step
from tradingclient import (
    AsyncTradingClient,
    AuthenticationError,
    NotFoundError,
    OrderBook,
    Password,
    State,
)

pytestmark = pytest.mark.integration

BTC = "BTC/USDT"


async def eventually(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)


def rest(pipeline: LivePipeline, user: User, side: Side, price: int, units: float = 1) -> None:
    pipeline.exchange.apply(
        limit_order(user.account_id, side, price=price, quantity_atoms=int(units * ATOMS))
    )


async def same_book(client: AsyncTradingClient, book: OrderBook) -> bool:
    truth = await client.rest.order_book(BTC, depth=1_000)
    return book.levels(1_000) == (truth.bids, truth.asks)


async def until_same(client: AsyncTradingClient, book: OrderBook) -> None:
    async with asyncio.timeout(30):
        while not await same_book(client, book):  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)


async def test_prices_have_the_names_of_the_product_sheet(
    connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
) -> None:
    client = connect(None)
    prices: list[Any] = []
    client.on("price:BTC/USDT", prices.append)

    await client.subscribe_prices([BTC, "ETH/USDT"])

    await eventually(lambda: bool(prices))
    assert prices[0].price == Decimal(50_000)


async def test_tickers_trades_and_candles_arrive(
    connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
) -> None:
    client = connect(None)
    seen: dict[str, list[Any]] = {"ticker": [], "trade": [], "kline": []}
    client.on("ticker:BTC/USDT", seen["ticker"].append)
    client.on("trade:BTC/USDT", seen["trade"].append)
    client.on("kline:BTC/USDT:1m", seen["kline"].append)
    await client.subscribe_tickers([BTC])
    await client.subscribe_trades([BTC])
    await client.subscribe_klines([BTC], "1m")

    for price in (50_000, 50_010):
        rest(pipeline, users["alice"], Side.SELL, price)
        rest(pipeline, users["bob"], Side.BUY, price)

    await eventually(lambda: len(seen["trade"]) == 2)
    assert [trade.price for trade in seen["trade"]] == [50_000, 50_010]
    await eventually(lambda: bool(seen["ticker"]) and seen["ticker"][-1].last == 50_010)
    await eventually(lambda: bool(seen["kline"]) and seen["kline"][-1].high == 50_010)


class TestBook:
    async def test_follows_random_trading(
        self, connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
    ) -> None:
        client = connect(None)
        book = await client.order_book(BTC)
        chance = random.Random(7)
        accounts = [user.account_id for user in users.values()]

        def trade() -> None:
            for _ in range(120):
                step(pipeline.exchange, chance, accounts)
                time.sleep(0.002)

        await asyncio.to_thread(trade)

        await until_same(client, book)
        assert book.is_live

    async def test_finds_a_gap_and_begins_again(
        self, connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
    ) -> None:
        client = connect(None)
        gaps: list[str] = []
        client.on("gap", gaps.append)
        book = await client.order_book(BTC)
        rest(pipeline, users["alice"], Side.BUY, 49_000)
        await eventually(lambda: len(book.bids) == 1)
        channel = client.connection("market").channels["book:BTC/USDT"]
        # The client loses one frame, as if the network had.
        taken = channel.take
        lost = 0

        def lose_one(frame: Any, verdict: Any) -> None:
            nonlocal lost
            lost += 1
            channel.rule.last = frame.prev
            channel.take = taken

        channel.take = lose_one
        rest(pipeline, users["alice"], Side.BUY, 49_001)
        await eventually(lambda: lost == 1)
        assert Decimal(49_001) not in book.bids

        rest(pipeline, users["alice"], Side.BUY, 49_002)

        await eventually(lambda: gaps == ["book:BTC/USDT"])
        await eventually(lambda: book.is_live and Decimal(49_002) in book.bids)
        await until_same(client, book)
        assert Decimal(49_001) in book.bids
        assert channel.rule.gaps == 1

    async def test_comes_back_by_itself_after_the_server_was_lost(
        self,
        connect: MakeClient,
        pipeline: LivePipeline,
        users: dict[str, User],
    ) -> None:
        client = connect(None)
        states: list[State] = []
        client.on("status", lambda status: states.append(status.state))
        book = await client.order_book(BTC)
        rest(pipeline, users["alice"], Side.BUY, 49_000)
        await eventually(lambda: len(book.bids) == 1)

        client.connection("market").drop()
        await eventually(lambda: not book.is_live)
        rest(pipeline, users["alice"], Side.BUY, 49_500)

        await eventually(lambda: book.is_live and len(book.bids) == 2)
        await eventually(lambda: states[-2:] == [State.RECONNECTING, State.LIVE])
        assert client.connection("market").reconnects == 1

    async def test_of_twenty_levels_shows_the_best_ones(
        self, connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
    ) -> None:
        for number in range(25):
            rest(pipeline, users["alice"], Side.BUY, 49_000 + number)
        client = connect(None)

        book = await client.order_book(BTC, depth=20)

        await eventually(lambda: book.best_bid == (Decimal(49_024), Decimal(1)))
        await eventually(lambda: len(book.bids) == 20)


async def test_an_unknown_market_is_refused_and_the_others_go_on(
    connect: MakeClient, pipeline: LivePipeline
) -> None:
    client = connect(None)
    prices: list[Any] = []
    client.on("price:BTC/USDT", prices.append)

    with pytest.raises(NotFoundError) as caught:
        await client.subscribe_prices([BTC, "NO/SUCH"])
    assert (caught.value.code, caught.value.channel) == ("UNKNOWN_SYMBOL", "price:NO/SUCH")
    await client.subscribe_prices([BTC])

    await eventually(lambda: bool(prices))


class TestAccount:
    async def test_is_rebuilt_and_stays_right(
        self, connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
    ) -> None:
        client = connect("alice")
        updates: list[Any] = []
        fills: list[Any] = []
        client.on("order:update", updates.append)
        client.on("fill:update", fills.append)
        account = await client.subscribe_user_streams(["orders", "fills", "wallet"])
        assert account.account_id == str(users["alice"].account_id)

        placed = await client.rest.place_order(
            symbol=BTC, side="sell", type="limit", price=50_000, quantity=Decimal("0.5")
        )
        await eventually(lambda: placed.id in account.orders)
        rest(pipeline, users["bob"], Side.BUY, 50_000, 0.2)

        await eventually(lambda: [fill.quantity for fill in fills] == [Decimal("0.2")])
        await eventually(lambda: account.orders[placed.id].filled_quantity == Decimal("0.2"))
        await client.rest.cancel_order(placed.id)
        await eventually(lambda: not account.orders)
        balances = {(item.currency, item.wallet): item for item in await client.rest.balances()}
        await eventually(lambda: account.balances == balances)
        # Handlers are called beside the loop that keeps the account, a moment later.
        await eventually(lambda: len(updates) == 3)
        assert [update.status for update in updates] == ["open", "partially_filled", "cancelled"]

    async def test_resumes_from_where_it_was(
        self, connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
    ) -> None:
        client = connect("alice")
        snapshots: list[Any] = []
        updates: list[str] = []
        client.on("account:snapshot", snapshots.append)
        client.on("order:update", lambda order: updates.append(f"{order.price:f}"))
        account = await client.subscribe_user_streams()
        rest(pipeline, users["alice"], Side.BUY, 49_000)
        await eventually(lambda: len(account.orders) == 1)
        before = len(snapshots)

        client.connection("user").drop()
        await eventually(lambda: not account.is_live)
        rest(pipeline, users["alice"], Side.BUY, 49_001)
        rest(pipeline, users["alice"], Side.BUY, 49_002)

        await eventually(lambda: account.is_live and len(account.orders) == 3)
        await eventually(lambda: len(updates) == 3)
        # Nothing was lost and nothing told twice: what came in between was sent again.
        assert updates == ["49000.00", "49001.00", "49002.00"]
        assert len(snapshots) == before == 1

    async def test_is_live_again_when_it_is_told_what_was_missed_and_not_before(
        self, connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
    ) -> None:
        client = connect("alice")
        updates: list[str] = []
        fills: list[Decimal] = []
        client.on("order:update", lambda order: updates.append(f"{order.price:f} {order.status}"))
        client.on("fill:update", lambda fill: fills.append(fill.quantity))
        account = await client.subscribe_user_streams()
        rest(pipeline, users["alice"], Side.BUY, 49_000)
        await eventually(lambda: len(account.orders) == 1)
        await asyncio.to_thread(pipeline.stop)
        connection = client.connection("user")

        connection.drop()
        await eventually(lambda: connection.reconnects == 1)
        await connection.ready()
        rest(pipeline, users["alice"], Side.BUY, 49_001)
        rest(pipeline, users["bob"], Side.SELL, 49_001, 0.2)
        await asyncio.sleep(0.1)
        # It is connected and subscribed, and what it shows is of before.
        assert connection.state is State.LIVE
        assert not account.is_live
        assert len(account.orders) == 1

        await asyncio.to_thread(pipeline.start)
        await eventually(lambda: account.is_live)
        assert len(account.orders) == 2
        await eventually(lambda: fills == [Decimal("0.2")])
        assert updates == ["49000.00 open", "49001.00 partially_filled"]

    async def test_of_a_wrong_password_fails_for_good(
        self, server: LiveServer, users: dict[str, User]
    ) -> None:
        client = AsyncTradingClient(
            f"http://127.0.0.1:{server.port}", credentials=Password("alice", PASSWORD + "x")
        )
        try:
            with pytest.raises(AuthenticationError) as caught:
                await client.subscribe_user_streams()
            assert caught.value.code == "INVALID_CREDENTIALS"
            assert client.connection("user").state is State.FAILED
        finally:
            await client.aclose()

    async def test_of_a_wrong_token_fails_for_the_reason_that_the_platform_told(
        self, server: LiveServer, users: dict[str, User]
    ) -> None:
        async with AsyncTradingClient(f"http://127.0.0.1:{server.port}", token="bad") as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.subscribe_user_streams()
            assert caught.value.code == "TOKEN_INVALID"

    async def test_logs_in_again_when_its_session_is_ended(
        self, connect: MakeClient, pipeline: LivePipeline, users: dict[str, User]
    ) -> None:
        client = connect("alice")
        account = await client.subscribe_user_streams()
        other = connect("alice")
        await other.rest.request("DELETE", "/api/auth/sessions")

        await eventually(lambda: client.connection("user").reconnects >= 1)
        await eventually(lambda: account.is_live)
        rest(pipeline, users["alice"], Side.BUY, 49_001)

        await eventually(lambda: len(account.orders) == 1)
