"""Takeovers and insurance funds of the naive exchange."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

from exchange.core import commands as c
from exchange.core.enums import (
    Side,
    SystemAccount,
    WalletKind,
    insurance_account,
    liquidation_account,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import AMOUNT_MAX, Answer
from simulation.naive_book import ATOMS
from simulation.naive_checks import refuse_if
from simulation.naive_positions import NaivePosition
from simulation.naive_prices import NaiveGroup, NaivePrices

WINDOW_MS = 8 * 3_600_000


class NaiveFunds(NaivePrices):
    """What bankrupt positions close at, and who pays for what is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers |= {
            c.ConfigureInsurance: self.configure_insurance,
            c.MoveInsurance: self.move_insurance,
        }

    def _bankruptcy(self, slot: NaivePosition) -> int:
        """Return the quote that closing a position must move to leave its collateral empty."""
        sign = 1 if slot.quantity > 0 else -1
        if slot.isolated:
            return sign * (slot.cost - slot.wallet)
        scope = (slot.account_id, 0)
        if len(self.open_slots(scope)) == 1:
            wallet = self.margin_wallet(slot.account_id, self.quote(slot.market_id))
            return sign * (slot.cost - wallet)
        balance, needed = self.health(scope)
        share = floor(Fraction(balance * self.needed(slot), needed))
        return sign * (slot.value(self.marks[slot.market_id]) - share)

    def _take_over(self, slot: NaivePosition) -> bool:
        """Hand a position to the liquidation account, if the fund can carry it."""
        quote = self._bankruptcy(slot)
        sign = 1 if slot.quantity > 0 else -1
        if not self._can_carry(slot.market_id, slot.quantity, sign * quote):
            return False
        self._hand_over(slot, self._inherited(slot.market_id), abs(slot.quantity), max(0, quote))
        return True

    def _inherited(self, market_id: int) -> NaivePosition:
        """Return the slot of the liquidation account, opened only when something is traded."""
        account_id = liquidation_account(market_id)
        known = self.slots.get((account_id, market_id))
        return known or self.fresh(account_id, market_id, 0)

    def _hand_over(
        self,
        slot: NaivePosition,
        other: NaivePosition,
        quantity: int,
        quote: int,
        *,
        settles: bool = False,
    ) -> None:
        """Trade outside the book, without orders and fees."""
        side = slot.closing_side()
        opposite = Side.SELL if side is Side.BUY else Side.BUY
        sides = [(slot, side), (other, opposite)]
        for one, own_side in sorted(sides, key=lambda pair: pair[1]):
            own = self.slot(one.account_id, one.market_id)
            self.change_position(own, own_side, quantity, quote)
        for one, _ in sorted(sides, key=lambda pair: pair[1]):
            self.fit(self.slot(one.account_id, one.market_id))
        self.fills.append((quote * ATOMS // quantity, quantity, 0, 0, 0, 0))
        if not settles:
            self._cover(slot)
        self._settle_liquidator(slot.market_id)

    def _cover(self, slot: NaivePosition, amount: int = 0) -> None:
        """Let the liquidation account pay what an account owes beyond its collateral."""
        asset_id = self.quote(slot.market_id)
        if not self.open_slots((slot.account_id, 0)):
            amount = max(amount, -self.margin_wallet(slot.account_id, asset_id))
        self.add_margin(liquidation_account(slot.market_id), asset_id, -amount)
        self.add_margin(slot.account_id, asset_id, amount)

    def _settle_liquidator(self, market_id: int) -> None:
        """Let the fund take over what the liquidation account gained or lost, while it lasts."""
        asset_id = self.quote(market_id)
        own = self.margin_wallet(liquidation_account(market_id), asset_id)
        amount = max(own, -self._fund(market_id))
        self.add_margin(liquidation_account(market_id), asset_id, -amount)
        self.add_margin(self._fund_account(market_id), asset_id, amount)

    def _can_carry(self, market_id: int, quantity: int, cost: int) -> bool:
        """Tell whether the fund can bear a position: drawdown, worst case, then its cap."""
        group_id = self.contracts[market_id].insurance_group
        group = self.groups[group_id]
        inherited = [
            slot
            for slot in self.slots.values()
            if slot.account_id == liquidation_account(slot.market_id)
            and self.contracts[slot.market_id].insurance_group == group_id
        ]
        fund = self._fund(market_id)
        profit = sum(slot.profit(self.marks[slot.market_id]) for slot in inherited if slot.quantity)
        notional = sum(slot.notional(self.marks[slot.market_id]) for slot in inherited)
        self._follow_high(group, fund + profit)
        if group.stopped:
            return False
        mark = self.marks[market_id]
        own = self._inherited(market_id).quantity
        notional += ceil(Fraction(abs(own + quantity) * mark, ATOMS))
        notional -= ceil(Fraction(abs(own) * mark, ATOMS))
        worth = fund + profit + floor(Fraction(quantity * mark, ATOMS)) - cost
        survives = worth >= ceil(Fraction(notional * group.shock, ATOMS))
        return survives and notional <= Fraction(fund * group.cap, ATOMS)

    def _follow_high(self, group: NaiveGroup, value: int) -> None:
        if value >= group.high or self.now - group.high_ms > WINDOW_MS:
            group.high, group.high_ms = max(0, value), self.now
        fall = floor(Fraction((group.high - value) * ATOMS, group.high)) if group.high else 0
        if group.stopped:
            group.stopped = fall >= group.recovery
        else:
            group.stopped = group.drawdown > 0 and fall > group.drawdown

    def configure_insurance(self, terms: c.ConfigureInsurance, _: object) -> Answer:
        """Set when a group stops taking over."""
        rates = (terms.shock_e8, terms.drawdown_e8, terms.recovery_e8)
        wrong = (
            terms.group_id not in range(1, 2**18)
            or terms.notional_cap_e8 not in range(1_000 * ATOMS + 1)
            or any(rate not in range(ATOMS + 1) for rate in rates)
            or terms.recovery_e8 > terms.drawdown_e8
        )
        refuse_if(wrong, Code.INVALID_CONFIGURATION)
        group = self.groups.setdefault(terms.group_id, NaiveGroup())
        group.cap, group.shock = terms.notional_cap_e8, terms.shock_e8
        group.drawdown, group.recovery = terms.drawdown_e8, terms.recovery_e8
        return Answer(Code.OK)

    def move_insurance(self, move: c.MoveInsurance, _: object) -> Answer:
        """Pay into a fund or out of it."""
        refuse_if(move.group_id not in self.groups, Code.INSURANCE_GROUP_NOT_FOUND)
        refuse_if(move.asset_id not in self.assets, Code.ASSET_NOT_FOUND)
        amount = move.amount_atoms
        refuse_if(amount == 0 or abs(amount) > AMOUNT_MAX, Code.INVALID_AMOUNT)
        outside = (int(SystemAccount.EXTERNAL), WalletKind.SPOT, move.asset_id)
        refuse_if(amount - self.totals.get(outside, 0) > AMOUNT_MAX, Code.BALANCE_LIMIT)
        account_id = insurance_account(move.group_id)
        short = -amount > max(0, self.margin_wallet(account_id, move.asset_id))
        refuse_if(short, Code.INSUFFICIENT_INSURANCE)
        self.totals[outside] = self.totals.get(outside, 0) - amount
        self.add_margin(account_id, move.asset_id, amount)
        self.last_transfer += 1
        return Answer(Code.OK)
