"""What operators do to orders."""

from __future__ import annotations

from typing import Any

from accounts.operation_fields import text
from accounts.operation_targets import ACCOUNT
from accounts.operations import Call, Done, Operation, Target, TargetKind
from accounts.operators import operator_submit
from accounts.permissions import Permission
from common.errors import not_found
from common.ids import parse_id
from common.openapi import BOOLEAN, IDENTIFIER, TEXT, TEXT_OR_NULL
from exchange.core.commands import CancelAllOrders, CancelOrder
from exchange.core.enums import FINAL_STATUSES, OrderStatus
from markets.operations import market_target
from markets.selectors import market_by_id
from orders.models import Order
from orders.services import cancelled_result


def _find_order(key: str) -> Target:
    row = Order.objects.filter(id=parse_id(key) or 0).first()
    if row is None:
        raise not_found()
    return Target(
        key=key,
        label=f"order {key} of account {row.account_id}",
        audit_name=f"order:{key}",
        subject=row,
        account_id=row.account_id,
    )


ORDER = TargetKind(
    name="order",
    collection="orders",
    parameter="order_id",
    find=_find_order,
    description="Number of the order.",
)


def _cancel_order(call: Call) -> Done:
    order: Order = call.target.subject
    operator_submit(CancelOrder(account_id=order.account_id, order_id=order.id, by_operator=True))
    symbol = market_by_id(order.market_id).symbol
    return Done(
        answer={"order_id": call.target.key, "symbol": symbol, "status": "cancelled"},
        after={"account_id": str(order.account_id), "symbol": symbol},
    )


def _is_open(target: Target) -> bool:
    return OrderStatus(target.subject.status) not in FINAL_STATUSES


def _cancel_all(call: Call) -> Done:
    symbol = call.values.get("symbol")
    market_id = market_target(symbol).subject.market_id if symbol else 0
    account_id = call.target.account_id
    outcome = operator_submit(
        CancelAllOrders(account_id=account_id, market_id=market_id, by_operator=True)
    )
    found = cancelled_result(outcome, account_id=account_id)
    counts: dict[str, Any] = {"cancelled": len(found.orders), "complete": found.complete}
    return Done(answer={"account_id": call.target.key, "symbol": symbol, **counts}, after=counts)


OPERATIONS = (
    Operation(
        name="order-cancel",
        title="Cancel",
        description="Cancel one open order.",
        target=ORDER,
        permission=Permission.TRADING_MANAGE,
        perform=_cancel_order,
        answer={
            "order_id": IDENTIFIER,
            "symbol": {**TEXT, "example": "BTC-USDT"},
            "status": {"type": "string", "enum": ["cancelled"]},
        },
        refusals={404: ("NOT_FOUND", "ORDER_NOT_FOUND")},
        danger=True,
        applies=_is_open,
    ),
    Operation(
        name="account-cancel-orders",
        title="Cancel all orders",
        description="Cancel all open orders of an account, in one market or in all. Very many"
        " end in bounded steps after the answer.",
        target=ACCOUNT,
        permission=Permission.TRADING_MANAGE,
        perform=_cancel_all,
        answer={
            "account_id": IDENTIFIER,
            "symbol": TEXT_OR_NULL,
            "cancelled": {"type": "integer", "description": "By the first step."},
            "complete": {**BOOLEAN, "description": "Whether that were all."},
        },
        fields=(
            text(
                "symbol",
                "Only in this market.",
                required=False,
                length_max=64,
                example="BTC-USDT",
            ),
        ),
        refusals={404: ("NOT_FOUND", "ACCOUNT_NOT_FOUND", "MARKET_NOT_FOUND")},
        danger=True,
    ),
)
