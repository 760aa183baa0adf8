"""Settlement of a market, and the order of internal work, in the naive exchange."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from exchange.core import commands as c
from exchange.core.enums import (
    EndReason,
    MarketStatus,
    OrderStatus,
    StatusCause,
    liquidation_account,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import AMOUNT_MAX, Answer
from simulation.naive_checks import refuse_if
from simulation.naive_ladder import NaiveLadder
from simulation.naive_positions import NaivePosition


@dataclass
class NaiveSettlement:
    """A market that closes at one price: what winners claim, and what is there for them."""

    price: int
    claims: int = 0
    pool: int = 0


class NaivePerpetuals(NaiveLadder):
    """The whole naive exchange, perpetual markets included."""

    def __init__(self) -> None:
        super().__init__()
        self.settlements: dict[int, NaiveSettlement] = {}
        self.handlers |= {c.SettleMarket: self.settle_market}

    def take_turns(self, now: int, ahead: list[tuple[str, int]]) -> None:
        """
        Carry out internal work until what is left is what the engine has still ahead.

        The engine may find scopes that nobody may liquidate now, or not: it looks at some
        accounts only. Their turns do nothing but end.
        """
        super().take_turns(now, ahead)
        queued = {self.scopes[key] for kind, key in ahead if kind == "liquidate"}
        self.liquidating &= queued | self._waiting_scopes()

    def take_turn(self, kind: str, order_id: int) -> None:
        """Carry out the first piece of internal work."""
        key = order_id
        work = {
            "liquidate": self._liquidate_turn,
            "pay": self._pay,
            "receive": self._receive,
            "unwind": self._unwind,
            "end": self._end_orders,
            "losers": self._settle_losers,
            "winners": self._settle_winners,
        }.get(kind)
        if work is None:
            super().take_turn(kind, order_id)
            return
        del self.waiting[0]
        work(key)

    def is_alive(self, turn: tuple[str, int]) -> bool:
        """Tell whether a turn does anything; one of a scope that nobody may liquidate does not."""
        kind, key = turn
        if kind == "liquidate":
            return bool(self._unhealthy(self.scopes[key]))
        if kind in ("fire", "arm"):
            return super().is_alive(turn)
        return True

    # -- settlement -------------------------------------------------------------------

    def settle_market(self, settle: c.SettleMarket, _: object) -> Answer:
        """Close a market for good."""
        market_id = settle.market_id
        refuse_if(market_id not in self.markets, Code.MARKET_NOT_FOUND)
        refuse_if(market_id not in self.contracts, Code.NOT_A_PERPETUAL)
        refuse_if(self.status[market_id] is MarketStatus.SETTLED, Code.MARKET_SETTLED)
        price = settle.price_atoms or self.marks.get(market_id, 0)
        refuse_if(not 0 < price <= AMOUNT_MAX, Code.INVALID_PRICE)
        self.marks[market_id], self.marked_ms[market_id] = price, self.now
        self.prices[market_id].mark = price
        self.set_status(market_id, MarketStatus.SETTLED, StatusCause.OPERATOR)
        self.bankrupt = [entry for entry in self.bankrupt if entry[0] != market_id]
        queued = {self.scopes[key] for kind, key in self.waiting if kind == "liquidate"}
        self.liquidating &= queued | self._waiting_scopes()
        self.settlements[market_id] = NaiveSettlement(price)
        self.ending[market_id] = EndReason.MARKET_SETTLED
        self.waiting += [("end", market_id), ("losers", market_id), ("winners", market_id)]
        return Answer(Code.OK)

    def _end_orders(self, market_id: int) -> None:
        reason = self.ending[market_id]
        for order in self.orders:
            kept = reason is EndReason.PRICE_DEGRADED and order.reduces()
            if order.market_id == market_id and order.is_open() and not kept:
                self.end(order, OrderStatus.CANCELLED, reason)

    def _open_users(self, market_id: int) -> list[NaivePosition]:
        return [
            slot
            for slot in self._in_order(market_id)
            if slot.quantity and slot.account_id in self.accounts
        ]

    def _settle_losers(self, market_id: int) -> None:
        settlement = self.settlements[market_id]
        for slot in self._open_users(market_id):
            if slot.profit(settlement.price) <= 0:
                self._settle_one(slot, settlement)
        winners = self._open_users(market_id)
        settlement.claims = sum(slot.profit(settlement.price) for slot in winners)
        own = self._inherited(market_id)
        asset_id = self.quote(market_id)
        there = self.margin_wallet(own.account_id, asset_id) + self._fund(market_id)
        there += own.profit(settlement.price)
        settlement.pool = max(0, settlement.claims + min(0, there))

    def _settle_winners(self, market_id: int) -> None:
        for slot in self._open_users(market_id):
            self._settle_one(slot, self.settlements[market_id])
        self._settle_liquidator(market_id)

    def _settle_one(self, slot: NaivePosition, settlement: NaiveSettlement) -> None:
        profit, isolated = slot.profit(settlement.price), slot.isolated
        lacking = max(0, -profit - slot.wallet) if isolated else 0
        quote = abs(slot.value(settlement.price))
        other = self._inherited(slot.market_id)
        self._hand_over(slot, other, abs(slot.quantity), quote, settles=True)
        if settlement.pool < settlement.claims and profit > 0:
            missing = Fraction(settlement.claims - settlement.pool, settlement.claims)
            cut = ceil(profit * missing)
            asset_id = self.quote(slot.market_id)
            self.add_margin(slot.account_id, asset_id, -cut)
            self.add_margin(liquidation_account(slot.market_id), asset_id, cut)
        self._cover(slot, lacking)
