"""What the risk engine shows in tabs of a user's page in the back-office."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.account_tabs import TAB_ROWS, AccountTab, Subject
from accounts.permissions import Permission
from common.tables import Column, Kind, Table
from riskengine import selectors
from riskengine.render import render_call

_CALL_COLUMNS = (
    Column("id", "Number", Kind.NUMBER),
    Column("time", "Time (UTC)", Kind.TIME),
    Column("margin_mode", "Margin"),
    Column("symbol", "Market"),
    Column("level", "Level", Kind.FIGURE),
    Column("margin_ratio", "Margin ratio", Kind.FIGURE),
)


def _calls(subject: Subject, before_id: int | None) -> Sequence[Table]:
    found = selectors.margin_calls_page(subject.account_id, limit=TAB_ROWS, below_id=before_id)
    shown = found[:TAB_ROWS]
    next_from = str(shown[-1].call_id) if len(found) > TAB_ROWS else ""
    rows = [render_call(call) for call in shown]
    return [Table(_CALL_COLUMNS, rows, "Margin calls", next_from=next_from)]


TABS = (AccountTab("margin-calls", "Margin calls", Permission.MONEY_VIEW, _calls),)
