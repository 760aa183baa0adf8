"""OpenAPI schemas of orders and fills; a test holds them equal to what is rendered."""

from typing import Any

from common.openapi import (
    BOOLEAN,
    DECIMAL,
    DECIMAL_OR_NULL,
    FRESHNESS,
    IDENTIFIER,
    MILLISECONDS,
    TEXT,
    TEXT_OR_NULL,
    list_of,
    names,
    object_of,
    page_of,
)
from orders.change_requests import AMEND_FIELDS, AMEND_ITEM_FIELDS, CANCEL_FIELDS
from orders.fields import schema_of
from orders.linked_requests import BRACKET_FIELDS, OCO_FIELDS
from orders.render import (
    LINK_NAMES,
    ORDER_TYPE_NAMES,
    PREVIEW_FIELDS,
    REASON_NAMES,
    SELF_TRADE_NAMES,
    SIDE_NAMES,
    STATUS_NAMES,
    TIME_IN_FORCE_NAMES,
    TRADE_KIND_NAMES,
    TRIGGER_NAMES,
)
from orders.requests import (
    BATCH_MAX,
    ORDER_FIELDS,
)

MILLISECONDS_OR_NULL: dict[str, Any] = {**MILLISECONDS, "type": ["integer", "null"]}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema["type"]
    if "null" in kind:
        return schema
    found = {**schema, "type": [kind, "null"]}
    if "enum" in schema:
        found["enum"] = [*schema["enum"], None]
    return found


ORDER_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "client_order_id": TEXT_OR_NULL,
    "symbol": {**TEXT, "example": "BTC-USDT"},
    "side": names(SIDE_NAMES),
    "type": names(ORDER_TYPE_NAMES),
    "time_in_force": names(TIME_IN_FORCE_NAMES),
    "post_only": BOOLEAN,
    "self_trade_prevention": names(SELF_TRADE_NAMES),
    "price": DECIMAL_OR_NULL,
    "quantity": DECIMAL_OR_NULL,
    "quote_quantity": DECIMAL_OR_NULL,
    "filled_quantity": DECIMAL,
    "remaining_quantity": {**DECIMAL, "description": "What may still trade; 0 once it ended."},
    "filled_quote": DECIMAL,
    "average_price": DECIMAL_OR_NULL,
    "fee": DECIMAL,
    "fee_currency": {**TEXT, "example": "USDT"},
    "status": names(STATUS_NAMES),
    "reason": {**names(REASON_NAMES), "description": "Why it ended without being filled."},
    "created_at": MILLISECONDS,
    "updated_at": MILLISECONDS,
    "trigger_by": {**names(TRIGGER_NAMES), "description": "Which price fires it."},
    "trigger_price": DECIMAL_OR_NULL,
    "activation_price": DECIMAL_OR_NULL,
    "callback_rate": DECIMAL_OR_NULL,
    "activated": {
        "type": ["boolean", "null"],
        "description": "Trailing stops: whether it follows the price already.",
    },
    "price_protect": {
        "type": ["boolean", "null"],
        "description": "Conditional orders: whether it stays armed at prices far from the mark.",
    },
    "triggered_at": {**MILLISECONDS_OR_NULL, "description": "When a price fired it."},
    "display_quantity": DECIMAL_OR_NULL,
    "expire_time": {**MILLISECONDS_OR_NULL, "description": "When it ends, with gtd."},
    "group_id": {**TEXT_OR_NULL, "description": "The same for all orders of a group."},
    "group_role": {
        **names(LINK_NAMES),
        "description": "Its part in an OCO or a bracket; a bracket's children become an OCO.",
    },
    "reduce_only": {**BOOLEAN, "description": "Never grows a position."},
    "close_position": {
        **BOOLEAN,
        "description": "Closes whatever is open when it fires; its quantity is null until then.",
    },
}

