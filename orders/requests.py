"""From request bodies to commands: shape only, the exchange decides the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from common.errors import ApiError, FieldError
from common.ids import parse_id
from exchange.core.commands import CancelOrder, PlaceOrder
from exchange.core.enums import OrderType, SelfTradeMode, Side, TimeInForce
from exchange.core.rejects import MESSAGES, Code, http_status
from exchange.core.units import RATE_ONE
from markets.selectors import MarketNotFound, market_by_symbol
from markets.types import MarketInfo
from orders.fields import (
    RequestField,
    boolean_field,
    choice_field,
    client_id_field,
    decimal_field,
    invalid_fields,
    read_body,
    table_of,
    text_field,
    unknown_fields,
)

# Most requests that one batch may carry.
BATCH_MAX = 40

ORDER_FIELDS = table_of(
    text_field(
        "symbol",
        description="Market: BTC-USDT, BTC/USDT or BTCUSDT.",
        example="BTC-USDT",
        required=True,
    ),
    choice_field("side", Side, description="Direction.", required=True),
    choice_field("type", OrderType, description="What makes it executable.", required=True),
    decimal_field(
        "quantity",
        description="Size in the base currency, a multiple of the lot size.",
        example="0.01",
        decimals=lambda market: market.base_decimals,
    ),
    decimal_field(
        "quote_quantity",
        description="Market orders: most to spend or receive, fee included; instead of quantity.",
        example="100",
        decimals=lambda market: market.quote_decimals,
    ),
    decimal_field(
        "price",
        description="Limit orders: worst acceptable price, a multiple of the tick size.",
        example="50000",
    ),
    choice_field(
        "time_in_force",
        TimeInForce,
        description="Default gtc for limit orders; market orders are ioc (default) or fok.",
    ),
    boolean_field("post_only", description="Refuse the order if it would trade at once."),
    client_id_field(
        "client_order_id",
        description="Unique per account for ever; repeating it with the same request is safe.",
    ),
    decimal_field(
        "slippage",
        description="Market orders: worst price against the best one, as a fraction below 1.",
        example="0.005",
        below_atoms=RATE_ONE,
    ),
    choice_field(
        "self_trade_prevention",
        SelfTradeMode,
        description="What happens when the order meets an own one; default of the account.",
    ),
)


def _read_order_id(value: object, name: str, _market: MarketInfo | None) -> int:
    parsed = parse_id(value)
    if parsed is None:
        raise FieldError(field=name, code="INVALID")
    return parsed


CANCEL_FIELDS = table_of(
    RequestField(
        "order_id",
        _read_order_id,
        {"type": "string", "pattern": "^[1-9][0-9]{0,18}$", "description": "Order to cancel."},
    ),
    client_id_field("client_order_id", description="Or its client id."),
)


def parse_order(body: Mapping[str, Any], *, account_id: int) -> PlaceOrder:
    """
    Return the command that a request body means.

    Raises:
        ApiError: ``UNKNOWN_FIELD`` or ``VALIDATION_ERROR`` (400) for its shape,
            ``MARKET_NOT_FOUND`` (404) for its symbol.
    """
    try:
        market = market_by_symbol(str(body.get("symbol")))
    except MarketNotFound:
        market = None
    values = read_body(ORDER_FIELDS, body, market)
    if market is None:
        raise market_not_found()
    order_type = values["type"]
    missing = _missing(order_type, values)
    if missing:
        raise invalid_fields(dict.fromkeys(missing, "REQUIRED"))
    default = TimeInForce.GTC if order_type is OrderType.LIMIT else TimeInForce.IOC
    client_order_id = values.get("client_order_id", "")
    return PlaceOrder(
        account_id=account_id,
        market_id=market.market_id,
        side=values["side"],
        order_type=order_type,
        time_in_force=values.get("time_in_force", default),
        price_atoms=values.get("price", 0),
        quantity_atoms=values.get("quantity", 0),
        quote_quantity_atoms=values.get("quote_quantity", 0),
        post_only=values.get("post_only", False),
        client_order_id=client_order_id,
        request_hash=_order_hash(market.market_id, values, default) if client_order_id else 0,
        slippage_rate_e8=values.get("slippage", 0),
        self_trade_mode=values.get("self_trade_prevention"),
    )


def parse_cancel(body: Mapping[str, Any], *, account_id: int) -> CancelOrder:
    """
    Return the command that one item of a cancel batch means.

    Raises:
        ApiError: for its shape; exactly one of ``order_id`` and ``client_order_id`` is needed.
    """
    values = read_body(CANCEL_FIELDS, body, None)
    if len(values) != 1:
        raise invalid_fields({"order_id": "REQUIRED" if not values else "CONFLICT"})
    return CancelOrder(
        account_id=account_id,
        order_id=values.get("order_id", 0),
        client_order_id=values.get("client_order_id", ""),
    )


def parse_batch(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """
    Return the items of a batch's body, ``{"orders": [...]}``.

    Raises:
        ApiError: 400 for an unknown field or a list that is missing, empty, too long or holds
            anything but objects.
    """
    if set(body) != {"orders"}:
        unknown = [name for name in body if name != "orders"]
        if unknown:
            raise unknown_fields(unknown)
        raise invalid_fields({"orders": "REQUIRED"})
    items = body["orders"]
    if type(items) is not list or not all(type(item) is dict for item in items):
        raise invalid_fields({"orders": "INVALID"})
    if not items:
        raise invalid_fields({"orders": "BLANK"})
    if len(items) > BATCH_MAX:
        raise invalid_fields({"orders": "TOO_LONG"})
    return items


def market_not_found() -> ApiError:
    """Return the refusal of a symbol that no market has."""
    code = Code.MARKET_NOT_FOUND
    return ApiError(code.name, MESSAGES[code], http_status(code))


def _missing(order_type: OrderType, values: Mapping[str, Any]) -> list[str]:
    if order_type is OrderType.LIMIT:
        return [name for name in ("price", "quantity") if name not in values]
    if "quantity" in values or "quote_quantity" in values:
        return []
    return ["quantity"]


def _order_hash(market_id: int, values: Mapping[str, Any], default: TimeInForce) -> int:
    """
    Return 63 bits that tell one request from another, however it was spelled.

    "1.0" and "1.00" are the same request, as are two spellings of a symbol and a default
    that is left out or given.
    """
    meaning = (
        market_id,
        values["side"].real,
        values["type"].real,
        values.get("time_in_force", default).real,
        values.get("price", 0),
        values.get("quantity", 0),
        values.get("quote_quantity", 0),
        values.get("post_only", False),
        values.get("slippage", 0),
        (values.get("self_trade_prevention") or 0),
    )
    text = ",".join(str(int(part)) for part in meaning)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
