"""Operators' decisions on risk: each a command, audited with its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.audit import Actor
from accounts.operators import operator_submit
from common.errors import raise_for_code
from exchange.core.commands import MoveInsurance, SettleMarket
from exchange.core.rejects import Code
from exchange.core.units import format_atoms
from markets.selectors import cache_clear
from markets.types import AssetInfo, MarketInfo
from riskengine import selectors
from riskengine.enums import FundDirection
from riskengine.render import render_group, render_terms
from riskengine.requests import contract_command, insurance_command


def contract_change(
    *, market: MarketInfo, values: Mapping[str, Any], actor: Actor
) -> dict[str, Any]:
    """
    Change terms of a perpetual market and return all of them; must not run in a transaction.

    Raises:
        ApiError: ``NOT_A_PERPETUAL`` (422), or the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    current = selectors.contracts_by_id([market.market_id]).get(market.market_id)
    if current is None:
        raise_for_code(Code.NOT_A_PERPETUAL)
    operator_submit(
        contract_command(values, current, actor=actor.username),
        actor=actor,
        action="risk.contract_change",
        target=f"market:{market.symbol}",
        before=render_terms(current),
        after=_plain(values),
        reason=values["reason"],
    )
    return render_terms(selectors.contracts_by_id([market.market_id])[market.market_id])


def insurance_change(*, values: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """
    Change terms of an insurance group and return all of them; must not run in a transaction.

    Raises:
        ApiError: ``INSURANCE_GROUP_NOT_FOUND`` (404), or the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    group_id = values["insurance_group"]
    current = selectors.insurance_of(group_id)
    if current is None:
        raise_for_code(Code.INSURANCE_GROUP_NOT_FOUND)
    operator_submit(
        insurance_command(values, current, actor=actor.username),
        actor=actor,
        action="risk.insurance_change",
        target=f"insurance:{group_id}",
        before=render_group(current),
        after=_plain(values),
        reason=values["reason"],
    )
    changed = selectors.insurance_of(group_id)
    return render_group(changed or current)


def fund_move(
    *,
    group_id: int,
    asset: AssetInfo,
    amount_atoms: int,
    direction: FundDirection,
    reason: str,
    actor: Actor,
) -> None:
    """
    Pay into or take out of an insurance fund; must not run in a transaction.

    Raises:
        ApiError: the exchange's refusal, ``INSUFFICIENT_INSURANCE`` among them.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    operator_submit(
        MoveInsurance(
            group_id=group_id,
            asset_id=asset.asset_id,
            amount_atoms=amount_atoms * direction,
            reason=reason,
            actor=actor.username,
        ),
        actor=actor,
        action="risk.fund_move",
        target=f"insurance:{group_id}",
        after={
            "currency": asset.code,
            "amount": format_atoms(amount_atoms * direction, asset.decimals),
        },
        reason=reason,
    )


def market_settle(*, market: MarketInfo, price_atoms: int, reason: str, actor: Actor) -> None:
    """
    Close a perpetual market for good: all orders end, all positions close at one price.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    operator_submit(
        SettleMarket(
            market_id=market.market_id,
            price_atoms=price_atoms,
            reason=reason,
            actor=actor.username,
        ),
        actor=actor,
        action="risk.market_settle",
        target=f"market:{market.symbol}",
        before={"status": market.status.name.lower()},
        after={"price": market.price_text(price_atoms) if price_atoms else "mark"},
        reason=reason,
    )
    cache_clear()


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an operator asked for, without what the event says anyway; rates in 10^-8."""
    named = ("symbol", "insurance_group", "reason")
    return {name: value for name, value in values.items() if name not in named}
