"""
How near accounts are to liquidation, many of them at once: for operators.

By the same functions as an account's own standing, in a number of queries that does not depend
on how many accounts are asked about. Open orders do not count: they need margin of their own, but
no one is liquidated for them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from exchange.core import takeover
from exchange.core.collateral import contract_of, profit_atoms
from exchange.core.enums import MarginMode
from exchange.core.ledger import Account
from exchange.core.margin import notional_atoms
from exchange.core.state import Position
from exchange.core.units import RATE_ONE
from positions.models import Position as PositionRow
from positions.projection import POSITIONS, position_from_row
from positions.standing import Standing, blank_account, perpetual_memory, take_wallet
from wallets.selectors import margin_balances_of


@dataclass(frozen=True, slots=True)
class Danger:
    """
    One open position and what it stands on, at the last committed mark.

    ``needed_atoms`` is the maintenance margin and ``balance_atoms`` the balance of its own wallet,
    or of all that is cross with it: it is liquidated once the balance is no more. Without a
    ``liquidation_atoms`` no mark liquidates it, the others standing still.
    """

    account_id: int
    market_id: int
    position_id: int
    mode: MarginMode
    quantity_atoms: int
    mark_atoms: int
    notional_atoms: int
    profit_atoms: int
    needed_atoms: int
    balance_atoms: int
    liquidation_atoms: int

    @property
    def distance_e8(self) -> int | None:
        """How far the mark is from liquidation, as a part of the mark in 10^-8, rounded down."""
        if not self.liquidation_atoms or not self.mark_atoms:
            return None
        return abs(self.mark_atoms - self.liquidation_atoms) * RATE_ONE // self.mark_atoms


def dangers_of(account_ids: Collection[int]) -> list[Danger]:
    """Return the open positions of accounts; call it in one read snapshot."""
    memory = perpetual_memory()
    accounts: dict[int, Account] = {}
    for account_id in account_ids:
        accounts[account_id] = memory.ledger.accounts[account_id] = blank_account(account_id)
    rows = PositionRow.objects.filter(account_id__in=list(accounts), is_open=1).order_by("id")
    for row in rows.values_list(*POSITIONS.columns):
        slot = position_from_row(row)
        if slot.market_id in memory.markets:
            accounts[slot.account_id].positions[slot.market_id] = slot
    for balance in margin_balances_of(list(accounts)):
        take_wallet(accounts[balance.account_id], balance)
    return [
        _danger(Standing(account_id, memory=memory, account=account), slot)
        for account_id, account in accounts.items()
        for slot in account.positions.values()
    ]


def _danger(standing: Standing, slot: Position) -> Danger:
    contract = contract_of(standing.memory.markets[slot.market_id])
    balance, needed = takeover.health(standing.memory, standing.account, slot)
    return Danger(
        account_id=standing.account_id,
        market_id=slot.market_id,
        position_id=slot.position_id,
        mode=slot.mode,
        quantity_atoms=slot.quantity_atoms,
        mark_atoms=contract.mark_atoms,
        notional_atoms=notional_atoms(slot.quantity_atoms, contract.mark_atoms),
        profit_atoms=profit_atoms(slot, contract),
        needed_atoms=needed,
        balance_atoms=balance,
        liquidation_atoms=standing.liquidation_atoms(slot),
    )
