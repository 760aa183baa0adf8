"""
What is written down each minute, and where it comes from.

Flows are counted along the numbers of their rows, from the last one that counts already: no run
scans a table. Levels are what they are at the moment of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from accounts.selectors import users_made_after
from adminpanel.ack_figures import AckCounts, ack_counts, acks_between
from adminpanel.live_samples import Figures
from adminpanel.metric_table import MINUTE_MS
from adminpanel.readings import read_figures
from adminpanel.samples import Point, Position, Source, advance, position_of
from common import redis as redis_clients
from common.ids import first_id_of, time_of_id
from exchange.core.margin import notional_atoms
from exchange.wire import decode_status
from markets.feeds.health import FeedHealth
from markets.selectors import MarketNotFound, asset_by_id, market_by_id
from orders.trade_feed import turnover_after
from riskengine.render import LIQUIDATION_KIND_NAMES
from riskengine.selectors import (
    funds_held,
    insurances_all,
    liquidations_after,
    prices_by_id,
)

# Rows read and counted in one transaction, and in one run: after a pause, or on a database that
# is older than its samples, the next runs go on.
ROWS_PER_TURN = 5_000
TURNS_PER_RUN = 20
# A user's id is made a moment before its row is committed.
USERS_SETTLE_MS = 10_000
# After a longer pause the days are right but not the minutes.
SPREAD_MINUTES_MAX = 1_440
# How long the counters of the run before are kept.
ACKS_KEPT_MS = 10 * MINUTE_MS

Read = Callable[[Position], tuple[int, int, list[Point]]]


def sample_all(now_ms: int) -> None:
    """
    Write down everything that is due; safe to run twice, and beside another run.

    Raises:
        redis.RedisError: if Redis cannot be asked; what the database holds is counted before.
    """
    _follow(Source.TRADES, _trades, now_ms)
    _follow(Source.LIQUIDATIONS, _liquidations, now_ms)
    _follow(Source.USERS, lambda before: _users(before, now_ms), now_ms)
    figures = read_figures(redis_clients.client())
    _sample_commands(figures, now_ms)
    _sample_levels(figures, now_ms)


def _follow(source: Source, read: Read, now_ms: int) -> None:
    """Count what a source has new, a bounded number of rows at a time."""
    for _ in range(TURNS_PER_RUN):
        before = position_of(source)
        position, counted, points = read(before or Position(0, 0))
        if not counted:
            return
        moved = advance(
            source,
            before=before,
            position=position,
            counted=counted,
            points=points,
            now_ms=now_ms,
        )
        if not moved or counted < ROWS_PER_TURN:
            return


def symbol_of(market_id: int) -> str:
    """Return the label of a market's series."""
    try:
        return market_by_id(market_id).symbol
    except MarketNotFound:
        return f"market {market_id}"


def _trades(before: Position) -> tuple[int, int, list[Point]]:
    rows = turnover_after(before.position, ROWS_PER_TURN)
    sums: dict[tuple[str, int, int], int] = {}
    for row in rows:
        minute_ms = row.time_ms - row.time_ms % MINUTE_MS
        amounts = [("fees", row.fee_atoms)]
        if row.in_book:
            amounts += [("volume", row.quote_atoms), ("trades", 1)]
        for metric, amount in amounts:
            key = metric, row.market_id, minute_ms
            sums[key] = sums.get(key, 0) + amount
    points = [
        Point(metric, symbol_of(market_id), time_ms, value)
        for (metric, market_id, time_ms), value in sums.items()
        if value
    ]
    return (rows[-1].trade_id if rows else 0), len(rows), points


def _liquidations(before: Position) -> tuple[int, int, list[Point]]:
    steps = liquidations_after(before.position, ROWS_PER_TURN)
    points = [
        Point("liquidations", LIQUIDATION_KIND_NAMES[step.kind], step.time_ms, 1) for step in steps
    ]
    return (steps[-1].liquidation_id if steps else 0), len(steps), points


