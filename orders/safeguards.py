"""What guards an account's orders: dead-man switches and market-maker protections."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from accounts.opening import account_open
from common.errors import raise_for_outcome
from common.request_id import current_request_id
from exchange import gateway
from exchange.core.commands import CancelAllAfter, ConfigureProtection, ResetProtection
from exchange.core.events import CancelSwitchChanged, ProtectionChanged
from exchange.core.rejects import Code
from exchange.core.state import FOREVER_MS
from exchange.core.units import format_atoms
from markets.selectors import market_by_id
from orders.models import CancelSwitch, QuoteProtection

Safeguard = TypeVar("Safeguard", CancelSwitchChanged, ProtectionChanged)


def cancel_all_after(*, command: CancelAllAfter) -> CancelSwitchChanged:
    """
    Arm, arm again or disarm a dead-man switch.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    return _carry_out(command, CancelSwitchChanged)


def cancel_switches(account_id: int) -> list[CancelSwitchChanged]:
    """Return the account's armed switches, that of all markets first."""
    rows = CancelSwitch.objects.filter(is_armed=1, account_id=account_id)
    switches = [
        CancelSwitchChanged(row.account_id, row.market_id, row.timeout_ms, row.due_ms)
        for row in rows
    ]
    return sorted(switches, key=lambda switch: switch.market_id)


def protection_set(*, command: ConfigureProtection) -> ProtectionChanged:
    """
    Set up, change or (with a window of 0) take away a market-maker protection.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    return _carry_out(command, ProtectionChanged)


def protection_reset(*, command: ResetProtection) -> ProtectionChanged:
    """
    Let orders rest again that a protection holds back.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    return _carry_out(command, ProtectionChanged)


def protection_of(account_id: int, market_id: int) -> ProtectionChanged | None:
    """Return the protection of an account in a market, if it has one."""
    rows = QuoteProtection.objects.filter(is_active=1, account_id=account_id)
    for row in rows:
        if row.market_id == market_id:
            return ProtectionChanged(
                row.account_id,
                row.market_id,
                row.window_ms,
                row.quantity_atoms,
                row.fills,
                row.frozen_ms,
                row.frozen_until_ms,
            )
    return None


def render_cancel_switch(switch: CancelSwitchChanged) -> dict[str, Any]:
    """Return a switch; what is not armed has no time, one of all markets no symbol."""
    return {
        "symbol": market_by_id(switch.market_id).symbol if switch.market_id else None,
        "timeout_ms": switch.timeout_ms,
        "cancel_at": switch.due_ms or None,
    }


def render_protection(protection: ProtectionChanged) -> dict[str, Any]:
    """Return a protection; limits that do not count and ends that nobody knows are null."""
    market = market_by_id(protection.market_id)
    until_ms = protection.frozen_until_ms
    frozen = until_ms > time.time_ns() // 1_000_000
    quantity = protection.quantity_atoms
    return {
        "symbol": market.symbol,
        "window_ms": protection.window_ms,
        "quantity": format_atoms(quantity, market.base_decimals) if quantity else None,
        "fills": protection.fills or None,
        "frozen_ms": protection.frozen_ms,
        "frozen": frozen,
        "frozen_until": until_ms if frozen and until_ms != FOREVER_MS else None,
    }


def _carry_out(
    command: CancelAllAfter | ConfigureProtection | ResetProtection, kind: type[Safeguard]
) -> Safeguard:
    request_id = current_request_id()
    outcome = gateway.submit(command, request_id=request_id)
    if outcome.code == Code.ACCOUNT_NOT_FOUND:
        # Registration opens accounts; this heals what failed then.
        account_open(command.account_id)
        outcome = gateway.submit(command, request_id=request_id)
    raise_for_outcome(outcome)
    return next(event for event in outcome.events if isinstance(event, kind))
