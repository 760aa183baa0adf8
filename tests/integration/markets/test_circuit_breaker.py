"""A market that stops by itself: what everybody sees of it, its rows, and its way back."""

from typing import Any

import pytest

from common.testing import ApiClient
from exchange.core.commands import SetMarketStatus
from exchange.core.enums import MarketStatus, StatusCause
from exchange.core.safety import MarketSafety
from exchange.store.loader import rows_hash
from markets.selectors import cache_clear
from tests.support import trading
from tests.support.exchange import BTC, BTC_USDT, USDT, ExchangeHarness, FakeClock, market
from tests.support.redis_server import redis_client, redis_url
from tests.support.trading import Trader

exchange, alice, bob = trading.exchange, trading.alice, trading.bob
__all__ = ["redis_client", "redis_url"]
pytestmark = pytest.mark.integration

SAFETY = MarketSafety(breaker_band_e8=10_000_000, breaker_window_ms=60_000)


@pytest.fixture
def clock(exchange: ExchangeHarness) -> FakeClock:
    """The exchange's clock; its market stops 10 % from the price of a minute ago (50,000)."""
    clock = FakeClock()
    exchange.processor._clock_ms = clock
    exchange.configure(market(BTC_USDT, "BTC-USDT", BTC, USDT, safety=SAFETY))
    cache_clear()
    return clock


def shown() -> dict[str, Any]:
    cache_clear()
    found: dict[str, Any] = ApiClient().get("/api/markets/BTC-USDT").json()
    return found


def work(exchange: ExchangeHarness) -> None:
    while exchange.processor.has_work:
        exchange._run([])


class TestCircuitBreaker:
    def test_stops_the_market_says_why_and_comes_back_by_the_clock(
        self, exchange: ExchangeHarness, alice: Trader, bob: Trader, clock: FakeClock
    ) -> None:
        alice.placed(side="sell", price="55000.01", quantity="0.1")

        taker = bob.placed(type="market", price=None, quantity="0.1")

        assert (taker["status"], taker["reason"]) == ("expired", "circuit_breaker")
        found = shown()
        assert (found["status"], found["status_reason"], found["status_until"]) == (
            "halted",
            "circuit_breaker",
            clock.time_ms + 60_000,
        )
        assert found["circuit_breaker"] == {
            "band": "0.1",
            "window_ms": 60_000,
            "halt_ms": 60_000,
            "cancel_only_ms": 5_000,
            "post_only_ms": 10_000,
        }
        (info,) = [
            row
            for row in ApiClient().get("/api/exchange-info").json()["markets"]
            if row["symbol"] == "BTC-USDT"
        ]
        assert (info["status"], info["status_reason"]) == ("halted", "circuit_breaker")
        processor = exchange.processor
        assert rows_hash(processor.store, processor.projections) == (
            processor.exchange.state_hash()
        )
        processor.reload()
        for length, status in ((60_000, "cancel_only"), (5_000, "post_only"), (10_000, "trading")):
            clock.advance(length - 1)
            assert not processor.has_work
            clock.advance(1)
            work(exchange)
            assert shown()["status"] == status
        found = shown()
        assert (found["status_reason"], found["status_until"]) == (None, None)

    def test_an_operators_halt_has_a_reason_of_its_own_and_no_end(
        self, exchange: ExchangeHarness, clock: FakeClock
    ) -> None:
        exchange.configure(SetMarketStatus(BTC_USDT, MarketStatus.HALTED, "audit", "operator"))

        found = shown()

        assert (found["status_reason"], found["status_until"]) == ("operator", None)
        assert not exchange.processor.has_work

    @pytest.mark.parametrize(
        ("cause", "name"), [(StatusCause.NO_PRICE, "no_price"), (StatusCause.FAULT, "fault")]
    )
    def test_the_platforms_own_halts_name_their_cause(
        self, exchange: ExchangeHarness, clock: FakeClock, cause: StatusCause, name: str
    ) -> None:
        exchange.configure(SetMarketStatus(BTC_USDT, MarketStatus.HALTED, cause=cause))

        assert shown()["status_reason"] == name

    def test_a_market_without_one_shows_none(
        self, exchange: ExchangeHarness, clock: FakeClock
    ) -> None:
        cache_clear()

        found = ApiClient().get("/api/markets/ETH-USDT").json()

        assert (found["circuit_breaker"], found["trigger_protect"]) == (None, None)
