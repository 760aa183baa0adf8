"""Bring the live views to where the database is: candles, tape, index prices."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from exchange.core.units import ATOMS
from markets.candle_store import progress
from markets.candles import Series
from markets.enums import INTERVAL_NAMES, CandleSource, Interval
from markets.live.market import LiveMarket
from markets.live.statistics import DAY_MINUTES, MINUTE_MS, OpenBar
from markets.models import Candle, IndexPrice

# Trades read at once that the candles do not contain yet.
TRADES_CHUNK = 5_000
# Candles are built beside us: readings that a step of it fell into are repeated.
READINGS_MAX = 10


def restore(markets: Mapping[int, LiveMarket], time_ms: int) -> None:
    """
    Fill freshly made markets from the database.

    Candles contain the trades up to their recorded progress; the rest is read one by one.
    Events that arrive later for trades already counted are recognised by their id.
    """
    for price in IndexPrice.objects.filter(id__in=list(markets)):
        markets[price.id].take_index(price.price_atoms, 0)
    counted = progress()
    for _ in range(READINGS_MAX):
        for market in markets.values():
            _restore_candles(market, time_ms)
        before, counted = counted, progress()
        if before == counted:
            break
    recent = import_string(settings.TRADES_RECENT)
    for market_id, market in markets.items():
        market.trade_floor = counted
        for trade in reversed(recent(market_id, market.recent.maxlen)):
            if trade.trade_id <= counted:
                market.restore_trade(trade)
    _count_rest(markets, counted)


def _count_rest(markets: Mapping[int, LiveMarket], counted: int) -> None:
    trades_after = import_string(settings.TRADES_AFTER)
    while True:
        trades = trades_after(counted, TRADES_CHUNK)
        for trade in trades:
            market = markets.get(trade.market_id)
            if market is not None:
                market.restore_trade(trade)
        if len(trades) < TRADES_CHUNK:
            return
        counted = trades[-1].trade_id


def _restore_candles(market: LiveMarket, time_ms: int) -> None:
    market_id = market.info.market_id
    market.day.restore(
        [
            _bar(row)
            for row in _candles(
                market_id,
                Interval.ONE_MINUTE,
                first_ms=time_ms - time_ms % MINUTE_MS - (DAY_MINUTES - 1) * MINUTE_MS,
                last_ms=time_ms,
            )
        ]
    )
    for candle in market.candles:
        open_ms = time_ms - time_ms % candle.length_ms
        row = _candles(
            market_id, INTERVAL_NAMES[candle.interval], first_ms=open_ms, last_ms=open_ms
        ).first()
        candle.bar = None if row is None else _bar(row)


def _candles(
    market_id: int, interval: Interval, *, first_ms: int, last_ms: int
) -> QuerySet[Candle]:
    """Return what was traded here: one range of the key, shipped history left out."""
    series = Series(market_id, CandleSource.TRADES, interval)
    return Candle.objects.filter(
        id__gte=series.key(series.open_ms(first_ms)),
        id__lte=series.key(series.open_ms(last_ms)),
        recorded=False,
    ).order_by("id")


def _bar(row: Candle) -> OpenBar:
    return OpenBar(
        open_ms=row.open_ms,
        open_atoms=row.open_atoms,
        high_atoms=row.high_atoms,
        low_atoms=row.low_atoms,
        close_atoms=row.close_atoms,
        volume_atoms=row.volume_units * ATOMS + row.volume_atoms,
        quote_atoms=row.quote_volume_units * ATOMS + row.quote_volume_atoms,
        count=row.trade_count,
    )
