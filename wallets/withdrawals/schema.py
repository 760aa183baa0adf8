"""OpenAPI schemas of withdrawals; a test holds them equal to what is rendered."""

from __future__ import annotations

from typing import Any

from common.openapi import (
    DECIMAL,
    IDENTIFIER,
    MILLISECONDS,
    TEXT,
    TEXT_OR_NULL,
    list_of,
    object_of,
)
from wallets.enums import SHOWN

WITHDRAWAL_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "client_withdrawal_id": TEXT,
    "currency": {**TEXT, "example": "USDT"},
    "amount": {**DECIMAL, "description": "What is paid out."},
    "fee": {**DECIMAL, "description": "Taken on top of the amount."},
    "network": TEXT_OR_NULL,
    "address": TEXT,
    "memo": TEXT_OR_NULL,
    "status": {"type": "string", "enum": [state.value for state in SHOWN]},
    "reason": {**TEXT_OR_NULL, "description": "Why it was rejected."},
    "transaction_id": {**TEXT_OR_NULL, "description": "Of the payment, once it was sent."},
    "created_at": MILLISECONDS,
    "updated_at": MILLISECONDS,
    "settled_at": {
        **MILLISECONDS,
        "type": ["integer", "null"],
        "description": "When the ledger took its end: paid out, or given back. Null before.",
    },
}
WITHDRAWAL = object_of(WITHDRAWAL_PROPERTIES)
WITHDRAWAL_PAGE = object_of({"items": list_of(WITHDRAWAL), "next_cursor": TEXT_OR_NULL})
OPERATORS_PROPERTIES: dict[str, Any] = {
    **WITHDRAWAL_PROPERTIES,
    "account_id": IDENTIFIER,
    "approved_by": TEXT_OR_NULL,
    "ended_by": TEXT_OR_NULL,
}
OPERATORS_WITHDRAWAL = object_of(OPERATORS_PROPERTIES)
OPERATORS_PAGE = object_of({"items": list_of(OPERATORS_WITHDRAWAL), "next_cursor": TEXT_OR_NULL})
ADDRESS_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "label": TEXT,
    "currency": {**TEXT, "example": "USDT"},
    "network": TEXT_OR_NULL,
    "address": TEXT,
    "memo": TEXT_OR_NULL,
    "created_at": MILLISECONDS,
    "usable_at": {**MILLISECONDS, "description": "From then on money can be withdrawn to it."},
}
ADDRESS = object_of(ADDRESS_PROPERTIES)
ADDRESS_PAGE = object_of({"items": list_of(ADDRESS), "next_cursor": TEXT_OR_NULL})
