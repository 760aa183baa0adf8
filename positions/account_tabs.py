"""What the positions app shows in tabs of a user's page in the back-office."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.account_tabs import TAB_ROWS, AccountTab, Subject
from accounts.permissions import Permission
from common.tables import Column, Kind, Table
from exchange.core.units import format_atoms
from markets.selectors import market_by_id
from positions import selectors
from positions.render import render_closed, render_payment
from positions.standing import standing_of
from positions.tables import POSITION_COLUMNS, position_row
from positions.types import FundingSum

_CLOSED_COLUMNS = (
    Column("id", "Position", Kind.NUMBER),
    Column("symbol", "Market"),
    Column("side", "Side"),
    Column("max_quantity", "Largest", Kind.FIGURE),
    Column("entry_price", "Entry", Kind.FIGURE),
    Column("exit_price", "Exit", Kind.FIGURE),
    Column("realised_profit", "Realised", Kind.FIGURE),
    Column("fee", "Fees", Kind.FIGURE),
    Column("funding", "Funding", Kind.FIGURE),
    Column("net_profit", "Net", Kind.FIGURE),
    Column("reason", "Ended by"),
    Column("opened_at", "Opened (UTC)", Kind.TIME),
    Column("closed_at", "Closed (UTC)", Kind.TIME),
)
_SUM_COLUMNS = (
    Column("symbol", "Market"),
    Column("side", "Slot"),
    Column("open", "Open position received", Kind.FIGURE),
    Column("closed", "Closed positions received", Kind.FIGURE),
    Column("positions", "Closed positions", Kind.FIGURE),
    Column("sum", "Together", Kind.FIGURE),
)
_PAYMENT_COLUMNS = (
    Column("id", "Entry", Kind.NUMBER),
    Column("symbol", "Market"),
    Column("side", "Side"),
    Column("quantity", "Quantity", Kind.FIGURE),
    Column("mark_price", "Mark", Kind.FIGURE),
    Column("rate", "Rate", Kind.FIGURE),
    Column("amount", "Received", Kind.FIGURE),
    Column("currency", "Currency"),
    Column("funding_time", "Funding of (UTC)", Kind.TIME),
    Column("paid_at", "Booked (UTC)", Kind.TIME),
)


def _positions(subject: Subject, before_id: int | None) -> Sequence[Table]:
    views = [position_row(view) for view in standing_of(subject.account_id).views()]
    found = selectors.closed_page(subject.account_id, limit=TAB_ROWS, below_id=before_id)
    shown = found[:TAB_ROWS]
    next_from = str(shown[-1].position_id) if len(found) > TAB_ROWS else ""
    return [
        Table(POSITION_COLUMNS, views, "Open positions", empty="No open position."),
        Table(
            _CLOSED_COLUMNS,
            [render_closed(closed) for closed in shown],
            "Closed positions",
            next_from=next_from,
        ),
    ]


def _funding(subject: Subject, from_entry_id: int | None) -> Sequence[Table]:
    payments, next_id = selectors.payments_page(
        subject.account_id, limit=TAB_ROWS, from_entry_id=from_entry_id
    )
    rows = [render_payment(paid) for paid in payments]
    table = Table(_PAYMENT_COLUMNS, rows, "Funding", next_from=str(next_id) if next_id else "")
    if from_entry_id is not None:
        return [table]
    sums = [_sum_row(total) for total in selectors.funding_sums(subject.account_id)]
    return [Table(_SUM_COLUMNS, sums, "By slot", empty="No slot."), table]


def _sum_row(total: FundingSum) -> dict[str, str]:
    market = market_by_id(total.market_id)
    closed = f"{total.closed_count:,d}" if total.is_whole else f"latest {total.closed_count:,d}"
    return {
        "symbol": market.symbol,
        "side": total.side.name.lower(),
        "open": format_atoms(total.open_atoms, market.quote_decimals),
        "closed": format_atoms(total.closed_atoms, market.quote_decimals),
        "positions": closed,
        "sum": format_atoms(total.open_atoms + total.closed_atoms, market.quote_decimals),
    }


TABS = (
    AccountTab("positions", "Positions", Permission.MONEY_VIEW, _positions),
    AccountTab("funding", "Funding", Permission.MONEY_VIEW, _funding),
)
