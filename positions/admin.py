"""Positions, their history and funding in the back-office: read-only."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from accounts.back_office import OperationsMixin
from common.back_office import ReadOnlyAdmin, shown_time
from exchange.core.enums import CloseReason, MarginMode
from exchange.core.units import RATE_ONE, format_atoms
from markets.admin import symbol_of
from positions.models import ClosedPosition, FundingPayment, Position
from positions.render import average_atoms, ratio_text
from positions.standing import standing_of
from positions.types import PositionView

# Where a row of a page keeps what follows from it.
_VIEW = "shown_view"


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
    list_per_page = 20
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

    def _view(self, row: Position) -> PositionView | None:
        # Once per row of a page: several columns ask for it.
        kept = vars(row)
        if _VIEW not in kept:
            standing = standing_of(row.account_id)
            slot = standing.position(row.market_id)
            is_same = slot is not None and slot.position_id == row.position_id
            kept[_VIEW] = standing.view(slot) if slot is not None and is_same else None
        view: PositionView | None = kept[_VIEW]
        return view

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
        view = self._view(row)
        return _money(view.profit_atoms) if view else ""

    @display(description="margin ratio")
    def margin_ratio(self, row: Position) -> str:
        """Return maintenance margin / balance; liquidation begins at 1."""
        view = self._view(row)
        if view is None:
            return ""
        return ratio_text(view.backed_atoms, view.balance_atoms) or "nothing left"

    @display(description="liquidation price")
    def liquidation(self, row: Position) -> str:
        """Return the mark at which it is liquidated."""
        view = self._view(row)
        return _money(view.liquidation_atoms) if view and view.liquidation_atoms else "none"

    @display(description="distance")
    def distance(self, row: Position) -> str:
        """Return how far the mark is from there, in per cent of the mark."""
        view = self._view(row)
        if view is None or not view.liquidation_atoms or not view.mark_atoms:
            return ""
        away = abs(view.mark_atoms - view.liquidation_atoms) * 100 * RATE_ONE // view.mark_atoms
        return f"{format_atoms(away // 10**6 * 10**6, 2)} %"


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
