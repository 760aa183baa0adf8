"""Contracts, insurance, prices, funding and liquidations in the back-office: read-only."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from unfold.decorators import display

from accounts.back_office import OperationsMixin
from common.back_office import ReadOnlyAdmin, shown_time
from exchange.core.enums import PriceQuality, Side
from exchange.core.units import format_atoms
from markets.admin import symbol_of
from riskengine import selectors
from riskengine.models import Contract, Funding, Insurance, Liquidation, MarginCall, Price
from riskengine.render import LIQUIDATION_KIND_NAMES, rate_text

_QUALITY_LABELS = {"live": "success", "degraded": "warning", "missing": "danger"}


class _OfMarket(ReadOnlyAdmin):
    """What all lists of rows of markets show alike."""

    @display(description="market")
    def symbol(self, row: Contract | Price) -> str:
        """Return the market, whose number is the row's key."""
        return symbol_of(row.id)


@admin.register(Contract)
class ContractAdmin(OperationsMixin, _OfMarket):
    """Terms of perpetual markets; operators change them by command."""

    target_kind = "market"
    list_display = ["symbol", "insurance_group", "fee", "leverage_default", "liquidations_paused"]

    def target_key(self, row: Contract) -> str:
        """Return the symbol of the market."""
        return symbol_of(row.id)

    @display(description="liquidation fee")
    def fee(self, row: Contract) -> str:
        """Return the fee as a fraction."""
        return rate_text(row.liquidation_fee_e8)


@admin.register(Insurance)
class InsuranceAdmin(OperationsMixin, ReadOnlyAdmin):
    """Insurance groups with what their funds hold."""

    target_kind = "insurance"
    list_display = ["id", "held", "cap", "stopped"]

    @display(description="fund")
    def held(self, row: Insurance) -> str:
        """Return the fund's balances."""
        return ", ".join(format_atoms(atoms, 2) for _, atoms in selectors.fund_balances(row.id))

    @display(description="notional cap")
    def cap(self, row: Insurance) -> str:
        """Return inherited notional / fund at which takeovers stop."""
        return rate_text(row.notional_cap_e8)


@admin.register(Price)
class PriceAdmin(_OfMarket):
    """Marks, indices and predicted funding of perpetual markets."""

    list_display = ["symbol", "mark", "index", "quality_name", "predicted", "next_funding", "time"]

    @display(description="mark")
    def mark(self, row: Price) -> str:
        """Return the mark price."""
        return format_atoms(row.mark_atoms, 2)

    @display(description="index")
    def index(self, row: Price) -> str:
        """Return the index price."""
        return format_atoms(row.index_atoms, 2)

    @display(description="quality", label=_QUALITY_LABELS)
    def quality_name(self, row: Price) -> str:
        """Return how far the index can be trusted."""
        return PriceQuality(row.quality).name.lower()

    @display(description="predicted funding")
    def predicted(self, row: Price) -> str:
        """Return what the rate of the running interval would be now."""
        return rate_text(row.predicted_rate_e8)

    @display(description="next funding (UTC)")
    def next_funding(self, row: Price) -> datetime:
        """Return when funding is due."""
        return shown_time(row.next_funding_ms)

    @display(description="time (UTC)")
    def time(self, row: Price) -> datetime:
        """Return when the mark was computed."""
        return shown_time(row.time_ms)


@admin.register(Funding)
class FundingAdmin(ReadOnlyAdmin):
    """Funding of each market and time."""

    list_display = ["symbol", "due", "rate", "skipped"]

    @display(description="market")
    def symbol(self, row: Funding) -> str:
        """Return the market."""
        return symbol_of(row.market_id)

    @display(description="time (UTC)")
    def due(self, row: Funding) -> datetime:
        """Return which funding it was."""
        return shown_time(row.funding_ms)

    @display(description="rate")
    def rate(self, row: Funding) -> str:
        """Return the rate as a fraction; positive: longs paid."""
        return rate_text(row.rate_e8)


@admin.register(Liquidation)
class LiquidationAdmin(ReadOnlyAdmin):
    """What the liquidation ladder did, found by number."""

    list_display = ["id", "account_id", "symbol", "kind_name", "side_name", "quantity", "price",
                    "equity", "fund", "time"]  # fmt: skip
    search_fields = ["id"]
    search_help_text = "Whole liquidation number"

    @display(description="market")
    def symbol(self, row: Liquidation) -> str:
        """Return the market."""
        return symbol_of(row.market_id)

    @display(description="kind")
    def kind_name(self, row: Liquidation) -> str:
        """Return which step it was."""
        return {kind.value: name for kind, name in LIQUIDATION_KIND_NAMES.items()}[row.kind]

    @display(description="side")
    def side_name(self, row: Liquidation) -> str:
        """Return the side of what closed."""
        return Side(row.side).name.lower()

    @display(description="quantity")
    def quantity(self, row: Liquidation) -> str:
        """Return how much was closed."""
        return format_atoms(row.quantity_atoms, 3)

    @display(description="price")
    def price(self, row: Liquidation) -> str:
        """Return at what."""
        return format_atoms(row.price_atoms, 2)

    @display(description="equity before")
    def equity(self, row: Liquidation) -> str:
        """Return what backed the position before."""
        return format_atoms(row.equity_atoms, 2)

    @display(description="fund")
    def fund(self, row: Liquidation) -> str:
        """Return what the insurance fund gained (positive) or paid."""
        return format_atoms(row.insurance_atoms, 2)

    @display(description="time (UTC)")
    def time(self, row: Liquidation) -> datetime:
        """Return when it happened."""
        return shown_time(row.time_ms)


@admin.register(MarginCall)
class MarginCallAdmin(ReadOnlyAdmin):
    """Warnings sent, found by account."""

    list_display = ["account_id", "scope", "level", "ratio", "time"]
    search_fields = ["account_id"]
    search_help_text = "Whole account id"

    @display(description="scope")
    def scope(self, row: MarginCall) -> str:
        """Return the market of an isolated position, or that it is all that is cross."""
        return symbol_of(row.market_id) if row.market_id else "cross"

    @display(description="level")
    def level(self, row: MarginCall) -> str:
        """Return the margin ratio that was reached."""
        return rate_text(row.level_e8)

    @display(description="ratio")
    def ratio(self, row: MarginCall) -> str:
        """Return what it was then."""
        return rate_text(row.ratio_e8)

    @display(description="time (UTC)")
    def time(self, row: MarginCall) -> datetime:
        """Return when it was noticed."""
        return shown_time(row.time_ms)
