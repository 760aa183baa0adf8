"""
Orders and trades of everybody by ranges of their numbers: for exports by operators.

Read in streams, so that no range, however wide, is in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from common.key_ranges import KeyRange, keys_of_time
from orders.models import Order, Trade

ROWS_CHUNK = 2_000

ORDER_COLUMNS = (
    *("id", "account_id", "market_id", "client_order_id", "side", "order_type"),
    *("time_in_force", "post_only", "price_atoms", "quantity_atoms", "quote_quantity_atoms"),
    *("filled_atoms", "quote_filled_atoms", "fee_atoms", "status", "reason"),
    *("created_ms", "updated_ms"),
)
TRADE_COLUMNS = (
    *("id", "time_ms", "market_id", "kind", "price_atoms", "quantity_atoms", "quote_atoms"),
    *("taker_side", "taker_order_id", "taker_account_id", "taker_fee_atoms"),
    *("maker_order_id", "maker_account_id", "maker_fee_atoms"),
)

Row = tuple[Any, ...]


def order_keys(*, since_ms: int, until_ms: int) -> KeyRange:
    """Return the numbers of the orders that were placed in a time."""
    return keys_of_time(
        Order.objects.all(), time_field="created_ms", since_ms=since_ms, until_ms=until_ms
    )


def trade_keys(*, since_ms: int, until_ms: int) -> KeyRange:
    """Return the numbers of the trades of a time."""
    return keys_of_time(
        Trade.objects.all(), time_field="time_ms", since_ms=since_ms, until_ms=until_ms
    )


def orders_in(
    keys: KeyRange, *, account_id: int | None = None, market_id: int | None = None
) -> Iterator[Row]:
    """Yield ``ORDER_COLUMNS`` of the orders in a range, of one account or market where asked."""
    rows = Order.objects.filter(id__gte=keys.low, id__lt=keys.high).order_by("id")
    if account_id is not None:
        rows = rows.filter(account_id=account_id)
    if market_id is not None:
        rows = rows.filter(market_id=market_id)
    yield from rows.values_list(*ORDER_COLUMNS).iterator(chunk_size=ROWS_CHUNK)


def trades_in(
    keys: KeyRange, *, account_id: int | None = None, market_id: int | None = None
) -> Iterator[Row]:
    """Yield ``TRADE_COLUMNS`` of the trades in a range, of one account or market where asked."""
    rows = Trade.objects.filter(id__gte=keys.low, id__lt=keys.high).order_by("id")
    if account_id is not None:
        rows = rows.filter(Q(taker_account_id=account_id) | Q(maker_account_id=account_id))
    if market_id is not None:
        rows = rows.filter(market_id=market_id)
    yield from rows.values_list(*TRADE_COLUMNS).iterator(chunk_size=ROWS_CHUNK)
