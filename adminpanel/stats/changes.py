"""What changed or waits: liquidations, withdrawals, operators' commands, audit events."""

from __future__ import annotations

from typing import Any

from accounts.audit_selectors import audit_recent
from exchange.core.units import format_atoms
from exchange.selectors import operator_commands_recent
from markets.selectors import asset_by_id
from riskengine.render import render_liquidation
from riskengine.selectors import liquidations_page
from wallets.withdrawals.selectors import waiting_sums

SHOWN_MAX = 10


def liquidations_data(limit: int = SHOWN_MAX) -> list[dict[str, Any]]:
    """Return the last steps of the liquidation ladder, newest first, with whom they concerned."""
    steps = liquidations_page(limit=limit)[:limit]
    return [{**render_liquidation(step), "account_id": str(step.account_id)} for step in steps]


def withdrawals_data() -> list[dict[str, Any]]:
    """Return how many withdrawals wait and for how much, by state and currency."""
    rows = []
    for state, by_asset in waiting_sums().items():
        for asset_id, (count, total_atoms) in sorted(by_asset.items()):
            asset = asset_by_id(asset_id)
            rows.append(
                {
                    "status": state.value,
                    "currency": asset.code,
                    "count": count,
                    "total": format_atoms(total_atoms, asset.decimals),
                }
            )
    return rows


def commands_data() -> list[dict[str, Any]]:
    """Return the last commands that were not a trader's, newest first."""
    return [
        {
            "number": str(command.number),
            "type": command.type,
            "actor": command.actor,
            "reason": command.reason,
            "result": command.result,
            "time": command.time_ms,
        }
        for command in operator_commands_recent(SHOWN_MAX)
    ]


def audit_data() -> list[dict[str, Any]]:
    """Return the last audit events, newest first."""
    return [
        {
            "number": str(event.number),
            "action": event.action,
            "actor": event.actor,
            "target": event.target,
            "reason": event.reason,
            "time": event.time_ms,
        }
        for event in audit_recent(SHOWN_MAX)
    ]
