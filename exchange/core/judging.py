"""
Who can afford a match: both sides of it, tried out on copies while a plan is made.

A fill that opens must leave the available margin of its account at or above zero, at the match
price against the mark. A fill that only reduces must leave the account above its maintenance
margin: nobody trades beyond the price at which somebody else would have to pay.
"""

from __future__ import annotations

import msgspec

from exchange.core.collateral import (
    available_atoms,
    contract_of,
    cross_positions,
    isolated_health,
    maintenance_atoms,
    profit_atoms,
    wallet_atoms,
)
from exchange.core.enums import MarginMode, Side
from exchange.core.funding import pending
from exchange.core.ledger import Account
from exchange.core.market import Market
from exchange.core.memory import Memory, new_position
from exchange.core.positions import fill, reduces
from exchange.core.state import Order
from exchange.core.units import ATOMS, RATE_ONE

_BUY = Side.BUY
_ISOLATED = MarginMode.ISOLATED


class Draft:
    """An account's margin wallet and its position in one market as a plan would leave them."""

    __slots__ = (
        "account",
        "contract",
        "counted",
        "memory",
        "position",
        "quote_id",
        "remainders",
        "total_atoms",
    )

    def __init__(self, memory: Memory, account: Account, market: Market) -> None:
        """Copy what there is; a market without a slot begins with the default settings."""
        self.memory = memory
        self.account = account
        self.contract = contract_of(market)
        self.quote_id = market.config.quote_asset_id
        own = account.positions.get(market.config.market_id)
        self.position = (
            msgspec.structs.replace(own)
            if own is not None
            else new_position(0, account.account_id, market.config.market_id, self.contract)
        )
        self.total_atoms = wallet_atoms(account, self.quote_id)
        if memory.funding:
            isolated, total = pending(
                memory, market.config.market_id, self.position, self.total_atoms
            )
            self.position.isolated_atoms -= isolated
            self.total_atoms -= total
        # By order id: what fees were rounded up by, and what of its value is still counted.
        self.remainders: dict[int, int] = {}
        self.counted: dict[int, int] = {}

    def fill(self, order: Order, quantity_atoms: int, quote_atoms: int, rate_e8: int) -> bool:
        """
        Apply one fill and its fee; tell whether it opens: makes the position larger, or turns it.

        The fee is the one that ``ledger.charge_fee`` will take.
        """
        remainder = self.remainders.get(order.order_id, order.fee_remainder)
        exact = quote_atoms * rate_e8 - remainder
        fee = -(-exact // RATE_ONE)
        self.remainders[order.order_id] = fee * RATE_ONE - exact
        position = self.position
        before = position.quantity_atoms
        self.total_atoms += fill(
            position,
            side=order.side,
            quantity_atoms=quantity_atoms,
            quote_atoms=quote_atoms,
            mark_atoms=self.contract.mark_atoms,
        )
        self.total_atoms -= fee
        after = position.quantity_atoms
        return abs(after) > abs(before) or (after > 0 > before) or (after < 0 < before)

    def uncount(self, order: Order, value_atoms: int) -> None:
        """Let so much of a resting order's value no longer count, at most what still does."""
        left = self.counted.get(order.order_id, order.held_atoms)
        gone = min(left, value_atoms)
        self.counted[order.order_id] = left - gone
        self.count_order(order.side, -gone)

    def count_order(self, side: Side, value_atoms: int) -> None:
        """Let resting orders of a side be worth so much more, or less."""
        if side is _BUY:
            self.position.bid_atoms += value_atoms
        else:
            self.position.ask_atoms += value_atoms

    def available(self) -> int:
        """Return what would be free to open positions with."""
        return available_atoms(
            self.memory,
            self.account,
            self.quote_id,
            total_atoms=self.total_atoms,
            instead=self.position,
            counts_profit=self.position.mode is not _ISOLATED,
        )

    def is_sound(self) -> bool:
        """Tell whether all that the wallet and this position back is above maintenance."""
        balance, needed = self.total_atoms, 0
        position = self.position
        if position.mode is _ISOLATED:
            if position.quantity_atoms:
                own, own_needed = isolated_health(position, self.contract)
                if own <= own_needed:
                    return False
        elif position.quantity_atoms:
            balance += profit_atoms(position, self.contract)
            needed = maintenance_atoms(position, self.contract)
        if len(self.account.positions) > bool(position.slot_id):
            for other, contract in cross_positions(self.memory, self.account, self.quote_id):
                if other.market_id != position.market_id:
                    balance += profit_atoms(other, contract)
                    needed += maintenance_atoms(other, contract)
        return balance > needed if needed else balance >= 0


class Judge:
    """Tells a plan what makers of a perpetual market can give, and remembers what they gave."""

    __slots__ = ("drafts", "market", "memory")

    def __init__(self, memory: Memory, market: Market) -> None:
        """Begin with nothing given."""
        self.memory = memory
        self.market = market
        self.drafts: dict[int, Draft] = {}

    def draft(self, account_id: int) -> Draft:
        """Return the draft of an account, made at first use."""
        draft = self.drafts.get(account_id)
        if draft is None:
            account = self.memory.ledger.accounts[account_id]
            draft = self.drafts[account_id] = Draft(self.memory, account, self.market)
        return draft

    def offered(self, maker: Order, offered_atoms: int) -> int:
        """Return what a maker offers at most: one that only reduces, up to its position."""
        terms = maker.terms
        if terms is None or not terms.reduce_only:
            return offered_atoms
        position = self.draft(maker.account_id).position
        if not reduces(position, maker.side):
            return 0
        return min(offered_atoms, abs(position.quantity_atoms))

    def affords(self, maker: Order, quantity_atoms: int, quote_atoms: int) -> bool:
        """
        Try a fill of a maker out, and keep it if its account can afford it.

        One that cannot loses its order, so that the rest of it counts no longer either.
        """
        draft = self.draft(maker.account_id)
        position, total = draft.position, draft.total_atoms
        draft.position = msgspec.structs.replace(position)
        draft.uncount(maker, quantity_atoms * maker.price_atoms // ATOMS)
        opens = draft.fill(maker, quantity_atoms, quote_atoms, maker.maker_rate_e8)
        if draft.is_sound() and (not opens or draft.available() >= 0):
            return True
        expired = draft.position
        draft.position, draft.total_atoms = position, total
        position.bid_atoms, position.ask_atoms = expired.bid_atoms, expired.ask_atoms
        draft.uncount(maker, maker.held_atoms)
        return False
