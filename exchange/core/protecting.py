"""
Market-maker protection: quotes that are run over are pulled, and stay away for a while.

Fills of an account's resting orders are counted in slots of a twentieth of the window, so
that what is kept is bounded: a fill counts for at least the window and at most one slot
longer. A window below twenty milliseconds has slots of one, and counts exactly.
"""

from __future__ import annotations

from exchange.core.cancelling import cancel_step
from exchange.core.commands import ConfigureProtection, PlaceOrder, ResetProtection
from exchange.core.enums import EndReason, TimeInForce
from exchange.core.events import AnyEvent, Outcome, ProtectionChanged
from exchange.core.ledger import Account
from exchange.core.memory import Memory
from exchange.core.rejects import Code
from exchange.core.state import FOREVER_MS, QuoteProtection
from exchange.core.tasks import CancelAllTask
from exchange.core.units import AMOUNT_MAX

WINDOW_MAX_MS = 10_000
FROZEN_MAX_MS = 24 * 3_600_000
FILLS_MAX = 1_000_000
SLOTS = 20

# Quotes that one taker has pulled are cancelled at once up to here, the rest as a task.
PULLED_AT_ONCE = 200

_RESTING = (TimeInForce.GTC, TimeInForce.GTD)


def plan_protection(memory: Memory, command: ConfigureProtection) -> ConfigureProtection | Code:
    """Return the command if its account and market exist and its values are possible."""
    account = memory.ledger.accounts.get(command.account_id)
    if account is None or account.config.open_orders_max == 0:
        return Code.ACCOUNT_NOT_FOUND
    if command.market_id not in memory.markets:
        return Code.MARKET_NOT_FOUND
    if not command.window_ms:
        return command if command.market_id in account.protections else Code.NO_PROTECTION
    possible = (
        0 < command.window_ms <= WINDOW_MAX_MS
        and 0 <= command.quantity_atoms <= AMOUNT_MAX
        and 0 <= command.fills <= FILLS_MAX
        and 0 <= command.frozen_ms <= FROZEN_MAX_MS
        and (command.quantity_atoms or command.fills)
    )
    return command if possible else Code.INVALID_PROTECTION


def configure_protection(memory: Memory, plan: ConfigureProtection) -> Outcome:
    """Set up, change or take away a protection."""
    protections = memory.ledger.accounts[plan.account_id].protections
    protection = protections.get(plan.market_id)
    if protection is None:
        protection = protections[plan.market_id] = QuoteProtection(
            memory.sequences.command, plan.account_id, plan.market_id
        )
    protection.window_ms = plan.window_ms
    protection.quantity_atoms = plan.quantity_atoms
    protection.fills = plan.fills
    protection.frozen_ms = plan.frozen_ms
    protection.counted = []
    if not plan.window_ms:
        protection.frozen_until_ms = 0
        del protections[plan.market_id]
    return Outcome(Code.OK, 0, [_changed(memory, protection)])


def plan_reset(memory: Memory, command: ResetProtection) -> QuoteProtection | Code:
    """Return the protection to reset."""
    account = memory.ledger.accounts.get(command.account_id)
    if account is None:
        return Code.ACCOUNT_NOT_FOUND
    if command.market_id not in memory.markets:
        return Code.MARKET_NOT_FOUND
    return account.protections.get(command.market_id) or Code.NO_PROTECTION


def reset(memory: Memory, plan: QuoteProtection) -> Outcome:
    """End a freeze and count from zero."""
    plan.frozen_until_ms = 0
    plan.counted = []
    return Outcome(Code.OK, 0, [_changed(memory, plan)])


def may_rest(command: PlaceOrder) -> bool:
    """Tell whether something of an order can come to rest in the book, now or later."""
    return command.price_atoms != 0 and command.time_in_force in _RESTING


def is_frozen(account: Account, market_id: int, time_ms: int) -> bool:
    """Tell whether a protection keeps an account's orders from resting in a market."""
    protection = account.protections.get(market_id)
    return protection is not None and time_ms < protection.frozen_until_ms


def count_fill(memory: Memory, protection: QuoteProtection, quantity_atoms: int) -> None:
    """Count a fill of a resting order; the one that goes over a limit trips the protection."""
    time_ms = memory.time_ms
    slot_ms = slot_length_ms(protection.window_ms)
    slot = time_ms // slot_ms
    # A slot counts until the window after its end.
    counted = [
        entry
        for entry in protection.counted
        if (entry[0] + 1) * slot_ms + protection.window_ms > time_ms
    ]
    if counted and counted[-1][0] == slot:
        _, atoms, fills = counted[-1]
        counted[-1] = (slot, atoms + quantity_atoms, fills + 1)
    else:
        counted.append((slot, quantity_atoms, 1))
    protection.counted = counted
    memory.changes.protections[protection.protection_id] = protection
    over_quantity = protection.quantity_atoms and (
        sum(entry[1] for entry in counted) > protection.quantity_atoms
    )
    over_fills = protection.fills and sum(entry[2] for entry in counted) > protection.fills
    if (over_quantity or over_fills) and protection not in memory.tripped:
        memory.tripped.append(protection)


def slot_length_ms(window_ms: int) -> int:
    """Return how long one slot of a window is."""
    return max(1, window_ms // SLOTS)


def pull_quotes(memory: Memory, events: list[AnyEvent]) -> None:
    """Freeze what a taker has run over and cancel what rests of it; called after the taker."""
    left = PULLED_AT_ONCE
    for protection in memory.tripped:
        protection.counted = []
        frozen_ms = protection.frozen_ms
        protection.frozen_until_ms = memory.time_ms + frozen_ms if frozen_ms else FOREVER_MS
        events.append(_changed(memory, protection))
        task = CancelAllTask(
            protection.account_id,
            protection.market_id,
            memory.sequences.order,
            EndReason.QUOTE_PROTECTION,
            resting_only=True,
        )
        before = len(events)
        if not cancel_step(memory, task, events, most=left):
            memory.tasks.append(task)
        left = max(0, left - (len(events) - before))
    memory.tripped = []


def _changed(memory: Memory, protection: QuoteProtection) -> ProtectionChanged:
    memory.changes.protections[protection.protection_id] = protection
    return ProtectionChanged(
        protection.account_id,
        protection.market_id,
        protection.window_ms,
        protection.quantity_atoms,
        protection.fills,
        protection.frozen_ms,
        protection.frozen_until_ms,
    )
