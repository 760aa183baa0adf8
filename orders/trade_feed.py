"""Trades of everybody, in the order of their numbers: for derived views, never for a caller."""

from typing import Any

from exchange.core.enums import Side
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


def trades_after(trade_id: int, limit: int) -> list[TradeExecuted]:
    """Return at most ``limit`` trades with higher numbers, lowest first."""
    rows = Trade.objects.filter(id__gt=trade_id).order_by("id").values_list(*_COLUMNS)[:limit]
    return [_event(row) for row in rows]


def trades_recent(market_id: int, limit: int) -> list[TradeExecuted]:
    """Return at most ``limit`` last trades of a market, newest first."""
    rows = Trade.objects.filter(market_id=market_id).order_by("-id").values_list(*_COLUMNS)
    return [_event(row) for row in rows[:limit]]


def _event(row: tuple[Any, ...]) -> TradeExecuted:
    values = list(row)
    values[_SIDE] = Side(values[_SIDE])
    return TradeExecuted(*values)
