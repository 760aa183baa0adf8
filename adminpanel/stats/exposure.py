"""What is the exposure: markets, open interest, the funds against the worst case, who is near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from accounts.selectors import usernames_of
from exchange.core.enums import MarginMode, MarketKind, liquidation_account
from exchange.core.events import ContractConfigured, PricesChanged
from exchange.core.margin import notional_atoms, value_atoms
from exchange.core.units import ATOMS, RATE_ONE, ceil_div, format_atoms
from markets.selectors import asset_by_id, market_by_id, markets_all
from markets.types import MarketInfo
from positions.danger import Danger, dangers_of
from positions.render import ratio_text
from positions.selectors import held_by
from riskengine.nearest import NearestScopes
from riskengine.selectors import contracts_by_id, funds_held, insurances_all, prices_by_id


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms and prices of all perpetual markets, and what their liquidation accounts hold."""

    contracts: Mapping[int, ContractConfigured]
    prices: Mapping[int, PricesChanged]
    # By market: signed quantity and cost.
    inherited: Mapping[int, tuple[int, int]]


def read_terms() -> Terms:
    """Return them in three queries."""
    contracts = contracts_by_id()
    accounts = [liquidation_account(market_id) for market_id in contracts]
    held = {market: (quantity, cost) for market, quantity, cost in held_by(accounts)}
    return Terms(contracts, prices_by_id(), held)


def markets_data(terms: Terms, tickers: Mapping[int, bytes | None]) -> list[dict[str, Any]]:
    """Return every market: its state, prices, turnover of 24 hours and open interest."""
    return [_market(market, terms, tickers.get(market.market_id)) for market in markets_all()]


def _market(market: MarketInfo, terms: Terms, ticker: bytes | None) -> dict[str, Any]:
    told = msgspec.json.decode(ticker) if ticker is not None else {}
    row: dict[str, Any] = {
        "symbol": market.symbol,
        "kind": market.kind.name.lower(),
        "currency": market.quote,
        "status": market.status.name.lower(),
        "cause": market.status_cause.name.lower() if market.status_cause else None,
        "last_price": told.get("last"),
        "index_price": told.get("index_price"),
        "quote_volume": told.get("quote_volume"),
        "trade_count": told.get("trade_count"),
        **dict.fromkeys(
            (
                "mark_price",
                "price_state",
                "open_interest",
                "open_interest_value",
                "open_interest_limit",
                "predicted_funding_rate",
                "liquidations_paused",
            )
        ),
    }
    contract, prices = terms.contracts.get(market.market_id), terms.prices.get(market.market_id)
    if market.kind is MarketKind.PERPETUAL and contract is not None and prices is not None:
        interest, decimals = prices.open_interest_atoms, market.quote_decimals
        row |= {
            "mark_price": market.price_text(prices.mark_atoms) if prices.mark_atoms else None,
            "price_state": prices.quality.name.lower(),
            "open_interest": market.quantity_text(interest),
            "open_interest_value": format_atoms(
                notional_atoms(interest, prices.mark_atoms), decimals
            ),
            "open_interest_limit": format_atoms(contract.open_interest_max_atoms, decimals)
            if contract.open_interest_max_atoms
            else None,
            "predicted_funding_rate": format_atoms(prices.predicted_rate_e8, 8),
            "liquidations_paused": contract.liquidations_paused,
        }
    return row


