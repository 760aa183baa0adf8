"""What operators watch of the state, in a few numbers: O(markets), read between two batches."""

from __future__ import annotations

import msgspec

from exchange.core.enums import MarketStatus, PriceQuality, insurance_account
from exchange.core.margin_ledger import clearing_atoms
from exchange.core.memory import Memory


class MarketSummary(msgspec.Struct, frozen=True, gc=False):
    """
    One market; the mark is 0 and the rest empty on a spot market.

    ``drift_atoms`` is by how much quantities and costs of all positions miss their sums: 0.
    """

    symbol: str
    status: MarketStatus
    mark_ms: int = 0
    quality: PriceQuality | None = None
    open_interest_atoms: int = 0
    drift_atoms: int = 0


class Summary(msgspec.Struct, frozen=True, gc=False):
    """The state in numbers; ``insurance_atoms`` by (group, asset)."""

    open_orders: int
    positions: int
    tasks: int
    waiting_for_counterparties: int
    markets: list[MarketSummary]
    insurance_atoms: dict[tuple[int, int], int]


def take_summary(memory: Memory) -> Summary:
    """Return the numbers as they now are; nothing is changed."""
    markets = []
    for market in memory.markets.values():
        contract = market.contract
        if contract is None:
            markets.append(MarketSummary(market.config.symbol, market.config.status))
            continue
        drift_atoms = abs(contract.quantity_atoms)
        drift_atoms += abs(contract.cost_atoms + clearing_atoms(memory, market))
        markets.append(
            MarketSummary(
                market.config.symbol,
                market.config.status,
                contract.mark_ms,
                contract.quality,
                contract.long_atoms,
                drift_atoms,
            )
        )
    funds: dict[tuple[int, int], int] = {}
    for group_id in memory.insurances:
        account = memory.ledger.accounts.get(insurance_account(group_id))
        for asset_id, wallet in account.margin.items() if account is not None else ():
            funds[group_id, asset_id] = wallet.total_atoms
    return Summary(
        len(memory.orders),
        len(memory.positions),
        len(memory.tasks),
        len(memory.waiting),
        markets,
        funds,
    )
