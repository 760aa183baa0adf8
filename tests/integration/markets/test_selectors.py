"""Metadata of assets and markets, cached."""

from typing import Any

import pytest
from django.db import OperationalError, ProgrammingError

from exchange.core.commands import SetMarketStatus
from exchange.core.enums import MarketStatus
from markets import selectors
from tests.support.exchange import ExchangeHarness

pytestmark = pytest.mark.django_db


@pytest.fixture
def exchange(inline_exchange: ExchangeHarness) -> ExchangeHarness:
    inline_exchange.seed_markets()
    return inline_exchange


class TestMarketBySymbol:
    @pytest.mark.parametrize("spelling", ["BTC-USDT", "BTC/USDT", "BTCUSDT"])
    def test_accepts_every_spelling(self, exchange: ExchangeHarness, spelling: str) -> None:
        market = selectors.market_by_symbol(spelling)

        assert (market.symbol, market.base, market.quote) == ("BTC-USDT", "BTC", "USDT")
        assert (market.price_decimals, market.quantity_decimals) == (2, 5)

    @pytest.mark.parametrize(
        "spelling", ["", "btc-usdt", "BTC_USDT", "BTC/USDT:USDT", "BTC-USDT ", "X" * 10_000]
    )
    def test_refuses_any_other(self, exchange: ExchangeHarness, spelling: str) -> None:
        with pytest.raises(selectors.MarketNotFound) as caught:
            selectors.market_by_symbol(spelling)

        assert len(str(caught.value)) <= 64

    def test_unknown_ids_and_codes_are_refused(self, exchange: ExchangeHarness) -> None:
        with pytest.raises(selectors.MarketNotFound):
            selectors.market_by_id(99)
        with pytest.raises(selectors.AssetNotFound):
            selectors.asset_by_id(99)
        with pytest.raises(selectors.AssetNotFound):
            selectors.asset_by_code("NONE")


class TestCache:
    def test_reads_the_database_once(
        self, exchange: ExchangeHarness, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(2):
            selectors.markets_all()
            selectors.asset_by_code("BTC")
            selectors.market_by_id(1)

    def test_a_change_is_seen_after_it_expires(
        self, exchange: ExchangeHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = selectors.market_by_id(1).status
        exchange.configure(SetMarketStatus(1, MarketStatus.HALTED))

        cached = selectors.market_by_id(1).status
        monkeypatch.setattr(selectors, "CACHE_MS", 0)
        after = selectors.market_by_id(1).status

        assert (before, cached, after) == (
            MarketStatus.TRADING,
            MarketStatus.TRADING,
            MarketStatus.HALTED,
        )


class TestDatabaseAway:
    @pytest.fixture
    def away(self, exchange: ExchangeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let every reading fail, and every copy be too old."""

        def fail() -> None:
            raise OperationalError("the server does not answer")

        selectors.markets_all()
        monkeypatch.setattr(selectors, "CACHE_MS", 0)
        monkeypatch.setattr(selectors, "_read", fail)

    @pytest.mark.usefixtures("away")
    def test_the_last_copy_serves(self) -> None:
        assert selectors.market_by_symbol("BTC-USDT").market_id == 1

    @pytest.mark.usefixtures("away")
    def test_without_a_copy_it_is_told(self) -> None:
        selectors.cache_clear()

        with pytest.raises(OperationalError):
            selectors.market_by_symbol("BTC-USDT")

    @pytest.mark.usefixtures("away")
    def test_an_error_of_ours_is_not_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise ProgrammingError("no such column")

        monkeypatch.setattr(selectors, "_read", fail)

        with pytest.raises(ProgrammingError):
            selectors.market_by_symbol("BTC-USDT")

    @pytest.mark.usefixtures("away")
    def test_nobody_waits_for_a_reading_that_hangs(self) -> None:
        with selectors._lock:
            assert selectors.market_by_symbol("BTC-USDT").market_id == 1
