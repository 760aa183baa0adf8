"""How margin tiers, insurance funds and liquidations look outside."""

from __future__ import annotations

from typing import Any

from exchange.core.enums import Side, TradeKind
from exchange.core.events import ContractConfigured, InsuranceChanged, LiquidationStepped
from exchange.core.units import format_atoms
from markets.selectors import asset_by_id, market_by_id
from riskengine.types import MarginCallInfo

LIQUIDATION_KIND_NAMES = {
    kind: "order" if kind is TradeKind.MATCH else kind.name.lower() for kind in TradeKind
}
SIDE_NAMES = {side: side.name.lower() for side in Side}

_RATE_DECIMALS = 4


def rate_text(rate_e8: int) -> str:
    """Return a rate as a fraction."""
    return format_atoms(rate_e8, _RATE_DECIMALS)


def render_tiers(contract: ContractConfigured) -> dict[str, Any]:
    """Return the margin tiers of a market; the last has no cap."""
    market = market_by_id(contract.market_id)
    quote = market.quote_decimals
    floors = [row[0] for row in contract.brackets]
    return {
        "symbol": market.symbol,
        "currency": market.quote,
        "default_leverage": min(contract.leverage_default, contract.brackets[0][3]),
        "liquidation_fee": rate_text(contract.liquidation_fee_e8),
        "max_position_notional": _limit(contract.position_notional_max_atoms, quote),
        "max_open_interest": _limit(contract.open_interest_max_atoms, quote),
        "tiers": [
            {
                "tier": number,
                "floor": format_atoms(floor, quote),
                "cap": format_atoms(cap, quote) if cap else None,
                "maintenance_rate": rate_text(rate),
                "maintenance_amount": format_atoms(amount, quote),
                "max_leverage": leverage,
            }
            for number, ((floor, rate, amount, leverage), cap) in enumerate(
                zip(contract.brackets, [*floors[1:], 0], strict=True), start=1
            )
        ],
    }


def _limit(atoms: int, decimals: int) -> str | None:
    return format_atoms(atoms, decimals) if atoms else None


def render_terms(contract: ContractConfigured) -> dict[str, Any]:
    """Return all terms of a contract, as operators set and read them."""
    market = market_by_id(contract.market_id)
    return {
        **render_tiers(contract),
        "insurance_group": contract.insurance_group,
        "funding_interval_ms": contract.funding_interval_ms,
        "interest_rate": rate_text(contract.interest_rate_e8),
        "funding_cap": rate_text(contract.funding_cap_e8),
        "impact_notional": format_atoms(contract.impact_notional_atoms, market.quote_decimals),
        "liquidations_paused": contract.liquidations_paused,
    }


def render_group(group: InsuranceChanged) -> dict[str, Any]:
    """Return the terms of an insurance group, as operators set and read them."""
    return {
        "insurance_group": group.group_id,
        "notional_cap": rate_text(group.notional_cap_e8),
        "shock": rate_text(group.shock_e8),
        "drawdown": rate_text(group.drawdown_e8),
        "recovery": rate_text(group.recovery_e8),
        "takeovers_stopped": group.stopped,
    }


def render_fund(
    group: InsuranceChanged, *, symbols: list[str], balances: list[tuple[int, int]]
) -> dict[str, Any]:
    """Return an insurance fund; ``balances`` are (asset, atoms)."""
    return {
        **render_group(group),
        "markets": symbols,
        "balances": render_balances(balances),
    }


def render_balances(balances: list[tuple[int, int]]) -> list[dict[str, str]]:
    """Return balances, each (asset, atoms), as they are shown."""
    return [
        {"currency": asset.code, "amount": format_atoms(atoms, asset.decimals)}
        for asset, atoms in ((asset_by_id(asset_id), atoms) for asset_id, atoms in balances)
    ]


def render_call(call: MarginCallInfo) -> dict[str, Any]:
    """Return a warning as its account sees it; without a symbol it concerns all that is cross."""
    isolated = bool(call.market_id)
    return {
        "id": str(call.call_id),
        "margin_mode": "isolated" if isolated else "cross",
        "symbol": market_by_id(call.market_id).symbol if isolated else None,
        "level": rate_text(call.level_e8),
        "margin_ratio": rate_text(call.ratio_e8),
        "time": call.time_ms,
    }


def render_liquidation(step: LiquidationStepped) -> dict[str, Any]:
    """Return one step of the ladder without whom it concerned."""
    market = market_by_id(step.market_id)
    return {
        "id": str(step.liquidation_id),
        "symbol": market.symbol,
        "kind": LIQUIDATION_KIND_NAMES[step.kind],
        "side": SIDE_NAMES[step.side],
        "quantity": market.quantity_text(step.quantity_atoms),
        "price": market.price_text(step.price_atoms),
        "notional": format_atoms(step.quote_atoms, market.quote_decimals),
        "mark_price": market.price_text(step.mark_atoms),
        "time": step.time_ms,
    }
