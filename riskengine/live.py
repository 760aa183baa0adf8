"""The projector of perpetual markets: marks, funding and open interest, and liquidations."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import redis as redis_module

from common.ws import topics
from common.ws.frames import UPDATE, PublicFrame, body, to_json
from common.ws.projecting import Output
from exchange.core.enums import MarketKind, PriceQuality, Side
from exchange.core.events import LiquidationStepped, MarketConfigured, PricesChanged
from exchange.core.margin import notional_atoms
from exchange.core.units import format_atoms
from markets import selectors
from markets.types import MarketInfo
from riskengine.selectors import liquidations_page, prices_by_id

if TYPE_CHECKING:
    from exchange.events_stream import BatchEvents

# Steps kept for the snapshot of a liquidations channel.
RECENT_MAX = 100
# Steps of all markets looked through for them at the start.
STEPS_LOOKED_AT = 1_000
# Marks change once a second; trades and liquidations in between change the open interest.
PRICES_EVERY_MS = 250

_QUALITIES = {quality: quality.name.lower() for quality in PriceQuality}


class PerpetualProjector:
    """Keeps a ``LivePerpetual`` for each perpetual market and publishes what changed."""

    def __init__(self, _redis: redis_module.Redis) -> None:
        """Ask nothing of Redis: all begins in the database."""
        self._markets: dict[int, LivePerpetual] = {}

    def start(self, epoch: int, time_ms: int) -> None:
        """Build all markets again from the database."""
        del epoch, time_ms
        selectors.cache_clear()
        self._markets = {
            info.market_id: LivePerpetual(info)
            for info in selectors.markets_all()
            if info.kind is MarketKind.PERPETUAL
        }
        for prices in prices_by_id().values():
            if prices.market_id in self._markets:
                self._markets[prices.market_id].take_prices(prices, 0)
        for step in reversed(liquidations_page(limit=STEPS_LOOKED_AT)):
            if step.market_id in self._markets:
                self._markets[step.market_id].take_liquidation(step)
        for market in self._markets.values():
            market.restored()

    def apply(self, batch: BatchEvents) -> None:
        """Take in one committed batch; no I/O but for a market that is new."""
        for event in batch.events:
            if isinstance(event, PricesChanged):
                market = self._markets.get(event.market_id)
                if market is not None:
                    market.take_prices(event, batch.last_command)
            elif isinstance(event, LiquidationStepped):
                market = self._markets.get(event.market_id)
                if market is not None:
                    market.take_liquidation(event)
            elif isinstance(event, MarketConfigured) and event.kind is MarketKind.PERPETUAL:
                self._configure(event.market_id)

    def flush(self, out: Output) -> None:
        """Publish what is due."""
        for market in self._markets.values():
            market.flush(out)

    def close(self) -> None:
        """Hold nothing that needs to be closed."""

    def _configure(self, market_id: int) -> None:
        # The row was committed before this event was published.
        selectors.cache_clear()
        info = selectors.market_by_id(market_id)
        if market_id in self._markets:
            self._markets[market_id].info = info
        else:
            self._markets[market_id] = LivePerpetual(info)


class LivePerpetual:
    """
    One market's prices and recent liquidations, and what of them still has to be published.

    ``seq`` of prices is the number of the last command they contain, that of liquidations the
    number of the last step.
    """

    def __init__(self, info: MarketInfo) -> None:
        """Start without prices and without liquidations."""
        self.info = info
        self._prices: PricesChanged | None = None
        self._seq = 0
        self._is_dirty = False
        self._flushed_ms = 0
        self._funding: dict[str, Any] = {}
        self._recent: deque[str] = deque(maxlen=RECENT_MAX)
        self._last_id = 0
        self._new: list[str] = []
        self._prev_id = 0
        self._is_unwritten = True

    def take_prices(self, prices: PricesChanged, command: int) -> None:
        """Take the prices now in use."""
        self._prices = prices
        self._seq = max(self._seq, command)
        self._is_dirty = True

    def take_liquidation(self, step: LiquidationStepped) -> None:
        """Take a step of the ladder unless what was restored contains it."""
        if step.liquidation_id <= self._last_id:
            return
        text = to_json(liquidation_json(step, self.info))
        if not self._new:
            self._prev_id = self._last_id
        self._new.append(text)
        self._recent.appendleft(text)
        self._last_id = step.liquidation_id

    def restored(self) -> None:
        """Note that what was taken so far is the past, not news."""
        self._new = []
        self._is_unwritten = True

    def flush(self, out: Output) -> None:
        """Add the frames and snapshots that are due."""
        self._flush_liquidations(out)
        if self._is_dirty and out.time_ms - self._flushed_ms >= PRICES_EVERY_MS:
            self._is_dirty = False
            self._flushed_ms = out.time_ms
            if self._prices is not None and self._prices.mark_atoms:
                self._state(out, topics.MARK, mark_json(self._prices, self.info))
                funding = funding_json(self._prices)
                if funding != self._funding:
                    self._funding = funding
                    self._state(out, topics.FUNDING, funding)

    def _flush_liquidations(self, out: Output) -> None:
        if not self._new and not self._is_unwritten:
            return
        topic = topics.topic_of(topics.LIQUIDATIONS, self.info.market_id)
        recent = ",".join(self._recent)
        head = self._head(out, self._last_id)
        out.snapshots[topics.snapshot_key(topic)] = f'{{{head},"liquidations":[{recent}]}}'
        self._is_unwritten = False
        if not self._new:
            return
        steps = ",".join(reversed(self._new))
        text = body(
            epoch=out.epoch,
            seq=self._last_id,
            prev=self._prev_id,
            kind=UPDATE,
            time_ms=out.time_ms,
            data=f'{{"symbol":"{self.info.symbol}","liquidations":[{steps}]}}',
        )
        out.public.append(PublicFrame(topic, self._last_id, self._prev_id, text))
        self._new = []

    def _state(self, out: Output, kind: str, values: dict[str, Any]) -> None:
        """Publish a whole state: as the snapshot, and as a frame that replaces the last one."""
        topic = topics.topic_of(kind, self.info.market_id)
        data = f"{{{self._head(out, self._seq)},{to_json(values)[1:]}"
        out.snapshots[topics.snapshot_key(topic)] = data
        text = body(epoch=out.epoch, seq=self._seq, kind=UPDATE, time_ms=out.time_ms, data=data)
        out.public.append(PublicFrame(topic, self._seq, 0, text))

    def _head(self, out: Output, seq: int) -> str:
        return f'"symbol":"{self.info.symbol}","epoch":{out.epoch},"seq":{seq},"time":{out.time_ms}'


def mark_json(prices: PricesChanged, market: MarketInfo) -> dict[str, Any]:
    """Return mark and index price, how far they are believed, and what is open."""
    interest = prices.open_interest_atoms
    return {
        "mark_price": market.price_text(prices.mark_atoms),
        "index_price": market.price_text(prices.index_atoms) if prices.index_atoms else None,
        "state": _QUALITIES[prices.quality],
        "marked_at": prices.time_ms,
        "open_interest": market.quantity_text(interest),
        "open_interest_value": format_atoms(
            notional_atoms(interest, prices.mark_atoms), market.quote_decimals
        ),
    }


def funding_json(prices: PricesChanged) -> dict[str, Any]:
    """Return the last funding rate, what the running interval's would be, and when it is due."""
    return {
        "funding_rate": format_atoms(prices.funding_rate_e8, 8),
        "predicted_rate": format_atoms(prices.predicted_rate_e8, 8),
        "next_funding_time": prices.next_funding_ms or None,
    }


def liquidation_json(step: LiquidationStepped, market: MarketInfo) -> dict[str, Any]:
    """Return a step as everybody may see it: without accounts."""
    return {
        "id": str(step.liquidation_id),
        "kind": step.kind.name.lower(),
        "side": "buy" if step.side is Side.BUY else "sell",
        "price": market.price_text(step.price_atoms),
        "quantity": market.quantity_text(step.quantity_atoms),
        "value": format_atoms(step.quote_atoms, market.quote_decimals),
        "mark_price": market.price_text(step.mark_atoms),
        "time": step.time_ms,
    }
