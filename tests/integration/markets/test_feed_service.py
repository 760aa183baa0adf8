"""The feeding loop against a real Redis and the inline exchange."""

from typing import Any

import msgspec
import pytest
import redis as redis_module

from exchange import gateway
from exchange.core.commands import AnyCommand, SetMarketStatus, UpdateIndexPrices
from exchange.core.enums import MarketStatus
from exchange.core.events import Outcome
from exchange.core.units import ATOMS
from markets import selectors
from markets.candles import MINUTE_MS
from markets.enums import FeedMode, PriceState
from markets.feeds import keys
from markets.feeds.engine import IndexView
from markets.feeds.health import feed_health
from markets.feeds.mode import feed_choose
from markets.feeds.recorded import ReplayFeed
from markets.feeds.service import HALT_AFTER_MS, HOLD_MS, FeedService, feed_for
from markets.models import Candle, IndexPrice
from markets.seed import market_seed
from tests.support.exchange import ExchangeHarness
from tests.support.perpetual import contract, perpetual_market

pytestmark = pytest.mark.django_db

START_MS = 1_800_000_000_000


class ScriptedFeed:
    """A feed that says what the test tells it to."""

    def __init__(self, price_atoms: int | None, state: PriceState) -> None:
        self.price_atoms = price_atoms
        self.state = state

    def views(self, now_ms: int) -> list[IndexView]:
        return [IndexView("BTC-USDT", self.price_atoms, self.state, ())]


@pytest.fixture
def exchange(inline_exchange: ExchangeHarness) -> ExchangeHarness:
    market_seed(FeedMode.LIVE)
    return inline_exchange


class TestTurn:
    def test_sets_the_index_price_of_the_exchange(
        self, exchange: ExchangeHarness, live_redis: redis_module.Redis
    ) -> None:
        feed = ScriptedFeed(61_000 * ATOMS, PriceState.LIVE)
        service = FeedService(feed, FeedMode.LIVE, streaming=True)

        service.turn(START_MS)

        assert IndexPrice.objects.get(id=1).price_atoms == 61_000 * ATOMS
        state = msgspec.json.decode(live_redis.get(keys.index_key(1)))
        assert state == {"index_state": "live", "index_source": "live", "index_time": START_MS}

    def test_publishes_no_price_when_sources_contradict_each_other(
        self, exchange: ExchangeHarness, live_redis: redis_module.Redis
    ) -> None:
        service = FeedService(
            ScriptedFeed(None, PriceState.DEGRADED), FeedMode.LIVE, streaming=True
        )

        service.turn(START_MS)

        assert not IndexPrice.objects.exists()
        health = feed_health()
        assert health is not None
        assert health.worst_state() is PriceState.DEGRADED

    def test_halts_a_market_without_a_price_and_opens_it_again(
        self, exchange: ExchangeHarness, live_redis: redis_module.Redis
    ) -> None:
        feed = ScriptedFeed(None, PriceState.HALTED)
        service = FeedService(feed, FeedMode.LIVE, streaming=True)

        service.turn(START_MS)
        early = selectors.market_by_id(1).status
        service.turn(START_MS + HALT_AFTER_MS)
        halted = selectors.market_by_id(1).status
        feed.price_atoms, feed.state = 61_000 * ATOMS, PriceState.LIVE
        service.turn(START_MS + HALT_AFTER_MS + 1_000)

        assert early is MarketStatus.TRADING
        assert halted is MarketStatus.HALTED
        assert selectors.market_by_id(1).status is MarketStatus.TRADING
        assert live_redis.smembers(keys.halted_key()) == set()

    def test_does_not_open_a_market_that_an_operator_halted(
        self, exchange: ExchangeHarness, live_redis: redis_module.Redis
    ) -> None:
        exchange.configure(SetMarketStatus(1, MarketStatus.HALTED, "maintenance", "operator"))
        selectors.cache_clear()
        service = FeedService(
            ScriptedFeed(61_000 * ATOMS, PriceState.LIVE), FeedMode.LIVE, streaming=True
        )

        service.turn(START_MS)

        assert selectors.market_by_id(1).status is MarketStatus.HALTED

    def test_does_not_open_a_market_that_its_circuit_breaker_halted(
        self, exchange: ExchangeHarness, live_redis: redis_module.Redis
    ) -> None:
        from exchange.core.enums import StatusCause

        halt = SetMarketStatus(1, MarketStatus.HALTED, cause=StatusCause.CIRCUIT_BREAKER)
        exchange.configure(halt)
        selectors.cache_clear()
        live_redis.sadd(keys.halted_key(), 1)
        service = FeedService(
            ScriptedFeed(61_000 * ATOMS, PriceState.LIVE), FeedMode.LIVE, streaming=True
        )

        service.turn(START_MS)

        assert selectors.market_by_id(1).status is MarketStatus.HALTED
        assert live_redis.smembers(keys.halted_key()) == set()

    def test_stores_an_index_candle_when_its_minute_is_over(
        self, exchange: ExchangeHarness, live_redis: redis_module.Redis
    ) -> None:
        feed = ScriptedFeed(61_000 * ATOMS, PriceState.LIVE)
        service = FeedService(feed, FeedMode.LIVE, streaming=True)
        minute = START_MS - START_MS % MINUTE_MS

        for offset, price in ((0, 61_000), (10_000, 61_500), (20_000, 60_900), (60_000, 61_100)):
            feed.price_atoms = price * ATOMS
            service.turn(minute + offset)

        candle = Candle.objects.get(interval=0)
        assert candle.open_ms == minute
        assert [candle.open_atoms, candle.high_atoms, candle.low_atoms, candle.close_atoms] == [
            61_000 * ATOMS,
            61_500 * ATOMS,
            60_900 * ATOMS,
            60_900 * ATOMS,
        ]


