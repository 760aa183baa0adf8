"""The client for programs without asyncio: streams in its thread, orders from any other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import User
from tests.integration.sdk.conftest import PASSWORD
from tests.support.live import LiveServer
from tradingclient import InvalidRequestError, OrderBook, Password, TradingClient

pytestmark = pytest.mark.integration

BUY: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "price": 49_000,
    "quantity": Decimal("0.5"),
}


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


async def in_thread(server: LiveServer, work: Callable[[TradingClient], None]) -> None:
    """Run a program without asyncio beside the server, which lives in this thread's loop."""

    def run() -> None:
        url = f"http://127.0.0.1:{server.port}"
        with TradingClient(url, credentials=Password("alice", PASSWORD)) as client:
            work(client)

    await asyncio.to_thread(run)


async def test_follows_prices_book_and_account(server: LiveServer, users: dict[str, User]) -> None:
    def work(client: TradingClient) -> None:
        prices: list[Any] = []
        client.on("price:BTC/USDT", prices.append)
        client.subscribe_prices(["BTC/USDT"])
        book: OrderBook = client.order_book("BTC/USDT")
        account = client.subscribe_user_streams(["orders", "wallet"])

        placed = client.trading.place_order(**BUY)

        wait_until(lambda: placed.id in account.orders)
        wait_until(lambda: book.best_bid == (Decimal(49_000), Decimal("0.5")))
        wait_until(lambda: bool(prices))
        amended = client.trading.amend_order(placed.id, quantity=Decimal("0.25"))
        assert amended.quantity == Decimal("0.25")
        assert client.trading.cancel_order(placed.id).status == "cancelled"
        assert client.rest.open_orders() == []
        wait_until(lambda: not account.orders)

    await in_thread(server, work)


async def test_takes_batches_and_cancels_all(server: LiveServer, users: dict[str, User]) -> None:
    def work(client: TradingClient) -> None:
        results = client.trading.place_orders([BUY, BUY | {"price": "49001"}])  # type: ignore[list-item]
        ids = [result.order.id for result in results if result.order is not None]
        changed = client.trading.amend_orders([{"order_id": ids[0], "quantity": "0.4"}])
        assert [result.status for result in changed] == [200]
        assert [result.status for result in client.trading.cancel_orders(ids[:1])] == [200]
        assert [order.id for order in client.trading.cancel_all()] == ids[1:]

    await in_thread(server, work)


async def test_refusals_come_through_to_the_caller(
    server: LiveServer, users: dict[str, User]
) -> None:
    def work(client: TradingClient) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            client.trading.place_order(**BUY | {"price": "x"})
        assert caught.value.fields == {"price": "INVALID_DECIMAL"}
        with pytest.raises(TypeError, match="float"):
            client.trading.place_order(**BUY | {"price": 0.5})

    await in_thread(server, work)


async def test_a_handler_may_ask_over_rest_and_is_told_when_it_would_wait_for_itself(
    server: LiveServer, users: dict[str, User]
) -> None:
    def work(client: TradingClient) -> None:
        told: list[str] = []
        done = threading.Event()

        def handler(order: Any) -> None:
            told.append(client.rest.order(order.id).status)
            try:
                client.trading.cancel_order(order.id)
            except RuntimeError as error:
                told.append(str(error))
            done.set()

        client.on("order:update", handler)
        client.subscribe_user_streams(["orders"])
        client.rest.place_order(**BUY)

        assert done.wait(10)
        assert told == ["open", "handlers may not wait for the client's own thread: use rest"]

    await in_thread(server, work)


async def test_ends_its_thread(server: LiveServer, users: dict[str, User]) -> None:
    def work(client: TradingClient) -> None:
        client.subscribe_user_streams(["orders"])

    await in_thread(server, work)

    assert [thread.name for thread in threading.enumerate() if thread.name == "tradingclient"] == []
