"""Bodies of answers about orders."""

from typing import Any

from common.freshness import freshness
from common.pagination import encode_cursor
from exchange.core.events import OrderChanged
from orders import selectors
from orders.render import render_fill, render_order
from orders.types import FillPage, OrderFailure, OrderGroup, OrderPage, OrderResult

# Trades that the detail of an order shows at most.
DETAIL_FILLS_MAX = 500


def placed_body(result: OrderResult, account_id: int) -> dict[str, Any]:
    """Return an order as a command left it, with that command's fills in order of execution."""
    body = render_order(result.order)
    body["fills"] = [render_fill(trade, account_id) for trade in result.fills]
    return body


def result_body(
    result: OrderResult | OrderFailure,
    *,
    done_status: int,
    account_id: int,
    with_fills: bool,
) -> dict[str, Any]:
    """Return one result of a batch, with the status it would have alone."""
    if isinstance(result, OrderFailure):
        error: dict[str, Any] = {"code": result.code, "message": result.message}
        if result.fields:
            error["fields"] = result.fields
        return {"status": result.http_status, "error": error}
    status = 200 if result.repeated else done_status
    order = placed_body(result, account_id) if with_fills else render_order(result.order)
    return {"status": status, "order": order}


def group_body(group: OrderGroup, account_id: int) -> dict[str, Any]:
    """Return the orders of an OCO or a bracket as placing left them."""
    return {
        "group_id": str(group.group_id),
        "orders": [placed_body(result, account_id) for result in group.orders],
    }


def order_page_body(page: OrderPage) -> dict[str, Any]:
    """Return a page of orders."""
    return {
        "items": [render_order(order) for order in page.orders],
        "next_cursor": encode_cursor(page.next_id) if page.next_id else None,
        **freshness(),
    }


def order_body(order: OrderChanged, account_id: int) -> dict[str, Any]:
    """Return an order with its newest fills."""
    page = FillPage(trades=[], next_id=0)
    if order.filled_atoms:
        page = selectors.fills_of_order(account_id, order=order, limit=DETAIL_FILLS_MAX)
    body = render_order(order)
    body["fills"] = [render_fill(trade, account_id) for trade in page.trades]
    body["fills_next_cursor"] = encode_cursor(page.next_id) if page.next_id else None
    body.update(freshness())
    return body
