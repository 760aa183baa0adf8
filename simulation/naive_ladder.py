"""The liquidation ladder and deleveraging of the naive exchange."""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from math import ceil, floor

from exchange.core import commands as c
from exchange.core.enums import (
    EndReason,
    MarketStatus,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import Answer
from simulation.naive_book import ATOMS, NaiveOrder
from simulation.naive_checks import refuse_if
from simulation.naive_funds import NaiveFunds
from simulation.naive_positions import NaivePosition, Scope, Trial
from simulation.naive_prices import LIVE


class NaiveLadder(NaiveFunds):
    """Cancel, reduce in the book, take over, wait for counterparties."""

    def __init__(self) -> None:
        super().__init__()
        self.bankrupt: list[tuple[int, int]] = []
        self.flows: dict[int, tuple[int, int]] = {}
        self.handlers |= {c.Deleverage: self.deleverage}

    def _liquidate_turn(self, number: int) -> None:
        scope = self.scopes[number]
        for slot in self.open_slots(scope):
            self.touch(slot)
        waits = False
        if self._unhealthy(scope):
            for order in self.orders:
                mine = order.account_id == scope[0] and order.margined and order.is_open()
                if mine and scope[1] in (0, order.market_id):
                    self.end(order, OrderStatus.CANCELLED, EndReason.LIQUIDATION)
            for slot in self._unhealthy(scope):
                if self._is_unhealthy(slot):
                    self._reduce(slot)
            for slot in self._unhealthy(scope):
                if self._is_unhealthy(slot) and not self._take_over(slot):
                    self.bankrupt.append((slot.market_id, slot.account_id))
                    waits = True
        if not waits:
            self.liquidating.discard(scope)

    def _reduce(self, slot: NaivePosition) -> None:
        market_id = slot.market_id
        market = self.markets[market_id]
        if self.status[market_id] is not MarketStatus.TRADING:
            return
        lot, tick = market.lot_atoms, market.tick_atoms
        side = slot.closing_side()
        quantity = min(self._wanted(slot), self._flow_left(market_id, side) // lot * lot)
        each = Fraction(max(0, self._bankruptcy(slot)) * ATOMS, abs(slot.quantity) * tick)
        price = max(1, ceil(each)) * tick if slot.quantity > 0 else floor(each) * tick
        if not quantity or not price:
            return
        bracket = self.bracket(market_id, slot.notional(self.marks[market_id]))
        asset_id = self.quote(market_id)
        had = self.margin_wallet(slot.account_id, asset_id)
        isolated = slot.isolated
        order = self._send(slot, side, quantity, price)
        if not order.filled:
            return
        fee = ceil(Fraction(order.quote_filled * self._fee_rate(market_id, bracket), ATOMS))
        if isolated and not slot.quantity:
            left = self.margin_wallet(slot.account_id, asset_id) - had
        else:
            left = self.health(self.scope_of(slot))[0]
            if not slot.isolated and not self.open_slots((slot.account_id, 0)):
                left = self.margin_wallet(slot.account_id, asset_id)
            left = min(left, slot.wallet) if isolated else left
        fee = min(fee, max(0, left))
        if isolated and slot.quantity:
            slot.wallet -= fee
        else:
            self.add_margin(slot.account_id, asset_id, -fee)
        slot.fee += fee if slot.quantity else 0
        self.add_margin(self._fund_account(market_id), asset_id, fee)

    def _fee_rate(self, market_id: int, bracket: int) -> int:
        terms = self.contracts[market_id]
        return min(terms.liquidation_fee_e8, terms.brackets[bracket][1] // 4)

    def _wanted(self, slot: NaivePosition) -> int:
        """Return the smallest quantity whose close at 0.1 % off the mark restores 5 %."""
        market_id, size = slot.market_id, abs(slot.quantity)
        mark, lot = self.marks[market_id], self.markets[slot.market_id].lot_atoms
        notional = slot.notional(mark)
        bracket = self.bracket(market_id, notional)
        if bracket == 0:
            return size
        balance, needed = self.health(self.scope_of(slot))
        others = needed - self.needed(slot)
        rate = Fraction(self._fee_rate(market_id, bracket) + ATOMS // 1000, ATOMS)

        def restores(lots: int) -> bool:
            closed = ceil(Fraction(lots * lot * mark, ATOMS))
            left = ceil(Fraction((size - lots * lot) * mark, ATOMS))
            needed_then = others + self.maintenance(market_id, left)
            return balance - ceil(closed * rate) >= needed_then * Fraction(105, 100)

        above = notional - self.contracts[market_id].brackets[bracket][0]
        least = floor(Fraction(above * ATOMS, mark * lot)) + 1
        lots = range(least, size // lot)
        if not lots or not restores(lots[-1]):
            return size
        return lots[bisect_left(lots, True, key=restores)] * lot

    def _flow_left(self, market_id: int, side: Side) -> int:
        second, used = self.flows.get(market_id, (0, 0))
        used = used if second == self.now // 1000 else 0
        mark = self.marks[market_id]
        bids, asks = self.levels(market_id)
        near = floor(Fraction(mark * 2, 100))
        if side is Side.BUY:
            depth = sum(quantity for price, quantity in asks if price <= mark + near)
        else:
            depth = sum(quantity for price, quantity in bids if price >= mark - near)
        return max(0, floor(Fraction(depth + used, 5)) - used)

    def _send(self, slot: NaivePosition, side: Side, quantity: int, price: int) -> NaiveOrder:
        """Let an immediate order of the exchange's own trade for an account."""
        market = self.markets[slot.market_id]
        self.last_order += 1
        order = NaiveOrder(
            order_id=self.last_order,
            account_id=slot.account_id,
            market_id=slot.market_id,
            client_order_id="",
            side=side,
            order_type=OrderType.LIQUIDATION,
            time_in_force=TimeInForce.IOC,
            post_only=False,
            price=price,
            quantity=quantity,
            quote_quantity=0,
            self_trade_mode=SelfTradeMode.EXPIRE_MAKER,
            maker_rate=0,
            taker_rate=0,
            remaining=quantity,
            margined=True,
        )
        run = self.plan(order, market)
        self.orders.append(order)
        self.carry_out(order, run, market)
        second, used = self.flows.get(slot.market_id, (0, 0))
        now = self.now // 1000
        self.flows[slot.market_id] = (now, (used if second == now else 0) + order.filled)
        return order

    def _unwind(self, market_id: int) -> None:
        """Offer what was inherited within 1 % of the mark."""
        slot = self._inherited(market_id)
        trading = self.status[market_id] is MarketStatus.TRADING
        if not slot.quantity or not self._may(slot) or not trading:
            return
        market, mark = self.markets[market_id], self.marks[market_id]
        side, tick = slot.closing_side(), market.tick_atoms
        if side is Side.BUY:
            price = floor(Fraction(mark * 101, 100 * tick)) * tick
        else:
            price = ceil(Fraction(mark * 99, 100 * tick)) * tick
        left = self._flow_left(market_id, side) // market.lot_atoms * market.lot_atoms
        quantity = min(abs(slot.quantity), left)
        if quantity:
            self._send(slot, side, quantity, price)
            self._settle_liquidator(market_id)

    # -- deleveraging -----------------------------------------------------------------

    def deleverage(self, offer: c.Deleverage, _: object) -> Answer:
        """Close bankrupt positions against the candidates, at the bankruptcy price."""
        market_id = offer.market_id
        refuse_if(market_id not in self.markets, Code.MARKET_NOT_FOUND)
        refuse_if(market_id not in self.contracts, Code.NOT_A_PERPETUAL)
        settled = self.status[market_id] is MarketStatus.SETTLED
        refuse_if(settled, Code.MARKET_SETTLED)
        fresh = self.marks.get(market_id) and self.now - self.marked_ms[market_id] <= 10_000
        live = self.quality.get(market_id) is LIVE
        refuse_if(not (fresh and live), Code.MARK_PRICE_STALE)
        waiting = [entry for entry in self.bankrupt if entry[0] == market_id]
        refuse_if(not waiting, Code.NOTHING_TO_DELEVERAGE)
        candidates = list(dict.fromkeys(offer.candidates))
        for entry in waiting:
            slot = self.slots[entry[1], market_id]
            self.touch(slot)
            over = not slot.quantity or not self._is_unhealthy(slot) or self._take_over(slot)
            if not over:
                self._close_against(slot, candidates)
            if over or not slot.quantity:
                self._end_waiting(entry, slot)
        return Answer(Code.OK)

    def _close_against(self, slot: NaivePosition, candidates: list[int]) -> None:
        for account_id in list(candidates):
            if not slot.quantity:
                return
            other = self.slots.get((account_id, slot.market_id))
            if other is None or not self._may_close(slot, other):
                candidates.remove(account_id)
                continue
            self.touch(other)
            size = abs(slot.quantity)
            quantity = min(size, abs(other.quantity))
            quote = floor(Fraction(max(0, self._bankruptcy(slot)) * quantity, size))
            trial = Trial(self, account_id, slot.market_id)
            mark = self.marks[slot.market_id]
            trial.wallet += trial.slot.trade(other.closing_side(), quantity, quote, mark)
            if not trial.is_sound():
                candidates.remove(account_id)
                continue
            for order in self.orders:
                key = (order.account_id, order.market_id)
                if key == (account_id, slot.market_id) and order.is_open():
                    self.end(order, OrderStatus.CANCELLED, EndReason.DELEVERAGING)
            self._hand_over(slot, other, quantity, quote)
            if not other.quantity:
                candidates.remove(account_id)

    def _may_close(self, slot: NaivePosition, other: NaivePosition) -> bool:
        return (
            other.account_id in self.accounts
            and slot.quantity * other.quantity < 0
            and not self.is_liquidating(other.account_id, other.market_id)
        )

    def _end_waiting(self, entry: tuple[int, int], slot: NaivePosition) -> None:
        self.bankrupt.remove(entry)
        scope = self.scope_of(slot)
        if scope not in self._waiting_scopes():
            self.liquidating.discard(scope)

    def _waiting_scopes(self) -> set[Scope]:
        return {self.scope_of(self.slots[account, market]) for market, account in self.bankrupt}
