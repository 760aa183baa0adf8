"""Live prices from the venues' endpoints to the exchange's index, and the choice of auto."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_module

from markets import tasks
from markets.enums import FeedMode, PriceState
from markets.feeds import keys
from markets.feeds.catalogue import VENUE_PAIR_IDS
from markets.feeds.health import feed_health
from markets.feeds.mode import feed_choose
from markets.feeds.service import FeedService, PolledFeed
from markets.models import IndexPrice
from markets.seed import MARKETS, market_seed
from tests.support.exchange import ExchangeHarness
from tests.support.fake_exchanges import FakeExchanges, Fault

pytestmark = pytest.mark.django_db

PRICES = {"BTC": "60000", "ETH": "2500", "USDT": "1.0"}


@pytest.fixture
def venues(settings: Any) -> Iterator[FakeExchanges]:
    with FakeExchanges() as exchanges:
        for name, pairs in VENUE_PAIR_IDS.items():
            for pair in pairs:
                exchanges.set_price(name, pair, PRICES.get(pair.split("/")[0], "10"))
        settings.PRICE_SOURCES = {
            name: {"url": exchanges.url(name), "api_key": ""} for name in VENUE_PAIR_IDS
        }
        yield exchanges


@pytest.fixture
def feed(venues: FakeExchanges) -> Iterator[PolledFeed]:
    made = PolledFeed()
    # The first poll also imports ccxt and makes the clients.
    made.live.poll(wait_s=10)
    yield made
    made.live.close()


class TestAuto:
    def test_chooses_live_when_two_venues_answer(self, venues: FakeExchanges) -> None:
        venues.venues["coinbase"].fault = Fault.DOWN

        assert feed_choose(configured="auto", production=False).mode is FeedMode.LIVE

    def test_chooses_replay_when_only_one_does(self, venues: FakeExchanges) -> None:
        for name in ("binance", "kraken"):
            venues.venues[name].fault = Fault.LOCATION_REFUSED
        started = time.monotonic()

        chosen = feed_choose(configured="auto", production=False)

        assert chosen.mode is FeedMode.REPLAY
        assert time.monotonic() - started < 10


class TestLive:
    def test_every_market_gets_its_index(
        self,
        inline_exchange: ExchangeHarness,
        live_redis: redis_module.Redis,
        feed: PolledFeed,
    ) -> None:
        market_seed(FeedMode.LIVE)

        views = FeedService(feed, FeedMode.LIVE, streaming=True).turn()

        assert {view.symbol for view in views} == {market.symbol for market in MARKETS}
        assert {view.state for view in views} == {PriceState.LIVE}
        assert IndexPrice.objects.count() == len(MARKETS)
        health = feed_health()
        assert health is not None
        assert health.worst_state() is PriceState.LIVE
        assert [source.source for source in health.indexes[0].sources] == [
            "binance",
            "coinbase",
            "kraken",
        ]

    def test_losing_the_venues_degrades_and_never_replays(
        self,
        inline_exchange: ExchangeHarness,
        live_redis: redis_module.Redis,
        venues: FakeExchanges,
        feed: PolledFeed,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        feed_choose(configured="auto", production=False)
        market_seed(FeedMode.LIVE)
        service = FeedService(feed, FeedMode.LIVE, streaming=True)
        service.turn()
        # What is known stays usable for its ten seconds; here those are over at once.
        monkeypatch.setattr("markets.feeds.validate.FRESH_MS", 0)
        for venue in venues.venues.values():
            venue.fault = Fault.DOWN
        time.sleep(0.01)

        states = {view.state for view in service.turn()}

        assert states == {PriceState.HALTED}
        assert feed_choose(configured="auto", production=False).mode is FeedMode.LIVE


class TestTask:
    def test_feeds_unless_a_stream_holds_the_source(
        self,
        inline_exchange: ExchangeHarness,
        live_redis: redis_module.Redis,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings.FEED_MODE = "replay"
        monkeypatch.setattr(tasks, "_service", None)
        market_seed(feed_choose().mode)

        fed = tasks.prices_ingest()
        live_redis.set(keys.holder_key(), "feed:elsewhere:1", px=3_000)
        left_alone = not tasks.prices_ingest()

        assert (fed, left_alone) == (True, True)
        assert IndexPrice.objects.count() == 3
        assert live_redis.exists(keys.replay_depth_key("BTC-USDT"))

    def test_says_no_without_redis(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch, live_redis: redis_module.Redis
    ) -> None:

        settings.FEED_MODE = "replay"
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        monkeypatch.setattr(tasks, "_service", None)

        assert tasks.prices_ingest() is False
