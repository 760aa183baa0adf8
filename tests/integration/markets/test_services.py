"""Preparing an installation's market data."""

from typing import Any

import pytest
import redis as redis_module
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError
from django.test import Client

from markets.candles import MINUTE_MS
from markets.enums import CandleSource, FeedMode
from markets.feeds.mode import FeedModeError, feed_choose, feed_chosen
from markets.management.commands import run_feed
from markets.models import Candle, FeedState
from markets.services import markets_prepare
from tests.support.exchange import ExchangeHarness

pytestmark = pytest.mark.django_db


class TestMarketsPrepare:
    def test_gives_a_replay_markets_and_charts_that_reach_the_present_once(
        self,
        inline_exchange: ExchangeHarness,
        live_redis: redis_module.Redis,
        settings: Any,
        client: Client,
    ) -> None:
        settings.FEED_MODE = "replay"

        prepared = markets_prepare()

        assert prepared.mode is FeedMode.REPLAY
        assert prepared.configured == ["USDT", "BTC", "ETH", "BTC-USDT", "ETH-USDT", "ETH-BTC"]
        assert prepared.charts == ["BTC-USDT", "ETH-USDT", "ETH-BTC"]
        chosen = feed_chosen()
        assert chosen is not None
        last = Candle.objects.filter(market_id=1, source=CandleSource.TRADES, interval=0).latest(
            "id"
        )
        assert last.open_ms + MINUTE_MS == chosen.chosen_ms // MINUTE_MS * MINUTE_MS
        # The tick next to the first recorded price, 61837.635.
        assert last.close_atoms in (6_183_763_000_000, 6_183_764_000_000)
        answer = client.get("/api/markets/BTC-USDT/klines?interval=1h&limit=24").json()
        assert len(answer["klines"]) == 24
        assert answer["klines"][0]["recorded"] is True

        candles = Candle.objects.count()
        again = markets_prepare()
        assert (again.configured, again.charts) == ([], [])
        assert Candle.objects.count() == candles


class TestFeedChoose:
    @pytest.mark.parametrize(("available", "mode"), [(True, "live"), (False, "replay")])
    def test_auto_looks_once_and_keeps_what_it_found(self, available: bool, mode: str) -> None:
        first = feed_choose(configured="auto", production=False, live_available=lambda: available)
        second = feed_choose(
            configured="auto", production=False, live_available=lambda: not available
        )

        assert first.mode == mode
        assert second == first

    @pytest.mark.parametrize(
        ("configured", "production", "words"),
        [
            ("", False, "must be one of auto, live, replay"),
            ("LIVE", False, "must be one of auto, live, replay"),
            ("auto", True, "not allowed in production"),
            ("replay", True, "not allowed in production"),
        ],
    )
    def test_refuses_a_setting_and_stores_nothing(
        self, configured: str, production: bool, words: str
    ) -> None:
        with pytest.raises(FeedModeError, match=words):
            feed_choose(configured=configured, production=production)

        assert not FeedState.objects.exists()

    def test_refuses_to_turn_one_kind_of_database_into_the_other(self) -> None:
        feed_choose(configured="replay", production=False)

        with pytest.raises(FeedModeError, match="started with replay prices"):
            feed_choose(configured="live", production=False)

        assert feed_choose(configured="auto", production=False).mode is FeedMode.REPLAY

    def test_live_is_taken_at_its_word(self) -> None:
        chosen = feed_choose(configured="live", production=True)

        assert chosen.mode is FeedMode.LIVE


class TestRunFeed:
    def test_names_the_remedy_in_one_line_and_exits_with_2(self, settings: Any) -> None:
        settings.FEED_MODE = "sometimes"

        with pytest.raises(CommandError) as caught:
            call_command("run_feed")

        assert caught.value.returncode == 2
        assert "\n" not in str(caught.value)
        assert "FEED_MODE" in str(caught.value)

    def test_says_in_one_line_that_the_database_is_away(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> None:
            raise OperationalError("connection refused\n\tIs the server running?")

        monkeypatch.setattr(run_feed, "feed_choose", fail)

        with pytest.raises(CommandError) as caught:
            call_command("run_feed")

        assert caught.value.returncode == 2
        assert str(caught.value) == (
            "the database cannot be used: connection refused Is the server running?"
        )
