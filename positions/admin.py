"""Positions, their history and funding in the back-office: read-only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.decorators import display

from accounts.back_office import OperationsMixin
from common.back_office import ReadOnlyAdmin, shown_time
from exchange.core.enums import CloseReason, MarginMode
from exchange.core.units import format_atoms
from markets.admin import symbol_of
from positions.danger import Danger, dangers_of
from positions.models import ClosedPosition, FundingPayment, Position
from positions.render import average_atoms
from positions.tables import distance_text, ratio_cell

# Where a row of a page keeps what follows from it.
_DANGER = "shown_danger"


def _money(atoms: int) -> str:
    return format_atoms(atoms, 2)


class _Slots(ReadOnlyAdmin):
    """What both lists of positions show alike."""

    search_fields = ["account_id"]
    search_help_text = "Whole account id"

    @display(description="market")
    def symbol(self, row: Position | ClosedPosition | FundingPayment) -> str:
        """Return the market."""
        return symbol_of(row.market_id)

    @display(description="mode")
    def mode_name(self, row: Position | ClosedPosition) -> str:
        """Return what backs it."""
        return f"{MarginMode(row.mode).name.lower()} {row.leverage}x"


@admin.register(Position)
class PositionAdmin(OperationsMixin, _Slots):
    """Open positions with how near they are to liquidation, at the last committed mark."""

    target_kind = "position"
    list_display = [
        "position_id",
        "account_id",
        "symbol",
        "mode_name",
        "quantity",
        "entry",
        "profit",
        "margin_ratio",
        "liquidation",
        "distance",
    ]

    # As the index of open positions has them.
    keyset_columns = ("market_id", "id")
    keyset_ascending = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Position]:
        """Return open positions only: flat slots are settings."""
        return super().get_queryset(request).filter(is_open=1)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, its rows with what they stand on: read at once for all accounts."""
        shown = super().get_changelist_instance(request)
        dangers = {
            danger.position_id: danger
            for danger in dangers_of({row.account_id for row in shown.result_list})
        }
        for row in shown.result_list:
            setattr(row, _DANGER, dangers.get(row.position_id))
        return shown

    def _danger(self, row: Position) -> Danger | None:
        kept = vars(row)
        if _DANGER not in kept:
            found = (d for d in dangers_of([row.account_id]) if d.position_id == row.position_id)
            kept[_DANGER] = next(found, None)
        danger: Danger | None = kept[_DANGER]
        return danger

    @display(description="quantity")
    def quantity(self, row: Position) -> str:
        """Return the signed quantity."""
        return format_atoms(row.quantity_atoms, 3)

    @display(description="entry")
    def entry(self, row: Position) -> str:
        """Return the average entry price."""
        return _money(average_atoms(row.cost_atoms, row.quantity_atoms))

    @display(description="unrealised")
    def profit(self, row: Position) -> str:
        """Return the unrealised profit."""
        danger = self._danger(row)
        return _money(danger.profit_atoms) if danger else ""

    @display(description="margin ratio")
    def margin_ratio(self, row: Position) -> str:
        """Return maintenance margin / balance as a bar; liquidation begins at 100 %."""
        danger = self._danger(row)
        if danger is None:
            return ""
        cell = ratio_cell(danger.needed_atoms, danger.balance_atoms)
        return render_to_string("back_office/bar.html", {"cell": cell})

    @display(description="liquidation price")
    def liquidation(self, row: Position) -> str:
        """Return the mark at which it is liquidated."""
        danger = self._danger(row)
        return _money(danger.liquidation_atoms) if danger and danger.liquidation_atoms else "none"

    @display(description="distance")
    def distance(self, row: Position) -> str:
        """Return how far the mark is from there, in per cent of the mark."""
        danger = self._danger(row)
        return distance_text(danger.mark_atoms, danger.liquidation_atoms) if danger else ""


@admin.register(ClosedPosition)
class ClosedPositionAdmin(_Slots):
    """Positions that ended, found by number: their table has no index of accounts."""

    list_display = ["id", "account_id", "symbol", "mode_name", "realised", "reason_name", "closed"]
    search_fields = ["id"]
    search_help_text = "Whole position number"

    @display(description="realised")
    def realised(self, row: ClosedPosition) -> str:
        """Return the realised profit."""
        return _money(row.realised_atoms)

    @display(description="reason")
    def reason_name(self, row: ClosedPosition) -> str:
        """Return what ended it."""
        return CloseReason(row.reason).name.lower()

    @display(description="closed (UTC)")
    def closed(self, row: ClosedPosition) -> datetime:
        """Return when it ended."""
        return shown_time(row.closed_ms)


@admin.register(FundingPayment)
class FundingPaymentAdmin(_Slots):
    """Funding paid and received, found by ledger entry."""

    list_display = ["id", "account_id", "symbol", "position_id", "amount", "paid"]
    search_fields = ["id"]
    search_help_text = "Whole ledger entry number"

    @display(description="amount")
    def amount(self, row: FundingPayment) -> str:
        """Return what was received (positive) or paid."""
        return format_atoms(row.amount_atoms)

    @display(description="time (UTC)")
    def paid(self, row: FundingPayment) -> datetime:
        """Return when it was booked."""
        return shown_time(row.time_ms)
