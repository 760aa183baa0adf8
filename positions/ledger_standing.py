"""What the rows of positions say about the ledger: for proving that all money adds up."""

from __future__ import annotations

from collections.abc import Iterator

from exchange.core.enums import MarginMode, clearing_account
from markets.selectors import market_by_id
from positions.models import Position
from wallets.verify import Standing

# Rows fetched at once.
CHUNK_ROWS = 5_000


def standing_all() -> Standing:
    """
    Return what all open positions leave to margin wallets, and what they have wrong themselves.

    Call it inside one read snapshot. Python integers only.
    """
    standing = Standing()
    quantities: dict[int, int] = {}
    costs: dict[int, int] = {}
    for account_id, market_id, mode, quantity, cost, isolated in _open_positions():
        quantities[market_id] = quantities.get(market_id, 0) + quantity
        costs[market_id] = costs.get(market_id, 0) + cost
        key = (account_id, market_by_id(market_id).quote_asset_id)
        if mode == MarginMode.ISOLATED:
            standing.isolated[key] = standing.isolated.get(key, 0) + isolated
        else:
            standing.crossed.add(key)
    for market_id, quantity in quantities.items():
        market = market_by_id(market_id)
        standing.clearing[clearing_account(market_id), market.quote_asset_id] = -costs[market_id]
        if quantity:
            text = f"positions of {market.symbol} sum to {quantity} atoms, expected 0"
            standing.problems.append((market.quote_asset_id, text))
    return standing


def _open_positions() -> Iterator[tuple[int, int, int, int, int, int]]:
    return (
        Position.objects.filter(is_open=1)
        .values_list(
            "account_id", "market_id", "mode", "quantity_atoms", "cost_atoms", "isolated_atoms"
        )
        .iterator(chunk_size=CHUNK_ROWS)
    )
