"""
All open positions as arrays, and one look at all of them.

A second line behind the exchange's own guards: it only finds who is to be looked at exactly, so
it counts in float64. A float keeps 53 bits, which at the largest equity is wrong by less than
``GUARD_BAND`` of it; who lies inside that band counts as found, and the exchange decides.
int64 would overflow at 1 BTC x 100,000 USDT.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ATOMS = 1e8
RATE = 1e8
# Whose margin ratio is within this of a limit counts as beyond it.
GUARD_BAND = 1e-9
# Positions of one pass; what a pass works on stays in the cache of a core.
CHUNK_ROWS = 32_768
_ROWS_FIRST = 1_024

# Slot, account, signed quantity, signed cost, isolated wallet, whether it is cross.
PositionRow = tuple[int, int, int, int, int, bool]


@dataclass(frozen=True, slots=True)
class Found:
    """Scopes with their margin ratios: market 0 is all that is cross."""

    accounts: Integers
    markets: Integers
    ratios: Floats


class MarketArrays:
    """The open positions of one market; row numbers are dense, a closed one is filled up."""

    def __init__(self, market_id: int) -> None:
        """Begin empty, without brackets and without a mark."""
        self.market_id = market_id
        self.count = 0
        self.mark_atoms = 0.0
        self.rates: Floats = np.zeros(0)
        self.amounts: Floats = np.zeros(0)
        self.floors: Floats = np.zeros(0)
        self.rows: dict[int, int] = {}
        self.slots: Integers = np.zeros(_ROWS_FIRST, np.int64)
        self.accounts: Integers = np.zeros(_ROWS_FIRST, np.int64)
        self.quantities: Floats = np.zeros(_ROWS_FIRST)
        self.costs: Floats = np.zeros(_ROWS_FIRST)
        self.wallets: Floats = np.zeros(_ROWS_FIRST)
        # The account's row among the margin wallets, -1 of an isolated position.
        self.scopes: Integers = np.zeros(_ROWS_FIRST, np.int64)

    def set_brackets(self, brackets: Sequence[tuple[int, int, int, int]]) -> None:
        """Take over (floor, maintenance rate, maintenance amount, highest leverage)."""
        self.floors = np.array([row[0] for row in brackets], np.float64)
        self.rates = np.array([row[1] for row in brackets], np.float64) / RATE
        self.amounts = np.array([row[2] for row in brackets], np.float64)

    def put(self, changed: Sequence[PositionRow], scopes: Sequence[int]) -> None:
        """Take over positions that opened or changed, with the rows of their margin wallets."""
        rows = self.rows
        numbers = np.empty(len(changed), np.int64)
        for index, (slot_id, *_) in enumerate(changed):
            row = rows.get(slot_id)
            if row is None:
                row = rows[slot_id] = self.count
                self.count += 1
            numbers[index] = row
        if self.count > len(self.slots):
            self._grow()
        slots, accounts, quantities, costs, wallets, _ = zip(*changed, strict=True)
        self.slots[numbers] = slots
        self.accounts[numbers] = accounts
        self.quantities[numbers] = np.array(quantities, np.float64)
        self.costs[numbers] = np.array(costs, np.float64)
        self.wallets[numbers] = np.array(wallets, np.float64)
        self.scopes[numbers] = scopes

    def remove(self, slot_id: int) -> None:
        """Forget a position that closed; the last row takes its place."""
        row = self.rows.pop(slot_id, None)
        if row is None:
            return
        self.count -= 1
        last = self.count
        if row != last:
            for column in self._columns():
                column[row] = column[last]
            self.rows[int(self.slots[row])] = row

    def _columns(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self.slots,
            self.accounts,
            self.quantities,
            self.costs,
            self.wallets,
            self.scopes,
        )

    def _grow(self) -> None:
        size = max(self.count, 2 * len(self.slots))
        for name in ("slots", "accounts", "quantities", "costs", "wallets", "scopes"):
            old = getattr(self, name)
            new = np.zeros(size, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def profits(self, start: int, end: int) -> Floats:
        """Return unrealised profits at the mark, in quote atoms."""
        profits: Floats = self.quantities[start:end] * (self.mark_atoms / ATOMS)
        profits -= self.costs[start:end]
        return profits

    def maintenances(self, start: int, end: int) -> Floats:
        """Return maintenance margins at the mark: the highest of all brackets' lines."""
        notionals = np.abs(self.quantities[start:end]) * (self.mark_atoms / ATOMS)
        found: Floats = notionals * self.rates[0]
        top = int(np.searchsorted(self.floors, notionals.max(initial=0.0), side="right"))
        line = np.empty_like(notionals)
        for number in range(1, top):
            np.multiply(notionals, self.rates[number], out=line)
            line -= self.amounts[number]
            np.maximum(found, line, out=found)
        return found


