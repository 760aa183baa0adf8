"""
One turn of feeding: prices to the exchange, states to Redis, halts, index candles.

Used by ``manage.py run_feed``, which holds the source, and by the Celery task, which leaves
it alone while it is held.
"""

import os
import socket
from typing import Protocol

import msgspec
import structlog

from common import redis as redis_clients
from exchange import gateway
from exchange.core.commands import AnyCommand, SetMarketStatus, UpdateIndexPrices
from exchange.core.enums import Lane, MarketKind, MarketStatus, StatusCause
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from markets import selectors
from markets.enums import CandleSource, FeedMode, PriceState
from markets.feeds import figures, keys
from markets.feeds.bars import PriceBars
from markets.feeds.engine import IndexView
from markets.feeds.health import HEALTH_TTL_MS, encode_health
from markets.feeds.live import LiveFeed, configured_sources
from markets.feeds.mode import ChosenFeed
from markets.feeds.recorded import REPLAY_NOTE, ReplayFeed, replay_from_settings
from markets.feeds.sources import wall_clock_ms
from markets.feeds.switching import sources_switched_off
from markets.live_bytes import live_marks
from markets.types import MarketInfo

log = structlog.get_logger(__name__)

# Whoever feeds renews this each turn; three seconds after its end somebody else may.
HOLD_MS = 3_000

# A price that is missing for this long halts its market: quotes already lived 10 s.
HALT_AFTER_MS = 5_000

# Prices come again in a second; waiting longer for the exchange would only age them.
SUBMIT_TIMEOUT_S = 2.0

LIVE_NOTE = "Median of live Binance, Coinbase and Kraken prices."

_STREAM = "feed"
_BEAT = "beat"


# A market, and the index that it goes by.
FedMarket = tuple[MarketInfo, IndexView]


class Feed(Protocol):
    """A source of index views."""

    def views(self, now_ms: int) -> list[IndexView]:
        """Return every index as it is now."""
        ...


class PolledFeed:
    """Live prices in the form the feeding loop needs."""

    # Venues answer within this; what comes later counts in the next turn.
    WAIT_S = 0.8

    def __init__(self) -> None:
        """
        Use the configured sources.

        Their clients are made first: prices that only wait for an import are not missing.
        """
        sources = configured_sources()
        for source in sources:
            source.connect()
        self.live = LiveFeed(sources, switched_off=sources_switched_off)

    def views(self, now_ms: int) -> list[IndexView]:
        """Ask the venues and return every index."""
        return self.live.poll(wait_s=self.WAIT_S)


def feed_for(chosen: ChosenFeed) -> Feed:
    """
    Return the feed of a database's mode.

    Raises:
        markets.feeds.mode.FeedModeError: if recordings are missing.
    """
    if chosen.mode is FeedMode.REPLAY:
        return ReplayFeed(replay_from_settings(chosen.chosen_ms))
    return PolledFeed()


def _fed(views: list[IndexView]) -> list[FedMarket]:
    """Return every listed market with its index: a pair's spot market and its perpetual."""
    by_symbol = {view.symbol: view for view in views}
    return [
        (market, by_symbol[market.index_symbol])
        for market in selectors.markets_all()
        if market.index_symbol in by_symbol
    ]


