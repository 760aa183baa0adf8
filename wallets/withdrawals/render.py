"""How withdrawals and addresses look outside: one form for REST, sockets and the back-office."""

from __future__ import annotations

from typing import Any

from exchange.core.units import format_atoms
from markets.selectors import asset_by_id
from wallets.withdrawals.types import AddressInfo, WithdrawalInfo


def render_withdrawal(info: WithdrawalInfo) -> dict[str, Any]:
    """Return a withdrawal as its user sees it: amounts in the asset's decimals."""
    asset = asset_by_id(info.asset_id)
    return {
        "id": str(info.withdrawal_id),
        "client_withdrawal_id": info.client_id,
        "currency": asset.code,
        "amount": format_atoms(info.amount_atoms, asset.decimals),
        "fee": format_atoms(info.fee_atoms, asset.decimals),
        "network": info.network or None,
        "address": info.address,
        "memo": info.memo or None,
        "status": info.state.value,
        "reason": info.reason or None,
        "transaction_id": info.transaction_id or None,
        "created_at": info.created_ms,
        "updated_at": info.changed_ms,
        "settled_at": info.settled_ms or None,
    }


def render_for_operators(info: WithdrawalInfo) -> dict[str, Any]:
    """Return a withdrawal with whose it is and who decided."""
    return {
        **render_withdrawal(info),
        "account_id": str(info.account_id),
        "approved_by": info.approved_by or None,
        "ended_by": info.ended_by or None,
    }


def render_address(info: AddressInfo) -> dict[str, Any]:
    """Return an address of the book."""
    return {
        "id": str(info.address_id),
        "label": info.label,
        "currency": asset_by_id(info.asset_id).code,
        "network": info.payee.network or None,
        "address": info.payee.address,
        "memo": info.payee.memo or None,
        "created_at": info.created_ms,
        "usable_at": info.usable_ms,
    }