class Screen:
    """Everything that is looked at at once: markets, and the margin wallets behind them."""

    def __init__(self) -> None:
        """Begin empty."""
        self.markets: dict[int, MarketArrays] = {}
        # (account, asset) of a margin wallet -> its row.
        self.wallet_rows: dict[tuple[int, int], int] = {}
        self.wallet_accounts: Integers = np.zeros(_ROWS_FIRST, np.int64)
        self.wallet_atoms: Floats = np.zeros(_ROWS_FIRST)

    def market(self, market_id: int) -> MarketArrays:
        """Return the arrays of a market, empty ones at first."""
        found = self.markets.get(market_id)
        if found is None:
            found = self.markets[market_id] = MarketArrays(market_id)
        return found

    def wallet_row(self, account_id: int, asset_id: int) -> int:
        """Return the row of a margin wallet, made at first use."""
        key = (account_id, asset_id)
        row = self.wallet_rows.get(key)
        if row is None:
            row = self.wallet_rows[key] = len(self.wallet_rows)
            if row >= len(self.wallet_atoms):
                self.wallet_accounts = np.concatenate(
                    (self.wallet_accounts, np.zeros_like(self.wallet_accounts))
                )
                self.wallet_atoms = np.concatenate(
                    (self.wallet_atoms, np.zeros_like(self.wallet_atoms))
                )
            self.wallet_accounts[row] = account_id
        return row

    def set_wallet(self, account_id: int, asset_id: int, total_atoms: int) -> None:
        """Take over the balance of a margin wallet."""
        # The row first: a new one may move the array.
        row = self.wallet_row(account_id, asset_id)
        self.wallet_atoms[row] = total_atoms

    def put(self, market_id: int, asset_id: int, changed: Sequence[PositionRow]) -> None:
        """Take over open positions of a market that settles in an asset."""
        scopes = [self.wallet_row(row[1], asset_id) if row[5] else -1 for row in changed]
        self.market(market_id).put(changed, scopes)

    def look(self, *, least_ratio: float, market_ids: Iterable[int] | None = None) -> Found:
        """
        Return the scopes whose margin ratio is at least so much, or whose balance is gone.

        Markets without a mark are left out, as are those not among ``market_ids``; a scope that
        is cross counts all its markets that have one.
        """
        limit = least_ratio * (1.0 - GUARD_BAND)
        seen = [
            market
            for market in self.markets.values()
            if market.count and market.mark_atoms and len(market.rates)
        ]
        wanted = None if market_ids is None else set(market_ids)
        wallets = len(self.wallet_rows)
        balances = self.wallet_atoms[:wallets].copy()
        needs = np.zeros(wallets)
        accounts: list[Integers] = []
        markets: list[Integers] = []
        ratios: list[Floats] = []
        for market in seen:
            for start in range(0, market.count, CHUNK_ROWS):
                end = min(start + CHUNK_ROWS, market.count)
                profits = market.profits(start, end)
                needed = market.maintenances(start, end)
                scopes = market.scopes[start:end]
                crossed = scopes >= 0
                if crossed.any():
                    rows = scopes[crossed]
                    np.add.at(balances, rows, profits[crossed])
                    np.add.at(needs, rows, needed[crossed])
                if wanted is not None and market.market_id not in wanted:
                    continue
                profits += market.wallets[start:end]
                beyond = (needed >= profits * limit) & ~crossed
                if beyond.any():
                    accounts.append(market.accounts[start:end][beyond])
                    markets.append(np.full(int(beyond.sum()), market.market_id, np.int64))
                    ratios.append(ratio(needed[beyond], profits[beyond]))
        beyond = (needs > 0) & (needs >= balances * limit)
        accounts.append(self.wallet_accounts[:wallets][beyond])
        markets.append(np.zeros(int(beyond.sum()), np.int64))
        ratios.append(ratio(needs[beyond], balances[beyond]))
        return Found(np.concatenate(accounts), np.concatenate(markets), np.concatenate(ratios))

    def crossed_accounts(self, market_ids: Iterable[int]) -> Integers:
        """Return the accounts with cross positions in any of some markets."""
        found = [np.zeros(0, np.int64)]
        for market_id in market_ids:
            market = self.market(market_id)
            crossed = market.scopes[: market.count] >= 0
            found.append(market.accounts[: market.count][crossed])
        return np.concatenate(found)

    def standings(self) -> tuple[Floats, Floats]:
        """Return balance and maintenance margin of every margin wallet."""
        wallets = len(self.wallet_rows)
        balances, needs = self.wallet_atoms[:wallets].copy(), np.zeros(wallets)
        for market in self.markets.values():
            if market.count and market.mark_atoms and len(market.rates):
                scopes = market.scopes[: market.count]
                crossed = scopes >= 0
                rows = scopes[crossed]
                np.add.at(balances, rows, market.profits(0, market.count)[crossed])
                np.add.at(needs, rows, market.maintenances(0, market.count)[crossed])
        return balances, needs


def ratio(needed: Floats, balances: Floats) -> Floats:
    """Return needed / balance, infinity where nothing of the balance is left."""
    found: Floats = np.full(len(needed), np.inf)
    np.divide(needed, balances, out=found, where=balances > 0)
    return found
