"""The page of price sources: each source of each index with its age, price and divergence."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.back_office import operations_on
from accounts.operations import operation_url
from accounts.permissions import Permission
from adminpanel.section_pages import Banner, Section, age_text, section_page
from common.tables import Cell, Column, Kind, Table, Tone
from exchange.core.units import format_atoms
from markets.enums import PriceState, SourceStatus
from markets.feeds.health import FeedHealth, IndexHealth, SourceHealth, feed_health
from markets.feeds.switching import sources_switched_off

_STATE_TONES = {
    PriceState.LIVE: Tone.GOOD,
    PriceState.REPLAY: Tone.NOTE,
    PriceState.DEGRADED: Tone.WARNING,
    PriceState.HALTED: Tone.BAD,
}
_STATUS_TONES = {
    SourceStatus.OK: Tone.GOOD,
    SourceStatus.UNCONFIRMED: Tone.WARNING,
    SourceStatus.STALE: Tone.WARNING,
}
_OPERATION_COLUMNS = (
    Column("source", "Source"),
    Column("state", "State", Kind.BADGE),
    Column("operation", "Operation"),
)
_INDEX_COLUMNS = (
    Column("symbol", "Index"),
    Column("state", "State", Kind.BADGE),
    Column("price", "Price", Kind.FIGURE),
    Column("used", "Sources in use", Kind.FIGURE),
)
_SOURCE_COLUMNS = (
    Column("symbol", "Index"),
    Column("source", "Source"),
    Column("status", "State", Kind.BADGE),
    Column("reason", "Why"),
    Column("price", "Price", Kind.FIGURE),
    Column("age", "Age", Kind.FIGURE),
    Column("divergence", "From the median", Kind.FIGURE),
)


@section_page("Price sources", Permission.MARKETS_VIEW)
def sources_page(request: HttpRequest) -> Section:
    """Show each index and what every source last said of it."""
    health = feed_health()
    if health is None:
        return Section([], [Banner("Nobody feeds prices: trading halts.", Tone.BAD)])
    # Recorded prices have no sources: nothing to switch.
    is_live = any(index.sources for index in health.indexes)
    tables = [
        *([_operations_table(request)] if is_live else []),
        Table(_INDEX_COLUMNS, [_index_row(index) for index in health.indexes], "Indexes"),
        Table(
            _SOURCE_COLUMNS,
            [_source_row(index, source) for index in health.indexes for source in index.sources],
            "Sources",
            empty="Recorded prices have no sources.",
        ),
    ]
    return Section(tables, [_banner(health)])


def _operations_table(request: HttpRequest) -> Table:
    """Return the sources with what the reader may do to each."""
    actor: Any = request.user
    off = sources_switched_off()
    rows = []
    for name in settings.PRICE_SOURCES:
        operation = next(iter(operations_on("price-source", name, actor)), None)
        rows.append(
            {
                "source": name,
                "state": Cell("switched off", tone=Tone.WARNING)
                if name in off
                else Cell("listened to", tone=Tone.GOOD),
                "operation": None
                if operation is None
                else Cell(operation.title, href=operation_url(operation.name, name)),
            }
        )
    return Table(_OPERATION_COLUMNS, rows, "Venues")


def _banner(health: FeedHealth) -> Banner:
    age = age_text(time.time_ns() // 1_000_000 - health.time_ms)
    text = f"{health.note} Fed by {health.holder}, {age} ago."
    return Banner(text, _STATE_TONES[health.worst_state()])


def _index_row(index: IndexHealth) -> dict[str, Any]:
    used = sum(source.status == SourceStatus.OK for source in index.sources)
    return {
        "symbol": index.symbol,
        "state": Cell(index.state, tone=_STATE_TONES[PriceState(index.state)]),
        "price": _price(index.price_atoms),
        "used": f"{used} of {len(index.sources)}",
    }


def _source_row(index: IndexHealth, source: SourceHealth) -> dict[str, Any]:
    away = source.divergence_e8
    return {
        "symbol": index.symbol,
        "source": source.source,
        "status": Cell(
            source.status, tone=_STATUS_TONES.get(SourceStatus(source.status), Tone.BAD)
        ),
        "reason": source.reason.replace("_", " ").lower(),
        "price": _price(source.price_atoms),
        "age": None if source.age_ms is None else age_text(source.age_ms),
        "divergence": None if away is None else f"{format_atoms(away * 100, 4)} %",
    }


def _price(atoms: int | None) -> str | None:
    return None if atoms is None else format_atoms(atoms, 0)
