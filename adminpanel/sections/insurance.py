"""The page of insurance funds: what each holds, what it stands for, and its history."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse

from accounts.permissions import Permission
from adminpanel.section_pages import Section, section_page
from common.ids import parse_id
from common.tables import FROM_VAR, Cell, Column, Kind, Table, Tone
from exchange.core.enums import insurance_account
from exchange.core.events import InsuranceChanged
from exchange.core.units import format_atoms
from markets.selectors import asset_by_id, market_by_id
from riskengine.selectors import contracts_by_id, fund_balances, insurances_all
from wallets.render import render_entry
from wallets.selectors import entries_page

ROWS = 50
GROUP_VAR = "group"

_GROUP_COLUMNS = (
    Column("id", "Group", Kind.NUMBER),
    Column("markets", "Markets"),
    Column("balance", "Fund", Kind.FIGURE),
    Column("high", "Highest", Kind.FIGURE),
    Column("cap", "Takeovers up to", Kind.FIGURE),
    Column("state", "Takeovers", Kind.BADGE),
)
_ENTRY_COLUMNS = (
    Column("id", "Entry", Kind.NUMBER),
    Column("time", "Time (UTC)", Kind.TIME),
    Column("kind", "Kind"),
    Column("reference", "Reference", Kind.NUMBER),
    Column("amount", "Amount", Kind.FIGURE),
    Column("balance", "Fund after", Kind.FIGURE),
    Column("currency", "Currency"),
    Column("note", "Note"),
)


@section_page("Insurance fund", Permission.MARKETS_VIEW)
def insurance_page(request: HttpRequest) -> Section:
    """
    Show every group's fund, then how the chosen one came to what it holds.

    Raises:
        Http404: for a group or page that cannot be one.
    """
    groups = insurances_all()
    symbols: dict[int, list[str]] = {}
    for market_id, contract in contracts_by_id().items():
        symbols.setdefault(contract.insurance_group, []).append(market_by_id(market_id).symbol)
    rows = [_group_row(group, symbols.get(group.group_id, [])) for group in groups]
    tables = [Table(_GROUP_COLUMNS, rows, "Groups", empty="There is no perpetual market.")]
    if groups:
        tables.append(_history(request, groups))
    return Section(tables)


def _group_row(group: InsuranceChanged, symbols: list[str]) -> dict[str, Any]:
    balances = fund_balances(group.group_id)
    decimals = asset_by_id(balances[0][0]).decimals if balances else 2
    shown = ", ".join(
        f"{format_atoms(atoms, asset_by_id(asset_id).decimals)} {asset_by_id(asset_id).code}"
        for asset_id, atoms in balances
    )
    return {
        "id": Cell(str(group.group_id), f"?{GROUP_VAR}={group.group_id}"),
        "markets": ", ".join(symbols),
        "balance": shown or "empty",
        "high": format_atoms(group.high_atoms, decimals),
        "cap": f"{format_atoms(group.notional_cap_e8, 0)} x the fund",
        "state": Cell("stopped", tone=Tone.BAD)
        if group.stopped
        else Cell("working", tone=Tone.GOOD),
    }


def _history(request: HttpRequest, groups: list[InsuranceChanged]) -> Table:
    asked, start = request.GET.get(GROUP_VAR), request.GET.get(FROM_VAR)
    group_id = groups[0].group_id if asked is None else parse_id(asked)
    start_id = parse_id(start)
    if group_id not in {group.group_id for group in groups} or (start and start_id is None):
        raise Http404
    page = entries_page(insurance_account(group_id), limit=ROWS, from_id=start_id)
    rows = []
    for entry in page.entries:
        shown = render_entry(entry)
        change = shown["changes"][0]
        link = reverse("admin:wallets_ledgerentry_change", args=[entry.entry_id])
        rows.append(
            {
                "id": Cell(shown["id"], link),
                "time": shown["created_at"],
                "kind": shown["kind"].replace("_", " "),
                "reference": shown["reference_id"],
                **change,
                "note": shown["note"],
            }
        )
    next_from = str(page.next_id) if page.next_id else ""
    return Table(
        _ENTRY_COLUMNS,
        rows,
        f"History of group {group_id}",
        next_from=next_from,
        address=f"?{GROUP_VAR}={group_id}",
        empty="Nothing was paid into this fund, and nothing out of it.",
    )
