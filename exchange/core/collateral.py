"""
What stands behind an account's positions: equity, maintenance, and what is available.

All cross positions that settle in one asset share the margin wallet of that asset; an isolated
position has a wallet of its own. Everything is in atoms of the quote asset, at the marks, and
rounded against the account. Sources: DOMAIN 2.1-2.3 and "Adopted here" 8 and 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exchange.core.enums import MarginMode
from exchange.core.ledger import Account
from exchange.core.margin import exposure_atoms, initial_margin, notional_atoms, value_atoms
from exchange.core.state import Position

if TYPE_CHECKING:
    from exchange.core.contract import Contract
    from exchange.core.market import Market
    from exchange.core.memory import Memory

_CROSS = MarginMode.CROSS


def contract_of(market: Market) -> Contract:
    """Return the perpetual side of a market that is known to have one."""
    contract = market.contract
    if contract is None:
        raise TypeError(f"market {market.config.market_id} is no perpetual")
    return contract


def wallet_atoms(account: Account, asset_id: int) -> int:
    """Return the balance of a margin wallet."""
    wallet = account.margin.get(asset_id)
    return wallet.total_atoms if wallet is not None else 0


def profit_atoms(position: Position, contract: Contract) -> int:
    """Return the unrealised profit at the mark."""
    return value_atoms(position.quantity_atoms, contract.mark_atoms) - position.cost_atoms


def maintenance_atoms(position: Position, contract: Contract) -> int:
    """Return the maintenance margin at the mark; none of a flat position."""
    if not position.quantity_atoms:
        return 0
    notional = notional_atoms(position.quantity_atoms, contract.mark_atoms)
    return contract.brackets.maintenance_atoms(notional)


def order_and_position_margin(position: Position, contract: Contract) -> int:
    """
    Return the initial margin of a position and its orders that the margin wallet must cover.

    Of an isolated position the orders' part alone: its own wallet covers the rest.
    """
    mark = contract.mark_atoms
    held = value_atoms(position.quantity_atoms, mark)
    exposure = exposure_atoms(held, position.bid_atoms, position.ask_atoms)
    if position.mode is _CROSS:
        return initial_margin(exposure, position.leverage)
    return initial_margin(max(0, exposure - abs(held)), position.leverage)


def cross_positions(
    memory: Memory, account: Account, asset_id: int
) -> Iterator[tuple[Position, Contract]]:
    """Yield the open cross positions that the margin wallet of an asset backs."""
    for position in account.positions.values():
        if position.quantity_atoms and position.mode is _CROSS:
            market = memory.markets[position.market_id]
            if market.config.quote_asset_id == asset_id:
                yield position, contract_of(market)


def cross_health(memory: Memory, account: Account, asset_id: int) -> tuple[int, int]:
    """Return balance and maintenance margin of all that is cross in an asset."""
    balance, maintenance = wallet_atoms(account, asset_id), 0
    for position, contract in cross_positions(memory, account, asset_id):
        balance += profit_atoms(position, contract)
        maintenance += maintenance_atoms(position, contract)
    return balance, maintenance


def isolated_health(position: Position, contract: Contract) -> tuple[int, int]:
    """Return balance and maintenance margin of an isolated position."""
    balance = position.isolated_atoms + profit_atoms(position, contract)
    return balance, maintenance_atoms(position, contract)


def available_atoms(
    memory: Memory,
    account: Account,
    asset_id: int,
    *,
    total_atoms: int | None = None,
    instead: Position | None = None,
    counts_profit: bool = True,
) -> int:
    """
    Return what is free to open positions with; negative when orders are no longer covered.

    ``total_atoms`` and ``instead`` stand for the wallet's balance and the position of one
    market as a plan would leave them. What is to go into an isolated wallet leaves the cross
    positions, so for that unrealised profit does not count (``counts_profit``); losses do.
    """
    free = wallet_atoms(account, asset_id) if total_atoms is None else total_atoms
    profit = 0
    met = instead is None
    for own in account.positions.values():
        position = own
        if instead is not None and own.market_id == instead.market_id:
            position, met = instead, True
        own_profit, margin = _demand(memory, position, asset_id)
        profit += own_profit
        free -= margin
    if not met and instead is not None:
        own_profit, margin = _demand(memory, instead, asset_id)
        profit += own_profit
        free -= margin
    return free + (profit if counts_profit else min(0, profit))


def _demand(memory: Memory, position: Position, asset_id: int) -> tuple[int, int]:
    """Return unrealised profit and initial margin of what a margin wallet backs."""
    if not (position.quantity_atoms or position.bid_atoms or position.ask_atoms):
        return 0, 0
    market = memory.markets[position.market_id]
    contract = market.contract
    if contract is None or market.config.quote_asset_id != asset_id:
        return 0, 0
    margin = order_and_position_margin(position, contract)
    return (profit_atoms(position, contract) if position.mode is _CROSS else 0), margin


def transferable_atoms(memory: Memory, account: Account, asset_id: int) -> int:
    """
    Return what may leave the margin wallet: unrealised profit never does, losses stay covered.

    max(0, min(wallet - order margin of isolated markets, wallet + min(0, sum of unrealised
    profits) - initial margin of cross positions - all order margins)).
    """
    total = wallet_atoms(account, asset_id)
    profit = required = isolated_orders = 0
    for position in account.positions.values():
        market = memory.markets[position.market_id]
        if market.config.quote_asset_id != asset_id:
            continue
        contract = contract_of(market)
        margin = order_and_position_margin(position, contract)
        required += margin
        if position.mode is _CROSS:
            profit += profit_atoms(position, contract)
        else:
            isolated_orders += margin
    return max(0, min(total - isolated_orders, total + min(0, profit) - required))
