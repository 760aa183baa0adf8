"""Carrying out what prices and clocks have set off, in bounded internal steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop
from typing import Any

from exchange.core import breaking, margin_checks, switches
from exchange.core.cancelling import cancel_step, end_orders
from exchange.core.commands import ContinueTask
from exchange.core.enums import EndReason, LinkKind, OrderStatus
from exchange.core.events import AnyEvent, Outcome
from exchange.core.executing import execute
from exchange.core.funding import funding_step
from exchange.core.ledger import hold_of
from exchange.core.linking import arm_step
from exchange.core.liquidation import liquidate_step, unwind_step
from exchange.core.memory import Memory
from exchange.core.observing import stay_armed
from exchange.core.rejects import Code
from exchange.core.settling import settle_step
from exchange.core.state import Order, Terms
from exchange.core.taking import plan_order
from exchange.core.tasks import (
    ActivateTask,
    ArmTask,
    CancelAllTask,
    CancelOpeningTask,
    FireTask,
    FundingTask,
    LiquidateTask,
    SettleTask,
    Task,
    UnwindTask,
)
from exchange.core.units import check

# One step ends at whichever comes first; a fired order has at most 500 fills after that.
FIRED_PER_STEP = 100
EVENTS_PER_STEP = 400
EXPIRIES_PER_STEP = 500
ANNOUNCED_PER_STEP = 500

_REASONS = {
    Code.FOK_NOT_FILLABLE: EndReason.FOK_NOT_FILLABLE,
    Code.POST_ONLY_WOULD_CROSS: EndReason.POST_ONLY_WOULD_CROSS,
    Code.REDUCE_ONLY_NO_POSITION: EndReason.POSITION_CLOSED,
}


def is_due(memory: Memory, time_ms: int) -> bool:
    """Tell whether the time of an order, a dead-man switch or a market's phase is over."""
    return (
        _is_order_due(memory, time_ms)
        or switches.is_due(memory, time_ms)
        or breaking.is_due(memory, time_ms)
    )


def _is_order_due(memory: Memory, time_ms: int) -> bool:
    deadlines = memory.deadlines
    # Deadlines of orders that ended otherwise do not count: loading does not know them.
    while deadlines and deadlines[0][1] not in memory.orders:
        heappop(deadlines)
    return bool(deadlines) and deadlines[0][0] <= time_ms


def plan_continue(memory: Memory, command: ContinueTask) -> ContinueTask | Code:
    """Accept the step when there is something to do."""
    check(bool(memory.tasks) or is_due(memory, memory.time_ms), "no task is unfinished")
    return command


def continue_task(memory: Memory, plan: ContinueTask) -> Outcome:
    """Carry out one bounded step: what is due (orders, switches, markets), else a task's."""
    del plan
    events: list[AnyEvent] = []
    if _is_order_due(memory, memory.time_ms):
        _expire_step(memory, events)
    elif switches.is_due(memory, memory.time_ms):
        switches.trip(memory, events)
    elif breaking.is_due(memory, memory.time_ms):
        breaking.advance(memory, events)
    else:
        _task_step(memory, memory.tasks[0], events)
    return Outcome(Code.OK, 0, events)


def _task_step(memory: Memory, task: Task, events: list[AnyEvent]) -> None:
    finished = _STEPS[type(task)](memory, task, events)
    if finished:
        memory.tasks.remove(task)
        if isinstance(task, FireTask | ActivateTask):
            del memory.fired[task.number]


def _expire_step(memory: Memory, events: list[AnyEvent]) -> None:
    for _ in range(EXPIRIES_PER_STEP):
        if not _is_order_due(memory, memory.time_ms):
            return
        _, order_id = heappop(memory.deadlines)
        order = memory.orders[order_id]
        memory.retire(order, OrderStatus.EXPIRED, EndReason.TIME_EXPIRED, events)


def _fire_step(memory: Memory, task: FireTask, events: list[AnyEvent]) -> bool:
    """Fire the next orders of a task; tell whether it is finished."""
    market = memory.markets[task.market_id]
    queue = memory.fired[task.number]
    for _ in range(FIRED_PER_STEP):
        if not memory.evaluates(market):
            # It stopped, perhaps at what the last of them did: the others wait again.
            stay_armed(memory, market)
            return False
        _skip_ended(memory, queue)
        if not queue or len(events) >= EVENTS_PER_STEP:
            break
        order = queue.popleft()
        if order.terms is not None:
            fire(memory, order, order.terms, events)
    _skip_ended(memory, queue)
    return not queue


def _announce_step(memory: Memory, task: ActivateTask, events: list[AnyEvent]) -> bool:
    """Store and announce the next trailing stops that became active; tell whether all are."""
    queue = memory.fired[task.number]
    for _ in range(ANNOUNCED_PER_STEP):
        _skip_ended(memory, queue)
        if not queue:
            break
        order = queue.popleft()
        task.after_order_id = order.order_id
        events.append(memory.changed(order))
    _skip_ended(memory, queue)
    return not queue


def _skip_ended(memory: Memory, queue: deque[Order]) -> None:
    """
    Drop orders that ended, or fired, while they waited their turn.

    They take no part of a step: a queue that loading rebuilds does not hold them.
    """
    while queue:
        order = queue[0]
        alive = memory.orders.get(order.order_id) is order
        if alive and order.status is OrderStatus.UNTRIGGERED:
            return
        queue.popleft()


def fire(memory: Memory, order: Order, terms: Terms, events: list[AnyEvent]) -> None:
    """Turn a conditional order into its market or limit order and carry that out."""
    market = memory.markets[order.market_id]
    account = memory.ledger.accounts[order.account_id]
    if terms.link_kind is LinkKind.OCO:
        memory.end_other_leg(order, events)
        memory.claim_hold(order)
    if terms.activation_number:
        heir = market.triggers(terms.trigger_type).remove(order, terms)
        if heir is not None:
            memory.changes.orders[heir.order_id] = heir
    terms.triggered_ms = memory.time_ms
    order.status = OrderStatus.OPEN
    order.priority = memory.next_priority()
    memory.set_hold(account, market, order, 0)
    code = margin_checks.check_firing(memory, account, market, order) if order.margined else Code.OK
    match = code or plan_order(memory, account, market, order)
    if isinstance(match, Code):
        order.status = OrderStatus.EXPIRED
        # What a perpetual market refuses besides is for want of margin.
        order.reason = _REASONS.get(match, EndReason.INSUFFICIENT_MARGIN)
        order.remaining_atoms = 0
        memory.delist(account, order)
        events.append(memory.changed(order))
        return
    execute(memory, account, market, order, match, hold_of(order), events, listed=True)


# What one step of each kind of task is; it tells whether the task is finished.
_STEPS: dict[type[Task], Callable[[Memory, Any, list[AnyEvent]], bool]] = {
    CancelAllTask: cancel_step,
    FireTask: _fire_step,
    ActivateTask: _announce_step,
    ArmTask: arm_step,
    LiquidateTask: liquidate_step,
    FundingTask: funding_step,
    UnwindTask: unwind_step,
    CancelOpeningTask: end_orders,
    SettleTask: settle_step,
}
