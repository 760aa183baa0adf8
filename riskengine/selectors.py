"""Reads of contracts, prices, insurance groups, funding and liquidations."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import QuerySet

from exchange.core.enums import Side, TradeKind, WalletKind, insurance_account
from exchange.core.events import (
    ContractConfigured,
    FundingSettled,
    InsuranceChanged,
    LiquidationStepped,
    PricesChanged,
)
from riskengine.models import Contract, Funding, Insurance, Liquidation, MarginCall, Price
from riskengine.projection import (
    CONTRACTS,
    INSURANCES,
    LIQUIDATIONS,
    PRICES,
    contract_from_row,
    insurance_from_row,
    prices_from_row,
)
from riskengine.types import MarginCallInfo
from wallets.selectors import balances_of, margin_balances_of


def contracts_by_id(market_ids: Collection[int] | None = None) -> dict[int, ContractConfigured]:
    """Return the terms of perpetual markets by market, of all or of these."""
    rows = Contract.objects.order_by("id")
    if market_ids is not None:
        rows = rows.filter(id__in=market_ids)
    return {row[0]: contract_from_row(row) for row in rows.values_list(*CONTRACTS.columns)}


def prices_by_id(market_ids: Collection[int] | None = None) -> dict[int, PricesChanged]:
    """Return the last committed prices of perpetual markets by market, of all or of these."""
    rows = Price.objects.order_by("id")
    if market_ids is not None:
        rows = rows.filter(id__in=market_ids)
    return {row[0]: prices_from_row(row) for row in rows.values_list(*PRICES.columns)}


def insurances_all() -> list[InsuranceChanged]:
    """Return all insurance groups in the order of their numbers."""
    rows = Insurance.objects.order_by("id").values_list(*INSURANCES.columns)
    return [insurance_from_row(row) for row in rows]


def insurance_of(group_id: int) -> InsuranceChanged | None:
    """Return an insurance group, None if there is no such."""
    row = Insurance.objects.filter(id=group_id).values_list(*INSURANCES.columns).first()
    return None if row is None else insurance_from_row(row)


def fund_balances(group_id: int) -> list[tuple[int, int]]:
    """Return what an insurance fund holds: (asset, atoms)."""
    return [
        (balance.asset_id, balance.total_atoms)
        for balance in balances_of(insurance_account(group_id))
        if balance.wallet is WalletKind.MARGIN
    ]


def funds_held(group_ids: Collection[int]) -> dict[int, list[tuple[int, int]]]:
    """Return what insurance funds hold, by group: (asset, atoms)."""
    groups = {insurance_account(group_id): group_id for group_id in group_ids}
    found: dict[int, list[tuple[int, int]]] = {group_id: [] for group_id in group_ids}
    for balance in margin_balances_of(list(groups)):
        found[groups[balance.account_id]].append((balance.asset_id, balance.total_atoms))
    return found


def call_info(call: MarginCall) -> MarginCallInfo:
    """Return a warning as other layers receive it."""
    return MarginCallInfo(call.id, call.market_id, call.level_e8, call.ratio_e8, call.time_ms)


def margin_calls_page(
    account_id: int, *, limit: int, below_id: int | None = None
) -> list[MarginCallInfo]:
    """Return one more than ``limit`` warnings of an account if there are, newest first."""
    rows = MarginCall.objects.filter(account_id=account_id).order_by("-id")
    if below_id is not None:
        rows = rows.filter(id__lt=below_id)
    columns = ("id", "market_id", "level_e8", "ratio_e8", "time_ms")
    return [MarginCallInfo(*row) for row in rows.values_list(*columns)[: limit + 1]]


def fundings_page(
    market_id: int, *, limit: int, below_id: int | None = None
) -> list[FundingSettled]:
    """Return one more than ``limit`` times' funding of a market if there are, newest first."""
    rows = Funding.objects.filter(market_id=market_id).order_by("-id")
    if below_id is not None:
        rows = rows.filter(id__lt=below_id)
    found = rows.values_list(*FundingSettled.__struct_fields__)[: limit + 1]
    return [FundingSettled(*row) for row in found]


def liquidations_after(liquidation_id: int, limit: int) -> list[LiquidationStepped]:
    """Return at most ``limit`` steps of the ladder with higher numbers, lowest first."""
    return _steps(Liquidation.objects.filter(id__gt=liquidation_id).order_by("id"), limit)


def liquidations_page(
    *, limit: int, below_id: int | None = None, market_id: int | None = None
) -> list[LiquidationStepped]:
    """Return one more than ``limit`` steps of the ladder if there are, newest first."""
    rows = Liquidation.objects.order_by("-id")
    if below_id is not None:
        rows = rows.filter(id__lt=below_id)
    if market_id is not None:
        rows = rows.filter(market_id=market_id)
    return _steps(rows, limit + 1)


def _steps(rows: QuerySet[Liquidation], limit: int) -> list[LiquidationStepped]:
    kind, side = LIQUIDATIONS.columns.index("kind"), LIQUIDATIONS.columns.index("side")
    found = []
    for row in rows.values_list(*LIQUIDATIONS.columns)[:limit]:
        values = list(row)
        values[kind], values[side] = TradeKind(row[kind]), Side(row[side])
        found.append(LiquidationStepped(*values))
    return found
