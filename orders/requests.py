"""From request bodies to commands: shape only, the exchange decides the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import structs

from common.errors import ApiError, invalid_fields, unknown_fields
from exchange.core.commands import PlaceOrder, SpecialTerms
from exchange.core.enums import OrderType, SelfTradeMode, Side, TimeInForce, TriggerType
from exchange.core.rejects import MESSAGES, Code, http_status
from exchange.core.triggers import CONDITIONAL_TYPES, MARKET_TYPES
from exchange.core.units import RATE_ONE
from markets.selectors import MarketNotFound, market_by_symbol
from orders.fields import (
    boolean_field,
    choice_field,
    client_id_field,
    decimal_field,
    read_body,
    table_of,
    text_field,
    time_field,
)

# Most requests that one batch may carry.
BATCH_MAX = 40

# Liquidation orders are the exchange's own.
PLACEABLE_TYPES = [kind for kind in OrderType if kind is not OrderType.LIQUIDATION]

SYMBOL = text_field(
    "symbol",
    description="Market: BTC-USDT, BTC/USDT or BTCUSDT.",
    example="BTC-USDT",
    required=True,
)
SIDE = choice_field("side", Side, description="Direction.", required=True)
QUANTITY = decimal_field(
    "quantity",
    description="Size in the base currency, a multiple of the lot size.",
    example="0.01",
    decimals=lambda market: market.base_decimals,
)
PRICE = decimal_field(
    "price",
    description="Limit orders: worst acceptable price, a multiple of the tick size.",
    example="50000",
)
TIME_IN_FORCE = choice_field(
    "time_in_force",
    TimeInForce,
    description="Default gtc for limit orders; market orders are ioc (default) or fok.",
)
POST_ONLY = boolean_field("post_only", description="Refuse the order if it would trade at once.")
CLIENT_ORDER_ID = client_id_field(
    "client_order_id",
    description="Unique per account for ever; repeating it with the same request is safe.",
)
SLIPPAGE = decimal_field(
    "slippage",
    description="Market orders: worst price against the best one, as a fraction below 1.",
    example="0.005",
    below_atoms=RATE_ONE,
)
SELF_TRADE_PREVENTION = choice_field(
    "self_trade_prevention",
    SelfTradeMode,
    description="What happens when the order meets an own one; default of the account.",
)
TRIGGER_PRICE = decimal_field(
    "trigger_price",
    description="Stop-loss and take-profit: the price at which the order is carried out.",
    example="48000",
)
TRIGGER_BY = choice_field(
    "trigger_by",
    (TriggerType.LAST, TriggerType.MARK, TriggerType.INDEX),
    description="Conditional orders: which price fires them, default last.",
)
ACTIVATION_PRICE = decimal_field(
    "activation_price",
    description="Trailing stops: follow the price only from here on; default at once.",
    example="52000",
)
CALLBACK_RATE = decimal_field(
    "callback_rate",
    description="Trailing stops: how far the price comes back, 0.001 to 0.1 in steps of 0.001.",
    example="0.01",
    below_atoms=RATE_ONE,
)
DISPLAY_QUANTITY = decimal_field(
    "display_quantity",
    description="Iceberg: how much the book shows at a time.",
    example="0.01",
    decimals=lambda market: market.base_decimals,
)
EXPIRE_TIME = time_field(
    "expire_time",
    description="With gtd: when the order ends, 1 second to 1 year ahead, in milliseconds UTC.",
)
PRICE_PROTECT = boolean_field(
    "price_protect",
    description="Conditional orders: stay armed while last and mark price are far apart.",
)
REPRICE = boolean_field(
    "reprice",
    description="With post_only: rest one tick behind the best opposite price instead.",
)

ORDER_FIELDS = table_of(
    SYMBOL,
    SIDE,
    choice_field("type", PLACEABLE_TYPES, description="What makes it executable.", required=True),
    QUANTITY,
    decimal_field(
        "quote_quantity",
        description="Market orders: most to spend or receive, fee included; instead of quantity.",
        example="100",
        decimals=lambda market: market.quote_decimals,
    ),
    PRICE,
    TIME_IN_FORCE,
    POST_ONLY,
    CLIENT_ORDER_ID,
    SLIPPAGE,
    SELF_TRADE_PREVENTION,
    TRIGGER_PRICE,
    TRIGGER_BY,
    ACTIVATION_PRICE,
    CALLBACK_RATE,
    PRICE_PROTECT,
    DISPLAY_QUANTITY,
    EXPIRE_TIME,
    REPRICE,
    boolean_field("reduce_only", description="Only reduce a position; perpetuals only."),
    boolean_field(
        "close_position",
        description="Stops and take-profits: close all that is open then; without quantity.",
    ),
)

# Fields that plain orders do not have; without them nothing about them is looked at.
_SPECIAL_FIELDS = frozenset(
    {
        "trigger_price",
        "trigger_by",
        "activation_price",
        "callback_rate",
        "price_protect",
        "display_quantity",
        "expire_time",
        "reprice",
        "reduce_only",
        "close_position",
    }
)
# What an order of a type cannot be understood without.
_NEEDED = {
    OrderType.LIMIT: ("price", "quantity"),
    OrderType.MARKET: ("quantity",),
    OrderType.STOP_LOSS: ("quantity", "trigger_price"),
    OrderType.STOP_LOSS_LIMIT: ("price", "quantity", "trigger_price"),
    OrderType.TAKE_PROFIT: ("quantity", "trigger_price"),
    OrderType.TAKE_PROFIT_LIMIT: ("price", "quantity", "trigger_price"),
    OrderType.TRAILING_STOP: ("quantity", "callback_rate"),
}
_NOTHING_SPECIAL = SpecialTerms()
# Terms that are part of a request's meaning whether they are used or not.
_FIRST_TERMS = 9
_GTC, _IOC, _GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTD


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
    missing = missing_fields(values)
    if missing:
        raise invalid_fields(dict.fromkeys(missing, "REQUIRED"))
    special = None
    if not _SPECIAL_FIELDS.isdisjoint(values):
        special = special_of(values)
        if special == _NOTHING_SPECIAL:
            special = None
    client_order_id = values.get("client_order_id", "")
    request_hash = 0
    if client_order_id:
        request_hash = hash_of(order_meaning(market.market_id, values, special))
    return order_of(
        values,
        account_id=account_id,
        market_id=market.market_id,
        special=special,
        client_order_id=client_order_id,
        request_hash=request_hash,
    )


def order_of(
    values: Mapping[str, Any],
    *,
    account_id: int,
    market_id: int,
    special: SpecialTerms | None,
    client_order_id: str = "",
    request_hash: int = 0,
) -> PlaceOrder:
    """Return the command that places an order of these values."""
    order_type = values["type"]
    return PlaceOrder(
        account_id=account_id,
        market_id=market_id,
        side=values["side"],
        order_type=order_type,
        time_in_force=values.get("time_in_force") or _default(order_type),
        price_atoms=values.get("price", 0),
        quantity_atoms=values.get("quantity", 0),
        quote_quantity_atoms=values.get("quote_quantity", 0),
        post_only=values.get("post_only", False),
        client_order_id=client_order_id,
        request_hash=request_hash,
        slippage_rate_e8=values.get("slippage", 0),
        self_trade_mode=values.get("self_trade_prevention"),
        special=special,
    )


def special_of(values: Mapping[str, Any]) -> SpecialTerms:
    """Return what an order has beside the plain fields."""
    trigger_type = values.get("trigger_by")
    if trigger_type is None:
        conditional = values["type"] in CONDITIONAL_TYPES
        trigger_type = TriggerType.LAST if conditional else TriggerType.NONE
    return SpecialTerms(
        trigger_type=trigger_type,
        trigger_price_atoms=values.get("trigger_price", 0),
        activation_price_atoms=values.get("activation_price", 0),
        callback_rate_e8=values.get("callback_rate", 0),
        display_atoms=values.get("display_quantity", 0),
        expires_ms=values.get("expire_time", 0),
        reprice=values.get("reprice", False),
        reduce_only=values.get("reduce_only", False),
        close_position=values.get("close_position", False),
        price_protect=values.get("price_protect", False),
    )


def missing_fields(values: Mapping[str, Any]) -> list[str]:
    """Return the fields without which an order of its type means nothing."""
    order_type = values["type"]
    missing = [name for name in _NEEDED[order_type] if name not in values]
    if values.get("close_position"):
        # It closes whatever is open when it fires; that it has no quantity the exchange checks.
        missing = [name for name in missing if name != "quantity"]
    if missing and order_type is OrderType.MARKET and "quote_quantity" in values:
        missing = []
    if values.get("time_in_force") is _GTD and "expire_time" not in values:
        missing.append("expire_time")
    if values.get("reprice") and not values.get("post_only"):
        missing.append("post_only")
    return missing


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


def _default(order_type: OrderType) -> TimeInForce:
    return _IOC if order_type in MARKET_TYPES else _GTC


def order_meaning(
    market_id: int, values: Mapping[str, Any], special: SpecialTerms | None
) -> list[int]:
    """
    Return the numbers that tell one order from another, however it was spelled.

    "1.0" and "1.00" are the same request, as are two spellings of a symbol and a default
    that is left out or given. Ids live for ever, so what is here is only ever extended.
    """
    order_type = values["type"]
    meaning = [
        market_id,
        values["side"].real,
        order_type.real,
        (values.get("time_in_force") or _default(order_type)).real,
        values.get("price", 0),
        values.get("quantity", 0),
        values.get("quote_quantity", 0),
        int(values.get("post_only", False)),
        values.get("slippage", 0),
        int(values.get("self_trade_prevention") or 0),
    ]
    if special is not None and special != _NOTHING_SPECIAL:
        terms = structs.astuple(special)
        meaning.extend(int(value) for value in terms[:_FIRST_TERMS])
        # What came later counts only where it is used: older ids keep their meaning.
        meaning.extend(
            place for place, value in enumerate(terms[_FIRST_TERMS:], start=_FIRST_TERMS) if value
        )
    return meaning


def hash_of(meaning: Iterable[int]) -> int:
    """Return 63 bits that tell one request from another."""
    text = ",".join(map(str, meaning))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
