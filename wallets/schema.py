"""OpenAPI schemas of the wallets app; a test holds them equal to what is rendered."""

from typing import Any

from common.openapi import (
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
from wallets.render import LEDGER_KIND_NAMES, WALLET_NAMES

BALANCE_PROPERTIES: dict[str, Any] = {
    "currency": {**TEXT, "example": "USDT"},
    "wallet": names(WALLET_NAMES),
    "total": DECIMAL,
    "available": DECIMAL,
    "held": {**DECIMAL, "description": "Held by open orders; part of total."},
}
BALANCE = object_of(BALANCE_PROPERTIES)
MARGIN_PROPERTIES: dict[str, Any] = {
    "currency": {**TEXT, "example": "USDT"},
    "wallet_balance": DECIMAL,
    "unrealised_profit": {**DECIMAL, "description": "Of all cross positions."},
    "equity": {**DECIMAL, "description": "Wallet balance + unrealised profit."},
    "available": {**DECIMAL, "description": "What positions may be opened with."},
    "transferable": {**DECIMAL, "description": "What may leave; never unrealised profit."},
    "initial_margin": {**DECIMAL, "description": "What positions and orders bind."},
    "maintenance_margin": DECIMAL,
    "margin_ratio": {
        **DECIMAL_OR_NULL,
        "description": "Maintenance margin / equity; at 1 all that is cross is liquidated. "
        "Null once no equity is left.",
    },
}
BALANCES = object_of(
    {
        "balances": list_of(BALANCE),
        "margin": {
            **list_of(object_of(MARGIN_PROPERTIES)),
            "description": "Margin wallets with what they back.",
        },
        **FRESHNESS,
    },
    optional=tuple(FRESHNESS),
)
CURRENCY_BALANCES = object_of(
    {"currency": {**TEXT, "example": "USDT"}, "balances": list_of(BALANCE), **FRESHNESS},
    optional=tuple(FRESHNESS),
)

CHANGE_PROPERTIES: dict[str, Any] = {
    "currency": {**TEXT, "example": "USDT"},
    "amount": {**DECIMAL, "description": "Signed; a trade's quote part is net of the fee."},
    "balance": {**DECIMAL, "description": "Of the wallet, after this entry."},
}
ENTRY_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "kind": names(LEDGER_KIND_NAMES),
    "wallet": names(WALLET_NAMES),
    "reference_id": {**IDENTIFIER, "description": "Number of the trade or transfer."},
    "changes": list_of(object_of(CHANGE_PROPERTIES)),
    "fee": {
        **object_of({"currency": TEXT, "amount": DECIMAL}),
        "type": ["object", "null"],
        "description": "What the fee account received; trades only.",
    },
    "note": TEXT,
    "created_at": MILLISECONDS,
}
ENTRY_PAGE = page_of(object_of(ENTRY_PROPERTIES))

TRANSFER_PROPERTIES: dict[str, Any] = {
    "id": IDENTIFIER,
    "currency": {**TEXT, "example": "USDT"},
    "amount": DECIMAL,
    "from_wallet": names(WALLET_NAMES),
    "to_wallet": names(WALLET_NAMES),
    "to_username": TEXT_OR_NULL,
    "client_transfer_id": TEXT_OR_NULL,
}
TRANSFER = object_of(TRANSFER_PROPERTIES)