def _users(before: Position, now_ms: int) -> tuple[int, int, list[Point]]:
    settled = first_id_of(now_ms - USERS_SETTLE_MS)
    ids = users_made_after(before.position, before_id=settled, limit=ROWS_PER_TURN)
    points = [Point("new_users", "", time_of_id(user_id), 1) for user_id in ids]
    return (ids[-1] if ids else 0), len(ids), points


def _sample_commands(figures: Figures, now_ms: int) -> None:
    """Count commands and batches by the numbers that the leader tells."""
    if figures.status is None:
        return
    status = decode_status(figures.status)
    if not status.leader:
        return
    last_run = position_of(Source.MINUTE)
    for source, metric, number in (
        (Source.COMMANDS, "commands", status.command_number),
        (Source.BATCHES, "batches", status.batch),
    ):
        before = position_of(source)
        if before is not None and number <= before.position:
            continue
        # What ran before anybody counted belongs to no minute.
        grown = 0 if before is None else number - before.position
        minutes = now_ms // MINUTE_MS - last_run.position if last_run else 1
        points = [Point(metric, "", *part) for part in _spread(grown, minutes, now_ms)]
        advance(source, before=before, position=number, points=points, now_ms=now_ms)


def _spread(grown: int, minutes: int, now_ms: int) -> Iterator[tuple[int, int]]:
    """
    Yield times and parts of what grew over some minutes, up to now.

    After a pause of the worker nobody knows how it was distributed: evenly, rather than as a
    peak of the minute in which the worker came back.
    """
    count = max(1, min(minutes, SPREAD_MINUTES_MAX))
    share, rest = divmod(grown, count)
    for number in range(count):
        part = share + (rest if number == 0 else 0)
        if part:
            yield now_ms - number * MINUTE_MS, part


def _sample_levels(figures: Figures, now_ms: int) -> None:
    minute = now_ms // MINUTE_MS
    before = position_of(Source.MINUTE)
    if before is not None and before.position >= minute:
        return
    points = [
        Point(metric, label, now_ms, value)
        for levels in (open_interests(), insurance_levels(), _feeds(figures))
        for metric, label, value in levels
    ]
    points += _acks(figures, now_ms)
    advance(Source.MINUTE, before=before, position=minute, points=points, now_ms=now_ms)


Level = tuple[str, str, int]


def open_interests() -> Iterator[Level]:
    """Yield the open interest of each perpetual market, in quote atoms at its mark."""
    for market_id, prices in prices_by_id().items():
        value = notional_atoms(prices.open_interest_atoms, prices.mark_atoms)
        yield "open_interest", symbol_of(market_id), value


def insurance_levels() -> Iterator[Level]:
    """Yield what each insurance fund holds."""
    for group_id, held in funds_held([group.group_id for group in insurances_all()]).items():
        for asset_id, atoms in held:
            yield "insurance", f"group {group_id} {asset_by_id(asset_id).code}", atoms


def _feeds(figures: Figures) -> Iterator[Level]:
    """Yield age and divergence of each source where they are worst."""
    if figures.feed is None:
        return
    health = msgspec.json.decode(figures.feed, type=FeedHealth)
    for index in health.indexes:
        for source in index.sources:
            if source.age_ms is not None:
                yield "feed_age_ms", source.source, source.age_ms
            if source.divergence_e8 is not None:
                yield "feed_divergence_e8", source.source, abs(source.divergence_e8)


def _acks(figures: Figures, now_ms: int) -> list[Point]:
    """Return how long answers took since the last run, which left its counters in Redis."""
    client, key = redis_clients.client(), redis_clients.key("admin", "acks")
    kept: Any = client.get(key)
    counts = ack_counts(figures.processes)
    client.set(key, msgspec.json.encode(counts), px=ACKS_KEPT_MS)
    if kept is None:
        return []
    found = acks_between(msgspec.json.decode(kept, type=dict[str, AckCounts]), counts)
    if found is None:
        return []
    return [
        Point("ack_mean_us", "", now_ms, round(found.mean_ms * 1_000)),
        Point("ack_p99_us", "", now_ms, round(found.p99_ms * 1_000)),
    ]
