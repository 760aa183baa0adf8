"""OpenAPI schemas of the risk engine; a test holds them equal to what is rendered."""

from typing import Any

from accounts.operation_fields import schema_of
from common.openapi import (
    BOOLEAN,
    DECIMAL,
    DECIMAL_OR_NULL,
    IDENTIFIER,
    MILLISECONDS,
    TEXT,
    TEXT_OR_NULL,
    list_of,
    names,
    object_of,
)
from riskengine.render import LIQUIDATION_KIND_NAMES, SIDE_NAMES
from riskengine.requests import PARAM_FIELDS

_SYMBOL: dict[str, Any] = {**TEXT, "example": "BTC-USDT-PERP"}
_WHOLE: dict[str, Any] = {"type": "integer"}
TIER_PROPERTIES: dict[str, Any] = {
    "tier": _WHOLE,
    "floor": {**DECIMAL, "description": "Notional from which it holds."},
    "cap": {**DECIMAL_OR_NULL, "description": "Notional below which it holds; null: no end."},
    "maintenance_rate": DECIMAL,
    "maintenance_amount": {
        **DECIMAL,
        "description": "Maintenance margin = notional x rate - amount.",
    },
    "max_leverage": _WHOLE,
}
TIERS_PROPERTIES: dict[str, Any] = {
    "symbol": _SYMBOL,
    "currency": {**TEXT, "example": "USDT"},
    "default_leverage": _WHOLE,
    "liquidation_fee": {
        **DECIMAL,
        "description": "Of what is liquidated in the book, at most a quarter of the tier's rate.",
    },
    "max_position_notional": DECIMAL_OR_NULL,
    "max_open_interest": DECIMAL_OR_NULL,
    "tiers": list_of(object_of(TIER_PROPERTIES)),
}
TERMS_PROPERTIES: dict[str, Any] = {
    **TIERS_PROPERTIES,
    "insurance_group": _WHOLE,
    "funding_interval_ms": _WHOLE,
    "interest_rate": DECIMAL,
    "funding_cap": DECIMAL,
    "impact_notional": DECIMAL,
    "liquidations_paused": BOOLEAN,
}
GROUP_PROPERTIES: dict[str, Any] = {
    "insurance_group": _WHOLE,
    "notional_cap": DECIMAL,
    "shock": DECIMAL,
    "drawdown": DECIMAL,
    "recovery": DECIMAL,
    "takeovers_stopped": {
        **BOOLEAN,
        "description": "By a deep fall of the fund: bankrupt positions are deleveraged.",
    },
}
FUND_PROPERTIES: dict[str, Any] = {
    **GROUP_PROPERTIES,
    "markets": list_of(_SYMBOL),
    "balances": list_of(object_of({"currency": TEXT, "amount": DECIMAL})),
}
LIQUIDATION_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "symbol": _SYMBOL,
    "kind": names(LIQUIDATION_KIND_NAMES),
    "side": {**names(SIDE_NAMES), "description": "Of the order that closes."},
    "quantity": DECIMAL,
    "price": DECIMAL,
    "notional": DECIMAL,
    "mark_price": DECIMAL,
    "time": MILLISECONDS,
}
CALL_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "margin_mode": {"type": "string", "enum": ["cross", "isolated"]},
    "symbol": {**TEXT_OR_NULL, "description": "Null: it concerns all that is cross."},
    "level": {**DECIMAL, "description": "Margin ratio that was reached; liquidation is at 1."},
    "margin_ratio": {**DECIMAL, "description": "What it was then."},
    "time": MILLISECONDS,
}
MARGIN_CALL = object_of(CALL_PROPERTIES)
CALL_PAGE = object_of({"items": list_of(object_of(CALL_PROPERTIES)), "next_cursor": TEXT_OR_NULL})
TIERS = object_of({"markets": list_of(object_of(TIERS_PROPERTIES))})
FUNDS = object_of({"funds": list_of(object_of(FUND_PROPERTIES))})
LIQUIDATION_PAGE = object_of(
    {"items": list_of(object_of(LIQUIDATION_PROPERTIES)), "next_cursor": TEXT_OR_NULL}
)
PARAMS = {"oneOf": [object_of(TERMS_PROPERTIES), object_of(GROUP_PROPERTIES)]}
ALL_PARAMS = object_of(
    {
        "contracts": list_of(object_of(TERMS_PROPERTIES)),
        "insurance_groups": list_of(object_of(GROUP_PROPERTIES)),
    }
)

PARAM_REQUEST = schema_of(PARAM_FIELDS)
