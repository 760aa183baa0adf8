"""The market maker keeps its quotes in line, waits when told to, and leaves nothing behind."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tradingclient import RateLimitedError, RefusedError, UnavailableError
from tradingclient.models import Balance, BatchResult, ItemError, Market, Order, Ticker
from tradingplatform.market_maker.bot import MarketMaker
from tradingplatform.market_maker.quotes import Style

MARKET = msgspec.convert(
    {
        "id": "1",
        "symbol": "BTC-USDT",
        "kind": "spot",
        "base": "BTC",
        "quote": "USDT",
        "status": "trading",
        "tick_size": "0.01",
        "lot_size": "0.00001",
        "price_decimals": 2,
        "quantity_decimals": 5,
        "min_quantity": "0.00001",
        "min_notional": "5",
    },
    Market,
)


class FakeExchange:
    """Takes orders and keeps them; fails as often as it is told to."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.failures: list[Exception] = []
        self.price: str | None = "60000"
        self.placed = 0
        self.cancelled: list[str] = []
        self.left = False
        self.refuse = False

    def markets(self) -> list[Market]:
        if self.failures:
            raise self.failures.pop(0)
        return [MARKET, msgspec.structs.replace(MARKET, symbol="HALTED", status="halted")]

    def balances(self) -> list[Balance]:
        one = Decimal(10)
        return [Balance(currency="BTC", wallet="spot", total=one, available=one, held=Decimal(0))]

    def ticker(self, symbol: str) -> Ticker:
        assert symbol == "BTC-USDT"
        zero = Decimal(0)
        return Ticker(
            symbol=symbol,
            time=0,
            volume=zero,
            quote_volume=zero,
            trade_count=0,
            index_price=None if self.price is None else Decimal(self.price),
            index_state="live",
        )

    def open_orders(self) -> list[Order]:
        return list(self.orders.values())

    def place_orders(self, orders: Sequence[Any]) -> list[BatchResult]:
        if self.refuse:
            return [BatchResult(status=422, error=ItemError(code="MIN_NOTIONAL"))] * len(orders)
        for fields in orders:
            self.placed += 1
            number = str(self.placed)
            order = resting(number, fields)
            self.orders[number] = order
        return [BatchResult(status=201) for _ in orders]

    def cancel_orders(self, order_ids: Sequence[str]) -> list[BatchResult]:
        self.cancelled += order_ids
        for number in order_ids:
            del self.orders[number]
        return [BatchResult(status=200) for _ in order_ids]

    def cancel_all(self) -> list[Order]:
        self.left = True
        self.orders.clear()
        return []


def resting(number: str, fields: Any) -> Order:
    zero = Decimal(0)
    return Order(
        id=number,
        client_order_id=None,
        symbol=fields["symbol"],
        side=fields["side"],
        type=fields["type"],
        time_in_force="gtc",
        post_only=False,
        self_trade_prevention="expire_maker",
        price=fields["price"],
        quantity=fields["quantity"],
        quote_quantity=None,
        filled_quantity=zero,
        remaining_quantity=fields["quantity"],
        filled_quote=zero,
        average_price=None,
        fee=zero,
        fee_currency="USDT",
        status="open",
        reason=None,
        created_at=0,
        updated_at=0,
    )


class StopAfter(threading.Event):
    """Is set after some turns; remembers how long each pause was."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._turns = turns

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(timeout)
        if len(self.pauses) >= self._turns:
            self.set()
        return self.is_set()


@pytest.fixture
def exchange() -> FakeExchange:
    return FakeExchange()


@pytest.fixture
def bot(exchange: FakeExchange) -> MarketMaker:
    return MarketMaker(
        maker=exchange,  # type: ignore[arg-type]
        taker=None,
        recorded=lambda _symbol: None,
        style=Style(levels=3),
        interval_s=1.0,
        chance=random.Random(1),
    )


def test_quotes_markets_that_trade_and_leaves_good_quotes_alone(
    bot: MarketMaker, exchange: FakeExchange
) -> None:
    bot.turn()
    bot.turn()

    assert len(exchange.orders) == exchange.placed == 6
    assert {order.symbol for order in exchange.orders.values()} == {"BTC-USDT"}
    assert exchange.cancelled == []


def test_follows_the_price(bot: MarketMaker, exchange: FakeExchange) -> None:
    bot.turn()
    exchange.price = "61000"

    bot.turn()

    assert len(exchange.cancelled) == 6
    assert all(abs((order.price or 0) - 61_000) < 200 for order in exchange.orders.values())


def test_takes_its_quotes_back_without_a_price(bot: MarketMaker, exchange: FakeExchange) -> None:
    bot.turn()
    exchange.price = None

    bot.turn()

    assert exchange.orders == {}


def test_waits_as_long_as_it_is_told_and_longer_each_time(
    bot: MarketMaker, exchange: FakeExchange
) -> None:
    exchange.failures = [
        RateLimitedError("RATE_LIMITED", retry_after=7.0),
        UnavailableError("ENGINE_BUSY", retry_after=1.0),
        RefusedError("MARKET_HALTED", status=422),
    ]
    stop = StopAfter(4)

    bot.run(stop)

    assert stop.pauses == [7.0, 1.0, 4.0, 1.0]
    assert exchange.placed == 6


def test_a_refused_order_is_no_reason_to_stop(bot: MarketMaker, exchange: FakeExchange) -> None:
    exchange.refuse = True

    bot.run(StopAfter(2))

    assert exchange.orders == {}


def test_cancels_everything_when_it_ends(bot: MarketMaker, exchange: FakeExchange) -> None:
    bot.run(StopAfter(1))

    assert exchange.left
    assert exchange.orders == {}
