"""
Trades of everybody, in the order of their numbers: for derived views, never for a caller.

But for ``turnover_after`` only what met in the book: takeovers, deleveraging and settlement have
prices of their own, which no tape, candle or last price may show.
"""

from typing import Any, NamedTuple

from exchange.core.enums import Side, TradeKind
from exchange.core.events import TradeExecuted
from orders.models import Trade

_COLUMNS = (
    "id",
    "market_id",
    "price_atoms",
    "quantity_atoms",
    "quote_atoms",
    "taker_side",
    "taker_order_id",
    "maker_order_id",
    "taker_account_id",
    "maker_account_id",
    "taker_fee_atoms",
    "maker_fee_atoms",
    "time_ms",
)
_SIDE = _COLUMNS.index("taker_side")
_TURNOVER_COLUMNS = (
    "id",
    "market_id",
    "quote_atoms",
    "taker_fee_atoms",
    "maker_fee_atoms",
    "time_ms",
    "kind",
)
_MATCH = TradeKind.MATCH.value
_MATCHES = Trade.objects.filter(kind=_MATCH)


class Turnover(NamedTuple):
    """What a trade moved and brought in: quote atoms, fees net of rebates."""

    trade_id: int
    market_id: int
    quote_atoms: int
    fee_atoms: int
    time_ms: int
    in_book: bool


def trades_after(trade_id: int, limit: int) -> list[TradeExecuted]:
    """Return at most ``limit`` trades with higher numbers, lowest first."""
    rows = _MATCHES.filter(id__gt=trade_id).order_by("id").values_list(*_COLUMNS)[:limit]
    return [_event(row) for row in rows]


def turnover_after(trade_id: int, limit: int) -> list[Turnover]:
    """Return at most ``limit`` trades of every kind with higher numbers, lowest first."""
    rows = Trade.objects.filter(id__gt=trade_id).order_by("id").values_list(*_TURNOVER_COLUMNS)
    return [
        Turnover(number, market_id, quote, taker_fee + maker_fee, time_ms, kind == _MATCH)
        for number, market_id, quote, taker_fee, maker_fee, time_ms, kind in rows[:limit]
    ]


def trades_recent(market_id: int, limit: int) -> list[TradeExecuted]:
    """Return at most ``limit`` last trades of a market, newest first."""
    rows = _MATCHES.filter(market_id=market_id).order_by("-id").values_list(*_COLUMNS)
    return [_event(row) for row in rows[:limit]]


def _event(row: tuple[Any, ...]) -> TradeExecuted:
    values = list(row)
    values[_SIDE] = Side(values[_SIDE])
    return TradeExecuted(*values)
