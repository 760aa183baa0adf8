"""
Candles as plain values: keys, bars and how they add up.

Pure integers in atoms. A bar of a long interval is the sum of its minutes, so only minutes
are ever built from trades or prices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from exchange.core.events import TradeExecuted
from markets.enums import INTERVAL_MS, CandleSource, Interval

MINUTE_MS = 60_000

# Layout of a candle's key, from the lowest bit: minute since 1970, interval, source's low bit,
# market, source's high bit. 32 + 3 + 1 + 20 + 1 bits stay below 2^57.
_MINUTE_BITS = 32
_INTERVAL_BITS = 3
_SOURCE_BITS = 1
_MARKET_BITS = 20
_MARKET_MAX = 2**_MARKET_BITS - 1


@dataclass(frozen=True, slots=True)
class Series:
    """One chart: a market's candles of one interval from one source."""

    market_id: int
    source: CandleSource
    interval: Interval

    @property
    def length_ms(self) -> int:
        """Milliseconds of one candle."""
        return INTERVAL_MS[self.interval]

    def key(self, open_ms: int) -> int:
        """
        Return the primary key of the candle that opens at a time.

        Raises:
            ValueError: if the market id or the time does not fit the key.
        """
        minute, remainder = divmod(open_ms, MINUTE_MS)
        if remainder or not 0 <= minute < 2**_MINUTE_BITS:
            raise ValueError(f"expected a whole minute, was {open_ms}")
        if not 0 < self.market_id <= _MARKET_MAX:
            raise ValueError(f"expected a market id up to {_MARKET_MAX}, was {self.market_id}")
        high, low = divmod(self.source, 1 << _SOURCE_BITS)
        head = (high << _MARKET_BITS | self.market_id) << _SOURCE_BITS | low
        return (head << _INTERVAL_BITS | self.interval) << _MINUTE_BITS | minute

    def open_ms(self, time_ms: int) -> int:
        """Return when the candle opened that holds a time."""
        return time_ms - time_ms % self.length_ms


@dataclass(frozen=True, slots=True)
class Bar:
    """Open, high, low, close, volumes (base and quote atoms) and trades from ``open_ms`` on."""

    open_ms: int
    open_atoms: int
    high_atoms: int
    low_atoms: int
    close_atoms: int
    volume_atoms: int = 0
    quote_atoms: int = 0
    trade_count: int = 0
    recorded: bool = False

    @classmethod
    def flat(cls, open_ms: int, price_atoms: int) -> Bar:
        """Return a bar in which nothing happened at a price."""
        return cls(open_ms, price_atoms, price_atoms, price_atoms, price_atoms)

    def then(self, later: Bar) -> Bar:
        """Return this bar followed by a later one, opening when this one opened."""
        return Bar(
            open_ms=self.open_ms,
            open_atoms=self.open_atoms,
            high_atoms=max(self.high_atoms, later.high_atoms),
            low_atoms=min(self.low_atoms, later.low_atoms),
            close_atoms=later.close_atoms,
            volume_atoms=self.volume_atoms + later.volume_atoms,
            quote_atoms=self.quote_atoms + later.quote_atoms,
            trade_count=self.trade_count + later.trade_count,
            recorded=self.recorded and later.recorded,
        )


def minute_bars(trades: Iterable[TradeExecuted]) -> dict[int, list[Bar]]:
    """Return the minute bars of trades by market, oldest first; trades are in their order."""
    bars: dict[int, dict[int, Bar]] = {}
    for trade in trades:
        open_ms = trade.time_ms - trade.time_ms % MINUTE_MS
        single = Bar(
            open_ms=open_ms,
            open_atoms=trade.price_atoms,
            high_atoms=trade.price_atoms,
            low_atoms=trade.price_atoms,
            close_atoms=trade.price_atoms,
            volume_atoms=trade.quantity_atoms,
            quote_atoms=trade.quote_atoms,
            trade_count=1,
        )
        market = bars.setdefault(trade.market_id, {})
        known = market.get(open_ms)
        market[open_ms] = single if known is None else known.then(single)
    return {market_id: list(market.values()) for market_id, market in bars.items()}


def gather(series: Series, minutes: Iterable[Bar]) -> list[Bar]:
    """Return minute bars added up to a series' interval, in their order."""
    gathered: dict[int, Bar] = {}
    for minute in minutes:
        open_ms = series.open_ms(minute.open_ms)
        known = gathered.get(open_ms)
        gathered[open_ms] = (
            replace(minute, open_ms=open_ms) if known is None else known.then(minute)
        )
    return list(gathered.values())


def fill_gaps(
    bars: list[Bar], *, length_ms: int, first_ms: int, last_ms: int, before: Bar | None
) -> list[Bar]:
    """
    Return bars without holes from ``first_ms`` to ``last_ms``, both opening times.

    A hole is flat at the last close and has no volume; ``before`` is the bar ahead of the
    range. Time before the first known price stays empty.
    """
    known = {bar.open_ms: bar for bar in bars}
    filled: list[Bar] = []
    previous = before
    for open_ms in range(first_ms, last_ms + 1, length_ms):
        bar = known.get(open_ms)
        if bar is None and previous is not None:
            bar = Bar.flat(open_ms, previous.close_atoms)
        if bar is not None:
            filled.append(bar)
            previous = bar
    return filled
