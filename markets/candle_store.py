"""
Writes and reads of stored candles.

Candles are derived: everything here can be deleted and built again from trades. They are
written in batches of minutes; the open minute is live data (``common.ws.topics``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from common.db import atomic
from exchange.core.events import TradeExecuted
from exchange.core.units import ATOMS
from markets.candles import Bar, Series, fill_gaps, gather, minute_bars
from markets.enums import CandleSource, Interval
from markets.models import Candle, CandleProgress

log = structlog.get_logger(__name__)

_PROGRESS_ID = 1

# Trades read at once: some megabytes, one short transaction.
TRADES_BATCH = 5_000

# Trades counted in one run of the task, so that a rebuild shares its worker.
BATCHES_MAX = 20

# Candles written by one statement stay below SQLite's limit of variables.
_ROWS_BATCH = 500

_VALUES = (
    "open_atoms",
    "high_atoms",
    "low_atoms",
    "close_atoms",
    "volume_units",
    "volume_atoms",
    "quote_volume_units",
    "quote_volume_atoms",
    "trade_count",
    "recorded",
)

# The last minute a key can hold.
_LAST_MS = (2**32 - 1) * 60_000

TradesAfter = Callable[[int, int], list[TradeExecuted]]


def candles_build(trades_after: TradesAfter | None = None) -> int:
    """
    Count the trades that no candle contains yet; return how many.

    Progress and candles change in one transaction, and only if nobody else moved the
    progress meanwhile, so a trade is counted once whoever runs this and however often.
    ``trades_after(trade_id, limit)`` returns trades in their order; by default what
    ``settings.TRADES_AFTER`` names, since trades belong to an app above this one.
    """
    read = trades_after or import_string(settings.TRADES_AFTER)
    counted = 0
    for _ in range(BATCHES_MAX):
        done = progress()
        trades = read(done, TRADES_BATCH)
        if not trades or not _count(trades, done):
            break
        counted += len(trades)
        if len(trades) < TRADES_BATCH:
            break
    return counted


def progress() -> int:
    """Return the number of the last trade that candles contain."""
    row = CandleProgress.objects.filter(id=_PROGRESS_ID).first()
    return 0 if row is None else row.last_trade_id


def candles_forget() -> None:
    """Delete every candle made of trades, recorded history included, and the progress."""
    with atomic():
        Candle.objects.filter(source=CandleSource.TRADES).delete()
        CandleProgress.objects.filter(id=_PROGRESS_ID).delete()


def price_minutes_store(market_id: int, source: CandleSource, minutes: Iterable[Bar]) -> int:
    """Store finished minutes of an index or mark price; those stored already are left alone."""
    minutes = list(minutes)
    series = Series(market_id, source, Interval.ONE_MINUTE)
    with atomic():
        keys = [series.key(bar.open_ms) for bar in minutes]
        stored = set(Candle.objects.filter(id__in=keys).values_list("id", flat=True))
        new = [bar for bar, key in zip(minutes, keys, strict=True) if key not in stored]
        _add(market_id, source, new)
    return len(new)


def recorded_minutes_store(market_id: int, source: CandleSource, minutes: list[Bar]) -> None:
    """Store shipped history in an empty chart: all intervals, marked as recorded."""
    with atomic():
        _add(market_id, source, minutes)


def has_candles(market_id: int, source: CandleSource) -> bool:
    """Return whether a market has any candle from a source."""
    series = Series(market_id, source, Interval.ONE_MINUTE)
    return Candle.objects.filter(
        id__gte=series.key(0), id__lte=Series(market_id, source, Interval.ONE_DAY).key(_LAST_MS)
    ).exists()


def bars_read(
    series: Series,
    *,
    start_ms: int | None,
    end_ms: int,
    limit: int,
    open_bar: Bar | None = None,
    open_minute: Bar | None = None,
) -> list[Bar]:
    """
    Return at most ``limit`` bars without holes, oldest first.

    With ``start_ms`` the first ones from there, otherwise the last ones up to ``end_ms``.
    Live data that is not stored yet: ``open_bar`` replaces the stored bar of its time,
    ``open_minute`` is added to it.
    """
    length = series.length_ms
    last = series.open_ms(max(0, end_ms))
    if start_ms is None:
        first = last - (limit - 1) * length
    else:
        first = -(-start_ms // length) * length
        last = min(last, first + (limit - 1) * length)
    first = max(first, 0)
    if first > last:
        return []
    rows = Candle.objects.filter(id__gte=series.key(first), id__lte=series.key(last))
    bars = [_bar(row) for row in rows.order_by("id")]
    if open_minute is not None:
        open_bar = _with_minute(bars, series, open_minute)
    if open_bar is not None and first <= open_bar.open_ms <= last:
        bars = [bar for bar in bars if bar.open_ms < open_bar.open_ms] + [open_bar]
    return fill_gaps(
        bars, length_ms=length, first_ms=first, last_ms=last, before=_bar_before(series, first)
    )


def _with_minute(bars: list[Bar], series: Series, minute: Bar) -> Bar:
    """Return the bar that holds the open minute, with what is stored of it."""
    (present,) = gather(series, [minute])
    known = next((bar for bar in reversed(bars) if bar.open_ms == present.open_ms), None)
    if known is None or series.interval is Interval.ONE_MINUTE:
        return present
    return known.then(present)


def _bar_before(series: Series, open_ms: int) -> Bar | None:
    row = (
        Candle.objects.filter(id__gte=series.key(0), id__lt=series.key(open_ms))
        .order_by("-id")
        .first()
    )
    return None if row is None else _bar(row)


def _count(trades: list[TradeExecuted], done: int) -> bool:
    with atomic():
        CandleProgress.objects.bulk_create(
            [CandleProgress(id=_PROGRESS_ID, last_trade_id=0)], ignore_conflicts=True
        )
        moved = CandleProgress.objects.filter(id=_PROGRESS_ID, last_trade_id=done).update(
            last_trade_id=trades[-1].trade_id
        )
        if not moved:
            log.info("candles_built_elsewhere")
            return False
        for market_id, minutes in minute_bars(trades).items():
            _add(market_id, CandleSource.TRADES, minutes)
    return True


def _add(market_id: int, source: CandleSource, minutes: list[Bar]) -> None:
    """Add minutes to the stored candles of every interval; inside a transaction."""
    rows: list[Candle] = []
    for interval in Interval:
        series = Series(market_id, source, interval)
        bars = {series.key(bar.open_ms): bar for bar in gather(series, minutes)}
        keys = list(bars)
        for index in range(0, len(keys), _ROWS_BATCH):
            for row in Candle.objects.filter(id__in=keys[index : index + _ROWS_BATCH]):
                bars[row.id] = _bar(row).then(bars[row.id])
        rows.extend(_row(key, series, bar) for key, bar in bars.items())
    Candle.objects.bulk_create(
        rows,
        batch_size=_ROWS_BATCH // 8,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=list(_VALUES),
    )


def _row(key: int, series: Series, bar: Bar) -> Candle:
    return Candle(
        id=key,
        market_id=series.market_id,
        source=series.source,
        interval=series.interval,
        open_ms=bar.open_ms,
        open_atoms=bar.open_atoms,
        high_atoms=bar.high_atoms,
        low_atoms=bar.low_atoms,
        close_atoms=bar.close_atoms,
        volume_units=bar.volume_atoms // ATOMS,
        volume_atoms=bar.volume_atoms % ATOMS,
        quote_volume_units=bar.quote_atoms // ATOMS,
        quote_volume_atoms=bar.quote_atoms % ATOMS,
        trade_count=bar.trade_count,
        recorded=bar.recorded,
    )


def _bar(row: Candle) -> Bar:
    return Bar(
        open_ms=row.open_ms,
        open_atoms=row.open_atoms,
        high_atoms=row.high_atoms,
        low_atoms=row.low_atoms,
        close_atoms=row.close_atoms,
        volume_atoms=row.volume_units * ATOMS + row.volume_atoms,
        quote_atoms=row.quote_volume_units * ATOMS + row.quote_volume_atoms,
        trade_count=row.trade_count,
        recorded=row.recorded,
    )