class TestPerpetual:
    """A perpetual goes by the index of its pair, and is told how far to believe it."""

    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[UpdateIndexPrices]:
        commands: list[UpdateIndexPrices] = []
        submit = gateway.submit

        def note(command: AnyCommand, **options: Any) -> Outcome:
            if isinstance(command, UpdateIndexPrices):
                commands.append(command)
            return submit(command, **options)

        monkeypatch.setattr(gateway, "submit", note)
        return commands

    @pytest.fixture
    def perpetual(self, exchange: ExchangeHarness) -> int:
        market_id = 77
        exchange.configure(
            perpetual_market(market_id=market_id, base_asset_id=2, quote_asset_id=1),
            contract(market_id=market_id),
            SetMarketStatus(market_id, MarketStatus.TRADING),
        )
        selectors.cache_clear()
        return market_id

    @pytest.mark.parametrize(
        ("price", "state", "expected"),
        [
            (61_000, PriceState.LIVE, ((1, 77), (), ())),
            (61_000, PriceState.REPLAY, ((1, 77), (), ())),
            (61_000, PriceState.DEGRADED, ((1, 77), (77,), ())),
            (None, PriceState.DEGRADED, ((), (77,), ())),
            (None, PriceState.HALTED, ((), (), (77,))),
        ],
    )
    def test_is_fed_with_its_quality(
        self,
        live_redis: redis_module.Redis,
        perpetual: int,
        sent: list[UpdateIndexPrices],
        price: int | None,
        state: PriceState,
        expected: tuple[tuple[int, ...], ...],
    ) -> None:
        feed = ScriptedFeed(price and price * ATOMS, state)

        FeedService(feed, FeedMode.LIVE, streaming=True).turn(START_MS)

        (command,) = sent
        markets = tuple(market_id for market_id, _ in command.prices)
        assert (markets, command.degraded, command.missing) == expected

    def test_is_not_halted_from_here(self, live_redis: redis_module.Redis, perpetual: int) -> None:
        service = FeedService(ScriptedFeed(None, PriceState.HALTED), FeedMode.LIVE, streaming=True)

        service.turn(START_MS)
        service.turn(START_MS + HALT_AFTER_MS)

        assert selectors.market_by_id(1).status is MarketStatus.HALTED
        assert selectors.market_by_id(perpetual).status is MarketStatus.TRADING

    def test_shows_the_state_of_its_index(
        self, live_redis: redis_module.Redis, perpetual: int
    ) -> None:
        feed = ScriptedFeed(61_000 * ATOMS, PriceState.LIVE)

        FeedService(feed, FeedMode.LIVE, streaming=True).turn(START_MS)

        assert live_redis.get(keys.index_key(perpetual)) == live_redis.get(keys.index_key(1))


class TestHold:
    def test_the_task_leaves_the_source_alone_while_a_stream_holds_it(
        self, live_redis: redis_module.Redis
    ) -> None:
        feed = ScriptedFeed(1, PriceState.LIVE)
        stream = FeedService(feed, FeedMode.LIVE, streaming=True)
        task = FeedService(feed, FeedMode.LIVE, streaming=False)

        assert stream.hold()
        assert not task.hold()
        assert 0 < live_redis.pttl(keys.holder_key()) <= HOLD_MS

    def test_a_stream_takes_the_source_from_the_task(self, live_redis: redis_module.Redis) -> None:
        feed = ScriptedFeed(1, PriceState.LIVE)
        stream = FeedService(feed, FeedMode.LIVE, streaming=True)
        task = FeedService(feed, FeedMode.LIVE, streaming=False)

        assert task.hold()
        assert task.hold()
        assert stream.hold()
        assert not task.hold()
        stream.release()
        assert task.hold()

    def test_a_second_stream_stands_by(self, live_redis: redis_module.Redis) -> None:
        feed = ScriptedFeed(1, PriceState.LIVE)
        first = FeedService(feed, FeedMode.LIVE, streaming=True)
        second = FeedService(feed, FeedMode.LIVE, streaming=True)
        second.holder = "feed:elsewhere:1"

        assert first.hold()
        assert not second.hold()


class TestReplay:
    def test_feeds_recorded_prices_and_depth_by_name(
        self,
        inline_exchange: ExchangeHarness,
        live_redis: redis_module.Redis,
        settings: Any,
    ) -> None:
        chosen = feed_choose(configured="replay", production=False)
        market_seed(chosen.mode)
        service = FeedService(feed_for(chosen), chosen.mode, streaming=True)

        service.publish_depth(chosen.chosen_ms)
        service.turn(chosen.chosen_ms)

        assert isinstance(service.feed, ReplayFeed)
        assert {market.symbol for market in selectors.markets_all()} == {
            "BTC-USDT",
            "ETH-USDT",
            "ETH-BTC",
        }
        prices = dict(IndexPrice.objects.values_list("id", "price_atoms"))
        assert prices == {1: 6_183_763_500_000, 2: 268_380_500_000, 3: 4_340_083}
        depth = msgspec.json.decode(live_redis.get(keys.replay_depth_key("BTC-USDT")))
        assert depth["bids"][0] == ["61837.63", "3.78826"]
        assert depth["asks"][0][0] == "61837.64"
        assert len(depth["bids"]) == 20
        health = feed_health()
        assert health is not None
        assert health.mode == "replay"
        assert "not live" in health.note
        assert {index.state for index in health.indexes} == {"replay"}
