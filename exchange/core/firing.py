"""Carrying out what prices and clocks have set off, in bounded internal steps."""

from __future__ import annotations

from heapq import heappop

from exchange.core.cancelling import cancel_step
from exchange.core.commands import ContinueTask
from exchange.core.enums import EndReason, LinkKind, MarketStatus, OrderStatus
from exchange.core.events import AnyEvent, Outcome
from exchange.core.executing import execute, plan_taker
from exchange.core.ledger import hold_of
from exchange.core.linking import arm_step
from exchange.core.memory import Memory
from exchange.core.rejects import Code
from exchange.core.state import CancelAllTask, FireTask, Order, Terms
from exchange.core.units import check

# One step ends at whichever comes first; a fired order has at most 500 fills after that.
FIRED_PER_STEP = 100
EVENTS_PER_STEP = 400
EXPIRIES_PER_STEP = 500

_REASONS = {
    Code.FOK_NOT_FILLABLE: EndReason.FOK_NOT_FILLABLE,
    Code.POST_ONLY_WOULD_CROSS: EndReason.POST_ONLY_WOULD_CROSS,
}


def is_due(memory: Memory, time_ms: int) -> bool:
    """Tell whether an order's time is over."""
    return bool(memory.deadlines) and memory.deadlines[0][0] <= time_ms


def plan_continue(memory: Memory, command: ContinueTask) -> ContinueTask | Code:
    """Accept the step when there is something to do."""
    check(bool(memory.tasks) or is_due(memory, memory.time_ms), "no task is unfinished")
    return command


def continue_task(memory: Memory, plan: ContinueTask) -> Outcome:
    """Carry out one bounded step: what is due, else the oldest task."""
    del plan
    events: list[AnyEvent] = []
    if is_due(memory, memory.time_ms):
        _expire_step(memory, events)
        return Outcome(Code.OK, 0, events)
    task = memory.tasks[0]
    if isinstance(task, CancelAllTask):
        finished = cancel_step(memory, task, events)
    elif isinstance(task, FireTask):
        finished = _fire_step(memory, task, events)
    else:
        finished = arm_step(memory, task, events)
    if finished:
        memory.tasks.remove(task)
        if isinstance(task, FireTask):
            del memory.fired[task.number]
    return Outcome(Code.OK, 0, events)


def _expire_step(memory: Memory, events: list[AnyEvent]) -> None:
    for _ in range(EXPIRIES_PER_STEP):
        if not is_due(memory, memory.time_ms):
            return
        _, order_id = heappop(memory.deadlines)
        order = memory.orders.get(order_id)
        if order is not None:
            memory.retire(order, OrderStatus.EXPIRED, EndReason.TIME_EXPIRED, events)


def _fire_step(memory: Memory, task: FireTask, events: list[AnyEvent]) -> bool:
    """Fire the next orders of a task; tell whether it is finished."""
    queue = memory.fired[task.number]
    market = memory.markets[task.market_id]
    if market.config.status is not MarketStatus.TRADING:
        _rearm(memory, task)
        return True
    for _ in range(FIRED_PER_STEP):
        if not queue or len(events) >= EVENTS_PER_STEP:
            break
        order = queue.popleft()
        terms = order.terms
        if memory.orders.get(order.order_id) is not order or terms is None:
            continue  # cancelled while it waited its turn
        if terms.callback_rate_e8 and not terms.activation_number:
            _activate(memory, order, terms, task)
            events.append(memory.changed(order))
        else:
            fire(memory, order, terms, events)
    return not queue


def _rearm(memory: Memory, task: FireTask) -> None:
    """Let fired orders wait again: the market stopped trading before their turn came."""
    market = memory.markets[task.market_id]
    for order in memory.fired[task.number]:
        if memory.orders.get(order.order_id) is order and order.terms is not None:
            market.triggers(order.terms.trigger_type).add(order, order.terms)


def _activate(memory: Memory, order: Order, terms: Terms, task: FireTask) -> None:
    """Start to follow the price from the one that reached the activation price."""
    market = memory.markets[order.market_id]
    terms.extreme_atoms = task.price_atoms
    terms.activation_number = memory.next_priority()
    market.triggers(terms.trigger_type).add(order, terms)


def fire(memory: Memory, order: Order, terms: Terms, events: list[AnyEvent]) -> None:
    """Turn a conditional order into its market or limit order and carry that out."""
    market = memory.markets[order.market_id]
    account = memory.ledger.accounts[order.account_id]
    if terms.link_kind is LinkKind.OCO:
        memory.end_other_leg(order, events)
        memory.claim_hold(order)
    terms.triggered_ms = memory.time_ms
    order.status = OrderStatus.OPEN
    order.priority = memory.next_priority()
    memory.set_hold(account, market, order, 0)
    match = plan_taker(market, order, memory.time_ms)
    if isinstance(match, Code):
        order.status = OrderStatus.EXPIRED
        order.reason = _REASONS[match]
        order.remaining_atoms = 0
        memory.delist(account, order)
        events.append(memory.changed(order))
        return
    execute(memory, account, market, order, match, hold_of(order), events, listed=True)
