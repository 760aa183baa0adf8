"""Whom new terms of a perpetual market would affect, found out before they hold."""

from __future__ import annotations

import msgspec

from accounts.operations import Call, Preview, Target
from common.errors import raise_for_code
from exchange.core import collateral
from exchange.core.contract import Contract
from exchange.core.enums import MarginMode
from exchange.core.events import ContractConfigured
from exchange.core.margin import bracket_rows, notional_atoms
from exchange.core.rejects import Code
from exchange.core.state import Position
from exchange.core.units import format_atoms
from markets.types import MarketInfo
from positions.selectors import largest_accounts_in
from positions.standing import Standing, standing_of
from riskengine import selectors
from riskengine.requests import contract_command

# Accounts that are looked at exactly, those with the largest positions first, and shown.
EXAMINED_MAX = 200
SHOWN_MAX = 50
HEADERS = ("account", "position", "leverage", "notional", "equity", "maintenance then", "what")


def contract_of(target: Target) -> ContractConfigured:
    """
    Return the terms of the market that is a target.

    Raises:
        ApiError: ``NOT_A_PERPETUAL`` (422).
    """
    market: MarketInfo = target.subject
    found = selectors.contracts_by_id([market.market_id]).get(market.market_id)
    if found is None:
        raise_for_code(Code.NOT_A_PERPETUAL)
    return found


def terms_preview(call: Call) -> Preview:
    """
    Return who would be below maintenance, or above the leverage that new tiers allow.

    Exact, by the core's own rules at the last committed mark, for the largest positions.

    Raises:
        ApiError: ``NOT_A_PERPETUAL`` or ``INVALID_BRACKETS`` (422).
    """
    current = contract_of(call.target)
    command = contract_command(call.values, current, reason="", actor="")
    rows = bracket_rows(command.brackets)
    if rows is None:
        raise_for_code(Code.INVALID_BRACKETS)
    terms = msgspec.structs.replace(
        current, brackets=rows, liquidation_fee_e8=command.liquidation_fee_e8
    )
    market: MarketInfo = call.target.subject
    accounts, total = largest_accounts_in(market.market_id, limit=EXAMINED_MAX)
    found = []
    for account_id in accounts:
        standing = standing_of(account_id)
        slot = standing.position(market.market_id)
        if slot is not None and slot.quantity_atoms:
            row = _effect(standing, slot, terms, market)
            if row is not None:
                found.append(row)
    looked = f"{len(accounts)} of {total} open positions were looked at, the largest first"
    if not found:
        return Preview(summary=f"Nobody would be affected; {looked}.")
    return Preview(
        summary=f"Positions that would be affected: {len(found)}; {looked}.",
        headers=HEADERS,
        rows=tuple(found[:SHOWN_MAX]),
    )


def _effect(
    standing: Standing, slot: Position, terms: ContractConfigured, market: MarketInfo
) -> tuple[str, ...] | None:
    """Return what new terms would do to a position, None if nothing."""
    core_market = standing.memory.markets[market.market_id]
    mark_atoms = collateral.contract_of(core_market).mark_atoms
    changed = Contract(terms)
    prices = selectors.prices_by_id([market.market_id]).get(market.market_id)
    if prices is not None:
        changed.take_prices(prices)
    core_market.contract = changed
    notional = notional_atoms(slot.quantity_atoms, mark_atoms)
    if slot.mode is MarginMode.ISOLATED:
        equity, maintenance = collateral.isolated_health(slot, changed)
    else:
        equity, maintenance = collateral.cross_health(
            standing.memory, standing.account, market.quote_asset_id
        )
    leverage_max = next(row[3] for row in reversed(terms.brackets) if notional >= row[0])
    effects = []
    if equity <= maintenance:
        effects.append("below maintenance")
    if slot.leverage > leverage_max:
        effects.append(f"above {leverage_max}x")
    if not effects:
        return None
    decimals = market.quote_decimals
    return (
        str(standing.account_id),
        market.quantity_text(slot.quantity_atoms),
        f"{slot.mode.name.lower()} {slot.leverage}x",
        format_atoms(notional, decimals),
        format_atoms(equity, decimals),
        format_atoms(maintenance, decimals),
        ", ".join(effects),
    )
