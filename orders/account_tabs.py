"""What the orders app shows in tabs of a user's page in the back-office."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from accounts.account_tabs import TAB_ROWS, AccountTab, Subject
from accounts.permissions import Permission
from common.tables import Cell, Column, Kind, Table, Tone
from exchange.core.events import OrderChanged
from orders import selectors
from orders.render import render_fill, render_order

STATUS_TONES = {
    "new": Tone.NOTE,
    "partially_filled": Tone.NOTE,
    "untriggered": Tone.NOTE,
    "waiting": Tone.NOTE,
    "filled": Tone.GOOD,
    "rejected": Tone.BAD,
}

_ORDER_COLUMNS = (
    Column("id", "Order", Kind.NUMBER),
    Column("symbol", "Market"),
    Column("side", "Side"),
    Column("type", "Type"),
    Column("price", "Price", Kind.FIGURE),
    Column("quantity", "Quantity", Kind.FIGURE),
    Column("filled_quantity", "Filled", Kind.FIGURE),
    Column("average_price", "Average", Kind.FIGURE),
    Column("status", "Status", Kind.BADGE),
    Column("reason", "Ended by"),
    Column("created_at", "Placed (UTC)", Kind.TIME),
    Column("updated_at", "Changed (UTC)", Kind.TIME),
)
_FILL_COLUMNS = (
    Column("trade_id", "Trade", Kind.NUMBER),
    Column("order_id", "Order", Kind.NUMBER),
    Column("symbol", "Market"),
    Column("kind", "Kind"),
    Column("side", "Side"),
    Column("role", "Role"),
    Column("price", "Price", Kind.FIGURE),
    Column("quantity", "Quantity", Kind.FIGURE),
    Column("quote_quantity", "Value", Kind.FIGURE),
    Column("fee", "Fee", Kind.FIGURE),
    Column("executed_at", "Time (UTC)", Kind.TIME),
)


def _order_row(order: OrderChanged) -> dict[str, Any]:
    shown = render_order(order)
    quote = shown["quote_quantity"]
    return {
        **shown,
        "id": Cell(shown["id"], reverse("admin:orders_order_change", args=[order.order_id])),
        "quantity": f"{quote} quote" if quote else shown["quantity"],
        "status": Cell(
            shown["status"].replace("_", " "),
            tone=STATUS_TONES.get(shown["status"], Tone.NEUTRAL),
        ),
    }


def _text(key: int) -> str:
    return str(key) if key else ""


def _open(subject: Subject, from_id: int | None) -> Sequence[Table]:
    page = selectors.orders_open(subject.account_id, limit=TAB_ROWS, below_id=from_id)
    rows = [_order_row(order) for order in page.orders]
    return [Table(_ORDER_COLUMNS, rows, "Open orders", next_from=_text(page.next_id))]


def _finished(subject: Subject, from_id: int | None) -> Sequence[Table]:
    page = selectors.orders_finished(subject.account_id, limit=TAB_ROWS, from_id=from_id)
    rows = [_order_row(order) for order in page.orders]
    return [Table(_ORDER_COLUMNS, rows, "Finished orders", next_from=_text(page.next_id))]


def _fills(subject: Subject, from_entry_id: int | None) -> Sequence[Table]:
    page = selectors.fills_of(subject.account_id, limit=TAB_ROWS, from_entry_id=from_entry_id)
    rows = []
    for trade in page.trades:
        shown = render_fill(trade, subject.account_id)
        link = reverse("admin:orders_trade_change", args=[trade.trade_id])
        rows.append({**shown, "trade_id": Cell(shown["trade_id"], link)})
    return [Table(_FILL_COLUMNS, rows, "Fills", next_from=_text(page.next_id))]


TABS = (
    AccountTab("open-orders", "Open orders", Permission.MONEY_VIEW, _open),
    AccountTab("orders", "Finished orders", Permission.MONEY_VIEW, _finished),
    AccountTab("fills", "Fills", Permission.MONEY_VIEW, _fills),
)