FILL_PROPERTIES: dict[str, Any] = {
    "trade_id": IDENTIFIER,
    "kind": {
        **names(TRADE_KIND_NAMES),
        "description": "How the quantity changed hands; only a match is on the public tape.",
    },
    "order_id": {**TEXT_OR_NULL, "example": "1234", "description": "Null unless a match."},
    "symbol": {**TEXT, "example": "BTC-USDT"},
    "side": names(SIDE_NAMES),
    "role": {"type": "string", "enum": ["maker", "taker"]},
    "price": DECIMAL,
    "quantity": DECIMAL,
    "quote_quantity": DECIMAL,
    "fee": DECIMAL,
    "fee_currency": {**TEXT, "example": "USDT"},
    "executed_at": MILLISECONDS,
}

ORDER = object_of(ORDER_PROPERTIES)
FILL = object_of(FILL_PROPERTIES)
PLACED_ORDER = object_of({**ORDER_PROPERTIES, "fills": list_of(FILL)})
ORDER_GROUP = object_of(
    {
        "group_id": IDENTIFIER,
        "orders": {**list_of(PLACED_ORDER), "description": "In the order of the request's legs."},
    }
)
ORDER_DETAIL = object_of(
    {
        **ORDER_PROPERTIES,
        "fills": {**list_of(FILL), "description": "Newest first."},
        "fills_next_cursor": {
            **TEXT_OR_NULL,
            "description": "Cursor for /api/fills?order_id= where not all fills are shown.",
        },
        **FRESHNESS,
    },
    optional=tuple(FRESHNESS),
)
ORDER_PAGE = page_of(ORDER)
FILL_PAGE = page_of(FILL)
PREVIEW = object_of(
    {
        "symbol": ORDER_PROPERTIES["symbol"],
        "accepted": {**BOOLEAN, "description": "Whether the exchange would take it."},
        "refusal": {
            **object_of({"code": TEXT, "message": TEXT}),
            "type": ["object", "null"],
            "description": "Why not; then what follows is null.",
        },
        **{name: _or_null(ORDER_PROPERTIES[name]) for name in PREVIEW_FIELDS},
        "margin": {
            **object_of(
                {
                    "required": {**DECIMAL, "description": "How much less is available by it."},
                    "initial_margin": {**DECIMAL, "description": "Of all positions and orders."},
                    "available": DECIMAL,
                    "isolated_margin": DECIMAL_OR_NULL,
                    "position_quantity": {**DECIMAL, "description": "Signed, afterwards."},
                    "liquidation_price": DECIMAL_OR_NULL,
                }
            ),
            "type": ["object", "null"],
            "description": "Perpetual markets: how the account then stands.",
        },
        "worst_price": {**DECIMAL_OR_NULL, "description": "Of its last fill."},
        "book_sequence": {
            "type": "integer",
            "format": "int64",
            "description": "The last command that the book it was computed on contains.",
        },
        "book_time": {**MILLISECONDS, "description": "When that book was published."},
        **FRESHNESS,
    },
    optional=tuple(FRESHNESS),
)
CANCELLED_ALL = object_of(
    {
        "orders": list_of(ORDER),
        "complete": {
            **BOOLEAN,
            "description": "False while the exchange goes on with more than this answer shows.",
        },
    }
)

_ITEM_ERROR = object_of(
    {
        "code": TEXT,
        "message": TEXT,
        "fields": {"type": "object", "additionalProperties": TEXT},
    },
    optional=("fields",),
)


def _batch_of(items: dict[str, Any]) -> dict[str, Any]:
    bounded = {**list_of(items), "minItems": 1, "maxItems": BATCH_MAX}
    return {**object_of({"orders": bounded}), "additionalProperties": False}


def _results_of(order: dict[str, Any]) -> dict[str, Any]:
    item = object_of(
        {
            "status": {"type": "integer", "description": "What HTTP would answer it alone."},
            "order": order,
            "error": _ITEM_ERROR,
        },
        optional=("order", "error"),
    )
    return object_of({"results": list_of(item)})


