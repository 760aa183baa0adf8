"""From request bodies to the commands that guard an account's orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exchange.core.commands import CancelAllAfter, ConfigureProtection
from markets.selectors import MarketNotFound, market_by_symbol
from markets.types import MarketInfo
from orders.fields import decimal_field, read_body, table_of, text_field, whole_field
from orders.requests import market_not_found

CANCEL_ALL_AFTER_FIELDS = table_of(
    whole_field(
        "timeout_ms",
        description="Cancel in so many milliseconds, 1 second to 1 day; 0 disarms.",
        example=60_000,
        required=True,
    ),
    text_field(
        "symbol",
        description="Only the orders of this market; without it those of all.",
        example="BTC-USDT",
        required=False,
    ),
)

PROTECTION_FIELDS = table_of(
    whole_field(
        "window_ms",
        description="How far back fills count, at most 10 seconds.",
        example=1_000,
        required=True,
    ),
    decimal_field(
        "quantity",
        description="More than this filled within the window trips it, in the base currency.",
        example="2.5",
        decimals=lambda market: market.base_decimals,
    ),
    whole_field(
        "fills",
        description="More fills than this within the window trip it; 0 does not count them.",
        example=20,
    ),
    whole_field(
        "frozen_ms",
        description="How long nothing may rest then, at most 1 day; 0 (default): until a reset.",
        example=5_000,
    ),
)


def market_named(symbol: str) -> MarketInfo:
    """
    Return the market that a client names.

    Raises:
        ApiError: ``MARKET_NOT_FOUND`` (404).
    """
    try:
        return market_by_symbol(symbol)
    except MarketNotFound as error:
        raise market_not_found() from error


def parse_cancel_all_after(body: Mapping[str, Any], *, account_id: int) -> CancelAllAfter:
    """
    Return the command that a request body means.

    Raises:
        ApiError: for its shape (400) or its symbol (404).
    """
    values = read_body(CANCEL_ALL_AFTER_FIELDS, body, None)
    market_id = market_named(values["symbol"]).market_id if "symbol" in values else 0
    return CancelAllAfter(account_id, values["timeout_ms"], market_id)


def parse_protection(
    body: Mapping[str, Any], *, account_id: int, market: MarketInfo
) -> ConfigureProtection:
    """
    Return the command that a request body means.

    Raises:
        ApiError: for its shape (400); a window of 0 is left to DELETE.
    """
    values = read_body(PROTECTION_FIELDS, body, market)
    return ConfigureProtection(
        account_id,
        market.market_id,
        # 0 would take the protection away, -1 is refused like any other impossible window.
        values["window_ms"] or -1,
        values.get("quantity", 0),
        values.get("fills", 0),
        values.get("frozen_ms", 0),
    )