def funds_data(terms: Terms) -> list[dict[str, Any]]:
    """
    Return each insurance fund against its worst case.

    That is what the core itself asks before it takes a position over: everything inherited moves
    against the exchange by the group's shock. ``headroom`` is what would be left.
    """
    groups = insurances_all()
    held = funds_held([group.group_id for group in groups])
    rows = []
    for group in groups:
        markets = [
            market_id
            for market_id, contract in terms.contracts.items()
            if contract.insurance_group == group.group_id
        ]
        interest, inherited, profit, net = _group_sums(terms, markets)
        loss = ceil_div(inherited * group.shock_e8, RATE_ONE)
        for asset_id, balance in held[group.group_id]:
            asset = asset_by_id(asset_id)
            rows.append(
                {
                    "insurance_group": group.group_id,
                    "currency": asset.code,
                    "balance": format_atoms(balance, asset.decimals),
                    "open_interest_value": format_atoms(interest, asset.decimals),
                    "coverage": ratio_text(balance, interest),
                    "inherited_value": format_atoms(inherited, asset.decimals),
                    "inherited_net_value": format_atoms(net, asset.decimals),
                    "inherited_profit": format_atoms(profit, asset.decimals),
                    "worst_case_loss": format_atoms(loss, asset.decimals),
                    "headroom": format_atoms(balance + profit - loss, asset.decimals),
                    "takeover_limit": format_atoms(
                        balance * group.notional_cap_e8 // RATE_ONE, asset.decimals
                    ),
                    "takeovers_stopped": group.stopped,
                }
            )
    return rows


def _group_sums(terms: Terms, market_ids: Sequence[int]) -> tuple[int, int, int, int]:
    """Return open interest, and value, profit and net value of what was inherited; atoms."""
    interest = inherited = profit = net = 0
    for market_id in market_ids:
        prices = terms.prices.get(market_id)
        if prices is None:
            continue
        interest += notional_atoms(prices.open_interest_atoms, prices.mark_atoms)
        quantity, cost = terms.inherited.get(market_id, (0, 0))
        value = value_atoms(quantity, prices.mark_atoms)
        inherited += notional_atoms(quantity, prices.mark_atoms)
        profit += value - cost
        net += value
    return interest, inherited, profit, net


def near_data(nearest: NearestScopes | None, *, limit: int | None = None) -> list[dict[str, Any]]:
    """
    Return who is nearest to liquidation, by margin ratio at the last committed mark.

    Whom to look at comes from the sweep; what they stand on from the rows, exactly. Of what is
    cross the position is shown that the mark would end first.
    """
    if nearest is None or not nearest.scopes:
        return []
    scopes = nearest.scopes[:limit]
    accounts = list(dict.fromkeys(scope.account_id for scope in scopes))
    names = usernames_of(accounts)
    dangers: dict[tuple[int, int], list[Danger]] = {}
    for danger in dangers_of(accounts):
        scope = danger.market_id if danger.mode is MarginMode.ISOLATED else 0
        dangers.setdefault((danger.account_id, scope), []).append(danger)
    rows = [
        _near(dangers[scope.account_id, scope.market_id], names)
        for scope in scopes
        if (scope.account_id, scope.market_id) in dangers
    ]
    return sorted(rows, key=_nearness)


def _near(scope: list[Danger], names: Mapping[int, str]) -> dict[str, Any]:
    far = RATE_ONE * ATOMS
    shown = min(scope, key=lambda danger: far if (d := danger.distance_e8) is None else d)
    market = market_by_id(shown.market_id)
    distance, decimals = shown.distance_e8, market.quote_decimals
    return {
        "account_id": str(shown.account_id),
        "username": names.get(shown.account_id),
        "symbol": market.symbol,
        "margin_mode": "isolated" if shown.mode is MarginMode.ISOLATED else "cross",
        "positions": len(scope),
        "side": "long" if shown.quantity_atoms > 0 else "short",
        "value": format_atoms(
            sum(danger.notional_atoms for danger in scope), market.quote_decimals
        ),
        "profit": format_atoms(sum(danger.profit_atoms for danger in scope), decimals),
        "currency": market.quote,
        "margin_ratio": ratio_text(shown.needed_atoms, shown.balance_atoms),
        "mark_price": market.price_text(shown.mark_atoms),
        "liquidation_price": market.price_text(shown.liquidation_atoms)
        if shown.liquidation_atoms
        else None,
        "distance": None if distance is None else format_atoms(distance // 10_000 * 10_000, 4),
    }


def _nearness(row: Mapping[str, Any]) -> float:
    """Return the place in the list: the highest ratio first, nothing left before all others."""
    ratio = row["margin_ratio"]
    return float("-inf") if ratio is None else -float(ratio)