ORDER_REQUEST = schema_of(ORDER_FIELDS)
PLACE_BATCH_REQUEST = _batch_of(ORDER_REQUEST)
CANCEL_BATCH_REQUEST = _batch_of(schema_of(CANCEL_FIELDS))
AMEND_REQUEST = schema_of(AMEND_FIELDS)
AMEND_BATCH_REQUEST = _batch_of(schema_of(AMEND_ITEM_FIELDS))
OCO_REQUEST = schema_of(OCO_FIELDS)
BRACKET_REQUEST = schema_of(BRACKET_FIELDS)
PLACE_BATCH_RESULT = _results_of(PLACED_ORDER)
CANCEL_BATCH_RESULT = _results_of(ORDER)

# Business refusals, 422: of any order, of a group, of an amendment.
_ENTRY_REFUSALS = (
    "ACCOUNT_SUSPENDED",
    "ACCOUNT_CANCEL_ONLY",
    "MARKET_HALTED",
    "MARKET_CANCEL_ONLY",
    "MARKET_POST_ONLY",
    "POST_ONLY_NOT_RESTING",
    "PRICE_NOT_POSSIBLE",
    "TIME_IN_FORCE_NOT_POSSIBLE",
    "QUOTE_QUANTITY_NOT_POSSIBLE",
    "SLIPPAGE_NOT_POSSIBLE",
    "INVALID_ORDER",
    "LOT_SIZE",
    "QUANTITY_TOO_SMALL",
    "QUANTITY_TOO_LARGE",
    "TICK_SIZE",
    "PRICE_TOO_LOW",
    "PRICE_TOO_HIGH",
    "PRICE_BAND",
    "MIN_NOTIONAL",
    "NOTIONAL_TOO_LARGE",
    "QUOTES_FROZEN",
)
_SPECIAL_REFUSALS = (
    "POST_ONLY_WOULD_CROSS",
    "FOK_NOT_FILLABLE",
    "INVALID_TRIGGER_PRICE",
    "TRIGGER_WOULD_FIRE",
    "REFERENCE_PRICE_MISSING",
    "EXPIRY_IN_THE_PAST",
    "EXPIRY_TOO_FAR",
    "ICEBERG_DISPLAY",
    "ICEBERG_PARTS",
    "INSUFFICIENT_BALANCE",
)
PLACE_REFUSALS = (
    *_ENTRY_REFUSALS,
    "TOO_MANY_OPEN_ORDERS",
    *_SPECIAL_REFUSALS,
    "REDUCE_ONLY_NOT_POSSIBLE",
    "TRIGGER_PRICE_REQUIRED",
    "CALLBACK_RATE",
    "ACTIVATION_PRICE_REACHED",
    "EXPIRY_REQUIRED",
    "ICEBERG_NOT_RESTING",
    "MARK_PRICE_STALE",
    "MARKET_REDUCE_ONLY",
    "ACCOUNT_LIQUIDATING",
    "REDUCE_ONLY_NO_POSITION",
    "REDUCE_ONLY_EXCEEDS",
    "CLOSE_POSITION_SHAPE",
    "POSITION_LIMIT",
    "LEVERAGE_TOO_HIGH",
    "OPEN_INTEREST_CAP",
    "INSUFFICIENT_MARGIN",
    "BEYOND_BANKRUPTCY_PRICE",
    "MARKET_SETTLED",
)
GROUP_REFUSALS = (*PLACE_REFUSALS, "OCO_LEGS", "LEG_PRICES", "BRACKET_LEGS")
AMEND_REFUSALS = (
    *_ENTRY_REFUSALS,
    *_SPECIAL_REFUSALS,
    "AMEND_NO_CHANGE",
    "AMEND_NOT_POSSIBLE",
    "AMEND_LINKED",
    "MARK_PRICE_STALE",
    "MARKET_REDUCE_ONLY",
    "ACCOUNT_LIQUIDATING",
    "REDUCE_ONLY_EXCEEDS",
    "POSITION_LIMIT",
    "LEVERAGE_TOO_HIGH",
    "INSUFFICIENT_MARGIN",
    "ORDER_NOT_OPEN",
)
