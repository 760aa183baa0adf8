"""From request bodies to groups of orders that belong together: OCO pairs and brackets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import invalid_fields
from exchange.core.commands import PlaceLinkedOrders, PlaceOrder
from exchange.core.enums import LinkKind, OrderType, Side
from markets.selectors import MarketNotFound, market_by_symbol
from orders import requests
from orders.fields import (
    RequestTable,
    choice_field,
    client_id_field,
    object_field,
    read_body,
    table_of,
)
from orders.requests import (
    hash_of,
    market_not_found,
    missing_fields,
    order_meaning,
    order_of,
    special_of,
)

# A group counts as its most orders against the order rate.
OCO_COST = 2
BRACKET_COST = 3

_PROFIT_TYPES = (OrderType.LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
_STOP_TYPES = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
_OPPOSITE = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


def _leg(types: tuple[OrderType, ...], *, trailing: bool = False) -> RequestTable:
    more = (requests.ACTIVATION_PRICE, requests.CALLBACK_RATE) if trailing else ()
    if trailing:
        types = (*types, OrderType.TRAILING_STOP)
    return table_of(
        choice_field("type", types, description="What makes it executable.", required=True),
        requests.PRICE,
        requests.TRIGGER_PRICE,
        requests.TRIGGER_BY,
        requests.PRICE_PROTECT,
        *more,
        requests.TIME_IN_FORCE,
        requests.EXPIRE_TIME,
        requests.SLIPPAGE,
    )


_ENTRY = table_of(
    choice_field(
        "type",
        (OrderType.LIMIT, OrderType.MARKET),
        description="What makes it executable.",
        required=True,
    ),
    requests.PRICE,
    requests.TIME_IN_FORCE,
    requests.EXPIRE_TIME,
    requests.POST_ONLY,
    requests.REPRICE,
    requests.DISPLAY_QUANTITY,
    requests.SLIPPAGE,
)
_COMMON = (
    requests.SYMBOL,
    requests.SIDE,
    requests.QUANTITY,
    client_id_field(
        "client_order_id",
        description="Of the group, kept by its first order; repeating the request is safe.",
    ),
    requests.SELF_TRADE_PREVENTION,
)
OCO_FIELDS = table_of(
    *_COMMON,
    object_field(
        "take_profit",
        _leg(_PROFIT_TYPES),
        description="The leg on the profitable side: a limit order or a take-profit.",
        required=True,
    ),
    object_field(
        "stop_loss",
        _leg(_STOP_TYPES, trailing=True),
        description="The leg on the other side: a stop-loss or a trailing stop.",
        required=True,
    ),
)
BRACKET_FIELDS = table_of(
    *_COMMON,
    object_field("entry", _ENTRY, description="What opens the trade.", required=True),
    object_field(
        "take_profit",
        _leg(_PROFIT_TYPES),
        description="Against the entry, once it ended, over what it filled.",
    ),
    object_field(
        "stop_loss",
        _leg(_STOP_TYPES),
        description="Likewise; one of the two is needed, of both one cancels the other.",
    ),
)


def parse_oco(body: Mapping[str, Any], *, account_id: int) -> PlaceLinkedOrders:
    """
    Return the command that the body of an OCO means.

    Raises:
        ApiError: ``UNKNOWN_FIELD`` or ``VALIDATION_ERROR`` (400) for its shape,
            ``MARKET_NOT_FOUND`` (404) for its symbol.
    """
    return _parse(body, OCO_FIELDS, LinkKind.OCO, account_id)


def parse_bracket(body: Mapping[str, Any], *, account_id: int) -> PlaceLinkedOrders:
    """
    Return the command that the body of a bracket means: ``side`` is its entry's.

    Raises:
        ApiError: as :func:`parse_oco`.
    """
    return _parse(body, BRACKET_FIELDS, LinkKind.ENTRY, account_id)


def _parse(
    body: Mapping[str, Any], table: RequestTable, kind: LinkKind, account_id: int
) -> PlaceLinkedOrders:
    try:
        market = market_by_symbol(str(body.get("symbol")))
    except MarketNotFound:
        market = None
    values = read_body(table, body, market)
    if market is None:
        raise market_not_found()
    legs = _legs_of(values)
    orders: list[PlaceOrder] = []
    meaning: list[int] = [kind.real]
    for leg in legs.values():
        special = special_of(leg)
        meaning += [-1, *order_meaning(market.market_id, leg, special)]
        orders.append(
            order_of(leg, account_id=account_id, market_id=market.market_id, special=special)
        )
    client_order_id = values.get("client_order_id", "")
    return PlaceLinkedOrders(
        account_id=account_id,
        kind=kind,
        orders=tuple(orders),
        client_order_id=client_order_id,
        request_hash=hash_of(meaning) if client_order_id else 0,
    )


def _legs_of(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """
    Return each leg with what it has in common with the others.

    Raises:
        ApiError: ``VALIDATION_ERROR`` naming all that is missing.
    """
    common = {
        name: values[name] for name in ("quantity", "self_trade_prevention") if name in values
    }
    side = values["side"]
    legs: dict[str, dict[str, Any]] = {}
    missing: dict[str, str] = {}
    for name in ("entry", "take_profit", "stop_loss"):
        if name not in values:
            continue
        is_child = "entry" in legs
        leg = {**common, **values[name], "side": _OPPOSITE[side] if is_child else side}
        legs[name] = leg
        for field in missing_fields(leg):
            missing["quantity" if field == "quantity" else f"{name}.{field}"] = "REQUIRED"
    if missing:
        raise invalid_fields(missing)
    return legs
