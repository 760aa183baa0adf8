"""
Who may have to be liquidated, without looking at everybody.

Each open position has guard prices: while all marks lie within theirs, its account is surely
above maintenance. Only a mark that leaves a guard makes the core look at that account, exactly
and in integers. Guards are derived and only ever too narrow, so they never decide who is
liquidated; what touches an account notes it as dirty, and its guards are set anew before the
next mark is judged.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from exchange.core.collateral import (
    contract_of,
    cross_health,
    cross_positions,
    isolated_health,
    wallet_atoms,
)
from exchange.core.contract import Contract
from exchange.core.enums import MarginMode, is_system_account
from exchange.core.ledger import Account
from exchange.core.margin import PRICE_UNBOUNDED, guard_prices, notional_atoms
from exchange.core.memory import Memory
from exchange.core.state import Position
from exchange.core.units import RATE_ONE

# So many dirty accounts are looked at at once, so that a mark never meets more of them: about
# 5 ms. Whoever trades often is looked at once for many fills.
DIRTY_MAX = 1_000

# Heaps are built anew once stale entries make up more than half of them.
_STALE_MIN = 1_000

_ISOLATED = MarginMode.ISOLATED

# (account, market) of an isolated position, (account, 0) for all that is cross.
Scope = tuple[int, int]


def refresh_when_many(memory: Memory) -> None:
    """Set the guards of dirty accounts anew once there are many."""
    if len(memory.dirty) >= DIRTY_MAX:
        refresh(memory)


def refresh(memory: Memory) -> None:
    """Set the guards of all dirty accounts anew."""
    accounts = memory.ledger.accounts
    for account_id in memory.dirty:
        set_guards(memory, accounts[account_id])
    memory.dirty = {}


def set_guards(memory: Memory, account: Account) -> None:
    """Set the guards of all open positions of an account."""
    if is_system_account(account.account_id):
        return
    if len(account.positions) == 1:
        _set_only_guard(memory, account)
        return
    assets: dict[int, None] = {}
    for position in account.positions.values():
        market = memory.markets[position.market_id]
        contract = contract_of(market)
        if not position.quantity_atoms:
            position.low_atoms, position.high_atoms = 0, PRICE_UNBOUNDED
        elif position.mode is _ISOLATED:
            balance, maintenance = isolated_health(position, contract)
            _set_guard(contract, position, balance - maintenance)
        else:
            assets[market.config.quote_asset_id] = None
    for asset_id in assets:
        balance, maintenance = cross_health(memory, account, asset_id)
        slack = balance - maintenance
        held = [
            (position, contract, notional_atoms(position.quantity_atoms, contract.mark_atoms))
            for position, contract in cross_positions(memory, account, asset_id)
        ]
        # Shared by notional: if no mark leaves its guard, no more than the slack is lost.
        total = sum(notional for _, _, notional in held) or 1
        for position, contract, notional in held:
            _set_guard(contract, position, slack * notional // total)


def _set_only_guard(memory: Memory, account: Account) -> None:
    """Set the guard of an account with one slot, as most have: all the slack is its own."""
    (position,) = account.positions.values()
    if not position.quantity_atoms:
        position.low_atoms, position.high_atoms = 0, PRICE_UNBOUNDED
        return
    market = memory.markets[position.market_id]
    contract = contract_of(market)
    slack, maintenance = isolated_health(position, contract)
    if position.mode is not _ISOLATED:
        slack += wallet_atoms(account, market.config.quote_asset_id)
    _set_guard(contract, position, slack - maintenance)


def _set_guard(contract: Contract, position: Position, slack_atoms: int) -> None:
    if slack_atoms > 0:
        low, high = guard_prices(
            brackets=contract.brackets,
            quantity_atoms=position.quantity_atoms,
            mark_atoms=contract.mark_atoms,
            slack_atoms=slack_atoms,
        )
    elif position.quantity_atoms > 0:
        low, high = PRICE_UNBOUNDED, PRICE_UNBOUNDED
    else:
        low, high = 0, -1
    if low != position.low_atoms and low > 0:
        heappush(contract.lows, (-low, position.slot_id))
    if high != position.high_atoms and high < PRICE_UNBOUNDED:
        heappush(contract.highs, (high, position.slot_id))
    position.low_atoms, position.high_atoms = low, high


def find_unhealthy(memory: Memory, contracts: list[Contract]) -> list[Scope]:
    """
    Return the scopes at or below maintenance, worst first, after the marks of markets moved.

    The order is by balance / maintenance, then account and market: it does not depend on how
    guards happened to lie.
    """
    refresh(memory)
    crossed: dict[int, None] = {}
    for contract in contracts:
        _take_crossed(memory, contract, crossed)
    found: list[tuple[int, Scope]] = []
    for account_id in crossed:
        account = memory.ledger.accounts[account_id]
        set_guards(memory, account)
        found += [entry for entry in look(memory, account) if entry[1] not in memory.liquidating]
    return [scope for _, scope in sorted(found)]


def look(memory: Memory, account: Account) -> list[tuple[int, Scope]]:
    """Return (balance / maintenance in 10^-8, scope) of what is at or below maintenance."""
    unhealthy: list[tuple[int, Scope]] = []
    assets: dict[int, None] = {}
    for position in account.positions.values():
        if not position.quantity_atoms:
            continue
        market = memory.markets[position.market_id]
        if position.mode is _ISOLATED:
            balance, maintenance = isolated_health(position, contract_of(market))
            if balance <= maintenance:
                scope = (account.account_id, position.market_id)
                unhealthy.append((balance * RATE_ONE // maintenance, scope))
        else:
            assets[market.config.quote_asset_id] = None
    for asset_id in assets:
        balance, maintenance = cross_health(memory, account, asset_id)
        if balance <= maintenance:
            unhealthy.append((balance * RATE_ONE // maintenance, (account.account_id, 0)))
    return unhealthy


def _take_crossed(memory: Memory, contract: Contract, crossed: dict[int, None]) -> None:
    mark, lows, highs = contract.mark_atoms, contract.lows, contract.highs
    positions = memory.positions
    while lows and -lows[0][0] > mark:
        low, slot_id = heappop(lows)
        position = positions[slot_id]
        if position.low_atoms == -low:
            position.low_atoms = 0
            crossed[position.account_id] = None
    while highs and highs[0][0] < mark:
        high, slot_id = heappop(highs)
        position = positions[slot_id]
        if position.high_atoms == high:
            position.high_atoms = PRICE_UNBOUNDED
            crossed[position.account_id] = None
    if len(lows) + len(highs) > 2 * len(contract.positions) + _STALE_MIN:
        _compact(memory, contract)


def _compact(memory: Memory, contract: Contract) -> None:
    """Drop entries that are no longer anybody's guard."""
    contract.lows = [
        (-position.low_atoms, position.slot_id)
        for position in contract.positions
        if position.quantity_atoms and position.low_atoms > 0
    ]
    contract.highs = [
        (position.high_atoms, position.slot_id)
        for position in contract.positions
        if position.quantity_atoms and position.high_atoms < PRICE_UNBOUNDED
    ]
    heapify(contract.lows)
    heapify(contract.highs)
