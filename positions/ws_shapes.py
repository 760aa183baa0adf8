"""Shapes of the private channel of positions, for the AsyncAPI document."""

from __future__ import annotations

from typing import Any

from common.openapi import DECIMAL, object_of
from positions.schema import CLOSED_PROPERTIES, POSITION_PROPERTIES

_SHARED = (
    "id",
    "symbol",
    "side",
    "quantity",
    "entry_price",
    "leverage",
    "margin_mode",
    "isolated_margin",
    "realised_profit",
    "fee",
    "funding",
    "currency",
    "opened_at",
    "updated_at",
)

POSITION: dict[str, Any] = object_of(
    {
        **{name: POSITION_PROPERTIES[name] for name in _SHARED},
        "cost": {**DECIMAL, "description": "What was paid, or received, for the quantity."},
        "closed": {
            **object_of(CLOSED_PROPERTIES),
            "type": ["object", "null"],
            "description": "Its history once it has ended.",
        },
    }
)
