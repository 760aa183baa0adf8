"""The page that says whether the money adds up."""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest

from accounts.permissions import Permission
from adminpanel.section_pages import Banner, Section, age_text, section_page
from common import redis as redis_clients
from common.tables import Cell, Column, Kind, Table, Tone
from exchange.core.units import format_atoms
from markets.selectors import AssetNotFound, asset_by_id
from positions.trial_balance import AssetTrial, LedgerCheck, TrialBalance, kept_check, kept_trial

# Beyond this the task that counts has stopped.
STALE_MS = 180_000

_COLUMNS = (
    Column("asset", "Asset"),
    Column("result", "Result", Kind.BADGE),
    Column("sum", "Sum", Kind.FIGURE),
    Column("users", "Users", Kind.FIGURE),
    Column("spot", "Spot", Kind.FIGURE),
    Column("margin", "Margin", Kind.FIGURE),
    Column("isolated", "Isolated", Kind.FIGURE),
    Column("held", "Held by orders", Kind.FIGURE),
    Column("exchange", "Exchange", Kind.FIGURE),
    Column("external", "External", Kind.FIGURE),
)
_ACCOUNT_COLUMNS = (
    Column("asset", "Asset"),
    Column("account", "Account of the exchange"),
    Column("balance", "Balance", Kind.FIGURE),
)
_CHECK_COLUMNS = (Column("asset", "Asset"), Column("problem", "Difference"))


@section_page("Trial balance", Permission.MONEY_VIEW)
def trial_balance_page(_request: HttpRequest) -> Section:
    """Show what every asset sums to, and what the last full check of the ledger found."""
    client = redis_clients.client()
    now_ms = time.time_ns() // 1_000_000
    trial, check = kept_trial(client), kept_check(client)
    banners = [_trial_banner(trial, now_ms), _check_banner(check, now_ms)]
    tables = []
    if trial is not None:
        tables = [
            Table(
                _COLUMNS,
                [_asset_row(asset) for asset in trial.assets],
                "Every asset",
                "Everything that somebody owns, the exchange included, is the contra of what came"
                " in from outside: each line sums to zero.",
            ),
            Table(
                _ACCOUNT_COLUMNS,
                [row for asset in trial.assets for row in _exchange_rows(asset)],
                "Accounts of the exchange",
                empty="The exchange owns nothing yet.",
            ),
        ]
    if check is not None and check.problems:
        tables.append(Table(_CHECK_COLUMNS, _problem_rows(check), "What the full check found"))
    return Section(tables, banners)


def _trial_banner(trial: TrialBalance | None, now_ms: int) -> Banner:
    if trial is None:
        return Banner("Not counted yet: the worker counts it once a minute.", Tone.WARNING)
    age = now_ms - trial.time_ms
    told = f"{trial.balances:,d} balances, counted {age_text(age)} ago in {trial.duration_ms} ms"
    if not trial.is_zero:
        return Banner(f"NOT zero: money is missing or too much. {told}.", Tone.BAD)
    if age > STALE_MS:
        return Banner(f"Zero when last counted, but that is old: {told}.", Tone.WARNING)
    return Banner(f"Zero in every asset: {told}.", Tone.GOOD)


def _check_banner(check: LedgerCheck | None, now_ms: int) -> Banner:
    if check is None:
        return Banner("The whole ledger was not checked yet; that is done every hour.", Tone.NOTE)
    told = (
        f"{check.entries:,d} postings against {check.balances:,d} balances,"
        f" {age_text(now_ms - check.time_ms)} ago in {age_text(check.duration_ms)}"
    )
    if check.problems:
        return Banner(f"The full check of the ledger found differences: {told}.", Tone.BAD)
    return Banner(f"The full check of the ledger found no difference: {told}.", Tone.GOOD)


def _code_and_decimals(asset_id: int) -> tuple[str, int]:
    try:
        asset = asset_by_id(asset_id)
    except AssetNotFound:
        return f"asset {asset_id}", 8
    return asset.code, asset.decimals


def _asset_row(asset: AssetTrial) -> dict[str, Any]:
    code, decimals = _code_and_decimals(asset.asset_id)
    own = sum(asset.exchange.values()) - asset.external_atoms
    atoms = {
        "users": asset.users_atoms,
        "spot": asset.spot_atoms,
        "margin": asset.margin_atoms,
        "isolated": asset.isolated_atoms,
        "held": asset.held_atoms,
        "exchange": own,
        "external": asset.external_atoms,
        "sum": asset.sum_atoms,
    }
    good = not asset.sum_atoms
    return {
        "asset": code,
        **{name: format_atoms(value, decimals) for name, value in atoms.items()},
        "result": Cell("zero" if good else "not zero", tone=Tone.GOOD if good else Tone.BAD),
    }


def _exchange_rows(asset: AssetTrial) -> list[dict[str, Any]]:
    code, decimals = _code_and_decimals(asset.asset_id)
    return [
        {"asset": code, "account": name, "balance": format_atoms(atoms, decimals)}
        for name, atoms in sorted(asset.exchange.items())
    ]


def _problem_rows(check: LedgerCheck) -> list[dict[str, Any]]:
    return [
        {"asset": _code_and_decimals(asset_id)[0], "problem": problem}
        for asset_id, problems in check.problems.items()
        for problem in problems
    ]
