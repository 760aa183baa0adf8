"""Cancelling one order, or all in bounded steps."""

from __future__ import annotations

from itertools import islice

from exchange.core.commands import CancelAllOrders, CancelOrder
from exchange.core.enums import EndReason, OrderStatus
from exchange.core.events import AnyEvent, Outcome
from exchange.core.ledger import Account
from exchange.core.memory import CANCELS_PER_STEP, Memory
from exchange.core.observing import stay_armed
from exchange.core.rejects import Code
from exchange.core.state import Order
from exchange.core.tasks import CancelAllTask, CancelOpeningTask

_OK = Code.OK
_CANCELLED = OrderStatus.CANCELLED
_IN_BOOK = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
_USER, _OPERATOR = EndReason.USER_CANCELLED, EndReason.OPERATOR_CANCELLED


def plan_cancel(memory: Memory, command: CancelOrder) -> tuple[Order, EndReason] | Code:
    """Return the open order to cancel; another account's is as good as none."""
    account = memory.ledger.accounts.get(command.account_id)
    if account is None:
        return Code.ACCOUNT_NOT_FOUND
    if command.order_id:
        order = account.open_orders.get(command.order_id)
    else:
        order = account.open_by_client_id.get(command.client_order_id)
    if order is None:
        return Code.ORDER_NOT_FOUND
    return order, _OPERATOR if command.by_operator else _USER


def cancel(memory: Memory, plan: tuple[Order, EndReason]) -> Outcome:
    """Cancel an open order."""
    order, reason = plan
    events: list[AnyEvent] = []
    memory.retire(order, _CANCELLED, reason, events)
    return Outcome(_OK, order.order_id, events)


def plan_cancel_all(memory: Memory, command: CancelAllOrders) -> CancelAllTask | Code:
    """Return the task that cancels what is open now, not what is placed later."""
    if command.account_id not in memory.ledger.accounts:
        return Code.ACCOUNT_NOT_FOUND
    if command.market_id and command.market_id not in memory.markets:
        return Code.MARKET_NOT_FOUND
    return CancelAllTask(
        command.account_id,
        command.market_id,
        memory.sequences.order,
        _OPERATOR if command.by_operator else _USER,
    )


def cancel_all(memory: Memory, plan: CancelAllTask) -> Outcome:
    """Cancel the first orders now; the rest continues as internal steps."""
    events: list[AnyEvent] = []
    if not cancel_step(memory, plan, events):
        memory.tasks.append(plan)
    return Outcome(Code.OK, 0, events)


def cancel_step(
    memory: Memory,
    task: CancelAllTask,
    events: list[AnyEvent],
    *,
    most: int | None = None,
) -> bool:
    """
    Cancel the next orders of a task; tell whether it is finished.

    ``most`` is for those who have less to spare than a step may take.
    """
    most = CANCELS_PER_STEP if most is None else most
    orders = _open_orders(memory.ledger.accounts[task.account_id], task, most)
    for order in orders[:most]:
        # The other leg of an OCO has ended with the first.
        if order.order_id in memory.orders:
            memory.retire(order, OrderStatus.CANCELLED, task.reason, events)
    return len(orders) <= most


def _open_orders(account: Account, task: CancelAllTask, most: int) -> list[Order]:
    """Return the task's open orders, at most one more than a step takes."""
    orders: list[Order] = []
    for order in account.open_orders.values():
        if order.order_id > task.through_order_id or len(orders) > most:
            break
        if task.market_id and order.market_id != task.market_id:
            continue
        if not task.resting_only or order.status in _IN_BOOK:
            orders.append(order)
    return orders


def end_orders(memory: Memory, task: CancelOpeningTask, events: list[AnyEvent]) -> bool:
    """
    End the next open orders of a market; tell whether all have ended.

    Those that a price has fired and whose turn has not come wait no longer: they end too.
    """
    market = memory.markets[task.market_id]
    stay_armed(memory, market)
    orders = (order for order in market.open_orders() if _is_meant(order, task))
    taken = list(islice(orders, CANCELS_PER_STEP + 1))
    for order in taken[:CANCELS_PER_STEP]:
        # The other leg of an OCO has ended with the first.
        if order.order_id in memory.orders:
            memory.retire(order, OrderStatus.CANCELLED, task.reason, events)
    return len(taken) <= CANCELS_PER_STEP


def _is_meant(order: Order, task: CancelOpeningTask) -> bool:
    terms = order.terms
    reducing = terms is not None and (terms.reduce_only or terms.close_position)
    return order.order_id <= task.through_order_id and not (task.keep_reducing and reducing)
