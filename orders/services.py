"""Placing, amending, cancelling: submit a command, answer with what it left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import DatabaseError

from accounts.opening import account_open
from common.db import is_unavailable
from common.deadline import deadline_left_ms
from common.errors import ApiError, not_found, raise_for_outcome
from common.exceptions import to_api_error
from common.request_id import current_request_id
from exchange import gateway
from exchange.core.commands import (
    AmendOrder,
    CancelAllOrders,
    CancelOrder,
    PlaceLinkedOrders,
    PlaceOrder,
)
from exchange.core.events import OrderChanged, Outcome, TradeExecuted
from exchange.core.memory import CANCELS_PER_STEP
from exchange.core.rejects import MESSAGES, Code
from exchange.errors import StatusUnknown
from orders import selectors
from orders.types import CancelledOrders, OrderFailure, OrderGroup, OrderResult

OrderCommand = PlaceOrder | PlaceLinkedOrders | AmendOrder | CancelOrder | CancelAllOrders
Parsed = TypeVar("Parsed", PlaceOrder, AmendOrder, CancelOrder)

# Fills that an order shows when its own command's are not known: the most of one command.
LOGGED_FILLS_MAX = 500

ORDER_NOT_OPEN = "ORDER_NOT_OPEN"
ORDER_NOT_OPEN_MESSAGE = "The order has ended, or is being carried out, and cannot change."


def order_place(*, command: PlaceOrder) -> OrderResult:
    """
    Place an order and return it as the command left it, with that command's fills.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    (outcome,) = _submit([command])
    return placed_result(outcome, account_id=command.account_id)


def orders_place(*, commands: Sequence[PlaceOrder]) -> list[OrderResult | OrderFailure]:
    """Place several orders in one hop; each has its own result, in order."""
    outcomes = _submit(commands)
    return placed_results(outcomes, commands)


def placed_results(
    outcomes: Sequence[Outcome], commands: Sequence[PlaceOrder]
) -> list[OrderResult | OrderFailure]:
    """Return what placing several orders led to, in order."""
    return [
        _result_or_failure(placed_result, outcome, account_id=command.account_id)
        for command, outcome in zip(commands, outcomes, strict=True)
    ]


def order_group_place(*, command: PlaceLinkedOrders) -> OrderGroup:
    """
    Place an OCO or a bracket and return its orders as the command left them.

    Raises:
        ApiError: the exchange's refusal of the whole group.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    (outcome,) = _submit([command])
    return group_result(outcome, command=command)


def group_result(outcome: Outcome, *, command: PlaceLinkedOrders) -> OrderGroup:
    """
    Return what placing a group led to.

    Raises:
        ApiError: the exchange's refusal.
    """
    raise_for_outcome(outcome)
    group_id = outcome.reference_id
    order_ids = range(group_id, group_id + len(command.orders))
    if outcome.repeated:
        with _carried_out():
            orders = selectors.orders_by_id(command.account_id, order_ids)
        if not orders:
            raise _id_taken()
        return OrderGroup(
            group_id=group_id,
            orders=[OrderResult(order=order, repeated=True) for order in orders],
            repeated=True,
        )
    if not outcome.events:
        found = [_from_rows(command.account_id, order_id) for order_id in order_ids]
        return OrderGroup(group_id=group_id, orders=found)
    trades = [event for event in outcome.events if type(event) is TradeExecuted]
    return OrderGroup(
        group_id=group_id,
        orders=[
            OrderResult(
                order=_last_state(outcome.events, order_id),
                fills=[trade for trade in trades if trade.taker_order_id == order_id],
            )
            for order_id in order_ids
        ],
    )


def order_amend(*, command: AmendOrder) -> OrderResult:
    """
    Change an open order of the account in place and return it with that command's fills.

    Raises:
        ApiError: the exchange's refusal, which left the order as it was; ``NOT_FOUND`` and
            ``ORDER_NOT_OPEN`` as :func:`order_cancel`.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    (outcome,) = _submit([command])
    return changed_result(outcome, command=command)


def orders_amend(*, commands: Sequence[AmendOrder]) -> list[OrderResult | OrderFailure]:
    """Amend several orders in one hop; each has its own result, in order."""
    return changed_results(_submit(commands), commands)


