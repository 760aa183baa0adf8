"""Dead-man switches: all orders of an account are cancelled unless it says in time not to."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from exchange.core.cancelling import cancel_step
from exchange.core.commands import CancelAllAfter
from exchange.core.enums import EndReason
from exchange.core.events import AnyEvent, CancelSwitchChanged, Outcome
from exchange.core.memory import Memory
from exchange.core.rejects import Code
from exchange.core.state import CancelSwitch
from exchange.core.tasks import CancelAllTask

TIMEOUT_MIN_MS = 1_000
TIMEOUT_MAX_MS = 24 * 3_600_000

# Times that no switch has any more are dropped once they outnumber the others and these.
_STALE_TIMES_KEPT = 64


def plan_cancel_all_after(memory: Memory, command: CancelAllAfter) -> CancelAllAfter | Code:
    """Return the command if there is such an account, market and time."""
    account = memory.ledger.accounts.get(command.account_id)
    if account is None or account.config.open_orders_max == 0:
        return Code.ACCOUNT_NOT_FOUND
    if command.market_id and command.market_id not in memory.markets:
        return Code.MARKET_NOT_FOUND
    if command.timeout_ms and not TIMEOUT_MIN_MS <= command.timeout_ms <= TIMEOUT_MAX_MS:
        return Code.INVALID_TIMEOUT
    return command


def cancel_all_after(memory: Memory, plan: CancelAllAfter) -> Outcome:
    """Arm, arm again or disarm the switch of an account and market."""
    key = (plan.account_id, plan.market_id)
    switch = memory.switches.get(key)
    if not plan.timeout_ms:
        return Outcome(Code.OK, 0, [_disarm(memory, switch or CancelSwitch(0, *key))])
    if switch is None:
        switch = memory.switches[key] = CancelSwitch(memory.sequences.command, *key)
    switch.timeout_ms = plan.timeout_ms
    switch.due_ms = memory.time_ms + plan.timeout_ms
    heappush(memory.switch_times, (switch.due_ms, *key))
    if len(memory.switch_times) > 2 * len(memory.switches) + _STALE_TIMES_KEPT:
        set_times(memory)
    memory.changes.switches[switch.switch_id] = switch
    return Outcome(Code.OK, 0, [_changed(switch)])


def set_times(memory: Memory) -> None:
    """Derive when switches are due from the switches."""
    memory.switch_times = [(switch.due_ms, *key) for key, switch in memory.switches.items()]
    heapify(memory.switch_times)


def is_due(memory: Memory, time_ms: int) -> bool:
    """Tell whether the time of a switch is over."""
    times = memory.switch_times
    while times:
        due_ms, account_id, market_id = times[0]
        switch = memory.switches.get((account_id, market_id))
        if switch is not None and switch.due_ms == due_ms:
            return due_ms <= time_ms
        # It was armed again or disarmed since.
        heappop(times)
    return False


def trip(memory: Memory, events: list[AnyEvent]) -> None:
    """
    Let the switch that is due first act: what is open now is cancelled, in bounded steps.

    The first orders are cancelled here; the rest continues as a task.
    """
    _, account_id, market_id = memory.switch_times[0]
    events.append(_disarm(memory, memory.switches[account_id, market_id]))
    task = CancelAllTask(account_id, market_id, memory.sequences.order, EndReason.CANCEL_ALL_AFTER)
    if not cancel_step(memory, task, events):
        memory.tasks.append(task)


def _disarm(memory: Memory, switch: CancelSwitch) -> CancelSwitchChanged:
    """Forget a switch; one that was never armed (number 0) leaves no row."""
    switch.timeout_ms = switch.due_ms = 0
    if switch.switch_id:
        del memory.switches[switch.account_id, switch.market_id]
        memory.changes.switches[switch.switch_id] = switch
    return _changed(switch)


def _changed(switch: CancelSwitch) -> CancelSwitchChanged:
    return CancelSwitchChanged(
        switch.account_id, switch.market_id, switch.timeout_ms, switch.due_ms
    )
