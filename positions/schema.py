"""OpenAPI schemas of positions; a test holds them equal to what is rendered."""

from typing import Any

from common.openapi import (
    DECIMAL,
    DECIMAL_OR_NULL,
    FRESHNESS,
    IDENTIFIER,
    MILLISECONDS,
    TEXT,
    list_of,
    names,
    object_of,
    page_of,
)
from orders.fields import schema_of
from orders.schema import PLACE_REFUSALS, PLACED_ORDER
from positions.render import CLOSE_REASON_NAMES, MODE_NAMES, SIDE_NAMES, TRIGGER_NAMES
from positions.requests import CLOSE_FIELDS, EXIT_FIELDS, MARGIN_FIELDS, SETTING_FIELDS

SYMBOL: dict[str, Any] = {**TEXT, "example": "BTC-USDT-PERP"}
LEVERAGE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 125}
_EXIT: dict[str, Any] = {
    **object_of(
        {"order_id": IDENTIFIER, "trigger_price": DECIMAL, "trigger_by": names(TRIGGER_NAMES)}
    ),
    "type": ["object", "null"],
}

POSITION_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "symbol": SYMBOL,
    "side": names(SIDE_NAMES),
    "quantity": DECIMAL,
    "entry_price": {**DECIMAL, "description": "Average, rounded down."},
    "mark_price": DECIMAL,
    "notional": {**DECIMAL, "description": "Quantity x mark price."},
    "leverage": LEVERAGE,
    "margin_mode": names(MODE_NAMES),
    "initial_margin": {**DECIMAL, "description": "Notional / leverage."},
    "maintenance_margin": DECIMAL,
    "isolated_margin": {**DECIMAL_OR_NULL, "description": "Of an isolated position's own wallet."},
    "removable_margin": {**DECIMAL_OR_NULL, "description": "What may be taken out of it now."},
    "margin_ratio": {
        **DECIMAL_OR_NULL,
        "description": "Maintenance margin / balance of what backs it: its own wallet, or all that "
        "is cross. Liquidation begins at 1; null once nothing is left.",
    },
    "unrealised_profit": DECIMAL,
    "realised_profit": {**DECIMAL, "description": "Of parts closed so far, fees not counted."},
    "roe": {**DECIMAL_OR_NULL, "description": "Unrealised profit / initial margin."},
    "liquidation_price": {
        **DECIMAL_OR_NULL,
        "description": "Mark at which it is liquidated while all else stands still; null: none.",
    },
    "bankruptcy_price": DECIMAL_OR_NULL,
    "fee": {**DECIMAL, "description": "Paid so far; negative is a rebate."},
    "funding": {**DECIMAL, "description": "Received (positive) or paid so far."},
    "adl_light": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 5,
        "description": "Fifth of its side in the order of deleveraging; 5 comes first.",
    },
    "take_profit": _EXIT,
    "stop_loss": _EXIT,
    "currency": {**TEXT, "example": "USDT"},
    "opened_at": MILLISECONDS,
    "updated_at": MILLISECONDS,
}
CLOSED_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "symbol": SYMBOL,
    "side": names(SIDE_NAMES),
    "max_quantity": DECIMAL,
    "closed_quantity": DECIMAL,
    "entry_price": {**DECIMAL, "description": "Average, rounded down."},
    "exit_price": {**DECIMAL, "description": "Average, rounded down."},
    "leverage": LEVERAGE,
    "margin_mode": names(MODE_NAMES),
    "realised_profit": DECIMAL,
    "fee": DECIMAL,
    "funding": DECIMAL,
    "net_profit": {**DECIMAL, "description": "Realised profit - fees + funding."},
    "currency": {**TEXT, "example": "USDT"},
    "reason": names(CLOSE_REASON_NAMES),
    "opened_at": MILLISECONDS,
    "closed_at": MILLISECONDS,
}
PAYMENT_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "symbol": SYMBOL,
    "position_id": IDENTIFIER,
    "side": names(SIDE_NAMES),
    "quantity": DECIMAL,
    "mark_price": DECIMAL,
    "rate": {**DECIMAL, "description": "Of the interval; positive: longs pay."},
    "amount": {**DECIMAL, "description": "Received (positive) or paid."},
    "currency": {**TEXT, "example": "USDT"},
    "funding_time": MILLISECONDS,
    "paid_at": MILLISECONDS,
}
SETTING_PROPERTIES: dict[str, Any] = {
    "symbol": SYMBOL,
    "leverage": LEVERAGE,
    "margin_mode": names(MODE_NAMES),
    "max_leverage": {**LEVERAGE, "description": "The market's, for the smallest positions."},
}

_FRESH = tuple(FRESHNESS)
POSITION = object_of({**POSITION_PROPERTIES, **FRESHNESS}, optional=_FRESH)
POSITIONS = object_of(
    {"positions": list_of(object_of(POSITION_PROPERTIES)), **FRESHNESS}, optional=_FRESH
)
HISTORY_PAGE = page_of(object_of(CLOSED_PROPERTIES))
PAYMENT_PAGE = page_of(object_of(PAYMENT_PROPERTIES))
SETTING = object_of(SETTING_PROPERTIES)
CLOSED_ALL = object_of(
    {
        "results": list_of(
            object_of(
                {
                    "symbol": SYMBOL,
                    "position_id": IDENTIFIER,
                    "status": {
                        "type": "integer",
                        "description": "What HTTP would answer it alone.",
                    },
                    "order": PLACED_ORDER,
                    "error": object_of({"code": TEXT, "message": TEXT}),
                },
                optional=("order", "error"),
            )
        )
    }
)

CLOSE_REQUEST = schema_of(CLOSE_FIELDS)
MARGIN_REQUEST = schema_of(MARGIN_FIELDS)
EXIT_REQUEST = schema_of(EXIT_FIELDS)
SETTING_REQUEST = schema_of(SETTING_FIELDS)

# Business refusals, 422.
_STATES = ("ACCOUNT_LIQUIDATING", "MARKET_SETTLED")
CLOSE_REFUSALS = PLACE_REFUSALS
MARGIN_REFUSALS = (
    *_STATES,
    "POSITION_NOT_ISOLATED",
    "INSUFFICIENT_MARGIN",
    "MARGIN_NOT_REMOVABLE",
)
EXIT_REFUSALS = (
    *_STATES,
    "EXIT_PRICES",
    "INVALID_TRIGGER_PRICE",
    "REFERENCE_PRICE_MISSING",
    "TOO_MANY_OPEN_ORDERS",
)
SETTING_REFUSALS = (
    "NOT_A_PERPETUAL",
    *_STATES,
    "INVALID_LEVERAGE",
    "LEVERAGE_TOO_HIGH",
    "LEVERAGE_BELOW_POSITION",
    "INSUFFICIENT_MARGIN",
    "MARGIN_MODE_UNCHANGED",
    "MARGIN_MODE_HAS_ORDERS",
    "MARGIN_MODE_HAS_POSITION",
)