def order_cancel(*, command: CancelOrder) -> OrderResult:
    """
    Cancel an open order of the account.

    Raises:
        ApiError: ``NOT_FOUND`` (404) for a missing order and for another's alike,
            ``ORDER_NOT_OPEN`` (422) for an own order that has ended.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    (outcome,) = _submit([command])
    return changed_result(outcome, command=command)


def orders_cancel(*, commands: Sequence[CancelOrder]) -> list[OrderResult | OrderFailure]:
    """Cancel several orders in one hop; each has its own result, in order."""
    return changed_results(_submit(commands), commands)


def changed_results(
    outcomes: Sequence[Outcome], commands: Sequence[AmendOrder] | Sequence[CancelOrder]
) -> list[OrderResult | OrderFailure]:
    """Return what amending or cancelling several orders led to, in order."""
    return [
        _result_or_failure(changed_result, outcome, command=command)
        for command, outcome in zip(commands, outcomes, strict=True)
    ]


def orders_cancel_all(*, account_id: int, market_id: int = 0) -> CancelledOrders:
    """
    Cancel all open orders of an account, in one market or (0) in all.

    Very many are cancelled in bounded steps: those of the first step are returned, and
    ``complete`` is false while the exchange goes on with the rest.
    """
    (outcome,) = _submit([CancelAllOrders(account_id=account_id, market_id=market_id)])
    return cancelled_result(outcome, account_id=account_id)


def cancelled_result(outcome: Outcome, *, account_id: int) -> CancelledOrders:
    """
    Return what a cancel-all led to.

    Raises:
        ApiError: the exchange's refusal.
    """
    raise_for_outcome(outcome)
    orders = [event for event in outcome.events if type(event) is OrderChanged]
    if outcome.order_ids:
        with _carried_out():
            orders = selectors.orders_by_id(account_id, outcome.order_ids)
    return CancelledOrders(orders=orders, complete=len(orders) < CANCELS_PER_STEP)


def order_by_client_id(*, account_id: int, client_order_id: str) -> OrderChanged:
    """
    Return the order that the account placed under a client id.

    Waits until everything submitted before is committed, so "not found" is final.

    Raises:
        ApiError: ``NOT_FOUND`` (404).
        ExchangeError: if the exchange does not catch up in time.
    """
    gateway.wait_until_caught_up()
    order = selectors.order_of_client_id(account_id, client_order_id)
    if order is None:
        raise not_found()
    return order


def batch_run(
    items: Sequence[Mapping[str, Any]],
    *,
    parse: Callable[[Mapping[str, Any]], Parsed],
    run: Callable[[list[Parsed]], list[OrderResult | OrderFailure]],
) -> list[OrderResult | OrderFailure]:
    """
    Parse every item, run those that are well-formed in one hop, return all results in order.

    A malformed item is refused alone; its neighbours are carried out.
    """
    commands, failures = batch_parse(items, parse=parse)
    return batch_results(failures, run(commands) if commands else [])


def batch_parse(
    items: Sequence[Mapping[str, Any]], *, parse: Callable[[Mapping[str, Any]], Parsed]
) -> tuple[list[Parsed], list[OrderFailure | None]]:
    """Return the commands of the well-formed items, and for each item what is wrong or None."""
    commands: list[Parsed] = []
    failures: list[OrderFailure | None] = []
    for item in items:
        try:
            commands.append(parse(item))
            failures.append(None)
        except ApiError as error:
            failures.append(failure_of(error))
    return commands, failures


def batch_results(
    failures: Sequence[OrderFailure | None], results: Iterable[OrderResult | OrderFailure]
) -> list[OrderResult | OrderFailure]:
    """Return the results of a batch in the order of its items; malformed ones had no command."""
    ran = iter(results)
    return [next(ran) if failure is None else failure for failure in failures]


def placed_result(outcome: Outcome, *, account_id: int) -> OrderResult:
    """
    Return what placing led to.

    Raises:
        ApiError: the exchange's refusal.
    """
    raise_for_outcome(outcome)
    if outcome.repeated:
        with _carried_out():
            order = selectors.order_of(account_id, outcome.reference_id)
        if order is None:
            raise _id_taken()
        return OrderResult(order=order, repeated=True)
    if not outcome.events:
        return _from_rows(account_id, outcome.reference_id)
    return OrderResult(
        order=_last_state(outcome.events, outcome.reference_id),
        fills=[event for event in outcome.events if type(event) is TradeExecuted],
    )


def changed_result(outcome: Outcome, *, command: CancelOrder | AmendOrder) -> OrderResult:
    """
    Return what cancelling or amending led to.

    Raises:
        ApiError: as :func:`order_cancel` and :func:`order_amend`.
    """
    if outcome.code in (Code.ORDER_NOT_FOUND, Code.ACCOUNT_NOT_FOUND):
        raise _why_not_changed(command)
    raise_for_outcome(outcome)
    if not outcome.events:
        return _from_rows(command.account_id, outcome.reference_id)
    return OrderResult(
        order=_last_state(outcome.events, outcome.reference_id),
        fills=[event for event in outcome.events if type(event) is TradeExecuted],
    )


def _from_rows(account_id: int, order_id: int) -> OrderResult:
    """
    Return an order as it now is, when only the command log knew that it was changed.

    Raises:
        StatusUnknown: if the order, ended without a fill, is kept no more, or cannot be read.
    """
    with _carried_out():
        order = selectors.order_of(account_id, order_id)
        if order is None:
            raise StatusUnknown
        if not order.filled_atoms:
            return OrderResult(order=order)
        page = selectors.fills_of_order(account_id, order=order, limit=LOGGED_FILLS_MAX)
    return OrderResult(order=order, fills=page.trades[::-1])


@contextmanager
def _carried_out() -> Iterator[None]:
    """
    Read what a command that was carried out has left.

    Raises:
        StatusUnknown: if the database is away: 503 would say that nothing was done.
    """
    try:
        yield
    except DatabaseError as error:
        if not is_unavailable(error):
            raise
        raise StatusUnknown from error


def _id_taken() -> ApiError:
    """Return the answer when an id is taken for ever, but its never-filled order is gone."""
    code = Code.CLIENT_ORDER_ID_CONFLICT
    return ApiError(code.name, MESSAGES[code], 409)


def _submit(commands: Sequence[OrderCommand]) -> list[Outcome]:
    """
    Submit commands of one account; open it on the exchange where that does not know it.

    Registration opens accounts; the second try heals what failed then.
    """
    request_id = current_request_id()
    return account_healed(commands, _send(commands, request_id), request_id=request_id)


def account_healed(
    commands: Sequence[OrderCommand], outcomes: list[Outcome], *, request_id: str
) -> list[Outcome]:
    """Return outcomes; what found no account is sent again after that is opened."""
    unknown = [
        index
        for index, outcome in enumerate(outcomes)
        if outcome.code == Code.ACCOUNT_NOT_FOUND
        and not isinstance(commands[index], CancelOrder | AmendOrder)
    ]
    if unknown:
        account_open(commands[unknown[0]].account_id)
        again = _send([commands[index] for index in unknown], request_id)
        for index, outcome in zip(unknown, again, strict=True):
            outcomes[index] = outcome
    return outcomes


def needs_rows(outcome: Outcome) -> bool:
    """
    Return whether saying what an outcome means reads the database.

    One that the command log knew, after its answer was lost, comes without events.
    """
    from_log = outcome.code == Code.OK and outcome.reference_id > 0 and not outcome.events
    missing = outcome.code in (Code.ORDER_NOT_FOUND, Code.ACCOUNT_NOT_FOUND)
    return outcome.repeated or from_log or missing or bool(outcome.order_ids)


def _send(commands: Sequence[OrderCommand], request_id: str) -> list[Outcome]:
    if len(commands) == 1:
        left_ms = deadline_left_ms()
        return [gateway.submit(commands[0], request_id=request_id, age_max_ms=left_ms)]
    return list(gateway.submit_many(commands, request_id=request_id, age_max_ms=deadline_left_ms()))


def _last_state(events: Iterable[Any], order_id: int) -> OrderChanged:
    for event in reversed(list(events)):
        if type(event) is OrderChanged and event.order_id == order_id:
            return event
    raise LookupError(f"expected a last state of order {order_id}, there was none")


def _why_not_changed(command: CancelOrder | AmendOrder) -> ApiError:
    if command.order_id:
        order = selectors.order_of(command.account_id, command.order_id)
    else:
        order = selectors.order_of_client_id(command.account_id, command.client_order_id)
    if order is None:
        return not_found()
    return ApiError(ORDER_NOT_OPEN, ORDER_NOT_OPEN_MESSAGE, 422)


def _result_or_failure(result: Any, outcome: Outcome, **scope: Any) -> OrderResult | OrderFailure:
    try:
        found: OrderResult = result(outcome, **scope)
    except (ApiError, StatusUnknown) as error:
        return failure_of(error)
    return found


def failure_of(error: Exception) -> OrderFailure:
    """
    Return an expected error as the result of one request of a batch.

    Raises:
        Exception: the error itself, if it is a bug.
    """
    answer = to_api_error(error)
    if answer is None:
        raise error
    return OrderFailure(
        code=answer.code,
        message=answer.message,
        http_status=answer.status_code,
        fields=answer.fields,
    )
