"""
Operations of order entry over WebSocket: what each takes, submits and answers.

Bodies, checks and answers are those of REST. An operation is prepared on the event loop
without I/O; its outcomes are told there too unless they need rows of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exchange.core.commands import CancelAllOrders
from exchange.core.events import Outcome
from markets.selectors import MarketNotFound, market_by_symbol
from markets.types import MarketInfo
from orders import services
from orders.bodies import group_body, placed_body, result_body
from orders.change_requests import parse_amend, parse_cancel
from orders.fields import RequestField, boolean_field, read_body, table_of, text_field
from orders.linked_requests import BRACKET_COST, OCO_COST, parse_bracket, parse_oco
from orders.render import render_order
from orders.requests import market_not_found, parse_batch, parse_order
from orders.services import OrderCommand
from orders.types import OrderFailure, OrderGroup

Body = Mapping[str, Any]
# HTTP status and body as REST would answer.
Reply = tuple[int, dict[str, Any]]

_ANY_MARKET: RequestField = text_field(
    "symbol", description="Only this market.", example="BTC-USDT", required=False
)
CANCEL_ALL_FIELDS = table_of(_ANY_MARKET)
DISCONNECT_FIELDS = table_of(
    boolean_field("enabled", description="Whether the end of the connection cancels."),
    _ANY_MARKET,
)


@dataclass(frozen=True, slots=True)
class Job:
    """Commands to submit, and how to say what became of them."""

    commands: Sequence[OrderCommand]
    reply: Callable[[list[Outcome]], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """
    One operation.

    ``cost`` is what it takes from the order rate (``is_order``) or the cancel rate.
    """

    is_order: bool
    cost: Callable[[Body], int]
    prepare: Callable[[Body, int], Job]


def optional_market(body: Body) -> MarketInfo | None:
    """
    Return the market that a body names, None if it names none.

    Raises:
        ApiError: 404 ``MARKET_NOT_FOUND``.
    """
    if "symbol" not in body:
        return None
    try:
        return market_by_symbol(body["symbol"])
    except MarketNotFound:
        raise market_not_found() from None


def _one(_body: Body) -> int:
    return 1


def _items(body: Body) -> int:
    return len(parse_batch(body))


def _place(body: Body, account_id: int) -> Job:
    command = parse_order(body, account_id=account_id)

    def reply(outcomes: list[Outcome]) -> Reply:
        result = services.placed_result(outcomes[0], account_id=account_id)
        return 200 if result.repeated else 201, placed_body(result, account_id)

    return Job([command], reply)


def _amend(body: Body, account_id: int) -> Job:
    command = parse_amend(body, account_id=account_id)

    def reply(outcomes: list[Outcome]) -> Reply:
        result = services.changed_result(outcomes[0], command=command)
        return 200, placed_body(result, account_id)

    return Job([command], reply)


def _cancel(body: Body, account_id: int) -> Job:
    command = parse_cancel(body, account_id=account_id)

    def reply(outcomes: list[Outcome]) -> Reply:
        result = services.changed_result(outcomes[0], command=command)
        return 200, render_order(result.order)

    return Job([command], reply)


def _cancel_all(body: Body, account_id: int) -> Job:
    market = optional_market(read_body(CANCEL_ALL_FIELDS, body, None))
    market_id = market.market_id if market is not None else 0

    def reply(outcomes: list[Outcome]) -> Reply:
        done = services.cancelled_result(outcomes[0], account_id=account_id)
        orders = [render_order(order) for order in done.orders]
        return 200, {"orders": orders, "complete": done.complete}

    return Job([CancelAllOrders(account_id=account_id, market_id=market_id)], reply)


def _group(parse: Callable[..., Any]) -> Callable[[Body, int], Job]:
    def prepare(body: Body, account_id: int) -> Job:
        command = parse(body, account_id=account_id)

        def reply(outcomes: list[Outcome]) -> Reply:
            group: OrderGroup = services.group_result(outcomes[0], command=command)
            return 200 if group.repeated else 201, group_body(group, account_id)

        return Job([command], reply)

    return prepare


def _batch(
    parse: Callable[..., Any],
    results: Callable[[list[Outcome], Any], Any],
    *,
    done_status: int = 200,
    with_fills: bool = True,
) -> Callable[[Body, int], Job]:
    def prepare(body: Body, account_id: int) -> Job:
        commands: list[Any]
        failures: list[OrderFailure | None]
        commands, failures = services.batch_parse(
            parse_batch(body), parse=lambda item: parse(item, account_id=account_id)
        )

        def reply(outcomes: list[Outcome]) -> Reply:
            bodies = [
                result_body(
                    result, done_status=done_status, account_id=account_id, with_fills=with_fills
                )
                for result in services.batch_results(failures, results(outcomes, commands))
            ]
            return 200, {"results": bodies}

        return Job(commands, reply)

    return prepare


OPERATIONS: dict[str, Operation] = {
    "place": Operation(True, _one, _place),
    "amend": Operation(True, _one, _amend),
    "cancel": Operation(False, _one, _cancel),
    "cancel_all": Operation(False, _one, _cancel_all),
    "place_batch": Operation(
        True, _items, _batch(parse_order, services.placed_results, done_status=201)
    ),
    "amend_batch": Operation(True, _items, _batch(parse_amend, services.changed_results)),
    "cancel_batch": Operation(
        False, _items, _batch(parse_cancel, services.changed_results, with_fills=False)
    ),
    "place_oco": Operation(True, lambda _body: OCO_COST, _group(parse_oco)),
    "place_bracket": Operation(True, lambda _body: BRACKET_COST, _group(parse_bracket)),
}