class FeedService:
    """Turns a feed's views into commands and published state; one per process."""

    def __init__(self, feed: Feed, mode: FeedMode, *, streaming: bool) -> None:
        """Feed from this; ``streaming`` takes precedence over the periodic task."""
        self.feed = feed
        self.mode = mode
        kind = _STREAM if streaming else _BEAT
        self.holder = f"{kind}:{socket.gethostname()}:{os.getpid()}"
        self._redis = redis_clients.client()
        self._index_bars = PriceBars(self._redis, CandleSource.INDEX)
        self._mark_bars = PriceBars(self._redis, CandleSource.MARK)
        self._missing_since: dict[int, int] = {}

    def hold(self) -> bool:
        """
        Take or keep the right to feed; False while another has it.

        A stream takes it from the periodic task, never the other way round.
        """
        key = keys.holder_key()
        mine = self.holder.encode()
        current = self._redis.get(key)
        held_by_beat = isinstance(current, bytes) and current.startswith(_BEAT.encode())
        if current == mine or (held_by_beat and self.holder.startswith(_STREAM)):
            self._redis.set(key, mine, px=HOLD_MS)
            return True
        return bool(self._redis.set(key, mine, px=HOLD_MS, nx=True))

    def release(self) -> None:
        """Let another feed at once."""
        if self._redis.get(keys.holder_key()) == self.holder.encode():
            self._redis.delete(keys.holder_key())

    def turn(self, now_ms: int | None = None) -> list[IndexView]:
        """
        Feed once; returns the views that were published.

        Raises:
            redis.RedisError: if Redis cannot be reached.
        """
        views = self.feed.views(wall_clock_ms() if now_ms is None else now_ms)
        now = wall_clock_ms() if now_ms is None else now_ms
        fed = _fed(views)
        self._submit_prices(fed)
        self._publish(fed, now)
        self._halt_or_resume(fed, now)
        self._index_bars.take(
            {market.market_id: view.price_atoms for market, view in fed if view.price_atoms},
            now,
        )
        self._mark_bars.take(self._marks(fed), now)
        fed_views = list({view.symbol: view for _, view in fed}.values())
        figures.show(fed_views, now_ms=now)
        return fed_views

    def _marks(self, fed: list[FedMarket]) -> dict[int, int]:
        """Return the mark prices now published, those of healthy markets."""
        perpetuals = [m.market_id for m, _ in fed if m.kind is MarketKind.PERPETUAL]
        return live_marks(perpetuals) if perpetuals else {}

    def publish_depth(self, now_ms: int) -> None:
        """Publish the recorded depth of every replayed market; nothing with live prices."""
        if not isinstance(self.feed, ReplayFeed):
            return
        pipe = self._redis.pipeline(transaction=False)
        for symbol in self.feed.replay.symbols:
            pipe.set(
                keys.replay_depth_key(symbol), self.feed.depth_json(symbol, now_ms), px=HOLD_MS
            )
        pipe.execute()

    def _submit_prices(self, fed: list[FedMarket]) -> None:
        """
        Set index prices; of perpetual markets also say which are in doubt.

        A perpetual judges positions by its price, so the exchange itself decides there what
        a doubtful one still allows; a spot market without a price is halted from here.
        """
        prices = tuple(
            (market.market_id, view.price_atoms) for market, view in fed if view.price_atoms
        )
        doubtful: dict[PriceState, list[int]] = {}
        for market, view in fed:
            if market.kind is MarketKind.PERPETUAL:
                doubtful.setdefault(view.state, []).append(market.market_id)
        degraded = tuple(doubtful.get(PriceState.DEGRADED, ()))
        missing = tuple(doubtful.get(PriceState.HALTED, ()))
        if prices or degraded or missing:
            command = UpdateIndexPrices(prices=prices, degraded=degraded, missing=missing)
            self._submit(command, "index prices")

    def _publish(self, fed: list[FedMarket], now_ms: int) -> None:
        replayed = self.mode is FeedMode.REPLAY
        pipe = self._redis.pipeline(transaction=False)
        for market, view in fed:
            state = {
                "index_state": view.state.value,
                "index_source": "replay" if replayed else "live",
                "index_time": now_ms,
            }
            pipe.set(
                keys.index_key(market.market_id),
                msgspec.json.encode(state),
                px=HEALTH_TTL_MS,
            )
        pipe.set(
            keys.health_key(),
            encode_health(
                mode=self.mode.value,
                holder=self.holder,
                time_ms=now_ms,
                note=REPLAY_NOTE if replayed else LIVE_NOTE,
                views=list({view.symbol: view for _, view in fed}.values()),
            ),
            px=HEALTH_TTL_MS,
        )
        pipe.execute()

    def _halt_or_resume(self, fed: list[FedMarket], now_ms: int) -> None:
        """Halt spot markets whose price is gone and open again those that the feed halted."""
        halted = {int(raw) for raw in self._redis.smembers(keys.halted_key())}
        for market, view in fed:
            if market.kind is MarketKind.PERPETUAL:
                continue
            market_id = market.market_id
            if view.state is not PriceState.HALTED:
                self._missing_since.pop(market_id, None)
                if market_id in halted:
                    self._resume(market)
                continue
            since = self._missing_since.setdefault(market_id, now_ms)
            if now_ms - since >= HALT_AFTER_MS and market.status is not MarketStatus.HALTED:
                self._halt(market_id)

    def _halt(self, market_id: int) -> None:
        # Noted first: a halt that nobody remembers would never be lifted.
        self._redis.sadd(keys.halted_key(), market_id)
        command = SetMarketStatus(
            market_id=market_id,
            status=MarketStatus.HALTED,
            reason="no live price",
            actor="feed",
            cause=StatusCause.NO_PRICE,
        )
        self._submit(command, "halt")
        selectors.cache_clear()

    def _resume(self, market: MarketInfo) -> None:
        # An operator, or a circuit breaker, changed the status since then; leave it.
        if market.status is MarketStatus.HALTED and market.status_cause is StatusCause.NO_PRICE:
            command = SetMarketStatus(
                market_id=market.market_id,
                status=MarketStatus.TRADING,
                reason="live prices are back",
                actor="feed",
            )
            if not self._submit(command, "resume"):
                return
            selectors.cache_clear()
        self._redis.srem(keys.halted_key(), market.market_id)

    def _submit(self, command: AnyCommand, what: str) -> bool:
        try:
            outcome: Outcome = gateway.submit(command, lane=Lane.SYSTEM, timeout_s=SUBMIT_TIMEOUT_S)
        except gateway.ExchangeError as error:
            log.warning("feed_not_taken", what=what, code=error.code)
            return False
        if outcome.code != Code.OK:
            log.warning("feed_refused", what=what, code=Code(outcome.code).name)
        return bool(outcome.code == Code.OK)
